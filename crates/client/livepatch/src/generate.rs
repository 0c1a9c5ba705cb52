//! Completions and man pages, made from the command line's own definition when the package is built.

use crate::arguments::Arguments;
use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::Path;

pub(crate) fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "livepatch", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script).context("cannot write to standard output")
}

/// `livepatch.1` and one page for each subcommand, such as `livepatch-enable.1`.
pub(crate) fn man_pages(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), directory))
        .with_context(|| format!("cannot write man pages into {}", directory.display()))
}
