//! The server's database: tokens, machines, reports, certificates, and what operators did.
//!
//! [`Store`] is the whole interface: plain values in and out, no SQL type shows. SQLite or PostgreSQL stands behind it;
//! the SQL keeps to what both understand (`$1` placeholders, `ON CONFLICT`, BIGINT seconds), so that they differ in
//! their migrations and in how a transaction begins, not in queries. Time is an argument. Secrets come in
//! as digests: what is not here cannot leak from here.

mod access;
mod approvals;
mod blocks;
mod build_documents;
mod certificates;
mod counts;
mod cves;
mod fleet;
mod hooks;
mod machines;
mod notices;
mod people;
mod protections;
mod rollouts;
mod rows;
mod sessions;
mod store;
mod tiers;
mod tokens;
mod transitions;
mod turns;
mod upstreams;

pub use access::{KnownApiKey, NewApiKey};
pub use blocks::NewBlock;
pub use certificates::StoredCertificate;
pub use cves::CveDocument;
pub use fleet::{FleetEvent, Group, MachineOrder, MachinePage, MachineQuery};
pub use hooks::{DueDelivery, NewHook};
pub use machines::{CheckIn, KnownMachine, MachinesByState, Reported};
pub use notices::{DueMail, StoredNotice};
pub use people::{Attempt, LockOut, OpenIdFlow};
pub use protections::{HadVersion, ProtectionTime};
pub use rollouts::{MachinePlace, RolloutResult, StoredRollout};
pub use sessions::{NewSession, SessionHolder, SessionLife};
pub use store::{Backend, Store, StoreError};
pub use tiers::TierUse;
pub use tokens::{Enrolment, NewToken};
pub use transitions::{STALL_CAUSES, TRANSITION_BOUNDS, TransitionTimes};
pub use turns::{Lead, Turn, TurnGuard};
pub use upstreams::StoredUpstream;

/// RFC 3339, UTC; `None` for a moment that cannot be written.
pub fn moment(seconds: Seconds) -> Option<String> {
    rows::moment("", seconds).ok()
}

/// Seconds since 1970, UTC.
pub type Seconds = i64;
