//! Who gets a livepatch when, and when it must stop. Pure: time and the state of the fleet are arguments.
//!
//! A [`Rollout`] carries one release (a fix, as modules for one or many kernel builds) through the waves of a
//! [`Profile`]. [`Rollout::step`] looks at the [`Fleet`] and moves each build on when its wave has had its time *and*
//! brought its evidence: machines on which the livepatch soaked without trouble. Before that, it looks for trouble: every
//! [`Signal`] has a [`Limit`] that tells what a fleet does by itself from what the livepatch does to it. A halt is
//! automatic and carries its [`Evidence`]; only a person resumes.
//!
//! [`simulate`] runs the same engine against a fleet in virtual time, so that a profile's promise is a number.

mod build;
mod fleet;
mod profile;
mod rollout;
mod signal;
mod simulate;
mod slots;
mod step;

pub use build::{Build, BuildState};
pub use fleet::{Fleet, Tally};
pub use profile::{Profile, ProfileError, Stage};
pub use rollout::{Act, Evidence, Rollout, RolloutError, State};
pub use signal::{Counts, Limit, Scope, Signal, tail};
pub use simulate::{
    Fault, Moment, Outcome, Simulation, Spread, Summary, simulate, simulate_watched, summarise,
};
pub use slots::{Lease, Slot, ask};

/// Seconds since 1970, UTC.
pub type Seconds = i64;
