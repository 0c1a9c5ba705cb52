//! What the operator's command and the server say to each other.

use crate::{AppliedLivepatch, Event, PatchState};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::{Digest, Manifest};
use serde::{Deserialize, Serialize};

/// Make an enrolment token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenRequest {
    /// Machines that enrol with it get this tier.
    pub tier: String,
    /// How many machines may use it; absent: any number.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Seconds until it expires; absent: never.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 316_224_000)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u64>,
    /// For the operator's list.
    #[serde(default)]
    pub note: String,
    /// Words that machines which enrol with it carry, for blocks and searches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A new enrolment token. It is shown this once: the server keeps a hash of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCreated {
    /// Id, for lists.
    pub id: String,
    /// What the machine owner types: an [`crate::EnrolmentToken`].
    pub token: String,
    /// The tier.
    pub tier: String,
}

/// An enrolment token in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenSummary {
    /// Id.
    pub id: String,
    /// Tier.
    pub tier: String,
    /// How often it was used.
    pub used: u32,
    /// How often it may be used.
    pub uses: Option<u32>,
    /// RFC 3339.
    pub expires: Option<String>,
    /// The operator's note.
    pub note: String,
    /// Words that machines which enrol with it carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it was revoked, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// Trust a module-signing certificate: machines that enrol from now on accept modules signed by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateRequest {
    /// The certificate in PEM.
    pub pem: String,
}

/// The certificate is part of the trust anchor now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateAdded {
    /// SHA-256 of its DER form.
    pub fingerprint: Digest,
    /// SHA-256 of the trust anchor that new tokens carry.
    pub trust_anchor: Digest,
}

/// The first line of a publish request's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishHeader {
    /// The manifest, with the signed module's digest and size.
    pub manifest: Manifest,
    /// The tier to publish to; those before it get it as well.
    pub tier: String,
}

/// A document of the build that a livepatch came from, for people to read. The server keeps it by its digest, and shows it as
/// the publisher's word: machines do not ask for it, and the repository does not sign it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BuildDocumentKind {
    /// `report.json`: functions, proof of base, judgement. It names the module by digest.
    Report,
    /// `provenance.json`: what the module was made from. It names the module by digest.
    Provenance,
    /// `test.json`: the steps of the boot test. It names the module by digest.
    BootTest,
    /// The console of the boot test. It names nothing.
    Console,
    /// The patches, one behind the other. The signed manifest names them by digest.
    Patch,
}

/// There is no document of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no document of kind '{0}': report, provenance, boot-test, console or patch")]
pub struct UnknownBuildDocumentKind(String);

/// Bytes of a document of a build, at most.
pub const LARGEST_BUILD_DOCUMENT: usize = 4 << 20;

impl BuildDocumentKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Report, Self::Provenance, Self::BootTest, Self::Console, Self::Patch];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Provenance => "provenance",
            Self::BootTest => "boot-test",
            Self::Console => "console",
            Self::Patch => "patch",
        }
    }
}

impl std::str::FromStr for BuildDocumentKind {
    type Err = UnknownBuildDocumentKind;

    fn from_str(text: &str) -> Result<Self, UnknownBuildDocumentKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownBuildDocumentKind(text.to_owned()))
    }
}

/// A document of a build that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildDocumentSummary {
    /// What it is.
    pub kind: BuildDocumentKind,
    /// SHA-256 of its text.
    pub sha256: Digest,
    /// How many characters it has.
    pub characters: u32,
    /// Who handed it in.
    pub actor: String,
    /// When, RFC 3339.
    pub added: String,
}

/// Published or promoted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishAnswer {
    /// Module name.
    pub name: String,
    /// Cumulative version.
    pub version: u32,
    /// Where it is available now, in order.
    pub tiers: Vec<String>,
    /// Version of the TUF targets metadata that says so.
    pub targets_version: u64,
    /// Version of the TUF snapshot metadata.
    pub snapshot_version: u64,
    /// Version of the TUF timestamp metadata.
    pub timestamp_version: u64,
}

/// Make a published livepatch available to a tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromoteRequest {
    /// Module name.
    pub name: String,
    /// The tier to add, with those before it.
    pub tier: String,
}

/// A published livepatch in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LivepatchSummary {
    /// Its manifest.
    pub manifest: Manifest,
    /// Where it is available.
    pub tiers: Vec<String>,
    /// It was withdrawn: no machine loads it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// The site that published it, where this one only passes it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Digest>,
}

/// Take a livepatch back for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WithdrawRequest {
    /// Why; stands in the audit log.
    pub reason: String,
}

/// A machine in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MachineSummary {
    /// The machine's id.
    pub machine_id: String,
    /// Host name as it reported.
    pub hostname: String,
    /// Tier.
    pub tier: String,
    /// Running kernel.
    pub kernel: KernelIdentity,
    /// State of livepatching.
    pub state: PatchState,
    /// What is applied.
    pub applied: Option<AppliedLivepatch>,
    /// Taint mask.
    pub taint: Taint,
    /// When it was last heard of, RFC 3339.
    pub last_seen: String,
    /// The last event that it reported.
    pub last_event: Option<String>,
    /// The words of the token that it enrolled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When an operator revoked it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// A machine with its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MachineDetail {
    /// What it is now.
    pub machine: MachineSummary,
    /// What it reported, oldest first; the newest thousand.
    pub events: Vec<Event>,
}
