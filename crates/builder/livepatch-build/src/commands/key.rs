//! `livepatch-build key`: makes module-signing keys.

use super::print;
use anyhow::Result;
use clap::Subcommand;
use livepatch_build::sign;
use livepatch_build::status::Status;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Make key.pem and cert.pem.
    Generate {
        /// Common name in the certificate.
        #[arg(long, default_value = "Livepatch module signing key")]
        common_name: String,
        /// Folder to write to.
        #[arg(long)]
        output: PathBuf,
    },
}

pub(super) fn run(action: Action) -> Result<Status> {
    let Action::Generate { common_name, output } = action;
    let (key, certificate) = sign::generate(&common_name, &output)?;
    print(&format!("{}\n{}\n", key.display(), certificate.display()))?;
    Ok(Status::Done)
}
