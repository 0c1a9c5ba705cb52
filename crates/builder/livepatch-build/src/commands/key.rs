//! `livepatch-build key`: makes module-signing keys.

use super::{Format, print, print_json};
use anyhow::Result;
use clap::{Args, Subcommand};
use livepatch_build::sign::{self, NewKey};
use livepatch_build::status::Status;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Make key.pem and cert.pem for signing modules.
    ///
    /// With --authority the certificate is issued by that authority, for two years: machines that trust the authority
    /// take what the key signs, and need not be told when it changes.
    Generate {
        /// Common name in the certificate.
        #[arg(long, default_value = "Livepatch module signing key")]
        common_name: String,
        #[command(flatten)]
        target: Target,
        /// Folder with the key.pem and cert.pem of an authority that certifies the new key.
        #[arg(long, value_name = "FOLDER")]
        authority: Option<PathBuf>,
    },
    /// Make key.pem and cert.pem of an authority, for thirty years: the certificate that machines trust and enrol.
    ///
    /// Keep its key offline: it is only needed to certify the next signing key.
    Authority {
        /// Common name in the certificate.
        #[arg(long, default_value = "Livepatch signing authority")]
        common_name: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Where a new key goes.
#[derive(Args)]
pub(super) struct Target {
    /// Folder to write to.
    #[arg(long)]
    output: PathBuf,
    /// How to print where they are.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
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
    let (new, common_name, target) = match &action {
        Action::Generate { common_name, target, authority: None } => (NewKey::Module, common_name, target),
        Action::Generate { common_name, target, authority: Some(folder) } => {
            (NewKey::CertifiedBy(folder), common_name, target)
        }
        Action::Authority { common_name, target } => (NewKey::Authority, common_name, target),
    };
    let (key, certificate) = sign::generate(new, common_name, &target.output)?;
    match target.format {
        Format::Json => print_json(&KeyFiles { schema: 1, key, certificate })?,
        Format::Text => print(&format!("{}\n{}\n", key.display(), certificate.display()))?,
    }
    Ok(Status::Done)
}
