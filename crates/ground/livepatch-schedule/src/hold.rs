//! Whether a machine has to wait.

use crate::{Position, Schedule, Seconds, Steering};
use livepatch_manifest::Digest;

/// Who asks for what, when.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The machine's id.
    pub machine_id: &'a str,
    /// Its tier.
    pub tier: &'a str,
    /// The module.
    pub sha256: &'a Digest,
    /// Whether it proved itself on this machine before: then only a denial holds it back.
    pub confirmed: bool,
    /// Now.
    pub now: Seconds,
}

/// Why a machine has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hold {
    /// The module is denied: no machine may load it.
    #[error("it was withdrawn: no machine may load it")]
    Denied,
    /// The rollout was halted.
    #[error("its rollout is halted")]
    Halted,
    /// The machine's wave has not come.
    #[error("this machine's wave has not come yet")]
    NotYet,
    /// No maintenance window is open.
    #[error("its rollout's maintenance window is closed; it opens in {} minutes", opens_in / 60)]
    Closed {
        /// Seconds until one opens.
        opens_in: i64,
    },
}

/// Why this machine may not apply the module now; `None` when it may. A module without a schedule is for everybody. One
/// whose schedule is signed but whose directive is missing waits: the online document may be an old copy.
pub fn hold(schedule: Option<&Schedule>, steering: &Steering, request: Request<'_>) -> Option<Hold> {
    if steering.denies(request.sha256) {
        return Some(Hold::Denied);
    }
    let schedule = schedule.filter(|schedule| !request.confirmed && schedule.applies_to(request.tier))?;
    let Some(directive) = steering.directive(request.sha256) else { return Some(Hold::NotYet) };
    if directive.halted {
        return Some(Hold::Halted);
    }
    let position = Position::of(request.machine_id, &schedule.release);
    if !directive.reach.min(schedule.reach(request.now)).includes(position) {
        return Some(Hold::NotYet);
    }
    match schedule.opens_in(request.now) {
        0 => None,
        opens_in => Some(Hold::Closed { opens_in }),
    }
}
