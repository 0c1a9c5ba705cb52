//! What the agent needs of the server, as a trait, so that its tests need no network.

use crate::{refusal::Refusal, verify::Anchor};
use jiff::Timestamp;
use livepatch_api::{CheckInAnswer, CheckInRequest, EnrolAnswer, EnrolRequest};
use livepatch_manifest::Digest;
use livepatch_schedule::Steering;
use livepatch_trust::{Published, Versions};
use std::{path::Path, time::Duration};
use url::Url;

/// The server, both planes.
pub trait Service: Send {
    /// The bytes that the server serves as the trust anchor of this digest; not checked yet.
    ///
    /// # Errors
    /// [`Refusal::TrustAnchorMismatch`] when the server has none, [`Refusal::ServerUnreachable`].
    fn trust_anchor(&self, server: &Url, sha256: &Digest) -> Result<Vec<u8>, Refusal>;

    /// Makes the machine known.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`], [`Refusal::Server`], [`Refusal::ServerUnreachable`].
    fn enrol(&self, server: &Url, secret: &str, request: &EnrolRequest) -> Result<EnrolAnswer, Refusal>;

    /// Reports.
    ///
    /// # Errors
    /// [`Refusal::Server`], [`Refusal::ServerUnreachable`].
    fn check_in(
        &self,
        server: &Url,
        credential: &str,
        request: &CheckInRequest,
    ) -> Result<CheckInAnswer, Refusal>;

    /// How long the server asked to be left alone since this was asked last (`Retry-After`).
    fn asked_patience(&self) -> Option<Duration> {
        None
    }

    /// What time it is by the server's last answer; nobody signed that.
    fn server_clock(&self) -> Option<Timestamp> {
        None
    }

    /// Reads the repository and checks it from the anchor's root on.
    ///
    /// # Errors
    /// [`Refusal::Repository`].
    fn open_repository(
        &self,
        server: &Url,
        anchor: &Anchor,
        datastore: &Path,
    ) -> Result<Box<dyn Repository>, Refusal>;
}

/// A repository whose metadata are trusted.
pub trait Repository {
    /// What it offers, to every kernel and tier.
    fn published(&self) -> Vec<&Published>;

    /// What holds for running rollouts, and what is denied.
    fn steering(&self) -> &Steering;

    /// Versions of its metadata.
    fn versions(&self) -> Versions;

    /// A module's bytes, of the length and digest that the metadata name.
    ///
    /// # Errors
    /// [`Refusal::Repository`].
    fn module(&self, published: &Published) -> Result<Vec<u8>, Refusal>;

    /// A signed document beside the livepatches, such as `documents/kernel-catalogue.json`; none when there is none.
    ///
    /// # Errors
    /// [`Refusal::Repository`].
    fn document(&self, _name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(None)
    }

    /// The digest that the metadata name for a document, so that one that is kept already is not fetched again.
    fn document_digest(&self, _name: &str) -> Option<Digest> {
        None
    }
}
