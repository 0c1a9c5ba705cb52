//! Answers to standard output, notes to standard error.

use anyhow::{Context as _, Result};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::{self, Write as _};

/// A document, indented, for programs.
pub(crate) fn json(document: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string_pretty(document)?)
}

/// A line for people. A closed pipe is an error here, and the end of the program in `main`.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
}

/// A note beside the answer.
pub(crate) fn note(text: &str) {
    // Nobody reads it: nothing is lost.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A table; a sentence when it would be empty.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Result<()> {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        // What machines report about themselves must not steer the operator's terminal.
        table.add_row(row.into_iter().map(|cell| cell.replace(char::is_control, " ")));
    }
    let text: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    line(&text.join("\n"))
}

/// Whether the reader of standard output went away.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
