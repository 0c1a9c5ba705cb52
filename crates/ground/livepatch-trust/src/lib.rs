//! The TUF repository (The Update Framework, specification 1.0): publish livepatches, and load them with proof.
//!
//! The only crate that names the TUF library. Both sides are plain synchronous calls: [`Publisher`] for the server,
//! [`Repository`] for the machine. The network is an argument ([`Fetch`]), and so is the publisher's clock.
//!
//! A repository is two directories of static files, `metadata/` and `targets/`, wherever files are kept ([`Files`]). A target is a signed module named
//! `RELEASE/NAME.ko`, or a document below `documents/` ([`SignedDocument`]). For a module the signed targets metadata carry
//! its manifest and the tiers that it is available to:
//!
//! ```json
//! {"custom": {"livepatch": {"manifest": {"schema": 1, "…": "…"}, "tiers": ["edge", "beta"]}}}
//! ```
//!
//! Consistent snapshots are on (specification 6.2): metadata files carry their version, targets their digest, so a
//! mirror that is half way through a copy serves the old state or the new one, never a mixture.

mod datastore;
mod document;
mod durable;
mod endorsement;
mod entry;
mod error;
mod fetch;
mod files;
mod keys;
mod metadata;
mod mirror;
mod publisher;
mod repository;
mod role;
mod rotate;
mod statement;

pub use document::SignedDocument;
pub use endorsement::{Endorsement, Origin, check_origin, endorser};
pub use entry::Published;
pub use error::{PublishError, TrustError};
pub use fetch::{DirectoryFetch, Fetch, FetchError};
pub use files::{Directory, Files};
pub use mirror::{Bundle, PinnedOrigin, has_module, keep_module, pass_root_on};
pub use publisher::Publisher;
pub use repository::{LoadRequest, Repository, Skipped};
pub use role::{Lifetimes, Role, Versions};
pub use statement::{OnRoot, Signed, Statement, TrustedRoot};

/// A larger module is neither published nor fetched. The largest livepatches seen are below 1 MiB; a debug build of a
/// big module stays below 64 MiB.
pub const LARGEST_MODULE: u64 = 64 << 20;

/// A larger document is neither published nor fetched. Verdicts of a kernel family stay below 64 KiB.
pub const LARGEST_DOCUMENT: u64 = 1 << 20;
