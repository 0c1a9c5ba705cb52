//! Shell completions and man pages, from the same definitions as the help.

use super::Arguments;
use anyhow::{Context, Result};
use clap::CommandFactory;
use livepatch_build::status::Status;
use std::io;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn completions(arguments: &Completions) -> Result<Status> {
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "livepatch-build", &mut io::stdout());
    Ok(Status::Done)
}

#[derive(clap::Args)]
pub(super) struct Man {
    /// Write a page for each command into this folder instead: livepatch-build.1, livepatch-build-kernel-add.1 and so on.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(super) fn man(arguments: &Man) -> Result<Status> {
    let Some(folder) = &arguments.output else {
        clap_mangen::Man::new(Arguments::command()).render(&mut io::stdout())?;
        return Ok(Status::Done);
    };
    let cannot = || format!("cannot write man pages to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(cannot)?;
    Ok(Status::Done)
}
