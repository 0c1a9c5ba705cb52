//! Real services for tests, each started by the test that wants it and gone with it.
//!
//! [`Postgres`]: a cluster of the distribution's PostgreSQL in a directory of its own, on a Unix socket, with a fresh
//! database for each who asks.

mod postgres;

pub use postgres::{Postgres, ServiceError};
