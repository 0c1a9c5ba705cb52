//! `livepatch-build sign`: signs the module of a build folder.

use super::print;
use anyhow::Result;
use livepatch_build::sign;
use livepatch_build::status::Status;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The build folder.
    folder: PathBuf,
    /// PEM file of the private key.
    #[arg(long)]
    key: PathBuf,
    /// PEM file of its certificate.
    #[arg(long)]
    certificate: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status> {
    let manifest = sign::sign(&arguments.folder, &arguments.key, &arguments.certificate)?;
    print(&format!("{} {}\n", manifest.file_name(), manifest.module.sha256))?;
    Ok(Status::Done)
}
