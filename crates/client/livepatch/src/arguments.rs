//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use livepatch_agent::DEFAULT_SOCKET;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit status:
  0  done; for `status`: nothing needs attention
  1  failed for a reason that is not listed here
  2  wrong usage, such as a malformed token
  3  refused, by the client, the server or the kernel: the message starts with error[CODE]
  4  livepatchd does not run
  5  only root may do this
  6  livepatching is not enabled on this machine
  7  `status`: something needs attention (apply failed, check failed, unapplied)";

/// Live kernel patching for this machine
#[derive(Debug, Parser)]
#[command(name = "livepatch", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    /// How to print the result; json is stable within its schema
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Print errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// The daemon's socket
    #[arg(long, global = true, value_name = "PATH", env = "LIVEPATCH_SOCKET", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the state of livepatching on this machine; anyone may ask
    Status,
    /// Enable livepatching: enrol with a server, check, apply and wait for the result
    Enable {
        /// The enrolment token that the operator gave you (lp1.…); `-` reads it from standard input
        token: String,
        /// The server's URL; without it, the one in livepatchd.toml
        #[arg(long, value_name = "URL")]
        server: Option<String>,
    },
    /// Disable livepatching: forget the server. What is applied stays until it is undone or the machine reboots
    Disable,
    /// Check now, apply what is new and wait for the result
    Refresh {
        /// Apply also what was undone
        #[arg(long)]
        apply: bool,
    },
    /// Take the applied livepatch out of the kernel, without a reboot; it stays out until a newer one comes
    Undo {
        /// Step back to the version before it, which takes its place without a gap, instead of to none
        #[arg(long)]
        previous: bool,
    },
    /// Livepatches that this machine does not load, since the kernel got into trouble with them
    #[command(subcommand)]
    Blocked(BlockedCommand),
    /// Print a completion script
    #[command(hide = true)]
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Write the man pages
    #[command(hide = true)]
    Man {
        /// Into which directory
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BlockedCommand {
    /// List them, with the reason
    List,
    /// Allow one again
    Clear {
        /// Its digest, or the first 8 digits or more
        digest: String,
    },
}
