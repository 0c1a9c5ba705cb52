//! The server's database: tokens, machines, reports, certificates, and what operators did.
//!
//! [`Store`] is the whole interface: plain values in and out, no SQL type shows. SQLite stands behind it; the SQL keeps
//! to what PostgreSQL understands as well (`$1` placeholders, `ON CONFLICT`, `RETURNING`, BIGINT seconds), so that a
//! second backend needs a second pool and its own migrations, not other queries. Time is an argument. Secrets come in
//! as digests: what is not here cannot leak from here.

mod certificates;
mod machines;
mod rows;
mod store;
mod tokens;

pub use certificates::StoredCertificate;
pub use machines::{KnownMachine, Reported};
pub use store::{Store, StoreError};
pub use tokens::{Enrolment, NewToken};

/// Seconds since 1970, UTC.
pub type Seconds = i64;
