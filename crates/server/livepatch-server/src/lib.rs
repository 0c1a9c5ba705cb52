//! The server: enrolment, check-ins, publishing and the static repository, in one program with one data directory.
//!
//! Two planes share a listener and nothing else. The *static plane* ([`paths::METADATA`], [`paths::TARGETS`],
//! [`paths::TRUST`]) are files: signed TUF metadata, modules, trust anchors. It answers whatever the state of the
//! database, and a mirror of the directory serves as well. The *dynamic plane* is everything else; without a database it
//! answers 503 and the machines try again later.
//!
//! [`paths::METADATA`]: livepatch_api::paths::METADATA
//! [`paths::TARGETS`]: livepatch_api::paths::TARGETS
//! [`paths::TRUST`]: livepatch_api::paths::TRUST
//!
//! ```text
//! DATA/livepatch.db         tokens, machines, reports, certificates (SQLite)
//! DATA/repository/metadata  TUF metadata        DATA/repository/targets  modules
//! DATA/keys/*.pem           TUF keys, 0600      DATA/admin.key           the operator's secret, 0600
//! DATA/trust/SHA256.json    trust anchors, by digest
//! ```
//!
//! With PostgreSQL and a bucket ([`Settings::database`], [`Settings::objects`]) several programs serve one site, each with
//! the same keys in a data directory of its own. They change the repository and look at rollouts in turns, and one of them
//! leads.

mod anchor;
mod approvals;
mod backoff;
mod backup;
mod blocks;
mod build_documents;
mod clock;
mod cves;
mod database;
mod hooks;
mod leader;
mod limits;
mod meters;
mod news;
mod notices;
mod openapi;
mod people;
mod post;
mod publish;
mod refusal;
mod reports;
mod rollouts;
mod routes;
mod secret;
mod serve;
mod settings;
mod site;
mod socket;
mod upstream;
mod worker;

pub use backup::{BackupError, backup, restore};
pub use limits::Rates;
pub use openapi::openapi;
pub use people::{OpenIdSettings, RoleRule, RoleRuleError};
pub use post::{Mailbox, MailboxError};
pub use serve::{ServeError, Server};
pub use settings::{Settings, SettingsError, Tiers, TlsFiles};
pub use site::SiteError;
