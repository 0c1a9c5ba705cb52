//! `livepatch config`, and what follows from it.

use crate::machine::Machine;
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

impl Machine {
    fn config(&self, arguments: &[&str]) -> (i32, String, String) {
        let file = self.directory.path().join("livepatchd.toml");
        let output = self.livepatch(&[&["config", "--file", file.to_str().unwrap()], arguments].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn file(&self) -> String {
        fs::read_to_string(self.directory.path().join("livepatchd.toml")).unwrap_or_default()
    }
}

#[test]
fn settings_are_shown_changed_and_taken_back() {
    let machine = Machine::with_daemon();
    let (code, all, _) = machine.config(&[]);
    assert_eq!(code, 0);
    assert!(all.contains("refresh_minutes = 60\n") && all.contains("telemetry = full\n"), "{all}");
    assert_eq!(machine.config(&["set", "check-interval=30", "server=https://lp.example/"]).0, 0);
    assert_eq!(machine.file(), "refresh_minutes = 30\nserver = \"https://lp.example/\"\n");
    assert_eq!(machine.config(&["get", "refresh-minutes"]).1, "30\n");
    assert_eq!(machine.config(&["set", "server="]).0, 0);
    assert_eq!(machine.config(&["unset", "refresh_minutes"]).0, 0);
    assert_eq!(machine.file().trim(), "");
    let (_, explained, _) = machine.config(&["explain", "telemetry"]);
    assert!(explained.contains("`off` (nothing)"), "{explained}");
}

#[test]
fn a_wrong_setting_changes_nothing() {
    let machine = Machine::with_daemon();
    assert_eq!(machine.config(&["set", "refresh_minutes=5"]).0, 0);
    for (arguments, code) in [
        (&["set", "refresh_minutes=0"][..], "malformed-setting"),
        (&["set", "soak_seconds=5", "server=nonsense"], "malformed-setting"),
        (&["set", "no_such=1"], "unknown-setting"),
        (&["set", "refresh_minutes"], "malformed-setting"),
        (&["get", "no_such"], "unknown-setting"),
        (&["telemetry", "some"], "malformed-setting"),
    ] {
        let (exit, _, message) = machine.config(arguments);
        assert_eq!(
            (exit, message.starts_with(&format!("error[{code}]"))),
            (2, true),
            "{arguments:?}: {message}"
        );
    }
    assert_eq!(machine.file(), "refresh_minutes = 5\n");
}

#[test]
fn a_value_from_standard_input() {
    let machine = Machine::with_daemon();
    let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch"))
        .arg("--socket")
        .arg(machine.socket())
        .args(["config", "set", "server=@stdin", "--file"])
        .arg(machine.directory.path().join("livepatchd.toml"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(command.stdin.take().unwrap(), "https://lp.example/").unwrap();
    assert!(command.wait().unwrap().success());
    assert_eq!(machine.file(), "server = \"https://lp.example/\"\n");
}

#[test]
fn the_daemon_takes_a_change_at_once() {
    let mut machine = Machine::new();
    machine.enrol();
    machine.start();
    let preview = |machine: &Machine| -> Value {
        let output = machine.livepatch(&["check-in", "--show", "--format", "json"]);
        assert!(!String::from_utf8_lossy(&output.stdout).contains(Machine::CREDENTIAL));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    machine.put("proc/sys/kernel/tainted", "512\n");
    let full = preview(&machine);
    assert_eq!(
        (full["telemetry"].as_str(), full["body"]["taint"].as_u64()),
        (Some("full"), Some(512)),
        "{full:#}"
    );
    assert_eq!(full["url"], "http://127.0.0.1:1/v1/check-in");
    assert_eq!(machine.config(&["telemetry", "minimal"]).0, 0);
    assert_eq!(preview(&machine)["body"]["taint"], 0);
    assert_eq!(machine.config(&["telemetry", "off"]).0, 0);
    let off = preview(&machine);
    assert_eq!((&off["body"], &off["url"]), (&Value::Null, &Value::Null));
    let text = machine.livepatch(&["check-in", "--show"]);
    assert_eq!(String::from_utf8(text.stdout).unwrap(), "nothing would be sent: telemetry is off\n");
}

#[test]
fn without_the_daemon_a_change_waits_for_it() {
    let machine = Machine::new();
    let (code, _, note) = machine.config(&["set", "refresh_minutes=5"]);
    assert_eq!((code, note.contains("counts when it starts")), (0, true), "{note}");
    assert_eq!(machine.file(), "refresh_minutes = 5\n");
}
