//! Text for people. Short and honest: what is, what it means, what to do.

mod questions;

pub(crate) use questions::{check_in, cves, eligibility, history, mitigations, secure_boot, upgrade};

use crate::exit::Severity;
use jiff::Timestamp;
use livepatch_agent::{Answer, BlockedDigest, CheckStatus, LivepatchStatus, Status, Upgrade, UpgradeAnswer};
use livepatch_api::PatchState;
use std::fmt::Write as _;

/// A line of a running operation.
pub(crate) fn step(name: &str, text: &str) -> String {
    format!("{name:<10}  {text}")
}

/// The last line of a change.
pub(crate) fn conclusion(status: &Status) -> String {
    line("state", &status.sentence)
}

/// The answer to a change as programs get it.
pub(crate) fn answer(answer: &Answer) -> serde_json::Value {
    serde_json::json!({"status": answer.status, "failure": answer.failure})
}

/// The status; `verbose`: everything that is known.
pub(crate) fn status(status: &Status, verbose: bool, now: Timestamp) -> String {
    let mut lines = vec![line("state", &status.sentence), line("kernel", &kernel(status, verbose))];
    lines.push(line("coverage", &status.kernel_status.sentence));
    match &status.livepatch {
        Some(livepatch) => lines.extend(livepatch_lines(livepatch, verbose, now)),
        None => lines.push(line("livepatch", "none is applied")),
    }
    if let (PatchState::ApplyFailed, Some(failure)) = (status.state, &status.last_failure) {
        lines.push(line("failure", &format!("{}: {}", failure.code, failure.message)));
    }
    if verbose || status.taint.value.0 != 0 {
        lines.push(line("taint", &taint(status)));
    }
    if let Some(check) = &status.last_check {
        lines.extend(check_lines(check, now));
    }
    if let (Some(server), Some(tier)) = (&status.server, &status.tier) {
        lines.push(line("server", &format!("{server}, tier {tier}")));
    }
    if verbose {
        lines.extend(verbose_lines(status));
    }
    for entry in &status.blocked {
        let digest = entry.sha256.short();
        lines.push(line("blocked", &format!("{digest} {}: {}", entry.name, entry.reason)));
    }
    lines.push(line("next step", &status.next_step));
    lines.join("\n")
}

fn kernel(status: &Status, verbose: bool) -> String {
    let mut text = status.kernel.release.to_string();
    if let Some(version) = &status.kernel_status.package_version {
        let _ =
            write!(text, ", {} {version}", status.kernel_status.distribution.as_deref().unwrap_or("package"));
    }
    if verbose {
        let _ = write!(text, " (build id {})", status.kernel.build_id);
    }
    text
}

fn verbose_lines(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(id) = &status.machine_id {
        lines.push(line("machine id", id));
    }
    if let Some(next) = status.next_check {
        lines.push(line("next check", &next.to_string()));
    }
    if let Some(versions) = &status.tuf {
        lines.push(line("metadata", &versions.to_string()));
    }
    lines.push(line("client", &status.client_version));
    lines
}

/// The line of `status --check`.
pub(crate) fn monitoring(status: &Status, upgrade: &Upgrade, severity: Severity) -> String {
    let version = status.livepatch.as_ref().and_then(|livepatch| livepatch.version).unwrap_or_default();
    let mut text = format!("LIVEPATCH {} - {}", severity.word(), status.sentence);
    if upgrade.answer == UpgradeAnswer::Required {
        let _ = write!(text, "; {}", upgrade.sentence);
    }
    let days = status.kernel_status.days_left.map(|days| format!(" window_days={days}")).unwrap_or_default();
    let _ = write!(text, " | version={version} blocked={}{days}", status.blocked.len());
    text
}

/// Why a livepatch is blocked, and what to do.
pub(crate) fn explain_blocked(entry: &BlockedDigest) -> String {
    let evidence = entry.evidence.as_deref().unwrap_or("none: the kernel left no words");
    [
        line("livepatch", &entry.name),
        line("digest", entry.sha256.as_str()),
        line("blocked", &entry.at.to_string()),
        line("reason", &entry.reason),
        line("evidence", evidence),
        line(
            "meaning",
            "this machine does not load it again by itself; a newer version is applied as usual, and nothing else is held back",
        ),
        line("next step", &format!(
            "look at the kernel's log of that time (journalctl -k -b -1) and tell your operator; when you are sure, \
             `livepatch blocked clear {}`",
            entry.sha256.short()
        )),
    ]
    .join("\n")
}

/// The blocked digests.
pub(crate) fn blocked(entries: &[BlockedDigest]) -> String {
    if entries.is_empty() {
        return "no livepatch is blocked on this machine".to_owned();
    }
    entries.iter().fold(String::new(), |mut text, entry| {
        let _ = writeln!(text, "{}\n  {}, {}\n  {}", entry.sha256, entry.name, entry.at, entry.reason);
        text
    })
}

pub(crate) fn line(label: &str, text: &str) -> String {
    format!("{label:<10}  {text}")
}

fn livepatch_lines(livepatch: &LivepatchStatus, verbose: bool, now: Timestamp) -> Vec<String> {
    let mut text = livepatch.name.clone();
    if let Some(version) = livepatch.version {
        let _ = write!(text, ", version {version}");
    }
    match &livepatch.sha256 {
        Some(sha256) => drop(write!(text, " ({})", sha256.short())),
        None => text += " (not from this client)",
    }
    if let Some(at) = livepatch.applied_at {
        let _ = write!(text, ", applied {}", ago(at, now));
    }
    let mut lines = vec![line("livepatch", &text)];
    for (number, fix) in livepatch.fixes.iter().enumerate() {
        let label = if number == 0 { "fixes" } else { "" };
        lines.push(line(label, &format!("{}  {}", fix.id, fix.summary)));
    }
    if verbose && !livepatch.functions.is_empty() {
        lines.push(line("functions", &livepatch.functions.join(", ")));
    }
    lines
}

fn taint(status: &Status) -> String {
    let taint = &status.taint;
    if taint.value.0 == 0 {
        return taint.explanation.clone();
    }
    format!("{} ({}): {}", taint.letters, taint.value.0, taint.explanation)
}

fn check_lines(check: &CheckStatus, now: Timestamp) -> Vec<String> {
    let mut text = format!("{}, {}", ago(check.at, now), check.result);
    if let (Some(code), Some(message)) = (&check.code, &check.message) {
        let _ = write!(text, ": {code}: {message}");
    }
    let mut lines = vec![line("last check", &text)];
    if let Some(failure) = &check.check_in {
        lines.push(line("check-in", &format!("failed: {}: {}", failure.code, failure.message)));
    }
    lines
}

/// How long ago, roughly; the exact time is in the JSON.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let (count, unit) = match seconds {
        ..0 => return at.to_string(),
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn times_are_rough() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!(at(1), "1 second ago");
        assert_eq!(at(119), "119 seconds ago");
        assert_eq!(at(121), "2 minutes ago");
        assert_eq!(at(7200), "2 hours ago");
        assert_eq!(at(864_000), "10 days ago");
        assert!(at(-60).starts_with("1970-01-12T"), "the clock was set back");
    }
}
