//! `cargo xtask corpus`: all fixes of a source update through the builder; what it does is in `livepatch-corpus`.

use anyhow::Result;
use livepatch_corpus::Options;

/// `cargo xtask corpus`. The programs are built first: a stale builder would be judged.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        build()?;
    }
    let table = livepatch_corpus::run(options)?;
    table.write(&options.output)?;
    println!("{}", table.shares());
    Ok(())
}

fn build() -> Result<()> {
    let log = crate::workspace::fresh_directory("xtask-corpus")?.join("build.log");
    crate::narrator::Narrator::new()
        .step("build the programs", |step| crate::workspace::build_programs(&log, step))
        .map(drop)
}
