//! The commands that change something, and how they refuse; the daemon's own life.

use crate::machine::{Machine, server_without_tokens, token};
use livepatch_manifest::Digest;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream, process::CommandExt as _},
    process::{Command, Stdio},
};

#[test]
fn status_of_a_machine_that_is_not_enabled() {
    let machine = Machine::with_daemon();
    let output = machine.livepatch(&["status"]);
    assert_eq!(output.status.code(), Some(6));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("state       disabled"), "{text}");
    assert!(text.contains("next step   run `livepatch enable TOKEN"), "{text}");
    let status = machine.status();
    assert_eq!(status["schema"], 1);
    assert_eq!(status["state"], "disabled");
    assert_eq!(status["kernel"]["release"], "6.1.0-55-cloud-amd64");
    assert_eq!(status["taint"]["value"], 0);
    assert_eq!(status["livepatch"], serde_json::Value::Null);
}

#[test]
fn without_the_daemon_it_says_so() {
    let machine = Machine::new();
    for arguments in [&["status"][..], &["undo"], &["refresh"]] {
        let (code, text) = machine.fails(arguments);
        assert_eq!(code, 4, "{text}");
        assert!(text.contains("systemctl start livepatchd"), "{text}");
    }
}

#[test]
fn what_needs_an_enabled_machine_says_how_to_enable_it() {
    let machine = Machine::with_daemon();
    for arguments in [&["refresh"][..], &["disable"]] {
        let (code, text) = machine.fails(arguments);
        assert_eq!(code, 6);
        assert!(text.starts_with("error[not-enabled]") && text.contains("livepatch enable TOKEN"), "{text}");
    }
    let (code, text) = machine.fails(&["undo"]);
    assert_eq!((code, text.starts_with("error[nothing-to-undo]")), (3, true), "{text}");
    let (code, text) = machine.fails(&["blocked", "clear", "0123456789"]);
    assert_eq!((code, text.starts_with("error[not-blocked]")), (3, true), "{text}");
}

#[test]
fn tokens_that_are_no_good() {
    let machine = Machine::with_daemon();
    let (code, text) = machine.fails(&["enable", "lp1.secret"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("error[malformed-token]") && !text.contains("lp1.secret"), "{text}");

    let (url, digest) = server_without_tokens();
    let (code, text) = machine.fails(&["enable", &token(&digest)]);
    assert_eq!((code, text.starts_with("error[no-server]")), (2, true), "{text}");
    let (code, text) = machine.fails(&["enable", &token(&digest), "--server", &url]);
    assert_eq!((code, text.starts_with("error[unknown-token]")), (3, true), "{text}");
    let (code, text) = machine.fails(&["enable", &token(&Digest::of(b"another")), "--server", &url]);
    assert_eq!((code, text.starts_with("error[trust-anchor-mismatch]")), (3, true), "{text}");

    let output = machine.livepatch(&["--format", "json", "enable", &token(&digest), "--server", &url]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["failure"]["code"], "unknown-token");
    assert_eq!(machine.status()["state"], "disabled");
}

/// Needs root, to become somebody else.
#[test]
fn others_may_look_but_not_touch() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::with_daemon();
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(machine.directory.path(), everybody).unwrap();
    let program = machine.directory.path().join("livepatch");
    fs::copy(env!("CARGO_BIN_EXE_livepatch"), &program).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.uid(65_534).arg("--socket").arg(machine.socket()).args(arguments).output().unwrap()
    };
    assert_eq!(as_nobody(&["status"]).status.code(), Some(6));
    for arguments in [&["refresh"][..], &["undo"], &["disable"], &["blocked", "clear", "0123456789"]] {
        let output = as_nobody(arguments);
        assert_eq!(output.status.code(), Some(5), "{arguments:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("only root"));
    }
}

#[test]
fn a_server_that_does_not_answer() {
    let machine = Machine::with_daemon();
    let token = token(&Digest::of(b"x"));
    let (code, text) = machine.fails(&["enable", &token, "--server", "http://127.0.0.1:1"]);
    assert_eq!((code, text.starts_with("error[server-unreachable]")), (3, true), "{text}");
    for server in ["livepatch.example.com", "ftp://livepatch.example.com"] {
        let (code, text) = machine.fails(&["enable", &token, "--server", server]);
        assert_eq!((code, text.starts_with("error[malformed-server]")), (2, true), "{text}");
    }
}

#[test]
fn a_token_from_standard_input_stays_off_the_command_line() {
    let machine = Machine::with_daemon();
    let (url, digest) = server_without_tokens();
    let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch"))
        .arg("--socket")
        .arg(machine.socket())
        .args(["enable", "-", "--server", &url])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(command.stdin.take().unwrap(), "{}", token(&digest)).unwrap();
    let output = command.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error[unknown-token]"));
}

#[test]
fn the_socket_speaks_varlink() {
    let machine = Machine::with_daemon();
    let mut stream = UnixStream::connect(machine.socket()).unwrap();
    let mut ask = |call: &str| -> serde_json::Value {
        stream.write_all(&[call.as_bytes(), b"\0"].concat()).unwrap();
        let mut answer = Vec::new();
        BufReader::new(&stream).read_until(0, &mut answer).unwrap();
        serde_json::from_slice(&answer[..answer.len() - 1]).unwrap()
    };
    let info = ask(r#"{"method":"org.varlink.service.GetInfo"}"#);
    assert_eq!(info["parameters"]["product"], "livepatchd");
    let interface = r#"{"method":"org.varlink.service.GetInterfaceDescription",
        "parameters":{"interface":"org.openlivepatch.livepatchd"}}"#;
    let description = ask(interface);
    assert!(description["parameters"]["description"].as_str().unwrap().contains("method GetStatus()"));
    let unknown = ask(r#"{"method":"org.openlivepatch.livepatchd.Reboot","parameters":{}}"#);
    assert_eq!(unknown["error"], "org.varlink.service.MethodNotFound");
}

#[test]
fn the_daemon_stops_when_told_and_takes_its_socket_along() {
    let mut machine = Machine::with_daemon();
    assert_eq!(machine.stop(), 0);
    assert!(!machine.socket().exists());
}

#[test]
fn completions_and_man_pages_are_made() {
    let machine = Machine::new();
    let completions = machine.livepatch(&["completions", "bash"]);
    assert!(String::from_utf8(completions.stdout).unwrap().contains("blocked"));
    let directory = machine.directory.path().join("man");
    assert!(machine.livepatch(&["man", directory.to_str().unwrap()]).status.success());
    let page = fs::read_to_string(directory.join("livepatch.1")).unwrap();
    assert!(page.contains("Exit status") && directory.join("livepatch-enable.1").exists());
}
