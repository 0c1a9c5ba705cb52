//! `livepatch-build sign`: signs the module of a build folder.

use super::{Format, print, print_json};
use anyhow::Result;
use livepatch_build::sign::{self, Key};
use livepatch_build::status::Status;
use livepatch_build::token::TokenUri;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The build folder.
    folder: PathBuf,
    /// PEM file of the private key.
    #[arg(long, value_name = "FILE", required_unless_present = "pkcs11", conflicts_with = "pkcs11")]
    key: Option<PathBuf>,
    /// The key in a PKCS#11 token (RFC 7512), such as 'pkcs11:token=release;object=module-key?pin-source=/etc/pin'. The
    /// PIN comes from pin-source, or from the environment's LIVEPATCH_PKCS11_PIN.
    #[arg(long, value_name = "URI")]
    pkcs11: Option<TokenUri>,
    /// The library that speaks to the token; else the URI's module-path, p11-kit's, or SoftHSM's.
    #[arg(long, value_name = "LIBRARY", requires = "pkcs11")]
    pkcs11_module: Option<PathBuf>,
    /// PEM file of the key's certificate.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// PEM file of the certificate that machines trust, when it is that of the authority which issued the key's.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// How to print the manifest of the signed module.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status> {
    let key = match (&arguments.pkcs11, &arguments.key) {
        (Some(uri), _) => Key::Token { uri, library: arguments.pkcs11_module.as_deref() },
        (None, key) => Key::Pem(key.as_deref().unwrap_or("key.pem".as_ref())),
    };
    let manifest =
        sign::sign(&arguments.folder, &key, &arguments.certificate, arguments.authority.as_deref())?;
    match arguments.format {
        Format::Json => print_json(&manifest)?,
        Format::Text => print(&format!("{} {}\n", manifest.file_name(), manifest.module.sha256))?,
    }
    Ok(Status::Done)
}
