//! `cargo xtask screenshots`: every page of the dashboard as a picture, light and dark, wide and narrow.

use crate::{apt, narrator::Narrator, workspace};
use anyhow::{Result, ensure};
use std::process::Stdio;

/// The tests that walk through all pages take the pictures as they go.
const WALK: [&str; 5] = ["test", "--package", "livepatch-server", "--test", "browser"];

/// `cargo xtask screenshots`.
pub(crate) fn run() -> Result<()> {
    let mut narrator = Narrator::new();
    let log = workspace::fresh_directory("xtask-screenshots")?.join("screenshots.log");
    narrator.step("Debian packages", |step| apt::ensure(&apt::needed_by_browser(), &log, step))?;
    let folder = workspace::fresh_directory("screenshots")?;
    narrator.open_step("walk through the dashboard", || {
        let mut walk = workspace::cargo();
        walk.args(WALK).env("LIVEPATCH_SCREENSHOTS", &folder).stdin(Stdio::null());
        let status = walk.status()?;
        ensure!(status.success(), "the walk ended with {status}; its words above say where");
        Ok(())
    })?;
    narrator.heading(&format!("pictures: {}", folder.display()));
    Ok(())
}
