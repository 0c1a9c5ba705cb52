//! Source packages, unpacked once per version into the cache, and what differs between two of them.
//!
//! Below `sources/PACKAGE_VERSION/` lies the tree; its `.livepatch/` holds the package's changelog. The folder gets its name
//! only once it is whole, so that a run that is cut short leaves nothing that looks like a tree.

use crate::cache::Cache;
use crate::narrate::step;
use crate::packages::{self, PackageError};
use crate::run::{self, RunError};
use livepatch_extract::FileChange;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our folder in an unpacked tree.
const OURS: &str = ".livepatch";
const CHANGELOG: &str = "changelog";

/// Why a source package cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The package cannot be had.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The package's name does not end with a series.
    #[error("'{0}' is no kernel source package: linux-source-SERIES expected, such as linux-source-6.1")]
    Name(String),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A version of a source package, unpacked.
#[derive(Clone, Debug)]
pub struct SourceTree {
    folder: PathBuf,
}

impl SourceTree {
    /// The tree of a version; fetched and unpacked when the cache does not have it.
    ///
    /// # Errors
    /// [`SourceError`] when the version is not offered or cannot be unpacked.
    pub fn open(cache: &Cache, package: &str, version: &str) -> Result<Self, SourceError> {
        let series =
            package.strip_prefix("linux-source-").ok_or_else(|| SourceError::Name(package.to_owned()))?;
        let name = format!("{package}_{version}");
        let folder = cache.sources().join(&name);
        let _lock = cache.lock(&name).map_err(file_error(&folder))?;
        if !folder.join(OURS).is_dir() {
            let package_file = packages::fetch(cache, package, Some(version))?;
            let step = step(format!("unpack {name}"));
            unpack(cache, &package_file, package, series, &folder)?;
            step.done("");
        }
        Ok(Self { folder })
    }

    /// A file's text; `None` when the tree does not have it.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read.
    pub fn text(&self, file: &str) -> Result<Option<String>, SourceError> {
        let path = self.folder.join(file);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SourceError::File { path, source }),
        }
    }

    /// The package's changelog.
    ///
    /// # Errors
    /// [`SourceError::File`] when it cannot be read.
    pub fn changelog(&self) -> Result<String, SourceError> {
        let path = self.folder.join(OURS).join(CHANGELOG);
        let bytes = fs::read(&path).map_err(file_error(&path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Every file that differs in a newer tree.
    ///
    /// # Errors
    /// [`SourceError::File`] when a folder or file cannot be read.
    pub fn changes(&self, newer: &Self) -> Result<Vec<FileChange>, SourceError> {
        let mut paths = differing(&self.folder, &newer.folder, Path::new(""))?;
        paths.sort();
        let texts: Result<Vec<_>, SourceError> =
            paths.into_iter().map(|path| Ok((path.clone(), self.text(&path)?, newer.text(&path)?))).collect();
        Ok(FileChange::compare(texts?))
    }
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> SourceError + use<> {
    let path = path.to_owned();
    move |source| SourceError::File { path, source }
}

fn unpack(
    cache: &Cache,
    package_file: &Path,
    package: &str,
    series: &str,
    folder: &Path,
) -> Result<(), SourceError> {
    let sources = cache.sources();
    fs::create_dir_all(&sources).map_err(file_error(&sources))?;
    let scratch =
        tempfile::Builder::new().prefix(".unpacking-").tempdir_in(&sources).map_err(file_error(&sources))?;
    let (tree, log) = (scratch.path().join("tree"), cache.downloads().join("source.log"));
    packages::unpack_source(package_file, series, None, &tree, &log)?;
    let ours = tree.join(OURS);
    fs::create_dir(&ours).map_err(file_error(&ours))?;
    take_changelog(package_file, package, &ours, &log)?;
    // What an older version of this program, or an interrupted one, has left there.
    if folder.exists() {
        fs::rename(folder, scratch.path().join("old")).map_err(file_error(folder))?;
    }
    fs::rename(&tree, folder).map_err(file_error(folder))
}

/// Debian Policy 12.7: `changelog.Debian.gz` where Debian's revision differs from upstream's, else `changelog.gz`.
fn take_changelog(package_file: &Path, package: &str, ours: &Path, log: &Path) -> Result<(), SourceError> {
    let packed = ours.join("changelog.gz");
    let take = |name: &str| {
        let inside = format!("./usr/share/doc/{package}/{name}");
        packages::take_file(package_file, &inside, &packed, log)
    };
    if let Err(PackageError::Lacks { .. }) = take("changelog.Debian.gz") {
        take("changelog.gz")?;
    }
    Ok(run::logged(Command::new("gunzip").arg("-f").arg(&packed), log)?)
}

/// Paths of regular files that only one tree has, or that differ.
fn differing(old: &Path, new: &Path, inside: &Path) -> Result<Vec<String>, SourceError> {
    let (mut old_entries, new_entries) = (entries(&old.join(inside))?, entries(&new.join(inside))?);
    let mut pairs: BTreeMap<PathBuf, (Kind, Kind)> = BTreeMap::new();
    for (name, kind) in new_entries {
        let before = old_entries.remove(&name).unwrap_or(Kind::Missing);
        pairs.insert(inside.join(name), (before, kind));
    }
    pairs.extend(old_entries.into_iter().map(|(name, kind)| (inside.join(name), (kind, Kind::Missing))));
    let found: Result<Vec<Vec<String>>, SourceError> = pairs
        .into_par_iter()
        .map(|(path, kinds)| match kinds {
            (Kind::Folder, _) | (_, Kind::Folder) => differing(old, new, &path),
            (Kind::File(one), Kind::File(other)) if one == other && same(old, new, &path)? => Ok(Vec::new()),
            (Kind::Missing | Kind::File(_), Kind::Missing | Kind::File(_)) => {
                Ok(vec![path.to_string_lossy().into_owned()])
            }
            (Kind::Other, _) | (_, Kind::Other) => Ok(Vec::new()),
        })
        .collect();
    Ok(found?.into_iter().flatten().collect())
}

/// What a name stands for in one of the trees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Folder,
    /// A regular file of this many bytes.
    File(u64),
    /// A link.
    Other,
}

fn entries(folder: &Path) -> Result<BTreeMap<PathBuf, Kind>, SourceError> {
    let listing = match fs::read_dir(folder) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(BTreeMap::new());
        }
        other => other.map_err(file_error(folder))?,
    };
    let mut found = BTreeMap::new();
    for entry in listing {
        let entry = entry.map_err(file_error(folder))?;
        let metadata = entry.metadata().map_err(file_error(&entry.path()))?;
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_file() => Kind::File(metadata.len()),
            _ => Kind::Other,
        };
        if entry.file_name() != OURS {
            found.insert(PathBuf::from(entry.file_name()), kind);
        }
    }
    Ok(found)
}

fn same(old: &Path, new: &Path, path: &Path) -> Result<bool, SourceError> {
    let read = |root: &Path| {
        let path = root.join(path);
        fs::read(&path).map_err(file_error(&path))
    };
    Ok(read(old)? == read(new)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) -> SourceTree {
        for (path, text) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        SourceTree { folder: root.to_owned() }
    }

    #[test]
    fn files_that_differ_come_or_go_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let old = write(
            &folder.path().join("old"),
            &[("a/same.c", "x\n"), ("a/edited.c", "x\n"), ("gone/g.c", "g\n"), (".livepatch/changelog", "1")],
        );
        let new = write(
            &folder.path().join("new"),
            &[
                ("a/same.c", "x\n"),
                ("a/edited.c", "y\n"),
                ("fresh/f.c", "f\n"),
                (".livepatch/changelog", "2"),
            ],
        );
        let changes = old.changes(&new).unwrap();
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["a/edited.c", "fresh/f.c", "gone/g.c"]);
        assert!(changes[1].old.is_none() && changes[2].new.is_none());
        assert_eq!(new.changelog().unwrap(), "2");
    }

    #[test]
    fn a_package_of_another_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = SourceTree::open(&Cache::at(folder.path()), "bash", "1").unwrap_err();
        assert!(error.to_string().contains("linux-source-SERIES"), "{error}");
    }
}
