//! What can go wrong, on each side.

use crate::Role;
use std::path::PathBuf;

/// Why a repository or a module in it is not trusted, or not to be had. Every kind of attack has its own variant.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Signed metadata are older than they may be: the repository is not kept up, or someone holds new data back.
    #[error(
        "the repository's {role} metadata have expired: its server is behind, or this machine's clock is wrong"
    )]
    Expired {
        /// Whose metadata.
        role: Role,
    },
    /// Older metadata than this machine has already seen.
    #[error(
        "the repository offers {role} metadata version {offered}, but version {seen} was already seen here"
    )]
    RolledBack {
        /// Whose metadata.
        role: Role,
        /// The version that was seen before.
        seen: u64,
        /// The version that is offered now; 0 when it is not offered any more.
        offered: u64,
    },
    /// Not signed by enough of the keys that the trusted root names.
    #[error("the repository's {role} metadata are not signed by a trusted key: {reason}")]
    SignatureInvalid {
        /// Whose metadata.
        role: Role,
        /// The library's own words.
        reason: String,
    },
    /// A metadata file is not the one that the signed metadata above it name.
    #[error("the repository's {role} metadata were altered: the digest is not the one that was signed")]
    MetadataAltered {
        /// Whose metadata.
        role: Role,
    },
    /// Metadata files that do not belong together.
    #[error("the repository's metadata contradict each other: {reason}")]
    MetadataInconsistent {
        /// What does not fit.
        reason: String,
    },
    /// Not JSON, cut off, or not of the shape that the specification demands.
    #[error("the repository's {role} metadata cannot be read: {reason}")]
    Malformed {
        /// Whose metadata.
        role: Role,
        /// Where reading stopped.
        reason: String,
    },
    /// A metadata file is larger than is reasonable, or than was signed; it was not read to its end.
    #[error("the repository's {role} metadata are larger than the {limit} bytes allowed")]
    Oversized {
        /// Whose metadata.
        role: Role,
        /// The limit in bytes.
        limit: u64,
    },
    /// A metadata file that must be there is not.
    #[error("the repository has no {role} metadata at {url}")]
    MetadataMissing {
        /// Whose metadata.
        role: Role,
        /// Where they should be.
        url: String,
    },
    /// The root that this machine starts from is no usable root.
    #[error(
        "the trusted root of this machine is unusable: {reason}; enable livepatching again with a new token"
    )]
    AnchorUnusable {
        /// What is wrong with it.
        reason: String,
    },
    /// More root rotations than are followed in one go.
    #[error("the repository's root was renewed more than {limit} times since this machine's")]
    RootChainTooLong {
        /// The limit.
        limit: u64,
    },
    /// The network or the server does not answer.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A module is not the one that was signed for: length or digest differ.
    #[error("the module {name} is not the one that was published: {reason}")]
    TargetAltered {
        /// Target name, `RELEASE/NAME.ko`.
        name: String,
        /// What differs.
        reason: String,
    },
    /// A module that the metadata name is not there.
    #[error("the repository does not hold the module {name} that it announces")]
    TargetMissing {
        /// Target name.
        name: String,
    },
    /// A livepatch that an origin should vouch for, and does not as it stands here: a mirror altered it.
    #[error("{name} is not as its origin {origin} published it: {reason}")]
    NotEndorsed {
        /// Target name.
        name: String,
        /// The origin's id, its first digits.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// The directory where this machine keeps what it has seen is unusable.
    #[error("{}: what this machine has seen of the repository cannot be kept", path.display())]
    Datastore {
        /// File or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// None of the above.
    #[error("the repository cannot be loaded: {reason}")]
    Other {
        /// The library's own words.
        reason: String,
    },
}

impl TrustError {
    /// A stable word for programs, events and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "metadata-expired",
            Self::RolledBack { .. } => "metadata-rolled-back",
            Self::SignatureInvalid { .. } => "metadata-signature-invalid",
            Self::MetadataAltered { .. } => "metadata-altered",
            Self::MetadataInconsistent { .. } => "metadata-inconsistent",
            Self::Malformed { .. } => "metadata-malformed",
            Self::Oversized { .. } => "metadata-oversized",
            Self::MetadataMissing { .. } => "metadata-missing",
            Self::AnchorUnusable { .. } => "trust-anchor-unusable",
            Self::RootChainTooLong { .. } => "root-chain-too-long",
            Self::Unreachable { .. } => "repository-unreachable",
            Self::TargetAltered { .. } => "target-altered",
            Self::TargetMissing { .. } => "target-missing",
            Self::NotEndorsed { .. } => "endorsement-invalid",
            Self::Datastore { .. } => "state-unusable",
            Self::Other { .. } => "repository-unusable",
        }
    }

    /// The role whose metadata are at fault, where one is.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Expired { role }
            | Self::RolledBack { role, .. }
            | Self::SignatureInvalid { role, .. }
            | Self::MetadataAltered { role }
            | Self::Malformed { role, .. }
            | Self::Oversized { role, .. }
            | Self::MetadataMissing { role, .. } => Some(*role),
            _ => None,
        }
    }
}

/// Why a repository cannot be published to.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A repository is there already, or the rests of one.
    #[error("{} holds a repository, or what is left of one: restore its metadata from a backup", .0.display())]
    Exists(PathBuf),
    /// Another process publishes to it.
    #[error("another process publishes with the keys in {}", .0.display())]
    Busy(PathBuf),
    /// What is on disk is no repository that these keys made.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key is missing, unreadable, or not the one that the root names.
    #[error("the {role} key is unusable: {reason}")]
    Key {
        /// Whose key.
        role: Role,
        /// What is wrong; never the key's content.
        reason: String,
    },
    /// The module is not the one that the manifest describes, or too large.
    #[error("the module does not fit its manifest: {0}")]
    ModuleMismatch(String),
    /// A livepatch of that name is published with other content.
    #[error("a livepatch named {0} is published already, with other content")]
    NameTaken(String),
    /// No livepatch of that name is published.
    #[error("no livepatch named {0} is published")]
    UnknownName(String),
    /// A document cannot be published.
    #[error("the document {name} cannot be published: {reason}")]
    Document {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The TUF library failed.
    #[error("the {role} metadata cannot be signed: {reason}")]
    Sign {
        /// Whose metadata.
        role: Role,
        /// The library's own words.
        reason: String,
    },
    /// Time or version outside of what the format holds.
    #[error("the time {0} cannot be written into metadata")]
    Time(String),
}
