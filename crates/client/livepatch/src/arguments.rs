//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use livepatch_agent::{DEFAULT_CONFIG, DEFAULT_SOCKET};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit status:
  0  done; for `status`: nothing needs attention
  1  failed for a reason that is not listed here
  2  wrong usage, such as a malformed token or setting
  3  refused, by the client, the server or the kernel: the message starts with error[CODE]
  4  livepatchd does not run
  5  only root may do this
  6  livepatching is not enabled on this machine
  7  `status`, `check`: something needs attention

`status --check` has monitoring's numbers instead: 0 good, 1 warning, 2 critical, 3 unknown.
`kernel-upgrade-required`: 0 update and reboot, 1 a reboot can wait, 2 cannot tell, from 3 on an error.";

/// Live kernel patching for this machine
#[derive(Debug, Parser)]
#[command(name = "livepatch", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    /// How to print the result; json is stable within its schema, yaml is the same document
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
    /// The same document as YAML
    Yaml,
    /// Metrics, for `status`
    Prometheus,
    /// OpenVEX, for scanners; for `vex`
    Openvex,
    /// CSAF 2.0 in the profile VEX, for scanners; for `vex`
    Csaf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the state of livepatching on this machine; anyone may ask
    Status(StatusArguments),
    /// Enable livepatching: enrol with a server, check, apply and wait for the result
    Enable {
        /// The enrolment token that the operator gave you (lp1.…); `-` reads it from standard input, which keeps it out of
        /// the list of processes
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
    /// Show or change the configuration
    Config(ConfigArguments),
    /// Look whether this machine can be livepatched, and what to mend if not
    Check,
    /// Show what happened on this machine
    History {
        /// Show this many events, the newest
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        lines: usize,
    },
    /// Show which vulnerabilities this machine is safe from, and how
    Cves {
        /// Only those that the machine is open to
        #[arg(long)]
        open: bool,
        /// Also those that never concerned this kernel, or that it was built without
        #[arg(long)]
        all: bool,
    },
    /// The same for scanners: an OpenVEX document, or with --format csaf a CSAF 2.0 one
    Vex,
    /// Livepatches that this machine does not load, since the kernel got into trouble with them
    #[command(subcommand)]
    Blocked(BlockedCommand),
    /// What makes a vulnerability harmless until a livepatch or an update mends it
    #[command(subcommand)]
    Mitigation(MitigationCommand),
    /// Secure Boot and the key that signs livepatches
    #[command(subcommand, name = "secureboot")]
    SecureBoot(SecureBootCommand),
    /// Say whether the kernel must be updated and the machine rebooted; the exit status answers (0 yes, 1 can wait, 2 cannot tell)
    KernelUpgradeRequired,
    /// Show what the server is told
    CheckIn {
        /// Print the next report exactly as it would be sent, and send nothing
        #[arg(long, required = true)]
        show: bool,
    },
    /// Collect what a supporter needs into one file, without secrets
    SupportBundle {
        /// The file; `-` for standard output
        #[arg(long, short, value_name = "FILE", default_value = "livepatch-support.json")]
        output: PathBuf,
    },
    /// Print a completion script
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Behave as the command `canonical-livepatch` for tools that know it; so does this program under that name
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Canonical {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write the man pages
    #[command(hide = true)]
    Man {
        /// Into which directory
        directory: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    /// Show everything that is known
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// For monitoring: one line, and the exit status 0 good, 1 warning, 2 critical, 3 unknown
    #[arg(long, conflicts_with = "verbose")]
    pub(crate) check: bool,
    /// Wait until nothing is under way, at most this many seconds (300 when none are given)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300", require_equals = true)]
    pub(crate) wait: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "LIVEPATCH_CONFIG", default_value = DEFAULT_CONFIG, global = true)]
    pub(crate) file: PathBuf,
    /// Without one: print every setting
    #[command(subcommand)]
    pub(crate) command: Option<ConfigCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print settings
    Get {
        /// A setting; without one, all
        key: Option<String>,
    },
    /// Change settings; the daemon takes them at once
    Set {
        /// `KEY=VALUE`; `KEY=@stdin` reads the value from standard input, `KEY=` takes the setting back to its default
        #[arg(required = true, value_name = "KEY=VALUE")]
        assignments: Vec<String>,
    },
    /// Take settings back to their defaults
    Unset {
        /// Which
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Say what a setting is for and what it takes
    Explain {
        /// A setting; without one, all
        key: Option<String>,
    },
    /// Choose how much the server is told
    Telemetry {
        /// off, minimal or full
        level: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BlockedCommand {
    /// List them
    List,
    /// Say why one is blocked, and what to do
    Explain {
        /// Its digest, or the first 8 digits or more
        digest: String,
    },
    /// Allow one again
    Clear {
        /// Its digest, or the first 8 digits or more
        digest: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MitigationCommand {
    /// Show those that are issued for this machine, and whether they hold
    List,
    /// Agree to one and put it in force
    Apply {
        /// Its name
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Take one back, and do not apply it again
    Retire {
        /// Its name
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Carry out what is agreed to, and take back what has done its work
    Settle {
        #[command(flatten)]
        place: Place,
    },
}

/// Where mitigations are put in force.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The machine's root directory (for tests)
    #[arg(long, hide = true, default_value = "/")]
    pub(crate) root: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecureBootCommand {
    /// Show Secure Boot's state, and whether the kernel will take a livepatch
    Status,
    /// Ask the firmware to trust the key that signs livepatches (MOK); confirmed at the console of the next boot
    Enroll {
        /// Read the password for the console from standard input, instead of making one
        #[arg(long)]
        password_stdin: bool,
        /// Ask again although it was asked before, with a new password
        #[arg(long)]
        again: bool,
        /// The machine's root directory (for tests)
        #[arg(long, hide = true, default_value = "/")]
        root: PathBuf,
    },
}
