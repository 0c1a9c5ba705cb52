//! Where downloads and prepared kernels are kept: `~/.cache/livepatch`, or `LIVEPATCH_CACHE`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache that the environment names.
    ///
    /// # Errors
    /// When neither `LIVEPATCH_CACHE`, `XDG_CACHE_HOME` nor `HOME` is set.
    pub fn from_environment() -> io::Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("LIVEPATCH_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|home| home.join("livepatch")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/livepatch")));
        let root = root.ok_or_else(|| io::Error::other("neither LIVEPATCH_CACHE nor HOME is set"))?;
        Ok(Self::at(&std::path::absolute(root)?))
    }

    /// A cache at a folder of choice.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Downloaded packages.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Files taken out of source packages, by version.
    pub fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// Prepared kernels, a folder each, by release.
    pub fn kernels(&self) -> PathBuf {
        self.root.join("kernels")
    }

    /// Waits for, and then holds, the lock of a name: two processes must not prepare the same thing, or run make in the
    /// same tree, at once. Released when the file is dropped, or when the process ends.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self, name: &str) -> io::Result<File> {
        let file = self.lock_file(name)?;
        file.lock()?;
        Ok(file)
    }

    /// As [`Cache::lock`], and the programs that are started meanwhile hold it too: when this process is killed, what it has
    /// started may still be writing, and the next one waits for that.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_with_children(&self, name: &str) -> io::Result<File> {
        let file = self.lock(name)?;
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
        Ok(file)
    }

    /// As [`Cache::lock`], but shared with others that only read.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_shared(&self, name: &str) -> io::Result<File> {
        let file = self.lock_file(name)?;
        file.lock_shared()?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> io::Result<File> {
        let folder = self.root.join("locks");
        std::fs::create_dir_all(&folder)?;
        File::create(folder.join(name))
    }
}

/// Waits for, and then holds, a folder that is being written to. The programs that are started meanwhile hold it too: what a
/// killed process has started may still be writing.
///
/// # Errors
/// When the folder cannot be opened.
pub fn lock_folder_with_children(folder: &Path) -> io::Result<File> {
    let file = File::open(folder)?;
    if file.try_lock().is_err() {
        crate::narrate::say(format!(
            "another build is still writing to {}: waiting for it",
            folder.display()
        ));
        file.lock()?;
    }
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::fs::TryLockError;

    #[test]
    fn readers_share_and_writers_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let (one, two) = (cache.lock_shared("kernel").unwrap(), cache.lock_shared("kernel").unwrap());
        let other = File::open(folder.path().join("locks/kernel")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop((one, two));
        let writer = cache.lock("kernel").unwrap();
        assert!(matches!(other.try_lock_shared(), Err(TryLockError::WouldBlock)));
        drop(writer);
        other.try_lock().unwrap();
    }
}
