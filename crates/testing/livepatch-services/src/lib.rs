//! Real services for tests, each started by the test that wants it and gone with it.
//!
//! [`Postgres`]: a cluster of the distribution's PostgreSQL in a directory of its own, on a Unix socket, with a fresh
//! database for each who asks.
//!
//! [`ObjectStore`]: an S3-compatible server with a bucket, in a directory of its own.
//!
//! [`Browser`]: headless Chromium through its WebDriver; [`Inspector`]: looks at pages with it and with the
//! accessibility checker [`axe`].
//!
//! [`MailServer`]: an SMTP server; [`Standard`]: official schemas and validators of documents about vulnerabilities.
//!
//! [`OpenIdProvider`]: a certified OpenID provider; [`Schemathesis`]: asks a server everything that its OpenAPI document
//! allows, and much that it does not.

mod axe;
mod browser;
mod inspector;
mod kept;
mod mail;
mod object_store;
mod openid;
mod postgres;
mod schemathesis;
mod standard;

pub use axe::axe;
pub use browser::{Browser, BrowserError};
pub use inspector::Inspector;
pub use mail::{MailServer, TakenMail};
pub use object_store::ObjectStore;
pub use openid::OpenIdProvider;
pub use postgres::{Postgres, ServiceError};
pub use schemathesis::{Findings, Schemathesis};
pub use standard::Standard;
