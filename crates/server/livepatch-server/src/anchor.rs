//! Trust anchors as files: `trust/SHA256.json`, named by their own digest, never changed, never removed, since tokens
//! that name them are out in the world.

use livepatch_api::TrustAnchor;
use livepatch_manifest::Digest;
use std::{fs, io, io::Write as _, os::unix::fs::PermissionsExt as _, path::PathBuf};

/// The directory of trust anchors.
#[derive(Debug)]
pub(crate) struct Anchors {
    directory: PathBuf,
}

impl Anchors {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The digest of an anchor, after its file was made durable.
    pub(crate) fn keep(&self, anchor: &TrustAnchor) -> io::Result<Digest> {
        let bytes = anchor.to_bytes()?;
        let digest = Digest::of(&bytes);
        let path = self.path(&digest);
        if !path.exists() {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.directory)?;
            file.write_all(&bytes)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|refused| refused.error)?;
            fs::File::open(&self.directory)?.sync_all()?;
        }
        Ok(digest)
    }

    /// Where the anchor with this digest is.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}.json"))
    }
}
