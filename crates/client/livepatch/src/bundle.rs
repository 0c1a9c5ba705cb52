//! `livepatch support-bundle`: everything that a supporter asks for in one JSON file, and no secret: the daemon never gives
//! its credential away, and what else could hold one is taken out here.

use crate::arguments::Arguments;
use anyhow::Context as _;
use livepatch_agent::{Client, DEFAULT_CONFIG, Question, Request};
use serde_json::{Map, Value, json};
use std::{fs, path::Path, process::Command};

/// Lines of the daemon's journal.
const JOURNAL_LINES: &str = "500";

/// Collects. What cannot be had stands as an error in its place.
pub(crate) fn collect(arguments: &Arguments) -> Value {
    let mut answers = Map::new();
    for (name, question) in [
        ("check", Question::Eligibility),
        ("history", Question::History),
        ("cves", Question::Cves),
        ("kernel_upgrade", Question::KernelUpgrade),
        ("secure_boot", Question::SecureBoot),
        ("check_in", Question::CheckIn),
    ] {
        let answer =
            Client::connect(&arguments.socket).and_then(|mut client| client.question::<Value>(question));
        answers.insert(name.to_owned(), answer.unwrap_or_else(|error| json!({"error": error.to_string()})));
    }
    let status =
        Client::connect(&arguments.socket).and_then(|mut client| client.ask(&Request::GetStatus, |_, _| {}));
    json!({
        "schema": 1,
        "made": jiff::Timestamp::now().to_string(),
        "command_version": env!("CARGO_PKG_VERSION"),
        "status": status.map_or_else(|error| json!({"error": error.to_string()}), |answer| json!(answer.status)),
        "answers": answers,
        "configuration": text(Path::new(DEFAULT_CONFIG)),
        "kernel_version": text(Path::new("/proc/version")),
        "kernel_command_line": text(Path::new("/proc/cmdline")),
        "os_release": text(Path::new("/etc/os-release")),
        "journal": journal(),
    })
}

/// Writes the bundle for its owner alone.
pub(crate) fn write(bundle: &Value, path: &Path) -> anyhow::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let text = serde_json::to_string_pretty(bundle)? + "\n";
    let file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn text(path: &Path) -> Value {
    match fs::read_to_string(path) {
        Ok(text) => json!(without_secrets(&text)),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn journal() -> Value {
    let output = Command::new("journalctl")
        .args(["-u", "livepatchd", "-n", JOURNAL_LINES, "--no-pager", "-o", "short-iso"])
        .output();
    match output {
        Ok(output) => json!(without_secrets(&String::from_utf8_lossy(&output.stdout))),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// The text without enrolment tokens and passwords in URLs.
pub(crate) fn without_secrets(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(|word| without_password(&without_token(word))).collect()
}

fn without_token(word: &str) -> String {
    match word.find("lp1.") {
        Some(at) => {
            let rest = &word[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
            format!("{}(token){}", &word[..at], &rest[end..])
        }
        None => word.to_owned(),
    }
}

fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let end = rest.find(['/', '"', '\'']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://(user){}", &rest[at..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_leaves() {
        let text = format!(
            "proxy = \"http://user:secret@proxy:3128/\"\nserver = \"https://h/\" lp1.{}.{}, end",
            "s".repeat(20),
            "a".repeat(64)
        );
        let clean = without_secrets(&text);
        assert_eq!(clean, "proxy = \"http://(user)@proxy:3128/\"\nserver = \"https://h/\" (token), end");
    }
}
