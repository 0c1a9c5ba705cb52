//! What a machine and the server say to each other.

use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};

/// A machine asks to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrolRequest {
    /// A random id that the machine made for itself and keeps (UUID).
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))
    )]
    pub machine_id: String,
    /// For the operator's list.
    pub hostname: String,
    /// The running kernel.
    pub kernel: KernelIdentity,
    /// The client's version.
    pub client_version: String,
}

/// The machine is known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrolAnswer {
    /// The bearer secret of this machine from now on.
    pub credential: String,
    /// The tier that the token was bound to.
    pub tier: String,
}

/// The repository has something new. Not signed: it only makes a machine look sooner than it would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct News {
    /// Version of the timestamp metadata that brought it.
    pub timestamp: u64,
    /// Machines look within this many seconds, each at a moment of its own, so that they do not come as one.
    pub within_seconds: u64,
}

/// A machine reports. Idempotent: the server keeps the greatest `sequence` and drops what it has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckInRequest {
    /// Greater than in every earlier report of this machine.
    pub sequence: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The running kernel.
    pub kernel: KernelIdentity,
    /// The state of livepatching on the machine.
    pub state: PatchState,
    /// What the kernel says is applied.
    pub applied: Option<AppliedLivepatch>,
    /// The kernel's taint mask.
    pub taint: Taint,
    /// What happened since the last report that was answered.
    pub events: Vec<Event>,
    /// The client's version.
    pub client_version: String,
}

/// The state of livepatching on a machine, always derived from the kernel and from signed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PatchState {
    /// The machine is not enrolled.
    Disabled,
    /// Enrolled, and not checked yet.
    Unchecked,
    /// The repository has nothing for this kernel and tier.
    NothingToApply,
    /// There is a livepatch, and it is not applied (undone by the owner, or blocked).
    Unapplied,
    /// A transition is running.
    Applying,
    /// Applied; watched for trouble until the soak ends.
    Soaking,
    /// Applied and confirmed.
    Applied,
    /// Applied, and the kernel has reported trouble since.
    AppliedWithBug,
    /// The last attempt to apply failed; the kernel is as it was.
    ApplyFailed,
    /// The repository could not be read or trusted; what was applied stays applied.
    CheckFailed,
    /// What is applied is not enough: a vulnerability cannot be livepatched, or the kernel gets no more livepatches.
    RebootNeeded,
}

impl PatchState {
    /// Every state.
    pub fn all() -> [Self; 11] {
        use PatchState as S;
        [
            S::Disabled,
            S::Unchecked,
            S::NothingToApply,
            S::Unapplied,
            S::Applying,
            S::Soaking,
            S::Applied,
            S::AppliedWithBug,
            S::ApplyFailed,
            S::CheckFailed,
            S::RebootNeeded,
        ]
    }
}

/// A livepatch that is in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppliedLivepatch {
    /// Module name.
    pub name: String,
    /// Cumulative version.
    pub version: u32,
    /// SHA-256 of the signed module.
    pub sha256: Digest,
}

/// Something that happened on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// RFC 3339, UTC.
    pub at: String,
    /// What.
    pub kind: EventKind,
    /// One sentence.
    pub detail: String,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Applied, transition complete.
    Applied,
    /// Soaked without trouble.
    Confirmed,
    /// Taken back.
    Undone,
    /// Refused before the kernel was touched; the detail starts with the refusal's code.
    Refused,
    /// The kernel refused, or the transition was reverted.
    Failed,
    /// The machine went down between apply and confirmation; the digest is blocked here.
    Crashed,
}

/// The server's answer to a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckInAnswer {
    /// The machine's tier now.
    pub tier: String,
    /// Ask again after this many seconds; absent: as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_after: Option<u64>,
}
