//! Prints a document in the format that was asked for.

use crate::{arguments::Format, yaml};
use anyhow::Context as _;
use serde::Serialize;
use std::io::Write as _;

/// Prints; `text` renders for people.
pub(crate) fn document<T: Serialize>(
    format: Format,
    document: &T,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match format {
        Format::Text => print(&text()),
        Format::Json => print(&serde_json::to_string_pretty(document)?),
        Format::Yaml => print(&yaml::from_json(&serde_json::to_value(document)?)),
        Format::Prometheus => anyhow::bail!("--format prometheus is for `livepatch status` only"),
        Format::Openvex | Format::Csaf => {
            anyhow::bail!("--format openvex and csaf are for `livepatch vex` only")
        }
    }
}

/// Prints a text, ended by one newline.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", text.trim_end()).context("cannot write to standard output")
}
