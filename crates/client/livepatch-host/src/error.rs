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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanishes_while_it_is_read_is_missing() {
        let error = |errno: i32| HostError::Read {
            path: "/sys/kernel/livepatch/x/enabled".into(),
            source: io::Error::from_raw_os_error(errno),
        };
        for (errno, missing) in [(2, true), (3, true), (19, true), (5, false), (13, false)] {
            assert_eq!(error(errno).is_missing(), missing, "errno {errno}");
        }
    }
}
