//! Text for the questions beside the status.

use super::line;
use livepatch_agent::{
    CheckInPreview, CveList, CveState, Eligibility, FindingResult, History, MitigationList, MitigationStatus,
    SecureBootStatus, Telemetry, Upgrade,
};
use std::fmt::Write as _;

/// `livepatch check`.
pub(crate) fn eligibility(found: &Eligibility) -> String {
    let mut text = String::new();
    for finding in &found.findings {
        let mark = match finding.result {
            FindingResult::Good => "ok",
            FindingResult::Warning => "warning",
            FindingResult::Bad => "no",
            FindingResult::Unknown => "unknown",
        };
        let _ = writeln!(text, "{mark:<8}  {:<18}  {}", finding.name, finding.sentence);
        if let Some(mend) = finding.mend.as_ref().filter(|_| finding.result != FindingResult::Good) {
            let _ = writeln!(text, "{:<8}  {:<18}  → {mend}", "", "");
        }
    }
    let kernel = &found.kernel.release;
    let conclusion = if found.eligible { "can be livepatched" } else { "cannot be livepatched as it is" };
    let _ = write!(text, "\nthis machine, with {kernel}, {conclusion}");
    text
}

/// `livepatch history`.
pub(crate) fn history(history: &History, lines: usize) -> String {
    if history.events.is_empty() {
        return "nothing has happened on this machine yet".to_owned();
    }
    let skip = history.events.len().saturating_sub(lines);
    history.events.iter().skip(skip).fold(String::new(), |mut text, event| {
        let kind = serde_json::to_value(event.kind).unwrap_or_default();
        let _ =
            writeln!(text, "{:<20}  {:<10}  {}", event.at, kind.as_str().unwrap_or_default(), event.detail);
        text
    })
}

/// `livepatch cves`.
pub(crate) fn cves(list: &CveList) -> String {
    let mut text = list.cves.iter().fold(String::new(), |mut text, cve| {
        let notice = cve.notice.as_ref().map(|notice| format!(" [{notice}]")).unwrap_or_default();
        let _ = writeln!(text, "{:<17}  {:<19}  {}{notice}", cve.id, state(cve.state), cve.sentence);
        text
    });
    if list.cves.is_empty() {
        text += "none\n";
    }
    if list.basis == "livepatches" {
        text += "\nThe repository has no signed verdicts for this kernel: only what livepatches mend is known here.";
    }
    text
}

fn state(state: CveState) -> &'static str {
    match state {
        CveState::NeedsReboot => "needs reboot",
        CveState::LivepatchAvailable => "livepatch available",
        CveState::Open => "open",
        CveState::Mitigated => "mitigated",
        CveState::Livepatched => "livepatched",
        CveState::FixedInKernel => "fixed in kernel",
        CveState::NotAffected => "not affected",
    }
}

/// `livepatch mitigation list`.
pub(crate) fn mitigations(list: &MitigationList) -> String {
    if list.mitigations.is_empty() {
        return "no mitigation is issued for this machine".to_owned();
    }
    let one = |mitigation: &MitigationStatus| {
        let mut lines = vec![line("mitigation", &mitigation.name), line("state", &mitigation.sentence)];
        if let Some(issued) = &mitigation.issued {
            let cves: Vec<String> = issued.cves.iter().map(ToString::to_string).collect();
            lines.extend([line("about", &issued.about), line("concerns", &cves.join(", "))]);
        }
        for measure in &mitigation.measures {
            let holds = if measure.holds { "holds" } else { "does not hold" };
            lines.push(line("measure", &format!("{} ({holds})", measure.sentence)));
        }
        lines.push(line("next step", &mitigation.next_step));
        lines.join("\n")
    };
    list.mitigations.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

/// `livepatch kernel-upgrade-required`.
pub(crate) fn upgrade(upgrade: &Upgrade) -> String {
    let next = upgrade.next_boot.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let mut lines = vec![
        line("answer", &upgrade.sentence),
        line("running", upgrade.running.as_str()),
        line("next boot", &format!("{next} ({})", upgrade.next_boot_why)),
    ];
    for reason in upgrade.reasons.iter().filter(|reason| !reason.cves.is_empty()) {
        lines.push(line("concerns", &reason.cves.join(", ")));
    }
    lines.push(line("next step", &upgrade.next_step));
    lines.join("\n")
}

/// `livepatch secureboot status`.
pub(crate) fn secure_boot(status: &SecureBootStatus) -> String {
    let boot = match (status.efi, status.secure_boot) {
        (false, _) => "not there: the machine was not booted by EFI",
        (true, Some(true)) => "on",
        (true, Some(false)) => "off",
        (true, None) => "unknown: the EFI variables cannot be read",
    };
    let lockdown = serde_json::to_value(status.lockdown).unwrap_or_default();
    let mut lines = vec![
        line("boot", &format!("Secure Boot is {boot}")),
        line("lockdown", lockdown.as_str().unwrap_or_default()),
        line("signatures", if status.signatures_enforced { "enforced" } else { "not enforced" }),
    ];
    for certificate in &status.certificates {
        let marks = [
            (certificate.known_to_kernel, "known to the kernel"),
            (certificate.enrolled, "enrolled"),
            (certificate.requested, "waits for the console of the next boot"),
            (certificate.revoked, "revoked"),
        ];
        let marks: Vec<&str> = marks.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
        let marks = if marks.is_empty() { "not known here".to_owned() } else { marks.join(", ") };
        lines.push(line("key", &format!("{} ({}): {marks}", certificate.subject, certificate.key_id)));
    }
    lines.push(line("livepatch", &status.sentence));
    lines.push(line("next step", &status.next_step));
    lines.join("\n")
}

/// `livepatch check-in --show`.
pub(crate) fn check_in(preview: &CheckInPreview) -> String {
    let (Some(url), Some(body)) = (&preview.url, &preview.body) else {
        return match preview.telemetry {
            Telemetry::Off => "nothing would be sent: telemetry is off".to_owned(),
            Telemetry::Minimal | Telemetry::Full => {
                "nothing would be sent: this machine is not enabled".to_owned()
            }
        };
    };
    let body = serde_json::to_string_pretty(body).unwrap_or_default();
    format!("POST {url}\n{}\n\n{body}", preview.headers.join("\n"))
}
