//! Refusals and findings as text: what, where, and what to do.

use livepatch_build::report::Report;
use livepatch_judge::{Finding, Severity};

/// Refusals first, then warnings and notes.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for refusal in &report.refusals {
        let found = |finding: &&Finding| finding.code == refusal.code && finding.message == refusal.message;
        text += &match report.findings.iter().find(found) {
            Some(finding) => one("refused", finding),
            None => {
                format!("refused [{}]: {}\n  advice: {}\n", refusal.code, refusal.message, refusal.advice)
            }
        };
    }
    for finding in &report.findings {
        text += &match (finding.accepted, finding.severity) {
            (true, _) => one("accepted", finding),
            (false, Severity::Warn) => one("warning", finding),
            (false, Severity::Note) => one("note", finding),
            (false, Severity::Refuse) => String::new(),
        };
    }
    text
}

fn one(word: &str, finding: &Finding) -> String {
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        _ => String::new(),
    };
    let mut text =
        format!("{word} [{}]: {place}{}\n  advice: {}\n", finding.code, finding.message, finding.advice);
    for line in finding.code_to_use.iter().flat_map(|code| code.lines()) {
        text += format!("    | {line}").trim_end();
        text.push('\n');
    }
    text
}
