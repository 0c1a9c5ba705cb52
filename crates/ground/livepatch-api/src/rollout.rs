//! Rollouts, between the operator's command and the server.

use livepatch_kernel::BuildId;
use livepatch_schedule::Window;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bring published livepatches to a tier, stage by stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutRequest {
    /// What the rollout is called: 1 to 64 letters, digits, dots, dashes and underscores.
    pub release: String,
    /// Names of published livepatches, one for each kernel build.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 512)))]
    pub livepatches: Vec<String>,
    /// The last tier to bring them to; those between get them as well.
    pub tier: String,
    /// A profile's name, or a profile.
    pub profile: serde_json::Value,
    /// When machines may apply; empty: always.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Whether a halt withdraws the release as well.
    #[serde(default)]
    pub withdraw_on_halt: bool,
}

/// What a person did to a rollout, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutOrder {
    /// Halt, resume, or take back.
    pub order: RolloutVerb,
    /// For the audit and the evidence.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub reason: String,
}

/// What a person may do to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RolloutVerb {
    /// Nobody new gets the release.
    Halt,
    /// It goes on; what was seen so far is accepted.
    Resume,
    /// No machine may load it any more.
    Withdraw,
}

/// A rollout as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutView {
    /// Its name.
    pub release: String,
    /// `running`, `halted`, `withdrawn` or `complete`.
    pub state: String,
    /// The profile's name.
    pub profile: String,
    /// The tiers that it brings the release to.
    pub tiers: Vec<String>,
    /// RFC 3339.
    pub started: String,
    /// Its kernel builds.
    pub builds: Vec<RolloutBuild>,
    /// Why it was halted, oldest first.
    pub halts: Vec<RolloutHalt>,
}

/// A kernel build's way through the stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutBuild {
    /// The kernel.
    pub build_id: BuildId,
    /// The livepatch's name.
    pub livepatch: String,
    /// `running`, `halted` or `complete`.
    pub state: String,
    /// Its stage, from 1.
    pub stage: usize,
    /// How many stages there are.
    pub stages: usize,
    /// When the stage began, RFC 3339.
    pub since: String,
    /// Machines of this build that are alive.
    pub machines: u32,
    /// Machines that were let in.
    pub admitted: u32,
    /// Machines that tried to apply it.
    pub given: u32,
    /// Machines on which it soaked.
    pub soaked: u32,
    /// Machines that will not take it.
    pub out: u32,
    /// Signs of trouble, by name.
    pub signals: BTreeMap<String, u32>,
}

/// A halt and its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RolloutHalt {
    /// RFC 3339.
    pub at: String,
    /// The sign of trouble; absent: a person halted it.
    pub signal: Option<String>,
    /// The kernel build that stopped; absent: all.
    pub build_id: Option<BuildId>,
    /// Machines that showed it.
    pub count: u32,
    /// Of so many that were given the livepatch.
    pub given: u32,
    /// How likely that is without the livepatch.
    pub chance: f64,
    /// Some of those machines.
    pub machines: Vec<String>,
    /// One sentence.
    pub summary: String,
}
