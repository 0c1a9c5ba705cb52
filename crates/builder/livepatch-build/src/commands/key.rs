//! `livepatch-build key`: makes module-signing keys.

use super::{Format, print, print_json};
use anyhow::Result;
use clap::Subcommand;
use livepatch_build::sign;
use livepatch_build::status::Status;
use schemars::JsonSchema;
use serde::Serialize;
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
        /// How to print where they are.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

/// Where a new key is.
#[derive(Serialize, JsonSchema)]
pub(super) struct KeyFiles {
    /// Always 1.
    schema: u32,
    /// PEM file of the private key.
    key: PathBuf,
    /// PEM file of its certificate.
    certificate: PathBuf,
}

pub(super) fn run(action: Action) -> Result<Status> {
    let Action::Generate { common_name, output, format } = action;
    let (key, certificate) = sign::generate(&common_name, &output)?;
    match format {
        Format::Json => print_json(&KeyFiles { schema: 1, key, certificate })?,
        Format::Text => print(&format!("{}\n{}\n", key.display(), certificate.display()))?,
    }
    Ok(Status::Done)
}
