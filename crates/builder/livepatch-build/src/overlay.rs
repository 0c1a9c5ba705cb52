//! The patched files, and a tree that shows them in their places.
//!
//! The prepared tree is never written. Patched files lie below `overlay/`, and `tree/` mirrors the prepared tree: a folder
//! that holds a patched file, and every folder above it, is a real folder; all else in it is a symbolic link. A compiler
//! that runs there with the kernel's own command, all of whose paths are relative, sees the patched files in their places
//! and everything under its own name, so `__FILE__` and the order of include folders are those of the tree.
//!
//! One thing can lead astray: `DIR/../x.h` is looked up behind the link when `DIR` is one. So the list of files that the
//! compiler read is checked, and where such a path came to the unpatched file, the compilation is repeated in a mirror
//! in which `DIR` is a real folder too.

use livepatch_manifest::Digest;
use livepatch_source::includes::normalised;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How often a compilation is repeated with more real folders: each time a path of the includes gets further.
const TRIES: usize = 8;

/// The patched files over a tree.
#[derive(Debug)]
pub struct Overlay {
    source: PathBuf,
    /// Holds the patched files alone.
    folder: PathBuf,
    /// Mirrors are made here, numbered.
    mirrors: PathBuf,
    files: BTreeSet<String>,
    digest: String,
    mirror: Mutex<Mirror>,
}

#[derive(Debug, Default)]
struct Mirror {
    number: usize,
    path: Option<PathBuf>,
    /// Folders that are real besides those of the patched files.
    real: BTreeSet<String>,
}

impl Overlay {
    /// Writes patched texts, by their path in the tree, below `work`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(source: &Path, work: &Path, texts: &BTreeMap<String, Vec<u8>>) -> io::Result<Self> {
        let folder = work.join("overlay");
        let mut all = Vec::new();
        for (name, text) in texts {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            std::fs::write(&path, text)?;
            for part in [name.as_bytes(), text] {
                all.extend((part.len() as u64).to_le_bytes());
                all.extend(part);
            }
        }
        Ok(Self {
            source: source.to_owned(),
            folder,
            mirrors: work.join("tree"),
            files: texts.keys().cloned().collect(),
            digest: Digest::of(&all).to_string(),
            mirror: Mutex::default(),
        })
    }

    /// The patched files, as paths within the tree.
    pub fn files(&self) -> &BTreeSet<String> {
        &self.files
    }

    /// A patched file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Stands for all patched names and texts.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Runs a compiler in the mirrored tree. It answers the files that it read, as it named them; it runs again where one
    /// of those names came to an unpatched file that should have been a patched one.
    ///
    /// # Errors
    /// The compiler's error, or that of a file that cannot be written.
    pub fn compile<E: From<io::Error>>(
        &self,
        mut compiler: impl FnMut(&Path) -> Result<Vec<String>, E>,
    ) -> Result<Vec<String>, E> {
        let mut wanted = BTreeSet::new();
        for _ in 0..TRIES {
            let tree = self.tree(&wanted)?;
            let read = compiler(&tree)?;
            let astray: BTreeSet<String> = read.iter().flat_map(|path| self.astray(&tree, path)).collect();
            if astray.is_empty() {
                return Ok(read);
            }
            wanted = astray;
        }
        Err(io::Error::other("the includes of a file lead around the patched files").into())
    }

    /// Has the next compilation run in a new mirror: files may have been generated in the tree since this one was made, and a
    /// real folder shows what was there then.
    pub fn renew(&self) {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner).path = None;
    }

    /// The mirror, made anew when it lacks a real folder.
    fn tree(&self, wanted: &BTreeSet<String>) -> io::Result<PathBuf> {
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &mirror.path
            && wanted.is_subset(&mirror.real)
        {
            return Ok(path.clone());
        }
        // Others may still be at work in the earlier one, so that stays as it is.
        mirror.real.extend(wanted.iter().cloned());
        mirror.number += 1;
        let path = self.mirrors.join(mirror.number.to_string());
        self.make(&path, &mirror.real)?;
        mirror.path = Some(path.clone());
        Ok(path)
    }

    fn make(&self, path: &Path, more: &BTreeSet<String>) -> io::Result<()> {
        let mut real: BTreeSet<&str> = BTreeSet::from([""]);
        for name in &self.files {
            real.extend(folders_above(name));
        }
        for folder in more {
            real.insert(folder);
            real.extend(folders_above(folder));
        }
        for &folder in &real {
            std::fs::create_dir_all(path.join(folder))?;
            let entries = match std::fs::read_dir(self.source.join(folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let inside = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if !real.contains(inside.as_str()) && !self.files.contains(&inside) {
                    symlink(entry.path(), path.join(&inside))?;
                }
            }
        }
        for name in &self.files {
            symlink(self.folder.join(name), path.join(name))?;
        }
        Ok(())
    }

    /// Folders that must be real for this path not to lead behind a link.
    fn astray(&self, tree: &Path, read: &str) -> Vec<String> {
        let Some(meant) = normalised(read).filter(|meant| self.files.contains(meant)) else {
            return Vec::new();
        };
        let is_right = tree.join(read).canonicalize().ok() == self.folder.join(&meant).canonicalize().ok();
        if is_right {
            return Vec::new();
        }
        let parts: Vec<&str> = read.split('/').collect();
        let ups = parts.iter().enumerate().filter(|(_, part)| **part == "..");
        ups.filter_map(|(at, _)| normalised(&parts[..at].join("/")))
            .filter(|folder| !folder.is_empty())
            .collect()
    }
}

/// `fs/x` and `fs` of `fs/x/y.c`.
fn folders_above(name: &str) -> Vec<&str> {
    name.match_indices('/').map(|(at, _)| &name[..at]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;
