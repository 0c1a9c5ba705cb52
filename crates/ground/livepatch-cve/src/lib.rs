//! What is known about vulnerabilities, and what follows for a kernel.
//!
//! Pure: bytes and facts come in, values go out; no files, no network, no clock.
//!
//! 1. [`feeds`] and [`ubuntu_tracker`] read what others publish; a fault costs a line or a record, never the document.
//! 2. The [`Register`] merges it into a [`record::CveRecord`] a CVE: every field with who says so, differences kept.
//! 3. A person gives each CVE a [`Priority`], starting from what [`propose`] says; the [`LivepatchPolicy`] says which are livepatched.
//! 4. The [`verdict::Engine`] gives the answer for every CVE and kernel build; the [`verdict::VerdictFile`] carries it.
//! 5. A [`Mitigation`] makes a fault harmless until it is mended.
//! 6. The [`Clock`] tells how long all that took.
//! 7. The [`catalogue`] says which kernels are livepatched, and until when each build is.

pub mod agreement;
pub mod catalogue;
pub mod feeds;
pub mod record;
pub mod ubuntu_tracker;
pub mod verdict;

mod clock;
mod family;
mod id;
mod mitigation;
mod name;
mod priority;
mod problem;
mod proposal;
mod register;
mod upstream;

pub use clock::{Arrival, Clock};
pub use family::{Distribution, Family, FamilyError};
pub use id::{CveId, CveIdError};
pub use mitigation::{Measure, Mitigation, MitigationError, Mitigations};
pub use name::{Name, Names};
pub use priority::{DecisionError, LivepatchPolicy, Priority, PriorityError, Rating};
pub use problem::{Fault, Problem};
pub use proposal::{Proposal, RuleName, Signals, propose};
pub use register::{Document, DocumentDigest, FeedOutcome, Outcome, Register, Statement};
pub use upstream::{Base, Span, SpanEnd, UpstreamAnswer, UpstreamError, UpstreamRanges, UpstreamVersion};
