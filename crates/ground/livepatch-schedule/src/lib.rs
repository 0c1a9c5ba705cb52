//! When a machine may have a livepatch. Pure: machine, time and signed words go in, yes or the reason for no comes out.
//!
//! Two signed words decide together, and the stricter one holds:
//!
//! * the [`Schedule`], in the targets metadata, signed with the release key: waves by time, and maintenance windows.
//!   It works through any mirror, and nobody without the release key can make a rollout faster than it says;
//! * the [`Steering`], in the timestamp document that every poll reads, signed with the online key: how far each running
//!   rollout may go now, which are halted, which digests are denied. A stolen online key can stop deliveries, and at
//!   worst open a rollout as far as its schedule allows; it cannot deliver anything else.
//!
//! Which wave a machine is in follows from its [`Position`]: a hash of its id and the release, so that the first victims
//! are other machines each time, and no state is kept anywhere.

mod hold;
mod position;
mod schedule;
mod steering;
mod window;

pub use hold::{Hold, Request, hold};
pub use position::{MILLION, Position, Reach};
pub use schedule::{MOST_WAVES, MOST_WINDOWS, Schedule, ScheduleError, Wave};
pub use steering::{Directive, Steering, key_of};
pub use window::{Day, Window};

/// Seconds since 1970, UTC.
pub type Seconds = i64;
