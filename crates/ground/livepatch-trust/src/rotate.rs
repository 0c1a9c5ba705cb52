//! Another key for a role, while machines go on polling.
//!
//! In two roots: the first names the old and the new key, the second the new one alone; between them the role's documents
//! are signed with the new key. Whatever is on disk at any moment is valid, so a crash in between leaves a repository that
//! works, and doing it again ends it. A machine follows from root to root; the old key is worth nothing to it then.

use crate::{
    PublishError, Publisher, Role, Versions, durable,
    keys::{self, RoleKey},
    metadata,
};
use std::{fs, path::PathBuf, time::SystemTime};

impl Publisher {
    /// Gives the role a fresh key, and takes the power from every key that it had: after a theft, or by routine. Needs
    /// the root key. The old key's file is gone afterwards.
    ///
    /// # Errors
    /// A key or a file. The repository then works on, with the old key, the new one, or both.
    pub fn rotate(&mut self, role: Role, now: SystemTime) -> Result<Versions, PublishError> {
        let next = self.keys.join(format!("{role}.next.pem"));
        let fresh = RoleKey::load_or_generate_at(&next, role)?;
        let old_root = RoleKey::load(&self.keys, Role::Root)?;
        self.next_root(role, &fresh, true, &old_root, now)?;
        let place: PathBuf = self.keys.join(keys::key_file(role));
        let failed = |source| PublishError::File { action: "replace", path: place.clone(), source };
        fs::rename(&next, &place).and_then(|()| durable::sync_directory(&self.keys)).map_err(failed)?;
        self.discard();
        match role {
            Role::Root => {}
            Role::Targets => {
                self.commit(now)?;
            }
            Role::Snapshot => self.bring_out(None, true, now)?,
            Role::Timestamp => self.bring_out(None, false, now)?,
        }
        let root_key = RoleKey::load(&self.keys, Role::Root)?;
        self.next_root(role, &fresh, false, &root_key, now)?;
        Ok(self.versions())
    }

    /// The next root, in which the role has this key, beside those that it had or instead of them.
    fn next_root(
        &mut self,
        role: Role,
        key: &RoleKey,
        beside: bool,
        signer: &RoleKey,
        now: SystemTime,
    ) -> Result<(), PublishError> {
        let mut root = self.documents.root.signed.clone();
        root.version = root.version.saturating_add(1);
        root.expires = metadata::expiry_of(Role::Root, &self.lifetimes, now)?;
        metadata::name_key(&mut root, role, key, beside)?;
        let holder = root.clone();
        let signed = metadata::sign(root, Role::Root, &holder, signer)?;
        self.write_versioned(&signed)?;
        self.reread()
    }
}
