//! Upstreams: sites whose livepatches a server passes on, over the network or in bundles.

use livepatch_kernel::KernelRelease;
use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};

/// The trust anchor as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnchorView {
    /// SHA-256 of the document: what tokens and downstream servers pin.
    pub sha256: Digest,
    /// The site: SHA-256 of its first root document.
    pub site: Digest,
    /// The [`crate::TrustAnchor`], byte for byte.
    pub document: String,
}

/// Follow a site. Sent again under the same name, it replaces what was said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpstreamRequest {
    /// What it is called here.
    pub name: String,
    /// Where its server is; absent: it is behind an air gap, and bundles are imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// SHA-256 of its trust anchor.
    pub anchor: Digest,
    /// The trust anchor, byte for byte; absent: it is fetched from the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_document: Option<String>,
    /// What of it is wanted.
    pub selection: Selection,
    /// What is new becomes available to this tier of ours and those before it; absent: it is held until it is promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Seconds between two syncs; absent: only on order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u32>,
}

/// What of an upstream is wanted. An empty list stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Selection {
    /// The upstream's tier that is followed.
    pub tier: String,
    /// Kernel series, such as `6.1`.
    #[serde(default)]
    pub series: Vec<String>,
    /// Kernel flavours, such as `cloud-amd64`.
    #[serde(default)]
    pub flavours: Vec<String>,
    /// Architectures, such as `x86_64`.
    #[serde(default)]
    pub architectures: Vec<String>,
}

/// An upstream in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpstreamSummary {
    /// What it is called here.
    pub name: String,
    /// Where its server is.
    pub url: Option<String>,
    /// SHA-256 of its trust anchor, as it was pinned.
    pub anchor: Digest,
    /// Every site that its livepatches may come from, itself included.
    pub sites: Vec<Digest>,
    /// What of it is wanted.
    pub selection: Selection,
    /// The tier that new livepatches become available to.
    pub into: Option<String>,
    /// Seconds between two syncs.
    pub every: Option<u32>,
    /// When it was synced or imported last, RFC 3339.
    pub synced: Option<String>,
    /// Why the last attempt failed; absent when it did not.
    pub failure: Option<String>,
}

/// What a sync did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncReport {
    /// The upstream.
    pub upstream: String,
    /// Whether this says what would be done.
    pub preview: bool,
    /// Version of the upstream's targets metadata.
    pub targets_version: u64,
    /// Livepatches that are new here.
    pub taken: Vec<TakenLivepatch>,
    /// Livepatches that were here already.
    pub present: u32,
    /// Livepatches that are not taken.
    pub skipped: Vec<SkippedLivepatch>,
    /// Names of livepatches here that the upstream withdrew: no machine loads them any more.
    pub denied: Vec<String>,
    /// Bytes that were fetched, or would be.
    pub bytes: u64,
}

/// A livepatch that is new here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TakenLivepatch {
    /// Module name.
    pub name: String,
    /// Cumulative version.
    pub version: u32,
    /// The kernel.
    pub kernel: KernelRelease,
    /// Size of the module in bytes.
    pub bytes: u64,
    /// What it mends.
    pub fixes: Vec<String>,
    /// The site that published it.
    pub site: Digest,
    /// Our tiers that it becomes available to; none: it is held.
    pub tiers: Vec<String>,
}

/// A livepatch that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkippedLivepatch {
    /// TUF target name.
    pub target: String,
    /// Why, for programs.
    pub reason: Skip,
    /// Why, for people.
    pub message: String,
}

/// Why a livepatch is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// Its series, flavour or architecture is not selected.
    NotSelected,
    /// The upstream has not promoted it to the tier that is followed.
    OtherTier,
    /// The upstream is rolling it out still: how it fares is not known yet.
    RollingOut,
    /// The upstream withdrew it.
    Withdrawn,
    /// It is not as a pinned site published it: it was altered, or the site is not pinned.
    NotEndorsed,
    /// Its module is not signed with a pinned certificate, or is not what its manifest says.
    ModuleRefused,
    /// Another livepatch of that name is here.
    NameTaken,
    /// This version of the server cannot read it.
    Unreadable,
}

/// A bundle was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleImported {
    /// When it was made, RFC 3339.
    pub made: String,
    /// The version of the upstream's targets metadata that an incremental bundle builds on.
    pub since: Option<u64>,
    /// What came of it.
    pub report: SyncReport,
}
