//! Real services for tests, each started by the test that wants it and gone with it.
//!
//! [`Postgres`]: a cluster of the distribution's PostgreSQL in a directory of its own, on a Unix socket, with a fresh
//! database for each who asks.
//!
//! [`Browser`]: headless Chromium through its WebDriver; [`axe`]: the accessibility checker that runs in its pages.

mod axe;
mod browser;
mod postgres;

pub use axe::axe;
pub use browser::{Browser, BrowserError};
pub use postgres::{Postgres, ServiceError};
