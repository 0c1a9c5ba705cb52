//! The daemon's program: arguments, log, configuration; the rest is the library's.

mod journal;

use anyhow::Context as _;
use clap::Parser;
use journal::Journal;
use livepatch_agent::{Config, DEFAULT_CONFIG, DEFAULT_SOCKET, DEFAULT_STATE_DIR, DaemonOptions, run};
use std::{io::IsTerminal as _, path::PathBuf};
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Keeps this machine's kernel livepatched. Runs in the foreground; the command `livepatch` talks to it.
#[derive(Debug, Parser)]
#[command(name = "livepatchd", version)]
struct Arguments {
    /// The configuration file; it may be missing
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Where the client keeps its identity, records and modules
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    state_dir: PathBuf,
    /// The socket that `livepatch` connects to
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Read the machine below this directory; with anything else than / nothing is ever loaded (for tests)
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// What to log, such as `debug` or `livepatch_agent=debug`
    #[arg(long, value_name = "FILTER", env = "LIVEPATCHD_LOG", default_value = "info")]
    log: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter: Targets = arguments.log.parse().context("--log is no filter")?;
    // What systemd started logs to the journal.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| Journal::connect().ok());
    let log = match journal {
        Some(journal) => journal.boxed(),
        None => {
            let log = fmt::layer().with_target(false).with_writer(std::io::stderr);
            log.with_ansi(std::io::stderr().is_terminal()).boxed()
        }
    };
    tracing_subscriber::registry().with(log).with(filter).init();
    let path = arguments.config;
    let config = Config::load(&path).with_context(|| format!("{} cannot be used", path.display()))?;
    run(&DaemonOptions {
        root: arguments.root,
        state_dir: arguments.state_dir,
        socket: arguments.socket,
        config_file: path,
        config,
    })
    .context("livepatchd cannot run")
}
