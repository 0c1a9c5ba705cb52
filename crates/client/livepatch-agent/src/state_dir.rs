//! The state directory: small JSON records that survive a power cut, and the cache of verified modules.

use livepatch_manifest::Digest;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A record that lives in one file of the state directory.
pub trait Record: Serialize + DeserializeOwned {
    /// The file's name.
    const FILE: &'static str;
}

/// `/var/lib/livepatch`, readable by its owner alone.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}")]
pub struct StateError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl StateDir {
    /// Opens the directory, making it (mode 0700) when it is missing.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path.join("modules"));
        made.map_err(failed("make", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(failed("protect", &path))?;
        Ok(Self { path })
    }

    /// Takes the directory for this process until the answer is dropped; `None` when another process has it.
    ///
    /// # Errors
    /// [`StateError`] when there can be no lock.
    pub fn lock(&self) -> Result<Option<fs::File>, StateError> {
        let path = self.path.join("lock");
        let file =
            fs::File::options().create(true).append(true).open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// Removes what a write left behind that a power cut or a kill ended in its middle. To be called by whoever holds the lock,
    /// before anything is written. What cannot be removed is harmless: nobody reads it.
    pub fn sweep(&self) {
        let mut pending = vec![self.path.clone()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok) {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    pending.push(entry.path());
                } else if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
                    && let Err(error) = fs::remove_file(entry.path())
                {
                    tracing::debug!(%error, path = %entry.path().display(), "an unfinished file stays");
                }
            }
        }
    }

    /// Where the TUF client keeps what it saw last, for its protection against rollback.
    pub fn datastore(&self) -> PathBuf {
        self.path.join("tuf")
    }

    /// Reads a record; `None` when there is none. One that cannot be understood is set aside as `NAME.unreadable` and
    /// counts as none: a damaged file must not keep a machine unprotected for ever.
    ///
    /// # Errors
    /// [`StateError`] when the file is there and cannot be read.
    pub fn load<R: Record>(&self) -> Result<Option<R>, StateError> {
        let path = self.path.join(R::FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a state file is unreadable and set aside");
                let aside = path.with_extension("json.unreadable");
                fs::rename(&path, aside).map_err(failed("set aside", &path))?;
                Ok(None)
            }
        }
    }

    /// Writes a record durably: when this returns, a power cut leaves the new one; before, the old one.
    ///
    /// # Errors
    /// [`StateError`] when it could not be written; the old one stands.
    pub fn save<R: Record>(&self, record: &R) -> Result<(), StateError> {
        let path = self.path.join(R::FILE);
        let bytes =
            serde_json::to_vec_pretty(record).map_err(io::Error::other).map_err(failed("write", &path))?;
        write_durably(&path, &bytes).map_err(failed("write", &path))
    }

    /// Removes a record durably; it may be missing.
    ///
    /// # Errors
    /// [`StateError`] when it stays.
    pub fn remove<R: Record>(&self) -> Result<(), StateError> {
        self.remove_file(R::FILE)
    }

    /// The pinned trust anchor's bytes.
    ///
    /// # Errors
    /// [`StateError`] when the file is there and cannot be read.
    pub fn trust_anchor(&self) -> Result<Option<Vec<u8>>, StateError> {
        read_if_there(&self.path.join(TRUST_ANCHOR))
    }

    /// Keeps the trust anchor, and forgets what was seen of another one's repository.
    ///
    /// # Errors
    /// [`StateError`] when it could not be written.
    pub fn save_trust_anchor(&self, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(TRUST_ANCHOR);
        if self.trust_anchor()?.as_deref() != Some(bytes) {
            self.forget_repository()?;
        }
        write_durably(&path, bytes).map_err(failed("write", &path))
    }

    /// Forgets the TUF datastore.
    fn forget_repository(&self) -> Result<(), StateError> {
        let path = self.datastore();
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// A module of the cache. Its bytes are not checked here: the caller verifies them like foreign ones.
    ///
    /// # Errors
    /// [`StateError`] when the file is there and cannot be read.
    pub fn cached_module(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, StateError> {
        read_if_there(&self.module_path(sha256))
    }

    /// Keeps a module for the next boot.
    ///
    /// # Errors
    /// [`StateError`] when it could not be written.
    pub fn cache_module(&self, sha256: &Digest, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.module_path(sha256);
        write_durably(&path, bytes).map_err(failed("write", &path))
    }

    /// A signed document that was kept under its name in the repository.
    ///
    /// # Errors
    /// [`StateError`] when the file is there and cannot be read.
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        read_if_there(&self.path.join(name))
    }

    /// Keeps a signed document under its name in the repository.
    ///
    /// # Errors
    /// [`StateError`] when it could not be written.
    pub fn save_document(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path.join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed("make", directory))?;
        }
        write_durably(&path, bytes).map_err(failed("write", &path))
    }

    /// Drops every cached module whose digest is not kept.
    ///
    /// # Errors
    /// [`StateError`] when the cache cannot be listed.
    pub fn prune_modules(&self, keep: impl Fn(&str) -> bool) -> Result<(), StateError> {
        let directory = self.path.join("modules");
        let entries = fs::read_dir(&directory).map_err(failed("list", &directory))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let digest = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if !keep(digest) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    fn module_path(&self, sha256: &Digest) -> PathBuf {
        self.path.join("modules").join(format!("{sha256}.ko"))
    }

    fn remove_file(&self, name: &str) -> Result<(), StateError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_directory(&self.path).map_err(failed("remove", &path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failed("remove", &path)(source)),
        }
    }
}

/// How the names of files begin that are not whole yet.
const UNFINISHED: &str = ".new-";
const TRUST_ANCHOR: &str = "trust-anchor.json";

/// Writes beside, synchronises, renames, synchronises the directory. The file is for its owner alone (mode 0600, which
/// is what a temporary file has).
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_directory(directory)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path)(source)),
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError { operation, path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::records::{Confirmed, Spool};

    fn state() -> (tempfile::TempDir, StateDir) {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path().join("state")).unwrap();
        (directory, state)
    }

    #[test]
    fn records_read_back_are_private_and_go() {
        let (_directory, state) = state();
        assert_eq!(state.load::<Spool>().unwrap(), None);
        let spool = Spool { sequence: 7, events: Vec::new() };
        state.save(&spool).unwrap();
        assert_eq!(state.load::<Spool>().unwrap(), Some(spool));
        let mode = fs::metadata(state.path.join(Spool::FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        state.remove::<Spool>().unwrap();
        state.remove::<Spool>().unwrap();
        assert_eq!(state.load::<Spool>().unwrap(), None);
    }

    #[test]
    fn a_damaged_record_heals() {
        let (_directory, state) = state();
        fs::write(state.path.join(Confirmed::FILE), "{\"digests\": [").unwrap();
        assert_eq!(state.load::<Confirmed>().unwrap(), None);
        assert!(state.path.join("confirmed.json.unreadable").exists());
        state.save(&Confirmed::default()).unwrap();
        assert!(state.load::<Confirmed>().unwrap().is_some());
    }

    #[test]
    fn what_a_power_cut_left_unfinished_goes() {
        let (_directory, state) = state();
        state.save(&Spool::default()).unwrap();
        state.save_document("documents/one.olpv", b"whole").unwrap();
        for unfinished in [".new-a1b2c3", "modules/.new-d4e5f6", "documents/.new-g7h8i9"] {
            fs::write(state.path.join(unfinished), "half").unwrap();
        }
        state.sweep();
        assert!(!state.path.join(".new-a1b2c3").exists());
        assert_eq!(fs::read_dir(state.path.join("modules")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(state.path.join("documents")).unwrap().count(), 1);
        assert!(state.load::<Spool>().unwrap().is_some());
    }

    #[test]
    fn one_process_at_a_time() {
        let (_directory, state) = state();
        let held = state.lock().unwrap();
        assert!(held.is_some());
        assert!(state.lock().unwrap().is_none());
        drop(held);
        assert!(state.lock().unwrap().is_some());
    }

    #[test]
    fn another_anchor_starts_from_nothing_seen() {
        let (_directory, state) = state();
        state.save_trust_anchor(b"one").unwrap();
        fs::create_dir(state.datastore()).unwrap();
        state.save_trust_anchor(b"one").unwrap();
        assert!(state.datastore().exists());
        state.save_trust_anchor(b"two").unwrap();
        assert!(!state.datastore().exists());
    }

    #[test]
    fn the_cache_keeps_what_it_is_told() {
        let (_directory, state) = state();
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        state.cache_module(&old, b"old").unwrap();
        state.cache_module(&new, b"new").unwrap();
        state.prune_modules(|digest| digest == new.as_str()).unwrap();
        assert_eq!(state.cached_module(&old).unwrap(), None);
        assert_eq!(state.cached_module(&new).unwrap().as_deref(), Some(b"new".as_slice()));
    }
}
