//! `livepatch-build verify`: checks a module as a kernel and a client will.

use super::{Format, print, print_json};
use anyhow::Result;
use livepatch_build::status::Status;
use livepatch_build::verify::{self, CheckResult, Verification};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The module; manifest and report beside it are checked too.
    file: PathBuf,
    /// PEM certificate that a kernel trusts; may be repeated.
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status> {
    let verification = verify::verify(&arguments.file, &arguments.certificates)?;
    match arguments.format {
        Format::Json => print_json(&verification)?,
        Format::Text => print(&text(&verification))?,
    }
    Ok(if verification.passed() { Status::Done } else { Status::Refused })
}

fn text(verification: &Verification) -> String {
    let line = |check: &verify::Check| {
        let word = match check.result {
            CheckResult::Passed => "passed",
            CheckResult::Failed => "FAILED",
            CheckResult::Skipped => "skipped",
        };
        format!("{word:8} {}: {}\n", check.check, check.detail)
    };
    verification.checks.iter().map(line).collect()
}
