//! What the client keeps on disk between steps and boots. Each record is one file; see [`crate::StateDir`].

use crate::state_dir::Record;
use jiff::Timestamp;
use livepatch_api::Event;
use livepatch_host::{BlockingTask, IncidentKind, TracingUser};
use livepatch_kernel::{BuildId, Taint};
use livepatch_manifest::{Digest, Manifest};
use livepatch_trust::Versions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who this machine is to the server; exists while the machine is enabled. Holds the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A UUID that the machine made for itself.
    pub machine_id: String,
    /// The server's URL.
    pub server: url::Url,
    /// Bearer secret.
    pub credential: String,
    /// Tier, as the server said last.
    pub tier: String,
    /// SHA-256 of the trust anchor that the enrolment token pinned.
    pub trust_anchor: Digest,
}

impl Record for Identity {
    const FILE: &'static str = "identity.json";
}

/// The machine's own id, kept when the machine is disabled and enabled again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineId {
    /// A random UUID.
    pub machine_id: String,
}

impl Record for MachineId {
    const FILE: &'static str = "machine-id.json";
}

/// The one livepatch that this client is loading, has loaded or is taking back. Durable *before* the kernel is touched:
/// if the machine goes down before confirmation, the next boot finds the record and blocks the digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The boot that it belongs to.
    pub boot_id: String,
    /// The livepatch.
    pub manifest: Manifest,
    /// How far it is.
    pub phase: Phase,
    /// Time since boot at which the phase began, in milliseconds.
    pub phase_began_ms: u64,
    /// When the attempt began.
    pub began: Timestamp,
    /// The taint mask before the attempt.
    pub taint_before: Taint,
    /// Number of the first record of the kernel's log that was written after the attempt began; absent where the log cannot
    /// be read.
    #[serde(default)]
    pub log_from: Option<u64>,
    /// Set when the daemon is told to stop, and unset when it starts again: a reboot of that kind is no crash.
    #[serde(default)]
    pub stopped_cleanly: bool,
    /// What the kernel had before, for when the attempt fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<Intent>>,
}

impl Record for Intent {
    const FILE: &'static str = "intent.json";
}

/// The phases of an [`Intent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Phase {
    /// About to be handed to the kernel, or just handed over.
    Loading,
    /// In the kernel; tasks are moving to the patched functions.
    Transition,
    /// All tasks have moved; watched for trouble.
    Soaking,
    /// Soaked without trouble.
    Confirmed,
    /// On its way out.
    Undoing {
        /// Why.
        reason: UndoReason,
        /// One sentence's end for people, such as the names of blocking tasks.
        detail: String,
        /// The tasks that held the transition back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tasks: Vec<BlockingTask>,
    },
}

/// Why a livepatch is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoReason {
    /// The owner asked.
    Owner,
    /// The transition did not end before the deadline.
    Stalled,
    /// The kernel reported trouble during the soak.
    Trouble,
}

/// Digests that this machine does not load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Oldest first.
    pub entries: Vec<BlockedDigest>,
}

/// A digest that this machine does not load until its owner clears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockedDigest {
    /// SHA-256 of the signed module.
    pub sha256: Digest,
    /// Module name.
    pub name: String,
    /// One sentence.
    pub reason: String,
    /// What the kernel said about it, where that is known: a line of its log, with the function of the livepatch that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// When it was blocked.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub at: Timestamp,
}

impl Record for Blocked {
    const FILE: &'static str = "blocked.json";
}

impl Blocked {
    /// The entry of this digest.
    pub fn find(&self, sha256: &Digest) -> Option<&BlockedDigest> {
        self.entries.iter().find(|entry| entry.sha256 == *sha256)
    }
}

/// The owner took a livepatch back: this version and earlier ones stay out until told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// The kernel that it was for.
    pub build_id: BuildId,
    /// The greatest version that stays out.
    pub version: u32,
    /// The version to step back to: it is not meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<u32>,
    /// When.
    pub at: Timestamp,
}

impl Record for Undone {
    const FILE: &'static str = "undone.json";
}

/// What the signed repository offered for the running kernel and the machine's tier when it was last read and trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// When it was read.
    pub at: Timestamp,
    /// In which boot.
    pub boot_id: String,
    /// How long after that boot, in milliseconds.
    pub uptime_ms: u64,
    /// For which kernel.
    pub build_id: BuildId,
    /// For which tier.
    pub tier: String,
    /// Versions of the TUF metadata.
    pub versions: Versions,
    /// The livepatches, greatest version first.
    pub livepatches: Vec<Manifest>,
    /// When each was published, by digest, where the repository says so.
    #[serde(default)]
    pub published: BTreeMap<String, Timestamp>,
}

impl Catalogue {
    /// When the livepatch with this digest was published, where that is known.
    pub fn published_at(&self, sha256: &Digest) -> Option<Timestamp> {
        self.published.get(sha256.as_str()).copied()
    }
}

impl Record for Catalogue {
    const FILE: &'static str = "catalogue.json";
}

/// Digests that soaked without trouble on this machine, newest last: these are applied again after a reboot without
/// asking anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// At most [`Confirmed::KEPT`].
    pub digests: Vec<Digest>,
}

impl Record for Confirmed {
    const FILE: &'static str = "confirmed.json";
}

impl Confirmed {
    /// How many are remembered.
    pub const KEPT: usize = 16;

    /// Remembers one more.
    pub fn add(&mut self, sha256: &Digest) {
        self.digests.retain(|digest| digest != sha256);
        self.digests.push(sha256.clone());
        let excess = self.digests.len().saturating_sub(Self::KEPT);
        self.digests.drain(..excess);
    }
}

/// What the owner decided about mitigations, by name: wanted or not. The others follow the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MitigationDecisions {
    /// The decisions.
    pub decided: BTreeMap<String, bool>,
}

impl Record for MitigationDecisions {
    const FILE: &'static str = "mitigations.json";
}

/// The result of the last look at the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When.
    pub at: Timestamp,
    /// Why it failed; absent: it was read and trusted.
    pub failure: Option<Failure>,
    /// Why the server did not take the machine's report; absent: it did.
    #[serde(default)]
    pub check_in: Option<Failure>,
}

impl Record for Check {
    const FILE: &'static str = "check.json";
}

/// A failure as it is shown and reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// Stable, for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// The last attempt to apply, when it failed. The same livepatch is tried again after the next look at the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// In which boot; in the next one it says nothing any more.
    #[serde(default)]
    pub boot_id: String,
    /// When.
    pub at: Timestamp,
    /// The digest that was tried.
    pub sha256: Digest,
    /// Module name.
    pub name: String,
    /// Why it failed.
    pub failure: Failure,
    /// Whether a look at the repository followed, so that it may be tried again.
    #[serde(default)]
    pub retry: bool,
    /// The tasks that held the transition back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<BlockingTask>,
    /// How often in a row the same livepatch failed for the same reason, in this boot.
    #[serde(default)]
    pub count: u32,
    /// Time since boot at which it failed last, in milliseconds.
    #[serde(default)]
    pub uptime_ms: u64,
}

impl Record for Attempt {
    const FILE: &'static str = "attempt.json";
}

/// Complaints of the kernel's while a livepatch was applied, newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaints {
    /// At most [`Complaints::KEPT`].
    pub entries: Vec<Complaint>,
}

/// A complaint of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// When it was seen.
    pub at: Timestamp,
    /// In which boot.
    pub boot_id: String,
    /// Its number in that boot's log.
    pub sequence: u64,
    /// What it is.
    pub kind: IncidentKind,
    /// The line that names it.
    pub headline: String,
    /// Name of the livepatch that was applied.
    pub livepatch: String,
    /// Which function of the livepatch has to do with it, a sentence's end; absent when none is named.
    pub blame: Option<String>,
}

impl Record for Complaints {
    const FILE: &'static str = "complaints.json";
}

impl Complaints {
    /// How many are remembered.
    pub const KEPT: usize = 32;

    /// Remembers one more.
    pub fn push(&mut self, complaint: Complaint) {
        self.entries.push(complaint);
        let excess = self.entries.len().saturating_sub(Self::KEPT);
        self.entries.drain(..excess);
    }
}

/// Who traced the functions of the livepatch that was applied last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// In which boot.
    pub boot_id: String,
    /// The livepatch.
    pub livepatch: String,
    /// Who was there before it was applied.
    pub users: Vec<TracingUser>,
    /// Those of them that were there still when it was applied, and fire; absent until it is applied.
    pub still_firing: Option<Vec<TracingUser>>,
}

impl Record for Traced {
    const FILE: &'static str = "traced.json";
}

/// When to look next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Random, made once: where in the interval this machine looks, as a fraction of 2^32.
    pub phase: u32,
    /// When to look next.
    pub next_refresh: Timestamp,
    /// Failed looks in a row.
    pub failures: u32,
}

impl Record for Schedule {
    const FILE: &'static str = "schedule.json";
}

/// Events that the server has not confirmed, and the number of the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spool {
    /// Number of the last report that was sent.
    pub sequence: u64,
    /// Oldest first; at most [`Spool::KEPT`].
    pub events: Vec<Event>,
}

impl Record for Spool {
    const FILE: &'static str = "spool.json";
}

impl Spool {
    /// How many events are kept while the server is away; the oldest go first.
    pub const KEPT: usize = 256;

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        self.events.push(event);
        let excess = self.events.len().saturating_sub(Self::KEPT);
        self.events.drain(..excess);
    }
}
