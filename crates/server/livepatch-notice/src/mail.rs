//! The mail, as readers of the announcement list know it.

use crate::{Instruction, Kind, Notice, escape::plain};
use std::fmt::Write as _;

/// Columns of a mail.
const WIDTH: usize = 74;

/// A mail's subject and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `[LSN-0123-1] Linux kernel vulnerability`.
    pub subject: String,
    /// The text; lines end with a line feed, none is longer than 74 characters unless a word is.
    pub text: String,
}

/// The notice as a mail.
pub fn mail(notice: &Notice) -> Mail {
    let mut text = String::new();
    let rule = "=".repeat(WIDTH);
    let _ = writeln!(
        text,
        "{rule}\nKernel Live Patch Security Notice {}\n{}\n{rule}\n",
        notice.number,
        notice.updated()
    );
    section(&mut text, &plain(&notice.title), "");
    text.push_str("A security issue affects these kernels:\n\n");
    let rows = notice.affected.iter().map(|row| {
        [row.release.as_str(), &row.series, &row.architecture]
            .map(plain)
            .into_iter()
            .chain([plain(&row.flavours.join(", "))])
    });
    table(&mut text, &["Release", "Base kernel", "Arch", "flavors"], rows.map(Iterator::collect).collect());
    heading(&mut text, "Summary");
    paragraph(&mut text, &notice.summary);
    if let Kind::Alert(alert) = &notice.kind {
        heading(&mut text, "No livepatch");
        paragraph(&mut text, &alert.explanation());
        paragraph(&mut text, alert.advice());
        if let Some(mitigation) = &alert.mitigation {
            paragraph(&mut text, &format!("Until then: {mitigation}"));
        }
    }
    heading(&mut text, "Details");
    for detail in &notice.details {
        paragraph(
            &mut text,
            &format!("{} ({}; priority {})", detail.text.trim(), detail.cve, detail.priority),
        );
    }
    heading(&mut text, "Update instructions");
    instructions(&mut text, notice);
    if notice.revisions.len() > 1 {
        heading(&mut text, "Revisions");
        for revision in &notice.revisions {
            paragraph(&mut text, &format!("{}, {}: {}", revision.revision, revision.date, revision.note));
        }
    }
    heading(&mut text, "References");
    for detail in &notice.details {
        let _ = writeln!(text, "  {}", detail.cve);
    }
    for reference in &notice.references {
        let _ = writeln!(text, "  {}", plain(reference));
    }
    let subject = format!("[{}] {}", notice.number, plain(&notice.title));
    Mail { subject, text }
}

fn instructions(text: &mut String, notice: &Notice) {
    let version = |version: &Option<livepatch_kernel::PackageVersion>| {
        version.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
    };
    let kernel = |one: &Instruction| {
        [plain(&one.release), plain(&one.package), plain(&one.flavour), plain(&one.architecture)]
    };
    if notice.is_alert() {
        paragraph(text, "Install at least this build of your kernel and reboot:");
        let rows = notice
            .instructions
            .iter()
            .map(|one| kernel(one).into_iter().chain([version(&one.fixed_build)]).collect());
        table(text, &["Release", "Kernel", "flavors", "Arch", "Fixed from"], rows.collect());
        return;
    }
    paragraph(
        text,
        "The problem is corrected by loading at least this version of the livepatch. Builds below the lowest one get no livepatch: update \
         and reboot.",
    );
    let rows = notice.instructions.iter().map(|one| {
        let livepatch = one.livepatch.map_or_else(|| "-".to_owned(), |version| version.to_string());
        kernel(one).into_iter().chain([livepatch, version(&one.lowest_build)]).collect()
    });
    table(text, &["Release", "Kernel", "flavors", "Arch", "Version", "Lowest build"], rows.collect());
}

fn section(text: &mut String, line: &str, after: &str) {
    let _ = writeln!(text, "{line}\n{after}");
}

fn heading(text: &mut String, name: &str) {
    let _ = writeln!(text, "{name}\n{}\n", "-".repeat(name.len()));
}

/// Filled to the mail's width.
fn paragraph(text: &mut String, words: &str) {
    let mut column = 0;
    for word in plain(words).split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push_str("\n\n");
}

/// In the list's own form, `| a | b |`.
fn table(text: &mut String, head: &[&str], rows: Vec<Vec<String>>) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(head.get(column).map_or(0, |name| name.len()))
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |text: &mut String, cells: &[String]| {
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    line(text, &head);
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(text, &rule);
    rows.iter().for_each(|row| line(text, row));
    text.push('\n');
}
