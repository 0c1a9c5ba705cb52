//! `/sys/kernel/livepatch` (Documentation/ABI/testing/sysfs-kernel-livepatch): `NAME/{enabled,transition}` and below it
//! `OBJECT/{patched, FUNCTION,SYMPOS/}`.

use crate::{Host, HostError};
use serde::{Deserialize, Serialize};
use std::{fs, path::PathBuf};

pub(crate) const DIRECTORY: &str = "sys/kernel/livepatch";

/// A livepatch as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedLivepatch {
    /// Module name.
    pub name: String,
    /// Whether the patched functions are, or are becoming, the current ones.
    pub enabled: bool,
    /// Whether a transition (to the state that `enabled` says) is running.
    pub transition: bool,
    /// What it changes, by object name.
    pub objects: Vec<LivepatchObject>,
}

/// A kernel object in a livepatch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivepatchObject {
    /// `vmlinux` or a module's name.
    pub name: String,
    /// Whether the object is there and patched; absent before Linux 6.1.
    pub patched: Option<bool>,
    /// Names of the replaced functions.
    pub functions: Vec<String>,
}

pub(crate) fn read(host: &Host) -> Result<Vec<LoadedLivepatch>, HostError> {
    let mut found = Vec::new();
    for name in subdirectories(host, DIRECTORY.into())? {
        found.extend(read_one(host, &name)?);
    }
    Ok(found)
}

/// Sysfs may lose the livepatch while it is being read, when a transition ends: then there is none.
pub(crate) fn read_one(host: &Host, name: &str) -> Result<Option<LoadedLivepatch>, HostError> {
    if !is_entry_name(name) {
        return Ok(None);
    }
    match read_whole(host, name) {
        Ok(livepatch) => Ok(Some(livepatch)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_whole(host: &Host, name: &str) -> Result<LoadedLivepatch, HostError> {
    let directory = PathBuf::from(DIRECTORY).join(name);
    let flag = |file: &str| Ok::<_, HostError>(host.line(directory.join(file))? == "1");
    let (enabled, transition) = (flag("enabled")?, flag("transition")?);
    let mut objects = Vec::new();
    for object in subdirectories(host, directory.clone())? {
        let patched = host.line(directory.join(&object).join("patched")).ok().map(|line| line == "1");
        let functions = subdirectories(host, directory.join(&object))?;
        let functions = functions.iter().map(|entry| function_name(entry).to_owned()).collect();
        objects.push(LivepatchObject { name: object, patched, functions });
    }
    Ok(LoadedLivepatch { name: name.to_owned(), enabled, transition, objects })
}

/// `FUNCTION,SYMPOS` is the entry of a function.
fn function_name(entry: &str) -> &str {
    entry.rsplit_once(',').map_or(entry, |(name, _)| name)
}

/// Names of the directories in a directory, sorted; none when it does not exist.
fn subdirectories(host: &Host, relative: PathBuf) -> Result<Vec<String>, HostError> {
    let path = host.path(relative);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(source) => {
            let error = HostError::Read { path, source };
            return if error.is_missing() { Ok(Vec::new()) } else { Err(error) };
        }
    };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(is_directory)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// A name that stays inside its directory.
pub(crate) fn is_entry_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}
