//! This workspace: its root, its target directory, its programs.

use crate::narrator::Step;
use anyhow::{Context as _, Result};
use livepatch_e2e::{Programs, run_logged, workspace_root};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A cargo command in the workspace's root, with the cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(workspace_root());
    command
}

/// A fresh directory below target, with room for logs.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn fresh_directory(name: &str) -> Result<PathBuf> {
    let path = target_directory().join(name);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Where cargo builds.
pub(crate) fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from)
}

/// Builds every program once, with the profile that the tests use too.
///
/// # Errors
/// The compiler's, with the log's path.
pub(crate) fn build_programs(log: &Path, step: &Step) -> Result<Programs> {
    // The dots of a plain cargo build are lines on standard error here.
    run_logged(cargo().args(["build", "--workspace", "--bins"]), log, &|line| step.progress(line))?;
    Programs::find()
}
