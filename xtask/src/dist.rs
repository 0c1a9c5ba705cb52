//! Builds what is shipped: the Debian packages of client and server.

use crate::{narrator::Narrator, workspace};
use anyhow::Result;
use clap::Args;
use livepatch_e2e::{Programs, client_package, run_logged, server_package, workspace_root};
use std::path::PathBuf;

/// Of `rustup target add`; the programs are linked with nothing then, and run on any distribution.
const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";

/// What to build.
#[derive(Args)]
pub(crate) struct Options {
    /// Package optimised programs; the default are those of the dev profile, which demo and tests use
    #[arg(long)]
    release: bool,
    /// Link the programs statically with musl; wants 'rustup target add x86_64-unknown-linux-musl' and musl-tools
    #[arg(long = "static")]
    linked_statically: bool,
}

/// `cargo xtask dist`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut narrator = Narrator::new();
    let output = workspace_root().join("target/dist");
    std::fs::create_dir_all(&output)?;
    let log = output.join("dist.log");
    let binaries = narrator.step("build the programs", |step| {
        let mut command = workspace::cargo();
        command.args(["build", "--package", "livepatch", "--package", "livepatch-agent", "--bins"]);
        command.args(["--package", "livepatch-server", "--package", "livepatch-admin"]);
        if options.release {
            command.arg("--release");
        }
        if options.linked_statically {
            command.args(["--target", STATIC_TARGET]);
        }
        run_logged(&mut command, &log, &|line| step.progress(line))?;
        Ok(binaries(options))
    })?;
    narrator.step("pack the client", |step| {
        step.progress("cargo deb");
        let package = client_package(&binaries, &output, &log)?;
        step.note(package.display().to_string());
        Ok(())
    })?;
    narrator.step("pack the server", |step| {
        step.progress("cargo deb");
        let package = server_package(&binaries, &output, &log)?;
        step.note(package.display().to_string());
        Ok(())
    })
}

/// Where cargo puts the programs.
fn binaries(options: &Options) -> PathBuf {
    let target = workspace::target_directory();
    let target = if options.linked_statically { target.join(STATIC_TARGET) } else { target };
    target.join(if options.release { "release" } else { "debug" })
}

/// The directory of the dev profile's programs.
pub(crate) fn directory(programs: &Programs) -> PathBuf {
    programs.path("")
}
