//! What an origin says about a livepatch, so that no mirror can alter it.
//!
//! A mirror signs metadata with keys of its own: it may hold a livepatch back. What the livepatch *is* (the module's
//! bytes, the manifest) is the origin's word: an endorsement, signed with the origin's release key, which stands beside
//! the manifest in the targets metadata and which every mirror passes on. Machines pin the origin's root beside the
//! mirror's. A module that is signed with an origin's certificate needs that origin's endorsement.

use crate::{PublishError, Published, Publisher, Role, Statement, TrustError, TrustedRoot, keys::RoleKey};
use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};

/// A site's word that it published this livepatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endorsement {
    /// The site: SHA-256 of its first root document.
    pub origin: Digest,
    /// TUF target name.
    pub target: String,
    /// Size of the signed module in bytes.
    pub length: u64,
    /// SHA-256 of the signed module.
    pub sha256: Digest,
    /// SHA-256 of the manifest's canonical bytes.
    pub manifest: Digest,
}

impl Statement for Endorsement {
    const KIND: &'static str = "livepatch-endorsement";
    const ROLE: Role = Role::Targets;
}

/// A site whose livepatches come through mirrors.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// SHA-256 of its first root document.
    pub id: Digest,
    /// Its newest root that is known here.
    pub root: TrustedRoot,
    /// SHA-256 of the certificates (DER) that its modules are signed with.
    pub certificates: Vec<Digest>,
}

impl Origin {
    /// Checks that this origin published the livepatch just as it stands here.
    ///
    /// # Errors
    /// [`TrustError::NotEndorsed`].
    pub fn check(&self, livepatch: &Published) -> Result<(), TrustError> {
        let refused = |reason: String| TrustError::NotEndorsed {
            name: livepatch.target.clone(),
            origin: self.id.short().to_owned(),
            reason,
        };
        let signed = livepatch.endorsement.as_ref();
        let signed = signed.ok_or_else(|| refused("it carries no endorsement".to_owned()))?;
        let said = signed.verify(&self.root).map_err(|error| refused(error.to_string()))?;
        let true_words = endorsement(&self.id, livepatch).map_err(|error| refused(error.to_string()))?;
        if said == true_words {
            Ok(())
        } else {
            Err(refused(format!("the endorsement is that of {} with other content", said.target)))
        }
    }
}

/// The origin that published this livepatch; `None` when it is none of these.
pub fn endorser<'a>(origins: &'a [Origin], livepatch: &Published) -> Option<&'a Origin> {
    origins.iter().find(|origin| origin.check(livepatch).is_ok())
}

/// Checks what a machine may take: a module signed with an origin's certificate only as that origin published it. Any
/// other module is the site's own, for which the site's metadata are enough.
///
/// # Errors
/// [`TrustError::NotEndorsed`].
pub fn check_origin(origins: &[Origin], livepatch: &Published, signer: &Digest) -> Result<(), TrustError> {
    let mut outcome = Ok(());
    for origin in origins.iter().filter(|origin| origin.certificates.contains(signer)) {
        outcome = origin.check(livepatch);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn endorsement(
    origin: &Digest,
    livepatch: &Published,
) -> Result<Endorsement, livepatch_manifest::ManifestError> {
    Ok(Endorsement {
        origin: origin.clone(),
        target: livepatch.target.clone(),
        length: livepatch.length,
        sha256: livepatch.sha256.clone(),
        manifest: Digest::of(&livepatch.manifest.to_canonical_bytes()?),
    })
}

impl Publisher {
    /// Endorses every staged livepatch that is this site's own and has no endorsement by its present release key.
    pub(crate) fn endorse(&mut self) -> Result<(), PublishError> {
        let key = RoleKey::load(&self.keys, Role::Targets)?;
        let mut endorsed = Vec::new();
        for livepatch in self.staged.livepatches.values().filter(|livepatch| livepatch.origin.is_none()) {
            // While a key is replaced the root names both: the new one alone will last.
            let lasts = livepatch.endorsement.as_ref().map(|signed| signed.names_key(&key)).transpose()?;
            if lasts == Some(true) {
                continue;
            }
            let words = endorsement(&self.origin, livepatch)
                .map_err(|error| PublishError::Sign { role: Role::Targets, reason: error.to_string() })?;
            endorsed.push((livepatch.manifest.name.clone(), self.say(&words)?));
        }
        for (name, signed) in endorsed {
            if let Some(livepatch) = self.staged.livepatches.get_mut(&name) {
                livepatch.endorsement = Some(signed);
            }
        }
        Ok(())
    }
}
