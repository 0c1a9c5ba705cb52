//! What tests fetch from package registries, kept in the cache: fetched when it is first wanted.

use crate::ServiceError;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A folder of the cache. `fill` makes it when it is not there: whole, or not at all, since another test may look for it
/// at the same moment.
///
/// # Errors
/// `fill`'s own, and when the cache cannot be written.
pub(crate) fn folder(
    name: &str,
    fill: impl FnOnce(&Path) -> Result<(), ServiceError>,
) -> Result<PathBuf, ServiceError> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let tools = home.join(".cache/livepatch/tools");
    let kept = tools.join(name);
    if kept.is_dir() {
        return Ok(kept);
    }
    let failed = |source| ServiceError::Run { program: kept.display().to_string(), source };
    fs::create_dir_all(&tools).map_err(failed)?;
    let scratch = tempfile::tempdir_in(&tools).map_err(failed)?;
    fill(scratch.path())?;
    match fs::rename(scratch.path(), &kept) {
        Err(source) if !kept.is_dir() => Err(failed(source)),
        // Or another test was quicker: theirs is the same.
        _ => Ok(kept),
    }
}

/// A folder of the cache with Python packages, for `PYTHONPATH`: these, and what they need.
///
/// # Errors
/// [`ServiceError`] when pip fails.
pub(crate) fn packages(name: &str, wanted: &[&str]) -> Result<PathBuf, ServiceError> {
    folder(name, |folder| {
        // Wheels only: nothing is compiled, and nothing of a package runs when it is installed.
        let install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", "."];
        run("python3", &[&install[..], wanted].concat(), folder).map(drop)
    })
}

/// Runs a program to its end; its standard output.
///
/// # Errors
/// [`ServiceError`] when it cannot be run or fails, with its words.
pub(crate) fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<String, ServiceError> {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|source| ServiceError::Run { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(ServiceError::Failed { program: program.to_owned(), message })
}
