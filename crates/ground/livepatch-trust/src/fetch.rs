//! How bytes come in: the trait that the network side implements, a directory as a repository, and the adapter to the
//! TUF library.

use crate::{Role, durable};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

/// Fetches files. Implementations read at most `limit` bytes, whatever the other side sends.
pub trait Fetch: Send + Sync {
    /// The content of `url`, at most `limit` bytes.
    ///
    /// # Errors
    /// [`FetchError`]; `NotFound` only when the other side answered that there is no such file.
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError>;
}

/// Why a file did not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The other side says that there is no such file (HTTP 404 or 410).
    #[error("there is no such file")]
    NotFound,
    /// No answer, a broken one, or a status that is neither success nor "not found".
    #[error("{0}")]
    Unreachable(String),
    /// More bytes than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
}

/// Reads `file:` URLs: a repository on a disk, a mirror's directory, a USB stick.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectoryFetch;

impl Fetch for DirectoryFetch {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        let path = file_path(url)?;
        durable::read(&path, limit).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FetchError::NotFound,
            io::ErrorKind::FileTooLarge => FetchError::TooLarge(limit),
            _ => FetchError::Unreachable(format!("{}: {error}", path.display())),
        })
    }
}

fn file_path(url: &Url) -> Result<PathBuf, FetchError> {
    let path = if url.scheme() == "file" { url.to_file_path().ok() } else { None };
    path.ok_or_else(|| FetchError::Unreachable(format!("{url} does not name a file")))
}

/// A bounded fetch: an implementation that forgets its limit must not cost more than the bytes it already holds.
pub(crate) fn bounded(fetch: &dyn Fetch, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
    let bytes = fetch.fetch(url, limit)?;
    if bytes.len() as u64 > limit { Err(FetchError::TooLarge(limit)) } else { Ok(bytes) }
}

/// The largest metadata file of a role. Only the targets metadata grow, by about 2 KiB a livepatch.
pub(crate) const fn limit_of(role: Role) -> u64 {
    match role {
        Role::Root => 512 << 10,
        Role::Targets => 32 << 20,
        Role::Snapshot => 1 << 20,
        Role::Timestamp => 64 << 10,
    }
}

/// The role that a metadata URL belongs to; root when it is none that we know, which has a small limit.
pub(crate) fn role_of(url: &Url) -> Role {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    Role::of_file(name).unwrap_or(Role::Root)
}

/// [`Fetch`] as the TUF library wants it, for metadata. Snapshot and targets that were verified before are not fetched
/// again: their names hold their versions. What is kept is verified like what is fetched.
#[derive(Clone)]
pub(crate) struct MetadataTransport {
    fetch: Arc<dyn Fetch>,
    kept: Option<PathBuf>,
    used: Arc<AtomicBool>,
    fetched: Arc<Mutex<Fetched>>,
}

/// Metadata of roles, as they came.
pub(crate) type Fetched = Vec<(Role, Vec<u8>)>;

/// Where the bytes of a role's metadata are kept as they came, beside the library's own form of them.
pub(crate) fn fetched_file(role: Role) -> String {
    format!("fetched.{role}.json")
}

impl MetadataTransport {
    /// `kept`: a directory with the [`fetched_file`]s that were verified last, if they are to be used.
    pub(crate) fn new(fetch: Arc<dyn Fetch>, kept: Option<&Path>) -> Self {
        Self { fetch, kept: kept.map(Path::to_owned), used: Arc::default(), fetched: Arc::default() }
    }

    /// Whether anything kept was given out.
    pub(crate) fn used_kept(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Snapshot and targets as they came, to be kept once they are verified.
    pub(crate) fn fetched(&self) -> Fetched {
        std::mem::take(&mut *self.fetched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let role = role_of(url);
        if let Some(bytes) = self.kept(url, role) {
            self.used.store(true, Ordering::Relaxed);
            return Ok(bytes);
        }
        let bytes = bounded(self.fetch.as_ref(), url, limit_of(role))?;
        if matches!(role, Role::Snapshot | Role::Targets) {
            let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            fetched.push((role, bytes.clone()));
        }
        Ok(bytes)
    }

    fn kept(&self, url: &Url, role: Role) -> Option<Vec<u8>> {
        let directory = self.kept.as_ref().filter(|_| matches!(role, Role::Snapshot | Role::Targets))?;
        let name = url.path().rsplit('/').next()?;
        let wanted: u64 = name.strip_suffix(&format!(".{role}.json"))?.parse().ok()?;
        let bytes = durable::read(&directory.join(fetched_file(role)), limit_of(role)).ok()?;
        let document: Versioned = serde_json::from_slice(&bytes).ok()?;
        (document.signed.version == wanted).then_some(bytes)
    }
}

/// What tells which document it is.
#[derive(serde::Deserialize)]
struct Versioned {
    signed: Version,
}

#[derive(serde::Deserialize)]
struct Version {
    version: u64,
}

impl std::fmt::Debug for MetadataTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetadataTransport")
    }
}

#[async_trait::async_trait]
impl Transport for MetadataTransport {
    /// The failure travels inside the stream: tough takes a failing *call* for "no newer root", whatever the cause
    /// (tough 0.24, `load_root`), and would go on with the old one when the network is cut.
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let answer = self.get(&url);
        let item = answer.map(bytes::Bytes::from).map_err(|error| {
            let kind = match error {
                FetchError::NotFound => TransportErrorKind::FileNotFound,
                _ => TransportErrorKind::Other,
            };
            TransportError::new_with_cause(kind, url.as_str(), error)
        });
        Ok(Box::pin(futures_util::stream::iter([item])))
    }
}
