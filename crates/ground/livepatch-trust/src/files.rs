//! Where a repository's files are: a directory, or whatever else keeps bytes by name.
//!
//! The publisher writes modules first, then the versioned metadata, and `timestamp.json` last, so all that it asks of a
//! place is that each single file is replaced whole: a bucket of an object store is as good as a directory.

use crate::durable;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Bytes by name, such as `metadata/timestamp.json`; the parts of a name are divided by `/`.
pub trait Files: fmt::Debug + Send + Sync {
    /// The content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// `NotFound` when there is none, `FileTooLarge` beyond the limit, and what the place says.
    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// Puts a file in its place, or in the place of another one. When this returns, it lasts; whoever reads meanwhile gets
    /// the old content or the new, never a part.
    ///
    /// # Errors
    /// What the place says; the old content is then still there.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()>;

    /// The names of all files whose names begin with `directory` and a slash; none when there is no such directory.
    ///
    /// # Errors
    /// What the place says.
    fn names(&self, directory: &str) -> io::Result<Vec<String>>;

    /// What a file is called in messages.
    fn place(&self, name: &str) -> PathBuf;

    /// Whether other programs write here too, so that what was read before may be old.
    fn is_shared(&self) -> bool {
        false
    }
}

/// Files below a directory.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Those below `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Files for Directory {
    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        durable::read(&self.place(name), limit)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.place(name);
        if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
            fs::create_dir_all(directory)?;
            directory.parent().map_or(Ok(()), durable::sync_directory)?;
        }
        durable::write(&path, content, 0o644)
    }

    fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        gather(&self.place(directory), directory, &mut names)?;
        names.sort();
        Ok(names)
    }

    fn place(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Unfinished files, whose names begin with a dot, are none.
fn gather(directory: &Path, name: &str, names: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if file.starts_with('.') {
            continue;
        }
        let name = format!("{name}/{file}");
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_files_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let files = Directory::new(directory.path().join("repository"));
        assert_eq!(files.names("metadata").unwrap(), [""; 0]);
        assert_eq!(files.read("metadata/x", 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        files.write("metadata/a/x", b"one").unwrap();
        files.write("metadata/a/x", b"other").unwrap();
        files.write("targets/y", b"").unwrap();
        fs::write(directory.path().join("repository/metadata/.new-1"), "half").unwrap();
        assert_eq!(files.read("metadata/a/x", 5).unwrap(), b"other");
        assert_eq!(files.read("metadata/a/x", 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(files.names("metadata").unwrap(), ["metadata/a/x"]);
    }
}
