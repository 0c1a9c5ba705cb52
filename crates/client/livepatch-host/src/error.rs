//! What can go wrong while reading the machine.

use std::{io, path::PathBuf};

/// Why a fact about the machine is not known.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the kernel's is missing or unreadable.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the kernel's holds something else than it should.
    #[error("{path} holds no {expected}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
}
