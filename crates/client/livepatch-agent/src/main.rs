//! The daemon's program: arguments, log, configuration; the rest is the library's.

use anyhow::Context as _;
use clap::Parser;
use livepatch_agent::{Config, DEFAULT_SOCKET, DEFAULT_STATE_DIR, DaemonOptions, run};
use std::{io::IsTerminal as _, path::PathBuf};
use tracing_subscriber::EnvFilter;

/// Keeps this machine's kernel livepatched. Runs in the foreground; the command `livepatch` talks to it.
#[derive(Debug, Parser)]
#[command(name = "livepatchd", version)]
struct Arguments {
    /// The configuration file; it may be missing
    #[arg(long, value_name = "FILE", default_value = "/etc/livepatch/livepatchd.toml")]
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
    let filter = EnvFilter::try_new(&arguments.log).context("--log is no filter")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // The journal has its own time stamps and colours nothing.
    let terminal = std::io::stderr().is_terminal();
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().with_ansi(false).with_writer(std::io::stderr).init();
    } else {
        log.with_ansi(terminal).with_writer(std::io::stderr).init();
    }
    let path = arguments.config;
    let config = Config::load(&path).with_context(|| format!("{} cannot be used", path.display()))?;
    run(&DaemonOptions {
        root: arguments.root,
        state_dir: arguments.state_dir,
        socket: arguments.socket,
        config,
    })
    .context("livepatchd cannot run")
}
