//! Repositories that pass on what others published: by network, and over air gaps by bundle.
//!
//! A mirror loads its upstream's repository as a machine would, takes entries over with their endorsements, and serves
//! the roots of the origins beside its own metadata, `origins/ID/N.root.json`: machines that pinned an origin follow its
//! rotations through the mirror.

use crate::{
    Files, LoadRequest, OnRoot, PublishError, Published, Publisher, Repository, Role, Signed, Statement,
    TrustError, TrustedRoot,
    datastore::Datastore,
    fetch::{bounded, limit_of},
    metadata::{METADATA, read_bytes, root_versions},
    publisher::{TARGETS, file},
    repository::base,
};
use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tough::ExpirationEnforcement;

/// Where a mirror keeps its origins' roots, below its repository.
const ORIGINS: &str = "origins";

/// An origin as a trust anchor pins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedOrigin {
    /// SHA-256 of its first root document.
    pub id: Digest,
    /// A root document of its.
    pub root: Vec<u8>,
    /// SHA-256 of the certificates (DER) that its modules are signed with.
    pub certificates: Vec<Digest>,
}

/// What a bundle is: the state of a site, to be carried to where no network goes.
///
/// A bundle holds the site's metadata as they are, so its content is proven as everywhere; what it needs beside is a word
/// on time, since a timestamp that lasts days does not survive the road. Signed with the snapshot key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The site: SHA-256 of its first root document.
    pub site: Digest,
    /// SHA-256 of the `timestamp.json` that is the bundle's state.
    pub timestamp: Digest,
    /// Version of the targets metadata.
    pub targets: u64,
    /// Version of the targets metadata whose modules are left out, since an earlier bundle brought them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// Until when it may be imported, in seconds since 1970.
    pub expires: i64,
}

impl Statement for Bundle {
    const KIND: &'static str = "livepatch-bundle";
    const ROLE: Role = Role::Snapshot;
}

impl Repository {
    /// Loads the repository that came in a bundle. In place of the expiry of snapshot and timestamp, which is meant for
    /// sites that are on-line, counts that of the bundle; root and targets expire as always. Versions count as always: an
    /// older bundle is a rollback.
    ///
    /// # Errors
    /// [`TrustError`]; `Expired` with the role snapshot for a bundle that is too old, `SignatureInvalid` when it is not
    /// signed by the site, `MetadataInconsistent` when it describes another state.
    pub fn load_bundle(
        request: LoadRequest<'_>,
        bundle: &Signed<Bundle>,
        now: SystemTime,
    ) -> Result<(Self, Bundle), TrustError> {
        let inconsistent = |reason: String| TrustError::MetadataInconsistent { reason };
        let metadata = base(&request.metadata_url);
        let url = metadata.join("timestamp.json").map_err(|e| inconsistent(e.to_string()))?;
        let timestamp = bounded(request.fetch.as_ref(), &url, limit_of(Role::Timestamp));
        let timestamp = Digest::of(&timestamp.map_err(|error| inconsistent(error.to_string()))?);
        // The loader remembers what it has seen, so what the bundle says of itself is checked before that.
        let anchor = TrustedRoot::parse(&Datastore::open(request.datastore)?.root(request.root)?)?;
        let root = anchor.newest(request.fetch.as_ref(), &metadata, &mut |_, _| Ok(()))?;
        let said = bundle.verify(&root)?;
        if said.timestamp != timestamp {
            return Err(inconsistent("the bundle's description is that of another bundle".to_owned()));
        }
        let until = UNIX_EPOCH + Duration::from_secs(u64::try_from(said.expires).unwrap_or_default());
        if until <= now {
            return Err(TrustError::Expired { role: Role::Snapshot });
        }
        let mut repository = Self::load_with(request, ExpirationEnforcement::Unsafe)?;
        if repository.lasting.0 <= now {
            return Err(TrustError::Expired { role: repository.lasting.1 });
        }
        let (lasting, role) = repository.lasting;
        repository.expires = if until < lasting { (until, Role::Snapshot) } else { (lasting, role) };
        Ok((repository, said))
    }

    /// The pinned origins with their newest roots, followed through this repository and remembered, so that no mirror
    /// brings a root back that was seen to be replaced.
    ///
    /// # Errors
    /// A root that is no root, or not the next one; the network; the datastore.
    pub fn origins(&self, pinned: &[PinnedOrigin]) -> Result<Vec<crate::Origin>, TrustError> {
        pinned.iter().map(|origin| self.origin(origin, &mut |_, _| Ok(()))).collect()
    }

    /// One origin with its newest root; each root that is new here is shown to `each` as it was fetched.
    ///
    /// # Errors
    /// As [`Repository::origins`], and what `each` says.
    pub fn origin(&self, pinned: &PinnedOrigin, each: &mut OnRoot<'_>) -> Result<crate::Origin, TrustError> {
        let datastore = Datastore::open(&self.datastore)?;
        let first = TrustedRoot::parse(&pinned.root)?;
        let kept = datastore.origin_root(&pinned.root)?.and_then(|kept| TrustedRoot::parse(&kept).ok());
        let start = kept.filter(|kept| kept.version() > first.version()).unwrap_or(first);
        let mut keep = |root: &TrustedRoot, document: &[u8]| {
            each(root, document)?;
            datastore.keep_origin_root(&pinned.root, document)
        };
        let root = match self.origins_url.as_ref().and_then(|url| url.join(&format!("{}/", pinned.id)).ok()) {
            Some(directory) => start.newest(self.fetch.as_ref(), &directory, &mut keep)?,
            None => start,
        };
        Ok(crate::Origin { id: pinned.id.clone(), root, certificates: pinned.certificates.clone() })
    }

    /// The root that the repository was loaded with.
    pub fn root(&self) -> &TrustedRoot {
        &self.root
    }
}

impl Publisher {
    /// What this site is called among others: SHA-256 of its first root document.
    pub fn origin(&self) -> &Digest {
        &self.origin
    }

    /// Passes a livepatch of another site on, to exactly these tiers, from the next commit on. Its module must be here
    /// ([`keep_module`]), and whoever calls has checked its endorsement. What is here already keeps its schedule.
    ///
    /// # Errors
    /// [`PublishError::NameTaken`] when another livepatch has the name, [`PublishError::ModuleMismatch`] when the module
    /// is not here.
    pub fn pass_on(
        &mut self,
        livepatch: &Published,
        origin: &Digest,
        tiers: &[String],
    ) -> Result<(), PublishError> {
        let name = &livepatch.manifest.name;
        let before = self.staged.livepatches.get(name);
        if before.is_some_and(|before| {
            (&before.manifest, &before.sha256) != (&livepatch.manifest, &livepatch.sha256)
        }) {
            return Err(PublishError::NameTaken(name.clone()));
        }
        if !has_module(&*self.files, livepatch) {
            return Err(PublishError::ModuleMismatch(format!("{} is not here", livepatch.location())));
        }
        let entry = Published {
            tiers: tiers.to_vec(),
            published_at: before.and_then(|before| before.published_at),
            schedule: before.and_then(|before| before.schedule.clone()),
            origin: Some(origin.clone()),
            ..livepatch.clone()
        };
        self.staged.livepatches.insert(name.clone(), entry);
        Ok(())
    }
}

/// Serves a root of another site from the repository, for machines that pinned that site.
///
/// # Errors
/// A file.
pub fn pass_root_on(
    files: &dyn Files,
    origin: &Digest,
    version: u64,
    document: &[u8],
) -> Result<(), PublishError> {
    let name = format!("{ORIGINS}/{origin}/{version}.root.json");
    files.write(&name, document).map_err(file("write", &files.place(&name)))
}

/// Whether the module of this livepatch is in the repository, whole and unaltered.
pub fn has_module(files: &dyn Files, livepatch: &Published) -> bool {
    let bytes = files.read(&module_name(livepatch), livepatch.length);
    bytes.is_ok_and(|bytes| Digest::of(&bytes) == livepatch.sha256)
}

/// Puts a module into the repository, where nothing refers to it yet: a copy that breaks off goes on from there.
///
/// # Errors
/// [`PublishError::ModuleMismatch`], or a file.
pub fn keep_module(files: &dyn Files, livepatch: &Published, module: &[u8]) -> Result<(), PublishError> {
    if Digest::of(module) != livepatch.sha256 {
        return Err(PublishError::ModuleMismatch("its digest is another than the signed one".to_owned()));
    }
    let name = module_name(livepatch);
    files.write(&name, module).map_err(file("write", &files.place(&name)))
}

fn module_name(livepatch: &Published) -> String {
    format!("{TARGETS}/{}", livepatch.location())
}

/// SHA-256 of the first root document of a repository.
pub(crate) fn origin_of(files: &dyn Files) -> Result<Digest, PublishError> {
    let first = root_versions(files)?.into_iter().min().unwrap_or(1);
    Ok(Digest::of(&read_bytes(files, &format!("{METADATA}/{first}.root.json"), Role::Root)?))
}
