//! The machine's side: load a repository with proof, and fetch modules from it.

use crate::{
    Fetch, FetchError, Origin, Published, Role, SignedDocument, TrustError, TrustedRoot, Versions,
    check_origin,
    datastore::Datastore,
    fetch::{MetadataTransport, bounded, limit_of, role_of},
    metadata::{self, block_on},
};
use livepatch_manifest::Digest;
use livepatch_schedule::Steering;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tough::{
    ExpirationEnforcement, Limits, RepositoryLoader,
    error::Error as Tough,
    schema::{Role as _, RoleType},
};
use url::Url;

/// Roots that are followed in one go. A yearly rotation would take centuries to get there.
pub(crate) const MOST_ROOTS: u64 = 256;

/// What is needed to load a repository.
pub struct LoadRequest<'a> {
    /// The TUF root document of the machine's trust anchor.
    pub root: &'a [u8],
    /// Where the metadata files are, such as `https://host/repository/metadata`.
    pub metadata_url: Url,
    /// Where the modules are, such as `https://host/repository/targets`.
    pub targets_url: Url,
    /// Where this machine keeps what it has seen; made when missing. Losing it loses the protection against rollback,
    /// and nothing else.
    pub datastore: &'a Path,
    /// The network.
    pub fetch: Arc<dyn Fetch>,
}

/// A repository whose signatures, versions and expiry dates were checked.
pub struct Repository {
    livepatches: Vec<Published>,
    documents: Vec<SignedDocument>,
    skipped: Vec<Skipped>,
    steering: Steering,
    versions: Versions,
    /// When the first of its documents expires, and whose it is.
    pub(crate) expires: (SystemTime, Role),
    /// The same for root and targets alone.
    pub(crate) lasting: (SystemTime, Role),
    targets_url: Url,
    pub(crate) root: TrustedRoot,
    /// Where the roots of origins are, below their ids.
    pub(crate) origins_url: Option<Url>,
    pub(crate) datastore: PathBuf,
    pub(crate) fetch: Arc<dyn Fetch>,
}

/// An entry that this version of the program cannot use. One such entry must not cost a machine the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Target name.
    pub target: String,
    /// Why.
    pub reason: String,
}

impl Repository {
    /// Fetches and verifies the metadata (specification 5, "detailed client workflow"), and remembers them.
    ///
    /// # Errors
    /// [`TrustError`], a variant for each way in which a repository can be wrong, late or absent.
    pub fn load(request: LoadRequest<'_>) -> Result<Self, TrustError> {
        Self::load_with(request, ExpirationEnforcement::Safe)
    }

    pub(crate) fn load_with(
        request: LoadRequest<'_>,
        expiration: ExpirationEnforcement,
    ) -> Result<Self, TrustError> {
        let datastore = Datastore::open(request.datastore)?;
        let root = datastore.root(request.root)?;
        let copy = datastore.copy()?;
        let load = |transport: &MetadataTransport| {
            let loader =
                RepositoryLoader::new(&root, base(&request.metadata_url), base(&request.targets_url))
                    .transport(transport.clone())
                    .datastore(copy.path())
                    .expiration_enforcement(expiration)
                    .limits(limits());
            block_on(loader.load())
        };
        let mut transport = MetadataTransport::new(Arc::clone(&request.fetch), Some(request.datastore));
        let mut outcome = load(&transport);
        // A repository that was made anew may have other documents of the same versions.
        if matches!(outcome, Ok(Err(_))) && transport.used_kept() {
            transport = MetadataTransport::new(Arc::clone(&request.fetch), None);
            outcome = load(&transport);
        }
        // Also after a failure: a newer timestamp that was verified counts even when the snapshot did not come.
        datastore.keep(copy.path())?;
        let outcome = outcome.map_err(|error| TrustError::Other { reason: error.to_string() })?;
        if outcome.is_ok() {
            datastore.keep_fetched(transport.fetched())?;
        }
        Self::from_tough(&outcome.map_err(explain)?, request)
    }

    /// What the repository holds, in no particular order.
    pub fn livepatches(&self) -> impl Iterator<Item = &Published> {
        self.livepatches.iter()
    }

    /// Leaves out what an origin should vouch for and does not, by the certificate that each manifest names; whoever
    /// loads a module checks that this certificate's key signed it. A manifest that names none is left out, unless an
    /// origin vouches for it.
    pub fn keep_endorsed(&mut self, origins: &[Origin]) {
        let mut kept = Vec::new();
        for livepatch in std::mem::take(&mut self.livepatches) {
            let outcome = match &livepatch.manifest.module.signer {
                Some(signer) => check_origin(origins, &livepatch, signer),
                None => origins.iter().try_for_each(|origin| origin.check(&livepatch)),
            };
            match outcome {
                Ok(()) => kept.push(livepatch),
                Err(error) => {
                    self.skipped.push(Skipped { target: livepatch.target, reason: error.to_string() });
                }
            }
        }
        self.livepatches = kept;
    }

    /// The entries that had to be left out.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What holds for running rollouts now, and what is denied.
    pub fn steering(&self) -> &Steering {
        &self.steering
    }

    /// The versions of the metadata.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// When the first of the metadata documents expires; after that moment no module is given out any more.
    pub fn expires(&self) -> SystemTime {
        self.expires.0
    }

    /// Fetches the module and checks its length and digest against the signed ones. At most that length is read.
    ///
    /// # Errors
    /// [`TrustError::TargetAltered`], [`TrustError::TargetMissing`], [`TrustError::Unreachable`], and
    /// [`TrustError::Expired`] when the metadata expired since they were loaded.
    pub fn module(&self, livepatch: &Published) -> Result<Vec<u8>, TrustError> {
        self.target(&livepatch.target, &livepatch.location(), livepatch.length, &livepatch.sha256)
    }

    /// The signed documents beside the livepatches, in no particular order.
    pub fn documents(&self) -> impl Iterator<Item = &SignedDocument> {
        self.documents.iter()
    }

    /// Fetches a document and checks its length and digest against the signed ones.
    ///
    /// # Errors
    /// As [`Repository::module`].
    pub fn document(&self, document: &SignedDocument) -> Result<Vec<u8>, TrustError> {
        self.target(&document.name, &document.location(), document.length, &document.sha256)
    }

    fn target(
        &self,
        name: &str,
        location: &str,
        length: u64,
        sha256: &Digest,
    ) -> Result<Vec<u8>, TrustError> {
        if SystemTime::now() >= self.expires.0 {
            return Err(TrustError::Expired { role: self.expires.1 });
        }
        let name = || name.to_owned();
        let url = self.targets_url.join(location).map_err(|error| TrustError::Unreachable {
            url: self.targets_url.to_string(),
            reason: error.to_string(),
        })?;
        let bytes = bounded(self.fetch.as_ref(), &url, length).map_err(|error| match error {
            FetchError::NotFound => TrustError::TargetMissing { name: name() },
            FetchError::Unreachable(reason) => TrustError::Unreachable { url: url.to_string(), reason },
            FetchError::TooLarge(limit) => {
                TrustError::TargetAltered { name: name(), reason: format!("it is larger than {limit} bytes") }
            }
        })?;
        if bytes.len() as u64 != length {
            let reason = format!("it has {} bytes instead of {length}", bytes.len());
            return Err(TrustError::TargetAltered { name: name(), reason });
        }
        let digest = Digest::of(&bytes);
        if digest != *sha256 {
            let reason = format!("its digest is {digest} instead of {sha256}");
            return Err(TrustError::TargetAltered { name: name(), reason });
        }
        Ok(bytes)
    }

    fn from_tough(loaded: &tough::Repository, request: LoadRequest<'_>) -> Result<Self, TrustError> {
        let (root, targets) = (&loaded.root().signed, &loaded.targets().signed);
        let (snapshot, timestamp) = (&loaded.snapshot().signed, &loaded.timestamp().signed);
        let versions = Versions {
            root: root.version.get(),
            targets: targets.version.get(),
            snapshot: snapshot.version.get(),
            timestamp: timestamp.version.get(),
        };
        let seconds = [
            (root.expires().as_second(), Role::Root),
            (targets.expires().as_second(), Role::Targets),
            (snapshot.expires().as_second(), Role::Snapshot),
            (timestamp.expires().as_second(), Role::Timestamp),
        ];
        let first = |seconds: &[(i64, Role)]| {
            let first = seconds.iter().copied().min_by_key(|(second, _)| *second);
            let (second, role) = first.unwrap_or((0, Role::Timestamp));
            (UNIX_EPOCH + Duration::from_secs(u64::try_from(second).unwrap_or_default()), role)
        };

        // Signed words that are not understood may say that something is halted: nothing is given out then.
        let steering = metadata::steering_of(timestamp)
            .map_err(|error| TrustError::Malformed { role: Role::Timestamp, reason: error.to_string() })?;
        let (mut livepatches, mut documents, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for (name, target) in loaded.all_targets() {
            let mut skip = |reason| skipped.push(Skipped { target: name.raw().to_owned(), reason });
            match SignedDocument::from_target(name.raw(), target) {
                Some(Ok(document)) => documents.push(document),
                Some(Err(reason)) => skip(reason),
                None => match Published::from_target(name.raw(), target) {
                    Some(Ok(livepatch)) => livepatches.push(livepatch),
                    Some(Err(reason)) => skip(reason),
                    None => skip("it is no livepatch and no document".into()),
                },
            }
        }
        Ok(Self {
            livepatches,
            documents,
            skipped,
            steering,
            versions,
            expires: first(&seconds),
            lasting: first(&seconds[..2]),
            targets_url: base(&request.targets_url),
            root: TrustedRoot::of_loaded(loaded.root()),
            origins_url: base(&request.metadata_url).join("../origins/").ok(),
            datastore: request.datastore.to_owned(),
            fetch: request.fetch,
        })
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({} livepatches, {})", self.livepatches.len(), self.versions)
    }
}

/// The URL as a base: with a slash at its end, so that joining appends.
pub(crate) fn base(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

fn limits() -> Limits {
    Limits {
        max_root_size: limit_of(Role::Root),
        max_targets_size: limit_of(Role::Targets),
        max_timestamp_size: limit_of(Role::Timestamp),
        max_snapshot_size: limit_of(Role::Snapshot),
        max_root_updates: MOST_ROOTS,
    }
}

/// The library's error as ours. What is not listed can only come from a defect, not from a repository.
fn explain(error: Tough) -> TrustError {
    let reason = error.to_string();
    match error {
        Tough::ExpiredMetadata { role, .. } => TrustError::Expired { role: own(role) },
        Tough::OlderMetadata { role, current_version, new_version, .. } => {
            TrustError::RolledBack { role: own(role), seen: current_version, offered: new_version }
        }
        Tough::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => {
            TrustError::RolledBack { role: Role::Snapshot, seen: snapshot_old, offered: snapshot_new }
        }
        Tough::SnapshotRoleRollback { old_role_version, new_role_version, .. } => {
            TrustError::RolledBack { role: Role::Targets, seen: old_role_version, offered: new_role_version }
        }
        Tough::SnapshotRoleMissing { old_version, .. } => {
            TrustError::RolledBack { role: Role::Targets, seen: old_version, offered: 0 }
        }
        Tough::VerifyMetadata { role, source, .. } => {
            TrustError::SignatureInvalid { role: own(role), reason: source.to_string() }
        }
        Tough::VerifyTrustedMetadata { .. } | Tough::ParseTrustedMetadata { .. } => {
            TrustError::AnchorUnusable { reason }
        }
        Tough::ParseMetadata { role, source, .. } => {
            TrustError::Malformed { role: own(role), reason: source.to_string() }
        }
        Tough::MetaMissing { .. }
        | Tough::TimestampMetaLength { .. }
        | Tough::MissingSnapshotMeta { .. }
        | Tough::SnapshotTargetsMetaMissing { .. }
        | Tough::InvalidPath { .. }
        | Tough::VersionMismatch { .. } => TrustError::MetadataInconsistent { reason },
        Tough::MaxUpdatesExceeded { max_root_updates, .. } => {
            TrustError::RootChainTooLong { limit: max_root_updates }
        }
        Tough::Transport { url, source, .. } => explain_transport(&url, &source),
        Tough::DatastoreCreate { path, source, .. }
        | Tough::DatastoreOpen { path, source, .. }
        | Tough::DatastoreRemove { path, source, .. } => TrustError::Datastore { path, source },
        _ => TrustError::Other { reason },
    }
}

/// The library wraps its own size and digest checks, and our fetch error, into a transport error.
fn explain_transport(url: &Url, error: &tough::TransportError) -> TrustError {
    let role = role_of(url);
    let cause = std::error::Error::source(error);
    if let Some(fetch) = cause.and_then(|cause| cause.downcast_ref::<FetchError>()) {
        return match fetch {
            FetchError::NotFound => TrustError::MetadataMissing { role, url: url.to_string() },
            FetchError::TooLarge(limit) => TrustError::Oversized { role, limit: *limit },
            FetchError::Unreachable(reason) => {
                TrustError::Unreachable { url: url.to_string(), reason: reason.clone() }
            }
        };
    }
    match cause.and_then(|cause| cause.downcast_ref::<Tough>()) {
        Some(Tough::HashMismatch { .. }) => TrustError::MetadataAltered { role },
        Some(Tough::MaxSizeExceeded { max_size, .. }) => TrustError::Oversized { role, limit: *max_size },
        _ => TrustError::Unreachable { url: url.to_string(), reason: error.to_string() },
    }
}

fn own(role: RoleType) -> Role {
    match role {
        RoleType::Root => Role::Root,
        RoleType::Snapshot => Role::Snapshot,
        RoleType::Timestamp => Role::Timestamp,
        RoleType::Targets | RoleType::DelegatedTargets => Role::Targets,
    }
}
