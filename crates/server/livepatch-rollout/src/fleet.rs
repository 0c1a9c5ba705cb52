//! What the engine needs to know of machines.

use crate::signal::{Counts, Signal};
use livepatch_kernel::BuildId;
use livepatch_schedule::Reach;
use serde::{Deserialize, Serialize};

/// What came of a livepatch on the machines of one kernel build. Each machine counts once in each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Tally {
    /// Machines that tried to apply it, whatever came of it.
    pub given: u32,
    /// Machines on which it soaked without trouble.
    pub soaked: u32,
    /// Machines that will not take it: undone by the owner, refused, switched off properly since.
    pub out: u32,
    /// Signs of trouble.
    #[serde(flatten)]
    pub signals: Counts,
}

/// The machines that a rollout is for.
pub trait Fleet {
    /// How many machines of this kernel build are alive.
    fn population(&self, build: &BuildId) -> u32;

    /// The reach that lets in so many of them, first by position. More than there are: everybody that is known.
    fn reach(&self, build: &BuildId, machines: u32) -> Reach;

    /// What came of the livepatch so far.
    fn tally(&self, build: &BuildId) -> Tally;

    /// Some machines with this signal, for a person to look at.
    fn examples(&self, build: &BuildId, signal: Signal) -> Vec<String>;
}
