//! Completions and man pages, made from the command line's own definition.

use crate::{arguments::Arguments, output};
use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::Path;

pub(crate) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "livepatch-admin", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())
}

/// `livepatch-admin.1` and one page for each subcommand.
pub(crate) fn man_pages(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command().name("livepatch-admin"), directory))
        .with_context(|| format!("cannot write man pages into {}", directory.display()))
}
