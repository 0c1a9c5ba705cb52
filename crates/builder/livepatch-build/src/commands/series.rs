//! `livepatch-build series`: looks after a directory of fixes.

use super::{Format, print, print_json};
use anyhow::{Context, Result};
use clap::Subcommand;
use livepatch_build::pipeline::MANIFEST;
use livepatch_build::series::Series;
use livepatch_build::status::Status;
use livepatch_manifest::Manifest;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Check a directory of fixes, and print what the livepatch made of it will contain.
    #[command(after_help = FORM)]
    Check {
        /// The directory.
        folder: PathBuf,
        /// Build folder of the version before: the series must be later and lose none of its fixes.
        #[arg(long, value_name = "FOLDER")]
        previous: Option<PathBuf>,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

/// How the file is written.
const FORM: &str = "\
The directory holds patches and a file named 'series' (TOML; # begins a comment), which lists them in the order in
which they apply. 'build --series' applies all of them, so each version contains the earlier ones:

  version = 2     # of the livepatch; without it, the number of fixes

  [[fix]]
  patch = \"0001-time-namespaces.patch\"    # a file beside this one
  ids = [\"CVE-2026-93146\"]                # CVEs, or a distribution's bugs
  summary = \"time namespaces: nanoseconds of an offset are not validated\"
  notice = \"LSN-0101-1\"                   # optional
  author = \"Jane Doe <jane@example.org>\"  # optional
  source = { package = \"linux-source-6.1\", from = \"6.1.190-1\", to = \"6.1.192-1\" }  # optional
  accept = [\"layout-changed:loop_device\"]  # optional: accepted findings, as 'build --accept' takes them";

pub(super) fn run(action: Action) -> Result<Status> {
    let Action::Check { folder, previous, format } = action;
    let series = Series::read(&folder)?;
    if let Some(folder) = previous {
        let path = folder.join(MANIFEST);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot use {}", path.display()))?;
        series.check_follows(&Manifest::parse(&bytes)?)?;
    }
    match format {
        Format::Json => print_json(&series)?,
        Format::Text => print(&text(&series))?,
    }
    Ok(Status::Done)
}

fn text(series: &Series) -> String {
    let mut text = format!("version {}, {} patches\n", series.version, series.entries.len());
    for entry in &series.entries {
        text += &format!("{}  {}  {}\n", entry.patch, entry.ids.join(", "), entry.summary);
    }
    text
}
