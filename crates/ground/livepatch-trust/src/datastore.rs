//! What a machine remembers of a repository: the newest metadata that it has verified, against rollback.
//!
//! The library writes into its datastore in place, so a power cut could leave a torn file there, which it would then
//! ignore, and with it the memory. Therefore it works on a copy, and what changed is carried back by rename.
//!
//! The library's own memory of the clock (`latest_known_time.json`) is not kept: it refuses to work when the clock goes
//! back at all, and machines whose clock is set right after boot would lose protection. Version numbers, which no
//! clock can turn back, guard against replay.

use crate::{
    TrustError, durable,
    fetch::{Fetched, fetched_file, limit_of},
    role::Role,
};
use livepatch_manifest::Digest;
use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path, path::PathBuf};
use tempfile::TempDir;

/// Names the root document that the kept ones descend from.
const ANCHOR: &str = "anchor.sha256";

pub(crate) struct Datastore {
    directory: PathBuf,
}

impl Datastore {
    /// The datastore in `directory`, which is made when it is missing, for its owner only.
    pub(crate) fn open(directory: &Path) -> Result<Self, TrustError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The root to start from: the newest that was reached from this anchor, or the anchor itself.
    pub(crate) fn root(&self, anchor: &[u8]) -> Result<Vec<u8>, TrustError> {
        let digest = Digest::of(anchor);
        if self.read(ANCHOR, 64)?.as_deref() == Some(digest.as_str().as_bytes()) {
            let kept = self.read(&kept_file(Role::Root), limit_of(Role::Root))?;
            // A kept root that is no JSON document is worth less than the anchor.
            let sound = kept.filter(|bytes| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok());
            return Ok(sound.unwrap_or_else(|| anchor.to_vec()));
        }
        self.write(ANCHOR, digest.as_str().as_bytes())?;
        self.remove(&kept_file(Role::Root))?;
        Ok(anchor.to_vec())
    }

    /// A copy for the library to work on, gone when dropped.
    pub(crate) fn copy(&self) -> Result<TempDir, TrustError> {
        let copy = tempfile::Builder::new()
            .prefix(".check-")
            .tempdir_in(&self.directory)
            .map_err(failed(&self.directory))?;
        for role in Role::ALL {
            let name = kept_file(role);
            if let Some(bytes) = self.read(&name, limit_of(role))? {
                fs::write(copy.path().join(&name), bytes).map_err(failed(copy.path()))?;
            }
        }
        Ok(copy)
    }

    /// Carries back what the library changed in the copy.
    pub(crate) fn keep(&self, copy: &Path) -> Result<(), TrustError> {
        for role in Role::ALL {
            let name = kept_file(role);
            let path = copy.join(&name);
            let new = match fs::read(&path) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(failed(&path)(error)),
            };
            match (new, self.read(&name, u64::MAX - 1)?) {
                (Some(new), old) if old.as_ref() != Some(&new) => self.write(&name, &new)?,
                (None, Some(_)) => self.remove(&name)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps verified metadata as they came, so that they need not come again.
    pub(crate) fn keep_fetched(&self, fetched: Fetched) -> Result<(), TrustError> {
        fetched.into_iter().try_for_each(|(role, bytes)| self.write(&fetched_file(role), &bytes))
    }

    /// The newest root of an origin that was reached from this pinned one.
    pub(crate) fn origin_root(&self, pinned: &[u8]) -> Result<Option<Vec<u8>>, TrustError> {
        self.read(&origin_file(pinned), limit_of(Role::Root))
    }

    /// Remembers a newer root of an origin.
    pub(crate) fn keep_origin_root(&self, pinned: &[u8], root: &[u8]) -> Result<(), TrustError> {
        self.write(&origin_file(pinned), root)
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TrustError> {
        let path = self.directory.join(name);
        match durable::read(&path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => {
                Ok(None)
            }
            Err(error) => Err(failed(&path)(error)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrustError> {
        let path = self.directory.join(name);
        durable::write(&path, bytes, 0o600).map_err(failed(&path))
    }

    fn remove(&self, name: &str) -> Result<(), TrustError> {
        let path = self.directory.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => durable::sync_directory(&self.directory).map_err(failed(&path)),
        }
    }
}

fn origin_file(pinned: &[u8]) -> String {
    format!("origin-{}.json", Digest::of(pinned))
}

/// The names that tough 0.24 uses in its datastore.
fn kept_file(role: Role) -> String {
    format!("{role}.json")
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TrustError {
    let path = path.to_owned();
    move |source| TrustError::Datastore { path, source }
}
