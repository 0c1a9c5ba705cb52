//! The Canonical client's command and sockets, as other tools use them.

use crate::machine::Machine;
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::Command,
    thread,
    time::Duration,
};

fn enabled() -> Machine {
    let mut machine = Machine::new();
    machine.enrol();
    fs::write(machine.directory.path().join("livepatchd.toml"), "canonical_sockets = true\n").unwrap();
    machine.start();
    machine
}

#[test]
fn the_command_that_ubuntu_pro_and_landscape_call() {
    let machine = enabled();
    let output = machine.livepatch(&["canonical", "status", "--verbose", "--format", "json"]);
    assert!(output.status.success());
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["Status"][0]["Kernel"], "6.1.0-55-cloud-amd64");
    assert_eq!(status["Status"][0]["Supported"], "supported");
    assert_eq!(status["Status"][0]["Livepatch"]["CheckState"], "needs-check");
    assert_eq!(status["Uptime"], "3600");
    let yaml = machine.livepatch(&["canonical", "status", "--format", "yaml"]);
    let yaml = String::from_utf8(yaml.stdout).unwrap();
    assert!(yaml.contains("checkState: \"needs-check\""), "{yaml}");
    let humane = machine.livepatch(&["canonical", "status"]);
    assert!(String::from_utf8(humane.stdout).unwrap().contains("kernel state: supported"));
    assert_eq!(machine.livepatch(&["canonical", "kernel-upgrade-required"]).status.code(), Some(1));
    assert_eq!(machine.livepatch(&["canonical", "no-such"]).status.code(), Some(2));
}

#[test]
fn the_program_under_its_name() {
    let machine = Machine::with_daemon();
    let link = machine.directory.path().join("canonical-livepatch");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_livepatch"), &link).unwrap();
    let run = |arguments: &[&str]| {
        Command::new(&link).env("LIVEPATCH_SOCKET", machine.socket()).args(arguments).output().unwrap()
    };
    let output = run(&["status", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("Machine is not enabled."));
    let output = run(&["enable", "0123-legacy"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("Unknown Auth-Token"));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

fn http(machine: &Machine, socket: &str, request: &str) -> (u16, String) {
    let path = machine.directory.path().join("root/var/snap/canonical-livepatch/current").join(socket);
    for _ in 0..100 {
        if path.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let mut stream = UnixStream::connect(path).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn the_sockets_that_desktop_tools_know() {
    let machine = enabled();
    let (status, body) = http(&machine, "livepatchd.sock", "GET /status?verbosity=3&format=json");
    assert_eq!(status, 200, "{body}");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["Machine-Id"], "m-1");
    let (status, page) = http(&machine, "livepatchd.sock", "GET /metrics");
    assert!(status == 200 && page.contains("livepatch_state{state=\"unchecked\"} 1"), "{page}");
    // At the socket for everybody nothing changes, whoever asks.
    assert_eq!(http(&machine, "livepatchd.sock", "PUT /disable").0, 401);
    assert_eq!(http(&machine, "livepatchd-priv.sock", "PUT /disable").0, 200);
    assert_eq!(http(&machine, "livepatchd.sock", "GET /status?format=json").0, 400);
    let (status, message) = http(&machine, "livepatchd-priv.sock", "PUT /enable?auth-token=x");
    assert_eq!(status, 400, "{message}");
    assert_eq!(http(&machine, "livepatchd.sock", "GET /no-such").0, 404);
}
