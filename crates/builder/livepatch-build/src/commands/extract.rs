//! `livepatch-build extract`: takes fixes out of source packages.

use super::{Format, print, print_json};
use anyhow::{Context, Result};
use livepatch_build::cache::Cache;
use livepatch_build::extract::{self, Versions};
use livepatch_build::narrate::say;
use livepatch_build::status::Status;
use livepatch_extract::{Candidate, Confidence};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["files", "cve", "list"]))]
pub(super) struct Arguments {
    /// Source package, such as linux-source-6.1.
    #[arg(long)]
    package: String,
    /// Version without the fix.
    #[arg(long)]
    from: String,
    /// Version with the fix.
    #[arg(long)]
    to: String,
    /// The candidate patch for this CVE, by what the changelog says of it.
    #[arg(long, value_name = "CVE-ID")]
    cve: Option<String>,
    /// Every CVE that the changelog names between the versions, with files, confidence and why.
    #[arg(long)]
    list: bool,
    /// With --list: write a patch for each CVE into this folder, CVE-ID.patch.
    #[arg(long, value_name = "FOLDER", requires = "list")]
    output: Option<PathBuf>,
    /// How to print what is found; a patch itself is printed as it is in text.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Files within the kernel tree whose whole difference is wanted.
    files: Vec<String>,
}

/// What `--list --format json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct List<'a> {
    /// Always 1.
    schema: u32,
    /// Source package.
    package: &'a str,
    /// Version without the fixes.
    from: &'a str,
    /// Version with them.
    to: &'a str,
    /// A candidate for each CVE that the changelog names.
    candidates: &'a [Candidate],
}

/// What `--cve --format json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct One<'a> {
    /// Always 1.
    schema: u32,
    /// The candidate.
    #[serde(flatten)]
    candidate: &'a Candidate,
    /// Its patch, a unified diff.
    patch: &'a str,
}

pub(super) fn run(cache: &Cache, arguments: Arguments) -> Result<Status> {
    let Arguments { package, from, to, cve, list, output, format, files } = arguments;
    let versions = Versions { package, from, to };
    if list {
        return list_all(cache, &versions, output.as_deref(), format);
    }
    let Some(cve) = cve else {
        print(&extract::files(cache, &versions, &files)?)?;
        return Ok(Status::Done);
    };
    let candidate = extract::cve(cache, &versions, &cve)?;
    match format {
        Format::Json => print_json(&One { schema: 1, candidate: &candidate, patch: &candidate.patch })?,
        Format::Text => {
            say(account(&candidate));
            print(&candidate.patch)?;
        }
    }
    let is_found = candidate.confidence != Confidence::None;
    Ok(if is_found { Status::Done } else { Status::Refused })
}

fn list_all(cache: &Cache, versions: &Versions, output: Option<&Path>, format: Format) -> Result<Status> {
    let update = extract::update(cache, versions)?;
    let candidates: Vec<Candidate> =
        update.cves().into_iter().filter_map(|cve| update.candidate(cve)).collect();
    if let Some(folder) = output {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        for candidate in candidates.iter().filter(|candidate| !candidate.patch.is_empty()) {
            let path = folder.join(format!("{}.patch", candidate.cve));
            std::fs::write(&path, &candidate.patch).with_context(|| path.display().to_string())?;
        }
    }
    let Versions { package, from, to } = versions;
    match format {
        Format::Json => print_json(&List { schema: 1, package, from, to, candidates: &candidates })?,
        Format::Text => candidates.iter().try_for_each(|candidate| {
            print(&format!(
                "{}  {:5}  {}\n",
                candidate.cve,
                word(candidate.confidence),
                candidate.files.join(" ")
            ))
        })?,
    }
    let count = |wanted| candidates.iter().filter(|candidate| candidate.confidence == wanted).count();
    say(format!(
        "{} CVEs: {} clean, {} split, {} mixed, {} without a changed line",
        candidates.len(),
        count(Confidence::Clean),
        count(Confidence::Split),
        count(Confidence::Mixed),
        count(Confidence::None)
    ));
    Ok(Status::Done)
}

fn account(candidate: &Candidate) -> String {
    let mut text = format!(
        "{} ({})\n{}: {}",
        candidate.cve,
        candidate.subjects.join("; "),
        word(candidate.confidence),
        candidate.why
    );
    for subject in &candidate.also {
        text += &format!("\nthe patch also has changes of: {subject}");
    }
    text
}

fn word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Clean => "clean",
        Confidence::Split => "split",
        Confidence::Mixed => "mixed",
        Confidence::None => "none",
    }
}
