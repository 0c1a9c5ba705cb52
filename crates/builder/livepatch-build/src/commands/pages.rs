//! Shell completions and man pages, from the same definitions as the help.

use super::Arguments;
use anyhow::Result;
use clap::CommandFactory;
use livepatch_build::status::Status;
use std::io;

#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn completions(arguments: &Completions) -> Result<Status> {
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "livepatch-build", &mut io::stdout());
    Ok(Status::Done)
}

pub(super) fn man() -> Result<Status> {
    clap_mangen::Man::new(Arguments::command()).render(&mut io::stdout())?;
    Ok(Status::Done)
}
