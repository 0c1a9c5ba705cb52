//! `livepatch-build explain`: what the codes of refusals and findings mean.

use super::{Format, print, print_json};
use anyhow::{Result, bail};
use livepatch_build::explain;
use livepatch_build::status::Status;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The code, as in the report, such as data-changed.
    code: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status> {
    let known = explain::all();
    let Some(code) = &arguments.code else {
        if arguments.format == Format::Json {
            print_json(&known)?;
            return Ok(Status::Done);
        }
        known.iter().try_for_each(|entry| print(&format!("{:28} {}\n", entry.code, entry.meaning)))?;
        return Ok(Status::Done);
    };
    let Some(entry) = known.iter().find(|entry| entry.code == code) else {
        bail!("no refusal has the code '{code}'; livepatch-build explain lists them all");
    };
    if arguments.format == Format::Json {
        print_json(&[entry])?;
        return Ok(Status::Done);
    }
    print(&format!("{}: {}\n", entry.code, entry.meaning))?;
    if !entry.example.is_empty() {
        print(&format!("\nFor example: {}.\n", entry.example))?;
    }
    print(&format!("\nInstead: {}.\n", entry.advice))?;
    if entry.acceptable {
        print(&format!(
            "\nWhoever knows that it does no harm may accept it: build --accept {0}, or --accept {0}:SUBJECT for one only.\n",
            entry.code
        ))?;
    }
    Ok(Status::Done)
}
