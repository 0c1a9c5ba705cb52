//! The publishing side: stage modules, sign, and bring out a new state of the repository in one step.
//!
//! A power cut leaves the old state or the new one. Modules and the versioned metadata files are written first, each
//! whole; nothing refers to them until `timestamp.json` is replaced, which is the last step. What an interrupted commit
//! left behind is overwritten by the next.

use crate::{
    Directory, Files, LARGEST_MODULE, Lifetimes, PublishError, Published, Role, SignedDocument, Versions,
    keys::{self, RoleKey},
    metadata::{self, Content, Documents, METADATA},
    mirror,
};
use livepatch_manifest::{Digest, Manifest};
use livepatch_schedule::{Schedule, Steering};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};
use tough::{editor::signed::SignedRole, schema};

/// Where modules and documents are, below the repository.
pub(crate) const TARGETS: &str = "targets";

/// What a repository's first state consists of before its timestamp.
const FIRST: [&str; 3] = ["metadata/1.root.json", "metadata/1.snapshot.json", "metadata/1.targets.json"];

/// A repository and the keys to change it. One at a time: the key directory is locked while it lives. Where several
/// programs share the files, each with a key directory of its own, they take turns, and begin each with
/// [`catch_up`](Self::catch_up).
pub struct Publisher {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) keys: PathBuf,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) documents: Documents,
    /// What the signed targets metadata say.
    committed: Content,
    /// What the next commit will say.
    pub(crate) staged: Content,
    /// What this site is called among others: SHA-256 of its first root document.
    pub(crate) origin: Digest,
    _lock: File,
}

impl Publisher {
    /// Makes an empty repository in `repository` with keys in `keys`, and signs its first metadata. Keys that are
    /// there already are used.
    ///
    /// # Errors
    /// [`PublishError::Exists`] when there is a repository or what is left of one: starting over with version 1 would
    /// look like a rollback to every machine. Files, keys and the clock can fail too.
    pub fn create(
        repository: &Path,
        keys: &Path,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, PublishError> {
        Self::create_in(Arc::new(Directory::new(repository)), keys, lifetimes, now)
    }

    /// As [`create`](Self::create), in any place that keeps files.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_in(
        files: Arc<dyn Files>,
        keys: &Path,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, PublishError> {
        if Self::exists_in(&*files)? {
            return Err(PublishError::Exists(files.place("")));
        }
        keys::make_directory(keys).map_err(file("create", keys))?;
        let lock = lock(keys)?;
        write_first_metadata(&*files, keys, &lifetimes, now)?;
        Self::read(files, keys, lifetimes, lock)
    }

    /// Opens a repository. Needs the snapshot and timestamp keys; the targets key is read when something is published,
    /// the root key when the root is renewed.
    ///
    /// # Errors
    /// [`PublishError::Busy`], [`PublishError::Damaged`], [`PublishError::Key`], or a file that cannot be read.
    pub fn open(repository: &Path, keys: &Path, lifetimes: Lifetimes) -> Result<Self, PublishError> {
        Self::open_in(Arc::new(Directory::new(repository)), keys, lifetimes)
    }

    /// As [`open`](Self::open), in any place that keeps files.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in(files: Arc<dyn Files>, keys: &Path, lifetimes: Lifetimes) -> Result<Self, PublishError> {
        let lock = lock(keys)?;
        Self::read(files, keys, lifetimes, lock)
    }

    /// Whether there is a repository, or what is left of one. A first state whose making broke off is none: nobody can
    /// have loaded it.
    ///
    /// # Errors
    /// What the place says.
    pub fn exists_in(files: &dyn Files) -> Result<bool, PublishError> {
        let names = |directory| files.names(directory).map_err(file("read", &files.place(directory)));
        Ok(!names(TARGETS)?.is_empty() || names(METADATA)?.iter().any(|name| !FIRST.contains(&name.as_str())))
    }

    /// Takes in what other programs that share the files brought out since this one looked last; what was staged is
    /// forgotten then. To be called at the beginning of a turn.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn catch_up(&mut self) -> Result<(), PublishError> {
        if self.files.is_shared() && self.documents.are_old(&*self.files)? {
            self.reread()?;
            self.committed = self.documents.content(&*self.files)?;
            self.discard();
        }
        Ok(())
    }

    /// Takes a signed module in: its file is written now, and the next [`commit`](Self::commit) makes it available to
    /// `tiers`. Staging the same module again is allowed and replaces its tiers.
    ///
    /// # Errors
    /// [`PublishError::ModuleMismatch`] when digest or size are not the manifest's, [`PublishError::NameTaken`] when
    /// another module has the name.
    pub fn stage(
        &mut self,
        module: &[u8],
        manifest: &Manifest,
        tiers: &[String],
    ) -> Result<(), PublishError> {
        check_module(module, manifest)?;
        let mut published = Published::new(manifest.clone(), tiers.to_vec());
        if let Some(before) = self.staged.livepatches.get(&manifest.name) {
            published.published_at = before.published_at;
            published.schedule.clone_from(&before.schedule);
            published.origin.clone_from(&before.origin);
            published.endorsement.clone_from(&before.endorsement);
        }
        if let Some(other) = self.staged.livepatches.get(&manifest.name)
            && (&other.manifest, &other.sha256) != (manifest, &published.sha256)
        {
            return Err(PublishError::NameTaken(manifest.name.clone()));
        }
        self.write_target(&published.location(), module)?;
        self.staged.livepatches.insert(manifest.name.clone(), published);
        Ok(())
    }

    /// Takes a document in, such as `documents/kernel-catalogue.json`: its file is written now, and the next
    /// [`commit`](Self::commit) makes it available to every machine, in the place of one of the same name.
    ///
    /// # Errors
    /// [`PublishError::Document`] when its name or size is not allowed; a file.
    pub fn stage_document(&mut self, name: &str, content: &[u8]) -> Result<(), PublishError> {
        let document = SignedDocument::new(name, content)
            .map_err(|reason| PublishError::Document { name: name.chars().take(200).collect(), reason })?;
        self.write_target(&document.location(), content)?;
        self.staged.documents.insert(document.name.clone(), document);
        Ok(())
    }

    /// Takes a document out of the metadata from the next commit on; false when there is none of that name.
    pub fn remove_document(&mut self, name: &str) -> bool {
        self.staged.documents.remove(name).is_some()
    }

    /// The documents that are published, by name; staged changes are not shown.
    pub fn documents(&self) -> impl Iterator<Item = &SignedDocument> {
        self.committed.documents.values()
    }

    /// The content of a published document; none when there is none of that name.
    ///
    /// # Errors
    /// Its file, or [`PublishError::Damaged`] when that is not what was signed.
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, PublishError> {
        let Some(document) = self.committed.documents.get(name) else { return Ok(None) };
        let name = format!("{TARGETS}/{}", document.location());
        let path = self.files.place(&name);
        let content = self.files.read(&name, document.length).map_err(file("read", &path))?;
        if Digest::of(&content) != document.sha256 {
            let reason = "its digest is not the one that was signed".to_owned();
            return Err(PublishError::Damaged { path, reason });
        }
        Ok(Some(content))
    }

    fn write_target(&self, location: &str, content: &[u8]) -> Result<(), PublishError> {
        let name = format!("{TARGETS}/{location}");
        self.files.write(&name, content).map_err(file("write", &self.files.place(&name)))
    }

    /// Makes a published livepatch available to exactly these tiers from the next commit on.
    ///
    /// # Errors
    /// [`PublishError::UnknownName`].
    pub fn set_tiers(&mut self, name: &str, tiers: &[String]) -> Result<(), PublishError> {
        let entry = self
            .staged
            .livepatches
            .get_mut(name)
            .ok_or_else(|| PublishError::UnknownName(name.to_owned()))?;
        entry.tiers = tiers.to_vec();
        Ok(())
    }

    /// Gives a published livepatch this schedule, or none, from the next commit on.
    ///
    /// # Errors
    /// [`PublishError::UnknownName`].
    pub fn set_schedule(&mut self, name: &str, schedule: Option<Schedule>) -> Result<(), PublishError> {
        let entry = self
            .staged
            .livepatches
            .get_mut(name)
            .ok_or_else(|| PublishError::UnknownName(name.to_owned()))?;
        entry.schedule = schedule;
        Ok(())
    }

    /// Signs a new timestamp with this steering: every poll from now on reads it. Needs the timestamp key alone. Signs
    /// nothing when the steering is what it was.
    ///
    /// # Errors
    /// The key or a file; the old steering then holds on.
    pub fn steer(&mut self, steering: &Steering, now: SystemTime) -> Result<Versions, PublishError> {
        if *steering != self.documents.steering {
            let before = std::mem::replace(&mut self.documents.steering, steering.clone());
            if let Err(error) = self.bring_out(None, false, now) {
                self.documents.steering = before;
                return Err(error);
            }
        }
        Ok(self.versions())
    }

    /// What machines are told about running rollouts.
    pub fn steering(&self) -> &Steering {
        &self.documents.steering
    }

    /// Takes a livepatch out of the metadata from the next commit on. Its file stays: a machine may be fetching it.
    ///
    /// # Errors
    /// [`PublishError::UnknownName`].
    pub fn remove(&mut self, name: &str) -> Result<(), PublishError> {
        self.staged
            .livepatches
            .remove(name)
            .map(|_| ())
            .ok_or_else(|| PublishError::UnknownName(name.to_owned()))
    }

    /// Forgets what was staged since the last commit.
    pub fn discard(&mut self) {
        self.staged = self.committed.clone();
    }

    /// Signs what is staged, and brings it out as one new state. Signs anew even when nothing is staged.
    ///
    /// # Errors
    /// A key or a file. The repository then still has its old state, and what is staged stays staged.
    pub fn commit(&mut self, now: SystemTime) -> Result<Versions, PublishError> {
        for livepatch in self.staged.livepatches.values_mut() {
            livepatch.published_at = livepatch.published_at.or_else(|| seconds(now));
        }
        self.endorse()?;
        let targets = self.sign_targets(now)?;
        self.bring_out(Some(targets), true, now)?;
        self.committed = self.staged.clone();
        Ok(self.versions())
    }

    /// Signs every document anew of whose life less than half is left: timestamp and snapshot, and with them targets
    /// and root where those keys are at hand. `None` when nothing is due. Staged changes are not brought out.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn refresh(&mut self, now: SystemTime) -> Result<Option<Versions>, PublishError> {
        let before = self.versions();
        if self.is_due(Role::Root, now)? && self.has_key(Role::Root) {
            self.renew_root(now)?;
        }
        let targets = if self.is_due(Role::Targets, now)? && self.has_key(Role::Targets) {
            let staged = std::mem::replace(&mut self.staged, self.committed.clone());
            let signed = self.endorse().and_then(|()| self.sign_targets(now));
            let endorsed = std::mem::replace(&mut self.staged, staged);
            let signed = signed?;
            self.committed = endorsed;
            Some(signed)
        } else {
            None
        };
        let snapshot = targets.is_some() || self.is_due(Role::Snapshot, now)?;
        if snapshot || self.is_due(Role::Timestamp, now)? {
            self.bring_out(targets, snapshot, now)?;
        }
        let after = self.versions();
        Ok((before != after).then_some(after))
    }

    /// Signs the next root, with the same keys and a new expiry. Machines follow from root to root.
    ///
    /// # Errors
    /// The root key or a file.
    pub fn renew_root(&mut self, now: SystemTime) -> Result<(), PublishError> {
        let mut root = self.documents.root.signed.clone();
        root.version = root.version.saturating_add(1);
        root.expires = metadata::expiry_of(Role::Root, &self.lifetimes, now)?;
        let key = RoleKey::load(&self.keys, Role::Root)?;
        let signed = metadata::sign(root, Role::Root, &self.documents.root.signed, &key)?;
        // The specification (5.3.4) wants it signed by the old root's keys as well; they are the same.
        self.write_versioned(&signed)?;
        self.reread()
    }

    /// The current root document: what a machine must start from.
    pub fn root_document(&self) -> &str {
        &self.documents.root_text
    }

    /// What is published, by module name; staged changes are not shown.
    pub fn published(&self) -> impl Iterator<Item = &Published> {
        self.committed.livepatches.values()
    }

    /// When the first of the current documents expires.
    pub fn expires(&self) -> SystemTime {
        let documents = &self.documents;
        let all = [
            documents.root.signed.expires,
            documents.targets.signed.expires,
            documents.snapshot.signed.expires,
            documents.timestamp.signed.expires,
        ];
        let seconds = all.into_iter().map(|moment| moment.as_second()).min().unwrap_or_default();
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// The versions of the current documents.
    pub fn versions(&self) -> Versions {
        self.documents.versions()
    }

    fn read(
        files: Arc<dyn Files>,
        keys: &Path,
        lifetimes: Lifetimes,
        lock: File,
    ) -> Result<Self, PublishError> {
        let documents = Documents::read(&*files)?;
        let committed = documents.content(&*files)?;
        for role in [Role::Snapshot, Role::Timestamp] {
            check_key(role, &RoleKey::load(keys, role)?, &documents.root.signed)?;
        }
        let staged = committed.clone();
        let origin = mirror::origin_of(&*files)?;
        let keys = keys.to_owned();
        Ok(Self { files, keys, lifetimes, documents, committed, staged, origin, _lock: lock })
    }

    fn sign_targets(&self, now: SystemTime) -> Result<SignedRole<schema::Targets>, PublishError> {
        let root = &self.documents.root.signed;
        let key = RoleKey::load(&self.keys, Role::Targets)?;
        check_key(Role::Targets, &key, root)?;
        let version = self.documents.targets.signed.version.saturating_add(1);
        let expires = metadata::expiry_of(Role::Targets, &self.lifetimes, now)?;
        let document = metadata::targets_document(&self.staged, version, expires)?;
        metadata::sign(document, Role::Targets, root, &key)
    }

    /// Writes new targets (where given), a new snapshot (where asked for) and a new timestamp, in that order.
    pub(crate) fn bring_out(
        &mut self,
        targets: Option<SignedRole<schema::Targets>>,
        snapshot: bool,
        now: SystemTime,
    ) -> Result<(), PublishError> {
        let root = &self.documents.root.signed;
        let missing = |name: &str| PublishError::Damaged {
            path: self.files.place(METADATA),
            reason: format!("no {name}"),
        };

        let named = if snapshot {
            let named = match &targets {
                Some(signed) => metadata::metafile(signed),
                None => {
                    let named = self.documents.snapshot.signed.meta.get("targets.json");
                    named.cloned().ok_or_else(|| missing("targets.json"))?
                }
            };
            let version = self.documents.snapshot.signed.version.saturating_add(1);
            let expires = metadata::expiry_of(Role::Snapshot, &self.lifetimes, now)?;
            let document = metadata::snapshot_document(named, version, expires);
            let signed =
                metadata::sign(document, Role::Snapshot, root, &RoleKey::load(&self.keys, Role::Snapshot)?)?;
            if let Some(targets) = &targets {
                self.write_versioned(targets)?;
            }
            self.write_versioned(&signed)?;
            metadata::metafile(&signed)
        } else {
            let named = self.documents.timestamp.signed.meta.get("snapshot.json");
            named.cloned().ok_or_else(|| missing("snapshot.json"))?
        };

        let version = self.documents.timestamp.signed.version.saturating_add(1);
        let expires = metadata::expiry_of(Role::Timestamp, &self.lifetimes, now)?;
        let document = metadata::timestamp_document(named, &self.documents.steering, version, expires)?;
        let signed =
            metadata::sign(document, Role::Timestamp, root, &RoleKey::load(&self.keys, Role::Timestamp)?)?;
        self.write_versioned(&signed)?;
        self.reread()
    }

    pub(crate) fn write_versioned<T: schema::Role>(
        &self,
        signed: &SignedRole<T>,
    ) -> Result<(), PublishError> {
        write_document(&*self.files, signed)
    }

    /// Takes in what was written.
    pub(crate) fn reread(&mut self) -> Result<(), PublishError> {
        self.documents = Documents::read(&*self.files)?;
        Ok(())
    }

    fn is_due(&self, role: Role, now: SystemTime) -> Result<bool, PublishError> {
        let documents = &self.documents;
        let expires = match role {
            Role::Root => documents.root.signed.expires,
            Role::Targets => documents.targets.signed.expires,
            Role::Snapshot => documents.snapshot.signed.expires,
            Role::Timestamp => documents.timestamp.signed.expires,
        };
        metadata::is_due(expires, self.lifetimes.of(role), now)
    }

    fn has_key(&self, role: Role) -> bool {
        self.keys.join(keys::key_file(role)).exists()
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Publisher({}, {})", self.files.place("").display(), self.versions())
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// As at every commit the timestamp comes last: before it, nobody can load anything.
fn write_first_metadata(
    files: &dyn Files,
    keys: &Path,
    lifetimes: &Lifetimes,
    now: SystemTime,
) -> Result<(), PublishError> {
    let mut role_keys = Vec::new();
    for role in Role::ALL {
        role_keys.push((role, RoleKey::load_or_generate(keys, role)?));
    }
    let [root_key, targets_key, snapshot_key, timestamp_key] = &role_keys[..] else {
        return Ok(());
    };
    let expires = |role| metadata::expiry_of(role, lifetimes, now);
    let version = std::num::NonZeroU64::MIN;

    let root = metadata::first_root(&role_keys, expires(Role::Root)?)?;
    let signed_root = metadata::sign(root.clone(), Role::Root, &root, &root_key.1)?;
    let targets = metadata::targets_document(&Content::default(), version, expires(Role::Targets)?)?;
    let targets = metadata::sign(targets, Role::Targets, &root, &targets_key.1)?;
    let snapshot =
        metadata::snapshot_document(metadata::metafile(&targets), version, expires(Role::Snapshot)?);
    let snapshot = metadata::sign(snapshot, Role::Snapshot, &root, &snapshot_key.1)?;
    let timestamp = metadata::timestamp_document(
        metadata::metafile(&snapshot),
        &Steering::default(),
        version,
        expires(Role::Timestamp)?,
    )?;
    let timestamp = metadata::sign(timestamp, Role::Timestamp, &root, &timestamp_key.1)?;

    write_document(files, &signed_root)?;
    write_document(files, &targets)?;
    write_document(files, &snapshot)?;
    write_document(files, &timestamp)
}

fn write_document<T: schema::Role>(files: &dyn Files, signed: &SignedRole<T>) -> Result<(), PublishError> {
    let name = format!("{METADATA}/{}", signed.signed().signed.filename(true));
    files.write(&name, signed.buffer()).map_err(file("write", &files.place(&name)))
}

fn check_module(module: &[u8], manifest: &Manifest) -> Result<(), PublishError> {
    let wrong = |reason: String| Err(PublishError::ModuleMismatch(reason));
    let size = module.len() as u64;
    if size > LARGEST_MODULE {
        return wrong(format!("it has {size} bytes, more than the {LARGEST_MODULE} allowed"));
    }
    if size != manifest.module.size {
        return wrong(format!("it has {size} bytes, the manifest says {}", manifest.module.size));
    }
    let digest = Digest::of(module);
    if digest != manifest.module.sha256 {
        return wrong(format!("its digest is {digest}, the manifest says {}", manifest.module.sha256));
    }
    Ok(())
}

fn check_key(role: Role, key: &RoleKey, root: &schema::Root) -> Result<(), PublishError> {
    let public = key.public()?;
    if root.keys(metadata::role_type(role)).any(|named| *named == public) {
        return Ok(());
    }
    Err(PublishError::Key { role, reason: "the repository's root names another".to_owned() })
}

/// Kept until the file is closed, by the kernel: a killed process leaves no stale lock.
fn lock(keys: &Path) -> Result<File, PublishError> {
    let path = keys.join("publisher.lock");
    let lock = File::options().create(true).append(true).open(&path).map_err(file("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(PublishError::Busy(keys.to_owned())),
        Err(TryLockError::Error(source)) => Err(PublishError::File { action: "lock", path, source }),
    }
}

pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PublishError {
    let path = path.to_owned();
    move |source| PublishError::File { action, path, source }
}
