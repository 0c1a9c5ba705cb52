//! Text for people. Short and honest: what is, what it means, what to do.

use jiff::Timestamp;
use livepatch_agent::{Answer, BlockedDigest, CheckStatus, LivepatchStatus, Status};
use livepatch_api::PatchState;
use std::fmt::Write as _;

/// A line of a running operation.
pub(crate) fn step(name: &str, text: &str) -> String {
    format!("{name:<10}  {text}")
}

/// The last line of a change.
pub(crate) fn conclusion(status: &Status) -> String {
    line("state", sentence(status.state))
}

pub(crate) fn answer_as_json(answer: &Answer) -> serde_json::Result<String> {
    let value = serde_json::json!({"status": answer.status, "failure": answer.failure});
    serde_json::to_string_pretty(&value)
}

/// The whole status.
pub(crate) fn status(status: &Status, now: Timestamp) -> String {
    let mut lines = vec![
        line("state", sentence(status.state)),
        line("kernel", &format!("{} (build id {})", status.kernel.release, status.kernel.build_id)),
    ];
    match &status.livepatch {
        Some(livepatch) => lines.extend(livepatch_lines(livepatch, now)),
        None => lines.push(line("livepatch", "none is applied")),
    }
    if let (PatchState::ApplyFailed, Some(failure)) = (status.state, &status.last_failure) {
        lines.push(line("failure", &format!("{}: {}", failure.code, failure.message)));
    }
    lines.push(line("taint", &taint(status)));
    if let Some(check) = &status.last_check {
        lines.extend(check_lines(check, now));
    }
    if let (Some(server), Some(tier)) = (&status.server, &status.tier) {
        lines.push(line("server", &format!("{server}, tier {tier}")));
    }
    if let Some(id) = &status.machine_id {
        lines.push(line("machine id", id));
    }
    for entry in &status.blocked {
        let digest = entry.sha256.short();
        lines.push(line("blocked", &format!("{digest} {}: {}", entry.name, entry.reason)));
    }
    lines.push(line("next step", &status.next_step));
    lines.join("\n")
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

fn line(label: &str, text: &str) -> String {
    format!("{label:<10}  {text}")
}

fn sentence(state: PatchState) -> &'static str {
    match state {
        PatchState::Disabled => "disabled: this machine is not enrolled with a livepatch server",
        PatchState::Unchecked => "unchecked: enrolled, and the repository was not looked at yet",
        PatchState::NothingToApply => "nothing to apply: there is no livepatch for this kernel and tier",
        PatchState::Unapplied => "unapplied: there is a livepatch, and it is not applied",
        PatchState::Applying => "applying: the kernel's transition is running",
        PatchState::Soaking => "applied, and watched for trouble for a while",
        PatchState::Applied => "applied and confirmed",
        PatchState::ApplyFailed => "apply failed: the kernel runs as it did before the attempt",
        PatchState::CheckFailed => "check failed: what was applied stays applied, and nothing new comes in",
    }
}

fn livepatch_lines(livepatch: &LivepatchStatus, now: Timestamp) -> Vec<String> {
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
    if !livepatch.functions.is_empty() {
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

    #[test]
    fn a_status_of_a_protected_machine() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "schema": 1, "client_version": "0.1.0", "machine_id": "m", "server": "https://s", "tier": "edge",
            "kernel": {"release": "6.1.0-55-cloud-amd64", "build_id": "ab".repeat(20), "arch": "x86_64"},
            "state": "applied",
            "livepatch": {"name": "livepatch_6_1_0_55_cloud_amd64_1", "version": 1, "sha256": "c".repeat(64),
                "fixes": [{"id": "CVE-2026-1", "summary": "one"}, {"id": "CVE-2026-2", "summary": "two"}],
                "functions": ["vmlinux:f"], "applied_at": "2026-11-24T06:00:00Z", "confirmed": true},
            "taint": {"value": 36864, "letters": "OK", "flags": [], "explanation": "its own"},
            "last_check": {"at": "2026-11-24T07:00:00Z", "result": "ok", "code": null, "message": null,
                "check_in": null},
            "next_check": null, "last_failure": null, "tuf": null, "blocked": [], "next_step": "nothing"
        }))
        .unwrap();
        let text = super::status(&status, "2026-11-24T07:03:00Z".parse().unwrap());
        let expected = format!(
            "state       applied and confirmed\n\
             kernel      6.1.0-55-cloud-amd64 (build id {})\n\
             livepatch   livepatch_6_1_0_55_cloud_amd64_1, version 1 (cccccccccccc), applied 63 minutes ago\n\
             fixes       CVE-2026-1  one\n\
             \u{20}           CVE-2026-2  two\n\
             functions   vmlinux:f\n\
             taint       OK (36864): its own\n\
             last check  3 minutes ago, ok\n\
             server      https://s, tier edge\n\
             machine id  m\n\
             next step   nothing",
            "ab".repeat(20)
        );
        assert_eq!(text, expected);
    }
}
