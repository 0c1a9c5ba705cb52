//! Trust anchors as files, named by their own digest, never changed, never removed, since tokens that name them are out
//! in the world: `trust/SHA256.json` in the data directory, `v1/trust/SHA256` in a bucket, where machines look for them.

use livepatch_api::TrustAnchor;
use livepatch_manifest::Digest;
use livepatch_trust::Files;
use std::{io, sync::Arc};

/// An anchor holds roots and certificates, a few KiB each.
const LARGEST: u64 = 4 << 20;

/// The trust anchors.
#[derive(Debug)]
pub(crate) struct Anchors {
    files: Arc<dyn Files>,
    suffix: &'static str,
}

impl Anchors {
    /// Those among these files, whose names are a digest and this suffix.
    pub(crate) fn new(files: Arc<dyn Files>, suffix: &'static str) -> Self {
        Self { files, suffix }
    }

    /// The digest of an anchor, after its file was made durable.
    pub(crate) fn keep(&self, anchor: &TrustAnchor) -> io::Result<Digest> {
        let bytes = anchor.to_bytes()?;
        let digest = Digest::of(&bytes);
        match self.read(&digest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.files.write(&self.name(&digest), &bytes)?;
            }
            Err(error) => return Err(error),
        }
        Ok(digest)
    }

    /// The anchor with this digest.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub(crate) fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        self.files.read(&self.name(digest), LARGEST)
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{digest}{}", self.suffix)
    }
}
