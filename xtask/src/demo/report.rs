//! `target/demo/report.json`: what the demo did and saw.

use super::fixes::{Choice, Origin};
use crate::{kernels::SOURCE, narrator::Record};
use anyhow::{Context as _, Result};
use livepatch_api::MachineSummary;
use livepatch_e2e::KernelState;
use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, FixSource, PatchedObject};
use livepatch_vm::{Oops, cache_directory};
use serde::Serialize;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// The whole report. Versioned, since others may read it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Always 1.
    pub(crate) schema: u32,
    pub(crate) kernel: KernelIdentity,
    pub(crate) kernel_package_version: String,
    pub(crate) fix: FixReport,
    pub(crate) objects: Vec<PatchedObject>,
    pub(crate) module: ModuleReport,
    /// Versions of the TUF metadata that published the module.
    pub(crate) tuf: TufReport,
    /// The builder's own report: changes, timings.
    pub(crate) build: Value,
    pub(crate) unpatched: Crash,
    pub(crate) machine: MachineReport,
    pub(crate) steps: Vec<Record>,
    pub(crate) total_seconds: f64,
    /// Part of the total.
    pub(crate) downloading_seconds: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct FixReport {
    pub(crate) id: String,
    pub(crate) summary: String,
    pub(crate) why_this_one: String,
    /// The distribution's changelog line; absent for an example of ours.
    pub(crate) changelog: Option<String>,
    /// Source package with the versions without and with the fix; absent for an example of ours.
    pub(crate) source: Option<FixSource>,
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ModuleReport {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) signer: Option<Digest>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TufReport {
    pub(crate) targets: u64,
    pub(crate) snapshot: u64,
    pub(crate) timestamp: u64,
}

/// What the reproducer did to the unpatched kernel.
#[derive(Debug, Serialize)]
pub(crate) struct Crash {
    pub(crate) verdict: String,
    pub(crate) oops: Option<Oops>,
}

/// The protected machine, as its kernel, its client and the server see it.
#[derive(Debug, Serialize)]
pub(crate) struct MachineReport {
    pub(crate) before: KernelState,
    pub(crate) after_apply: KernelState,
    /// After the reproducer ran on the livepatched kernel.
    pub(crate) after_reproducer: KernelState,
    pub(crate) after_undo: KernelState,
    pub(crate) verdict: String,
    pub(crate) status: Value,
    pub(crate) server: MachineSummary,
}

impl FixReport {
    /// What was chosen, with the distribution's own words for it.
    pub(crate) fn of(choice: &Choice) -> Self {
        let fix = &choice.fix;
        let (files, changelog) = match fix.origin {
            Origin::Packages { to, file, changelog_mark, .. } => {
                (vec![file.to_owned()], changelog_line(to, changelog_mark))
            }
            Origin::Example { patch } => (vec![format!("examples/patches/{patch}")], None),
        };
        Self {
            id: fix.id.to_owned(),
            summary: fix.summary.to_owned(),
            why_this_one: choice.why.clone(),
            changelog,
            source: fix.source(),
            files,
        }
    }
}

impl Report {
    /// Writes it as readable JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }
}

/// The entry of the distribution's changelog that belongs to the fix, from the source package in the cache.
fn changelog_line(version: &str, mark: &str) -> Option<String> {
    let package = cache_directory().join("downloads").join(format!("{SOURCE}_{version}_all.deb"));
    let inside = format!("./usr/share/doc/{SOURCE}/changelog.Debian.gz");
    let script = r#"dpkg-deb --fsys-tarfile "$1" | tar -xO --occurrence=1 "$2" | zcat"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(package).arg(&inside).stderr(Stdio::null());
    changelog_entry(&String::from_utf8_lossy(&command.output().ok()?.stdout), mark)
}

/// Entries begin with `*` or `-` and go on in the lines that do not.
fn changelog_entry(changelog: &str, mark: &str) -> Option<String> {
    let begins = |line: &str| line.trim_start().starts_with(['*', '-']);
    let lines: Vec<&str> = changelog.lines().collect();
    let at = lines.iter().position(|line| line.contains(mark))?;
    let first = (0..=at).rev().find(|&number| begins(lines[number]))?;
    let entry: Vec<&str> = lines[first..=at].iter().map(|line| line.trim()).collect();
    Some(entry.join(" ").trim_start_matches(['*', '-', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_entry_is_whole() {
        let text = "linux (2) x\n\n  * New update:\n    - a: first (CVE-1)\n    - time/namespace: Validate\n      offsets (CVE-2)\n";
        assert_eq!(
            changelog_entry(text, "CVE-2").as_deref(),
            Some("time/namespace: Validate offsets (CVE-2)")
        );
        assert_eq!(changelog_entry(text, "CVE-1").as_deref(), Some("a: first (CVE-1)"));
        assert_eq!(changelog_entry(text, "CVE-3"), None);
    }
}
