//! The status as Prometheus reads it (the text format, version 0.0.4): for the textfile collector, or a scrape of the socket.

use crate::{
    coverage::KernelState,
    status::Status,
    upgrade::{Upgrade, UpgradeAnswer},
};
use jiff::Timestamp;
use livepatch_api::PatchState;
use serde::Serialize;
use std::fmt::Write as _;

const PATCH_STATES: [PatchState; 11] = [
    PatchState::Disabled,
    PatchState::Unchecked,
    PatchState::NothingToApply,
    PatchState::Unapplied,
    PatchState::Applying,
    PatchState::Soaking,
    PatchState::Applied,
    PatchState::AppliedWithBug,
    PatchState::ApplyFailed,
    PatchState::CheckFailed,
    PatchState::RebootNeeded,
];
const KERNEL_STATES: [KernelState; 6] = [
    KernelState::Supported,
    KernelState::SupportedUntil,
    KernelState::NotCovered,
    KernelState::SeriesEnded,
    KernelState::WindowOver,
    KernelState::Unknown,
];

/// The metrics of a machine. `upgrade`: whether the kernel must be updated, where it was asked.
pub fn prometheus(status: &Status, upgrade: Option<&Upgrade>) -> String {
    let mut page = Page::default();
    let kernel = &status.kernel;
    let info = format!(
        "client_version=\"{}\",release=\"{}\",build_id=\"{}\",tier=\"{}\"",
        escaped(&status.client_version),
        escaped(kernel.release.as_str()),
        kernel.build_id,
        escaped(status.tier.as_deref().unwrap_or_default())
    );
    page.head("livepatch_info", "The client and the running kernel.");
    page.sample("livepatch_info", &info, 1);
    page.head("livepatch_state", "State of livepatching: 1 for the state that holds.");
    for state in PATCH_STATES {
        page.sample(
            "livepatch_state",
            &format!("state=\"{}\"", word(&state)),
            i64::from(state == status.state),
        );
    }
    page.head(
        "livepatch_kernel_state",
        "Whether livepatches are made for the running kernel: 1 for the state that holds.",
    );
    for state in KERNEL_STATES {
        let holds = i64::from(state == status.kernel_status.state);
        page.sample("livepatch_kernel_state", &format!("state=\"{}\"", word(&state)), holds);
    }
    if let Some(days) = status.kernel_status.days_left {
        page.one(
            "livepatch_kernel_window_days",
            "Days until the running kernel gets no more livepatches.",
            days.into(),
        );
    }
    let applied = status.livepatch.as_ref();
    let version = applied.and_then(|livepatch| livepatch.version).unwrap_or_default();
    page.one(
        "livepatch_applied_version",
        "Version of the applied livepatch; 0 when none is.",
        version.into(),
    );
    let fixes = applied.map_or(0, |livepatch| livepatch.fixes.len());
    page.one("livepatch_applied_fixes", "Problems that the applied livepatch mends.", count(fixes));
    if let Some(at) = applied.and_then(|livepatch| livepatch.applied_at) {
        page.one("livepatch_applied_timestamp_seconds", "When the livepatch was applied.", at.as_second());
    }
    if let Some(check) = &status.last_check {
        page.time("livepatch_last_check_timestamp_seconds", "When the repository was looked at.", check.at);
        let good = i64::from(check.code.is_none());
        page.one("livepatch_last_check_success", "Whether the repository could be read and trusted.", good);
    }
    page.one(
        "livepatch_blocked",
        "Livepatches that are blocked on this machine.",
        count(status.blocked.len()),
    );
    page.one(
        "livepatch_kernel_taint",
        "The kernel's taint mask.",
        i64::try_from(status.taint.value.0).unwrap_or(i64::MAX),
    );
    if let Some(upgrade) = upgrade.filter(|upgrade| upgrade.answer != UpgradeAnswer::CannotTell) {
        let required = i64::from(upgrade.answer == UpgradeAnswer::Required);
        page.one(
            "livepatch_kernel_upgrade_required",
            "Whether the kernel must be updated; absent when it cannot be told.",
            required,
        );
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &str, value: i64) {
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }

    fn one(&mut self, name: &str, help: &str, value: i64) {
        self.head(name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn time(&mut self, name: &str, help: &str, at: Timestamp) {
        self.one(name, help, at.as_second());
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A value's word in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
