//! What `canonical-livepatch status` prints, for tools that read that: Ubuntu Pro, Landscape, desktop updaters.
//!
//! The keys are those that these tools read (Ubuntu Pro client, `uaclient/livepatch.py`; Landscape client,
//! `landscape/client/manager/livepatch.py`); JSON and YAML have different ones.

use crate::{
    coverage::KernelState,
    status::{LivepatchStatus, Status},
};
use jiff::{SignedDuration, Timestamp};
use livepatch_api::PatchState;
use livepatch_host::Surroundings;
use serde_json::{Value, json};
use std::time::Duration;

/// What the Canonical client says on standard error, and tools look for.
pub const NOT_ENABLED: &str =
    "Machine is not enabled. Please run 'sudo livepatch enable' with a token from your operator.";

/// The JSON document. `uptime`: time since boot.
pub(crate) fn status(
    status: &Status,
    surroundings: &Surroundings,
    uptime: Duration,
    now: Timestamp,
) -> Value {
    let boot = SignedDuration::try_from(uptime).ok().and_then(|uptime| now.checked_sub(uptime).ok());
    let second = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time).to_string();
    let mut kernel = json!({
        "Kernel": kernel_name(status),
        "Running": true,
        "Supported": supported(status.kernel_status.state),
        "Livepatch": livepatch(status),
    });
    if let Some(day) = status.kernel_status.until {
        kernel["UpgradeRequiredDate"] = json!(day.to_string());
    }
    json!({
        "Client-Version": status.client_version,
        "Machine-Id": status.machine_id.clone().unwrap_or_default(),
        "Architecture": status.kernel.arch,
        "CPU-Model": surroundings.cpu_model.clone().unwrap_or_default(),
        "Last-Check": status.last_check.as_ref().map(|check| second(check.at)).unwrap_or_default(),
        "Boot-Time": boot.map(second).unwrap_or_default(),
        "Uptime": uptime.as_secs().to_string(),
        "Status": [kernel],
        "tier": status.tier.clone().unwrap_or_default(),
    })
}

/// `5.4.0-216.236-generic` on Ubuntu, where the package's version is the kernel's name; else `uname -r`.
fn kernel_name(status: &Status) -> String {
    let kernel = &status.kernel_status;
    match (kernel.distribution.as_deref(), &kernel.package_version) {
        (Some("ubuntu"), Some(version)) => format!("{version}-{}", status.kernel.release.flavour()),
        _ => status.kernel.release.to_string(),
    }
}

fn livepatch(status: &Status) -> Value {
    let applied = status.livepatch.as_ref();
    let mut livepatch = json!({
        "CheckState": match status.state {
            PatchState::Unchecked | PatchState::Disabled => "needs-check",
            PatchState::CheckFailed => "check-failed",
            _ => "checked",
        },
        "State": patch_state(status.state, applied.is_some()),
        "Version": applied.map(version).unwrap_or_default(),
    });
    if let Some(applied) = applied.filter(|applied| !applied.fixes.is_empty()) {
        let fix = |fix: &crate::FixStatus| json!({"Name": fix.id, "Description": fix.summary, "Bug": "", "Patched": true});
        livepatch["Fixes"] = applied.fixes.iter().map(fix).collect();
    }
    livepatch
}

/// `N.M`: our versions count by one.
fn version(livepatch: &LivepatchStatus) -> String {
    livepatch.version.map(|version| format!("{version}.1")).unwrap_or_default()
}

fn supported(state: KernelState) -> &'static str {
    match state {
        KernelState::Supported | KernelState::SupportedUntil => "supported",
        KernelState::NotCovered => "unsupported",
        KernelState::SeriesEnded => "kernel-end-of-life",
        KernelState::WindowOver => "kernel-upgrade-required",
        KernelState::Unknown => "unknown",
    }
}

fn patch_state(state: PatchState, applied: bool) -> &'static str {
    match state {
        PatchState::Soaking | PatchState::Applied => "applied",
        PatchState::AppliedWithBug => "applied-with-bug",
        PatchState::Applying => "applying",
        PatchState::NothingToApply => "nothing-to-apply",
        PatchState::Unapplied => "unapplied",
        PatchState::ApplyFailed => "apply-failed",
        PatchState::RebootNeeded => "kernel-upgrade-required",
        PatchState::CheckFailed | PatchState::Unchecked | PatchState::Disabled if applied => "applied",
        PatchState::CheckFailed | PatchState::Unchecked | PatchState::Disabled => "unknown",
    }
}

/// The JSON document with the names that the YAML form has.
pub fn canonical_yaml(json: &Value) -> Value {
    let kernel = &json["Status"][0];
    let livepatch = &kernel["Livepatch"];
    let fixes = livepatch["Fixes"].as_array().into_iter().flatten();
    let lines = fixes.map(|fix| format!("* {}\n  {}\n", text(&fix["Name"]), text(&fix["Description"])));
    json!({
        "client-version": json["Client-Version"],
        "machine-id": json["Machine-Id"],
        "architecture": json["Architecture"],
        "cpu-model": json["CPU-Model"],
        "last-check": json["Last-Check"],
        "boot-time": json["Boot-Time"],
        "uptime": json["Uptime"],
        "status": [{
            "kernel": kernel["Kernel"],
            "running": kernel["Running"],
            "supported": kernel["Supported"],
            "upgradeRequiredDate": kernel["UpgradeRequiredDate"],
            "livepatch": {
                "checkState": livepatch["CheckState"],
                "patchState": livepatch["State"],
                "version": livepatch["Version"],
                "fixes": lines.collect::<String>(),
            },
        }],
        "tier": json["tier"],
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn machine(state: &str, kernel: &str) -> Status {
        serde_json::from_value(json!({
            "schema": 1, "client_version": "0.1.0", "machine_id": "m-1", "server": "https://s", "tier": "stable",
            "kernel": {"release": "5.4.0-216-generic", "build_id": "ab".repeat(20), "arch": "x86_64"},
            "kernel_status": {"state": kernel, "sentence": "", "next_step": "", "distribution": "ubuntu",
                "package_version": "5.4.0-216.236", "until": "2027-01-31", "days_left": 60},
            "state": state, "sentence": "",
            "livepatch": {"name": "livepatch_x_113", "version": 113, "sha256": null, "fixes":
                [{"id": "CVE-2026-1", "summary": "one"}], "functions": [], "applied_at": null, "confirmed": true},
            "taint": {"value": 0, "letters": "", "flags": [], "explanation": ""},
            "last_check": {"at": "2026-11-24T07:00:00Z", "result": "ok", "code": null, "message": null, "check_in": null},
            "next_check": null, "last_failure": null, "tuf": null, "blocked": [], "next_step": ""
        }))
        .unwrap()
    }

    fn document(state: &str, kernel: &str) -> Value {
        let surroundings = Surroundings { cpu_model: Some("A CPU".into()), ..Surroundings::default() };
        let now = "2026-11-24T08:00:00.5Z".parse().unwrap();
        status(&machine(state, kernel), &surroundings, Duration::from_secs(3600), now)
    }

    #[test]
    fn the_documents_that_ubuntu_pro_and_landscape_read() {
        let json = document("applied", "supported-until");
        let expected = json!({
            "Client-Version": "0.1.0", "Machine-Id": "m-1", "Architecture": "x86_64", "CPU-Model": "A CPU",
            "Last-Check": "2026-11-24T07:00:00Z", "Boot-Time": "2026-11-24T07:00:00Z", "Uptime": "3600", "tier": "stable",
            "Status": [{
                "Kernel": "5.4.0-216.236-generic", "Running": true, "Supported": "supported",
                "UpgradeRequiredDate": "2027-01-31",
                "Livepatch": {"CheckState": "checked", "State": "applied", "Version": "113.1",
                    "Fixes": [{"Name": "CVE-2026-1", "Description": "one", "Bug": "", "Patched": true}]},
            }],
        });
        assert_eq!(json, expected);
        let yaml = canonical_yaml(&json);
        assert_eq!(yaml["status"][0]["livepatch"]["patchState"], "applied");
        assert_eq!(yaml["status"][0]["livepatch"]["fixes"], "* CVE-2026-1\n  one\n");
        assert_eq!(yaml["status"][0]["upgradeRequiredDate"], "2027-01-31");
    }

    #[test]
    fn every_state_has_the_word_that_they_know() {
        for (ours, theirs) in [
            ("applied", "applied"),
            ("soaking", "applied"),
            ("applied-with-bug", "applied-with-bug"),
            ("applying", "applying"),
            ("nothing-to-apply", "nothing-to-apply"),
            ("unapplied", "unapplied"),
            ("apply-failed", "apply-failed"),
            ("reboot-needed", "kernel-upgrade-required"),
            ("check-failed", "applied"),
        ] {
            let json = document(ours, "supported");
            assert_eq!(json["Status"][0]["Livepatch"]["State"], theirs, "{ours}");
        }
        for (ours, theirs) in [
            ("supported", "supported"),
            ("supported-until", "supported"),
            ("not-covered", "unsupported"),
            ("series-ended", "kernel-end-of-life"),
            ("window-over", "kernel-upgrade-required"),
            ("unknown", "unknown"),
        ] {
            assert_eq!(document("applied", ours)["Status"][0]["Supported"], theirs, "{ours}");
        }
        assert_eq!(
            document("check-failed", "supported")["Status"][0]["Livepatch"]["CheckState"],
            "check-failed"
        );
    }
}
