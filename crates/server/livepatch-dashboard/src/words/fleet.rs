//! Words of groups of machines, of what holds them back, and of transitions.

use super::{state, state_key};
use livepatch_api::{BlockKind, PatchState};

words! {
    TAG = "Tag";
    TAGS = "Tags";
    LACKS = "Lacks the fix";
    GROUPS = "Ways to see the machines";
    EACH_MACHINE = "each machine";
    NO_TAGS = "No machine carries a tag. Machines get those of the token that they enrol with:";
    TAG_COMMAND = "livepatch-admin token create --tier edge --tag web";
    BLOCKS = "Blocks of operators";
    BLOCKED = "Blocked";
    UNTIL_LIFTED = "it is lifted";
    BLOCKED_BY_MACHINE = "Blocked by the machine itself";
    BLOCKED_BY_MACHINE_MEANING = "These brought trouble here. The machine does not load them again until its owner clears them, on the machine:";
    REVERTED = "reverted";
    TRANSITIONS = "Transitions";
    TRANSITIONS_MEANING = "How long it took until every task ran the new code, as machines say that applied it.";
    NO_TRANSITIONS = "No machine has told yet how long its transition took.";
    TOOK = "Took";
    AS_TABLE = "The same as a table";
    STALL_CAUSES = "What held transitions back";
    STALL_CAUSES_MEANING = "Tasks that had not moved when a transition was reverted, with the kernel function that they slept in.";
    NO_STALL_CAUSES = "No transition was reverted.";
    TASK = "Task";
    STALLS = "Stalls";
}

/// `by tier`.
pub(crate) fn by(what: &str) -> String {
    format!("by {}", what.to_lowercase())
}

pub(crate) fn machines_by(what: &str) -> String {
    format!("Machines by {}", what.to_lowercase())
}

/// The word of a state by its key; the key itself for one that is not known.
pub(crate) fn state_of(key: &str) -> &str {
    let known = PatchState::all().into_iter().find(|one| state_key(*one) == key);
    known.map_or(key, |one| state(one).0)
}

/// `3.2 s`, from milliseconds.
pub(crate) fn seconds(ms: u32) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

pub(crate) fn block(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Patch => "the livepatch",
        BlockKind::Kernel => "the kernel",
        BlockKind::Machine => "this machine",
        BlockKind::Tag => "machines with the tag",
    }
}

/// `1–2 s`, from and to in milliseconds.
pub(crate) fn took(from: u32, to: Option<u32>) -> String {
    let seconds = |ms: u32| {
        if ms.is_multiple_of(1000) {
            format!("{}", ms / 1000)
        } else {
            format!("{:.1}", f64::from(ms) / 1000.0)
        }
    };
    match to {
        Some(to) => format!("{}–{} s", seconds(from), seconds(to)),
        None => format!("over {} s", seconds(from)),
    }
}
