//! What can go wrong around a guest.

use crate::guest::Exit;
use std::{path::PathBuf, time::Duration};

/// Why a guest could not be booted or driven.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A host program is missing.
    #[error("{program} is not installed: apt-get install {package}")]
    MissingProgram {
        /// The program.
        program: &'static str,
        /// Debian's package with it.
        package: &'static str,
    },
    /// No kernel is prepared in the cache.
    #[error("no prepared kernel{wanted} in {cache}: run 'cargo xtask test', or 'livepatch-build kernel add RELEASE'", cache = .cache.display())]
    NoKernel {
        /// ` 6.1.0-55-cloud-amd64`, or nothing when any would do.
        wanted: String,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// Neither a loadable nor a built-in module of that name.
    #[error("the kernel has no module {name} ({tree})", tree = .tree.display())]
    NoModule {
        /// Name as asked for.
        name: String,
        /// The module tree.
        tree: PathBuf,
    },
    /// A shared library that a program needs was not found.
    #[error("{program} needs {library}, which the host does not have", program = .program.display())]
    NoLibrary {
        /// The program.
        program: PathBuf,
        /// The library's name.
        library: String,
    },
    /// A file of the host could not be read or written.
    #[error("{path}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A host program could not be started.
    #[error("cannot run {program}")]
    Spawn {
        /// The program.
        program: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A host command failed.
    #[error("{command} failed: {said}")]
    Host {
        /// The command.
        command: String,
        /// Its standard error and status.
        said: String,
    },
    /// The guest ended while it was needed.
    #[error("the guest ended ({exit}); its last words:\n{tail}\nconsole: {console}", console = .console.display())]
    Gone {
        /// How.
        exit: Exit,
        /// Last console lines.
        tail: String,
        /// The whole console.
        console: PathBuf,
    },
    /// Nothing came in time.
    #[error("{what}: no answer within {limit:?}; last console lines:\n{tail}\nconsole: {console}", console = .console.display())]
    TimedOut {
        /// The command, or what was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// Last console lines.
        tail: String,
        /// The whole console.
        console: PathBuf,
    },
    /// A command ended with another status than 0.
    #[error("in the guest, '{command}' ended with status {status}:\n{output}")]
    Failed {
        /// The command.
        command: String,
        /// Its exit status.
        status: i32,
        /// Both of its outputs.
        output: String,
    },
    /// A command is too long for the control channel.
    #[error(
        "a guest command of {0} bytes is too long: put it in a file with GuestBuilder::file or Guest::write_file"
    )]
    TooLong(usize),
    /// The control channel broke.
    #[error("the control channel to the guest failed")]
    Channel(#[source] std::io::Error),
}

impl VmError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
