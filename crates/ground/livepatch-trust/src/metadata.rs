//! Makes, signs and reads metadata documents; the only part of the publisher that speaks the library's schema.

use crate::{
    Files, Lifetimes, PublishError, Published, Role, SignedDocument, Versions, fetch::limit_of, keys::RoleKey,
};
use aws_lc_rs::{digest, rand::SystemRandom};
use livepatch_manifest::Digest;
use livepatch_schedule::Steering;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    num::NonZeroU64,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tough::{
    TargetName,
    editor::signed::SignedRole,
    key_source::KeySource,
    schema::{
        self, Hashes, KeyHolder, Metafile, RoleKeys, RoleType, Root, Signed, Snapshot, Targets, Timestamp,
    },
};
use tough_jiff::Timestamp as Moment;

/// Where the documents are, below the repository.
pub(crate) const METADATA: &str = "metadata";

/// The one document whose name holds no version.
pub(crate) const TIMESTAMP: &str = "metadata/timestamp.json";

/// The key of ours in the timestamp document.
const STEERING: &str = "livepatch";

/// The version of the specification that the documents follow; tough 0.24 accepts this one.
const SPEC_VERSION: &str = "1.0.0";

/// The documents that a repository consists of, and the root's own text.
pub(crate) struct Documents {
    pub(crate) root: Signed<Root>,
    pub(crate) root_text: String,
    pub(crate) targets: Signed<Targets>,
    pub(crate) snapshot: Signed<Snapshot>,
    pub(crate) timestamp: Signed<Timestamp>,
    timestamp_digest: Digest,
    pub(crate) steering: Steering,
}

impl Documents {
    /// Reads and verifies the current documents.
    pub(crate) fn read(files: &dyn Files) -> Result<Self, PublishError> {
        let (root_name, root_bytes) = newest_root(files)?;
        let root_path = files.place(&root_name);
        let root: Signed<Root> = parse(&root_path, &root_bytes)?;
        verify(&root_path, &root, &root)?;
        let root_text = String::from_utf8(root_bytes).map_err(|_| damaged(&root_path, "it is not UTF-8"))?;

        let path = files.place(TIMESTAMP);
        let timestamp_bytes = read_bytes(files, TIMESTAMP, Role::Timestamp)?;
        let timestamp: Signed<Timestamp> = parse(&path, &timestamp_bytes)?;
        verify(&path, &root, &timestamp)?;
        let named = timestamp.signed.meta.get("snapshot.json");
        let named = named.ok_or_else(|| damaged(&path, "it names no snapshot"))?;
        let name = format!("{METADATA}/{}.snapshot.json", named.version);
        let snapshot: Signed<Snapshot> = read_file(files, &name, Role::Snapshot, named, &root)?;
        let named = snapshot.signed.meta.get("targets.json");
        let named = named.ok_or_else(|| damaged(&files.place(&name), "it names no targets"))?;
        let name = format!("{METADATA}/{}.targets.json", named.version);
        let targets: Signed<Targets> = read_file(files, &name, Role::Targets, named, &root)?;
        let steering = steering_of(&timestamp.signed).map_err(|error| damaged(&path, &error.to_string()))?;
        let timestamp_digest = Digest::of(&timestamp_bytes);
        Ok(Self { root, root_text, targets, snapshot, timestamp, timestamp_digest, steering })
    }

    /// Whether somebody brought out another timestamp, or another root, since these were read.
    pub(crate) fn are_old(&self, files: &dyn Files) -> Result<bool, PublishError> {
        if Digest::of(&read_bytes(files, TIMESTAMP, Role::Timestamp)?) != self.timestamp_digest {
            return Ok(true);
        }
        let next = format!("{METADATA}/{}.root.json", self.root.signed.version.saturating_add(1));
        match read_bytes(files, &next, Role::Root) {
            Ok(_) => Ok(true),
            Err(PublishError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn versions(&self) -> Versions {
        Versions {
            root: self.root.signed.version.get(),
            targets: self.targets.signed.version.get(),
            snapshot: self.snapshot.signed.version.get(),
            timestamp: self.timestamp.signed.version.get(),
        }
    }

    /// What is published.
    ///
    /// # Errors
    /// An entry that this version cannot read: to go on would drop it from the repository at the next commit.
    pub(crate) fn content(&self, files: &dyn Files) -> Result<Content, PublishError> {
        let path = files.place(&format!("{METADATA}/{}.targets.json", self.targets.signed.version));
        let mut content = Content::default();
        for (name, target) in &self.targets.signed.targets {
            let wrong = |reason: String| damaged(&path, &format!("target {}: {reason}", name.raw()));
            if let Some(document) = SignedDocument::from_target(name.raw(), target) {
                let document = document.map_err(wrong)?;
                content.documents.insert(document.name.clone(), document);
                continue;
            }
            let entry = Published::from_target(name.raw(), target)
                .unwrap_or_else(|| Err("it is no livepatch and no document".to_owned()))
                .map_err(wrong)?;
            content.livepatches.insert(entry.manifest.name.clone(), entry);
        }
        Ok(content)
    }
}

/// What the targets metadata list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// By module name.
    pub(crate) livepatches: BTreeMap<String, Published>,
    /// By target name.
    pub(crate) documents: BTreeMap<String, SignedDocument>,
}

/// Whether less than half of a document's life is left, or the document is from the future.
pub(crate) fn is_due(expires: Moment, lifetime: Duration, now: SystemTime) -> Result<bool, PublishError> {
    Ok(expires < expiry(now, lifetime / 2)? || expires > expiry(now, lifetime)?)
}

/// The first root: fresh version, the public halves of all keys, one key a role.
pub(crate) fn first_root(keys: &[(Role, RoleKey)], expires: Moment) -> Result<Root, PublishError> {
    let mut root = Root {
        spec_version: SPEC_VERSION.to_owned(),
        consistent_snapshot: true,
        version: NonZeroU64::MIN,
        expires,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for (role, key) in keys {
        let public = key.public()?;
        let id =
            public.key_id().map_err(|error| PublishError::Key { role: *role, reason: error.to_string() })?;
        root.keys.insert(id.clone(), public);
        let named = RoleKeys { keyids: vec![id], threshold: NonZeroU64::MIN, _extra: HashMap::new() };
        root.roles.insert(role_type(*role), named);
    }
    Ok(root)
}

/// Gives a role this key in a root, beside its keys or instead of them. Keys that no role has any more go.
pub(crate) fn name_key(root: &mut Root, role: Role, key: &RoleKey, beside: bool) -> Result<(), PublishError> {
    let public = key.public()?;
    let id = public.key_id().map_err(|error| PublishError::Key { role, reason: error.to_string() })?;
    root.keys.insert(id.clone(), public);
    let missing = || PublishError::Key { role, reason: "the root does not name the role".to_owned() };
    let named = root.roles.get_mut(&role_type(role)).ok_or_else(missing)?;
    if !beside {
        named.keyids.clear();
    }
    if !named.keyids.contains(&id) {
        named.keyids.push(id);
    }
    let used: Vec<_> = root.roles.values().flat_map(|named| named.keyids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    Ok(())
}

pub(crate) fn targets_document(
    content: &Content,
    version: NonZeroU64,
    expires: Moment,
) -> Result<Targets, PublishError> {
    let sign = |reason: String| PublishError::Sign { role: Role::Targets, reason };
    let name = |text: &str| TargetName::new(text).map_err(|error| sign(error.to_string()));
    let mut targets = Targets::new(SPEC_VERSION.to_owned(), version, expires);
    targets.delegations = None;
    for livepatch in content.livepatches.values() {
        let target = livepatch.to_target().map_err(|error| sign(error.to_string()))?;
        targets.targets.insert(name(&livepatch.target)?, target);
    }
    for document in content.documents.values() {
        targets.targets.insert(name(&document.name)?, document.to_target());
    }
    Ok(targets)
}

pub(crate) fn snapshot_document(targets: Metafile, version: NonZeroU64, expires: Moment) -> Snapshot {
    let mut snapshot = Snapshot::new(SPEC_VERSION.to_owned(), version, expires);
    snapshot.meta.insert("targets.json".to_owned(), targets);
    snapshot
}

/// The timestamp carries the steering of rollouts beside the snapshot, since every poll reads it.
pub(crate) fn timestamp_document(
    snapshot: Metafile,
    steering: &Steering,
    version: NonZeroU64,
    expires: Moment,
) -> Result<Timestamp, PublishError> {
    let mut timestamp = Timestamp::new(SPEC_VERSION.to_owned(), version, expires);
    timestamp.meta.insert("snapshot.json".to_owned(), snapshot);
    if !steering.is_empty() {
        let steering = serde_json::to_value(steering)
            .map_err(|error| PublishError::Sign { role: Role::Timestamp, reason: error.to_string() })?;
        timestamp._extra.insert(STEERING.to_owned(), steering);
    }
    Ok(timestamp)
}

/// What a verified timestamp says about rollouts.
pub(crate) fn steering_of(timestamp: &Timestamp) -> Result<Steering, serde_json::Error> {
    timestamp._extra.get(STEERING).map_or_else(|| Ok(Steering::default()), Steering::deserialize)
}

/// Signs a document with the key of its role.
pub(crate) fn sign<T: schema::Role>(
    document: T,
    role: Role,
    root: &Root,
    key: &RoleKey,
) -> Result<SignedRole<T>, PublishError> {
    let keys: [Box<dyn KeySource>; 1] = [Box::new(key.clone())];
    let holder = KeyHolder::Root(root.clone());
    let wrong = |reason: String| PublishError::Sign { role, reason };
    block_on(SignedRole::new(document, &holder, &keys, &SystemRandom::new()))
        .map_err(|error| wrong(error.to_string()))?
        .map_err(|error| wrong(error.to_string()))
}

/// How the document above names a signed one.
pub(crate) fn metafile<T: schema::Role>(signed: &SignedRole<T>) -> Metafile {
    Metafile {
        length: Some(*signed.length()),
        hashes: Some(Hashes { sha256: signed.sha256().to_vec().into(), _extra: HashMap::new() }),
        version: signed.signed().signed.version(),
        _extra: HashMap::new(),
    }
}

/// `now` and a lifetime as the format holds them: whole seconds.
pub(crate) fn expiry(now: SystemTime, lifetime: Duration) -> Result<Moment, PublishError> {
    let wrong = || PublishError::Time(format!("{now:?} + {lifetime:?}"));
    let since = now
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| since.checked_add(lifetime))
        .ok_or_else(wrong)?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| wrong())?;
    Moment::from_second(seconds).map_err(|_| wrong())
}

/// When a role's document expires if it is signed now.
pub(crate) fn expiry_of(role: Role, lifetimes: &Lifetimes, now: SystemTime) -> Result<Moment, PublishError> {
    expiry(now, lifetimes.of(role))
}

/// Runs a future of the library to its end, on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> std::io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(future))
}

pub(crate) const fn role_type(role: Role) -> RoleType {
    match role {
        Role::Root => RoleType::Root,
        Role::Targets => RoleType::Targets,
        Role::Snapshot => RoleType::Snapshot,
        Role::Timestamp => RoleType::Timestamp,
    }
}

fn newest_root(files: &dyn Files) -> Result<(String, Vec<u8>), PublishError> {
    let newest = root_versions(files)?.into_iter().max();
    let version = newest.ok_or_else(|| damaged(&files.place(METADATA), "it holds no root metadata"))?;
    let name = format!("{METADATA}/{version}.root.json");
    let bytes = read_bytes(files, &name, Role::Root)?;
    Ok((name, bytes))
}

/// The versions of the root documents that are there.
pub(crate) fn root_versions(files: &dyn Files) -> Result<Vec<u64>, PublishError> {
    let names = files.names(METADATA).map_err(|source| PublishError::File {
        action: "read",
        path: files.place(METADATA),
        source,
    })?;
    let version = |name: &String| {
        name.strip_prefix(METADATA)?.strip_prefix('/')?.strip_suffix(".root.json")?.parse().ok()
    };
    Ok(names.iter().filter_map(version).collect())
}

fn read_file<T: DeserializeOwned + Serialize + schema::Role>(
    files: &dyn Files,
    name: &str,
    role: Role,
    named: &Metafile,
    root: &Signed<Root>,
) -> Result<Signed<T>, PublishError> {
    let (path, bytes) = (files.place(name), read_bytes(files, name, role)?);
    if let Some(hashes) = &named.hashes
        && digest::digest(&digest::SHA256, &bytes).as_ref() != hashes.sha256.as_ref()
    {
        return Err(damaged(&path, "its digest is not the one that was signed"));
    }
    let document = parse(&path, &bytes)?;
    verify(&path, root, &document)?;
    Ok(document)
}

pub(crate) fn read_bytes(files: &dyn Files, name: &str, role: Role) -> Result<Vec<u8>, PublishError> {
    files.read(name, limit_of(role)).map_err(|source| PublishError::File {
        action: "read",
        path: files.place(name),
        source,
    })
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, PublishError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, &error.to_string()))
}

fn verify<T: schema::Role>(
    path: &Path,
    root: &Signed<Root>,
    document: &Signed<T>,
) -> Result<(), PublishError> {
    root.signed.verify_role(document).map_err(|error| damaged(path, &error.to_string()))
}

fn damaged(path: &Path, reason: &str) -> PublishError {
    PublishError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}
