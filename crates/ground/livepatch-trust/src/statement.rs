//! Words that a role signs beside the metadata: that a livepatch is an origin's, what a bundle holds, how a site fares.
//!
//! A statement travels on its own, through mirrors and on memory sticks, so it carries its kind in what is signed: none
//! can be shown as one of another kind, or as metadata. The body is kept as it was signed; fields that this version does
//! not know are part of what the signature covers, and are read over.

use crate::{
    Fetch, FetchError, PublishError, Publisher, Role, TrustError,
    fetch::{bounded, limit_of},
    keys::RoleKey,
    metadata,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, marker::PhantomData, num::NonZeroU64};
use tough::schema::{self, RoleType, Root};
use tough_jiff::Timestamp as Moment;
use url::Url;

/// What a role can say.
pub trait Statement: Clone + fmt::Debug + Eq + Serialize + DeserializeOwned {
    /// The kind, as it stands in the signed document.
    const KIND: &'static str;
    /// The role whose key signs it.
    const ROLE: Role;
}

/// A signed statement; nothing of it is believed before [`Signed::verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Signed<S: Statement>(schema::Signed<Envelope<S>>);

/// What the signature covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Envelope<S> {
    #[serde(rename = "_type")]
    kind: String,
    body: Value,
    #[serde(skip)]
    of: PhantomData<S>,
}

/// What becomes of a root that was followed to: the root, and its document as it was fetched.
pub type OnRoot<'a> = dyn FnMut(&TrustedRoot, &[u8]) -> Result<(), TrustError> + 'a;

/// A root document whose signatures were checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedRoot(schema::Signed<Root>);

impl<S: Statement> Signed<S> {
    /// What was said, after it was checked that the role's keys of this root say it.
    ///
    /// # Errors
    /// [`TrustError::SignatureInvalid`], [`TrustError::Malformed`].
    pub fn verify(&self, root: &TrustedRoot) -> Result<S, TrustError> {
        let invalid = |reason: String| TrustError::SignatureInvalid { role: S::ROLE, reason };
        if self.0.signed.kind != S::KIND {
            let kind: String = self.0.signed.kind.chars().take(80).collect();
            return Err(invalid(format!("it is a {kind}, not a {}", S::KIND)));
        }
        root.0.signed.verify_role(&self.0).map_err(|error| invalid(error.to_string()))?;
        S::deserialize(&self.0.signed.body)
            .map_err(|error| TrustError::Malformed { role: S::ROLE, reason: error.to_string() })
    }

    /// Whether one of the signatures claims to be by this key.
    pub(crate) fn names_key(&self, key: &RoleKey) -> Result<bool, PublishError> {
        let wrong = |reason: String| PublishError::Key { role: S::ROLE, reason };
        let id = key.public()?.key_id().map_err(|error| wrong(error.to_string()))?;
        Ok(self.0.signatures.iter().any(|signature| signature.keyid == id))
    }
}

impl TrustedRoot {
    /// Reads a root document that is pinned: it must be signed by its own keys.
    ///
    /// # Errors
    /// [`TrustError::AnchorUnusable`].
    pub fn parse(document: &[u8]) -> Result<Self, TrustError> {
        let unusable = |reason: String| TrustError::AnchorUnusable { reason };
        let root: schema::Signed<Root> =
            serde_json::from_slice(document).map_err(|error| unusable(error.to_string()))?;
        root.signed.verify_role(&root).map_err(|error| unusable(error.to_string()))?;
        Ok(Self(root))
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.0.signed.version.get()
    }

    /// The next root, signed by the keys of both.
    ///
    /// # Errors
    /// [`TrustError::SignatureInvalid`], [`TrustError::Malformed`], [`TrustError::RolledBack`].
    pub fn followed_by(&self, document: &[u8]) -> Result<Self, TrustError> {
        let invalid = |reason: String| TrustError::SignatureInvalid { role: Role::Root, reason };
        let next: schema::Signed<Root> = serde_json::from_slice(document)
            .map_err(|error| TrustError::Malformed { role: Role::Root, reason: error.to_string() })?;
        self.0.signed.verify_role(&next).map_err(|error| invalid(error.to_string()))?;
        next.signed.verify_role(&next).map_err(|error| invalid(error.to_string()))?;
        let offered = next.signed.version.get();
        if offered != self.version().saturating_add(1) {
            return Err(TrustError::RolledBack { role: Role::Root, seen: self.version(), offered });
        }
        Ok(Self(next))
    }

    /// Follows from root to root in a directory of `N.root.json` until there is none; every new one is shown to `each`
    /// as it was fetched.
    ///
    /// # Errors
    /// As [`TrustedRoot::followed_by`]; [`TrustError::Unreachable`], [`TrustError::RootChainTooLong`]; and what `each`
    /// says.
    pub fn newest(
        mut self,
        fetch: &dyn Fetch,
        directory: &Url,
        each: &mut OnRoot<'_>,
    ) -> Result<Self, TrustError> {
        for _ in 0..crate::repository::MOST_ROOTS {
            let unreachable = |reason: String| TrustError::Unreachable { url: directory.to_string(), reason };
            let name = format!("{}.root.json", self.version().saturating_add(1));
            let url = directory.join(&name).map_err(|error| unreachable(error.to_string()))?;
            let document = match bounded(fetch, &url, limit_of(Role::Root)) {
                Ok(document) => document,
                Err(FetchError::NotFound) => return Ok(self),
                Err(FetchError::TooLarge(limit)) => {
                    return Err(TrustError::Oversized { role: Role::Root, limit });
                }
                Err(FetchError::Unreachable(reason)) => return Err(unreachable(reason)),
            };
            self = self.followed_by(&document)?;
            each(&self, &document)?;
        }
        Err(TrustError::RootChainTooLong { limit: crate::repository::MOST_ROOTS })
    }

    /// When the role's documents of a loaded repository must be signed by: the root that it was loaded with.
    pub(crate) fn of_loaded(root: &schema::Signed<Root>) -> Self {
        Self(root.clone())
    }
}

impl Publisher {
    /// Says something with the key of the statement's role.
    ///
    /// # Errors
    /// The key.
    pub fn say<S: Statement>(&self, statement: &S) -> Result<Signed<S>, PublishError> {
        let wrong = |reason: String| PublishError::Sign { role: S::ROLE, reason };
        let body = serde_json::to_value(statement).map_err(|error| wrong(error.to_string()))?;
        let envelope = Envelope { kind: S::KIND.to_owned(), body, of: PhantomData };
        let key = RoleKey::load(&self.keys, S::ROLE)?;
        let signed = metadata::sign(envelope, S::ROLE, &self.documents.root.signed, &key)?;
        Ok(Signed(signed.signed().clone()))
    }

    /// The root that this site's statements are verified with.
    pub fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot(self.documents.root.clone())
    }
}

/// Only so that the library signs and verifies it: a statement has no version and does not expire by itself.
impl<S: Statement> schema::Role for Envelope<S> {
    const TYPE: RoleType = metadata::role_type(S::ROLE);

    fn expires(&self) -> Moment {
        Moment::MAX
    }

    fn version(&self) -> NonZeroU64 {
        NonZeroU64::MIN
    }

    fn filename(&self, _consistent_snapshot: bool) -> String {
        format!("{}.json", S::KIND)
    }
}
