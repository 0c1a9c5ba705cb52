//! What anybody may ask: of a machine that is well, of one that is not, and of one where the daemon does not run.

use crate::machine::Machine;
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt as _};

fn json(machine: &Machine, arguments: &[&str]) -> (i32, Value) {
    let output = machine.livepatch(&[arguments, &["--format", "json"]].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

fn text(machine: &Machine, arguments: &[&str]) -> (i32, String) {
    let output = machine.livepatch(arguments);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_machine_that_can_be_livepatched_and_one_that_cannot() {
    let machine = Machine::with_daemon();
    let (code, found) = json(&machine, &["check"]);
    assert_eq!((code, &found["eligible"]), (0, &Value::Bool(true)), "{found:#}");
    assert_eq!(
        found["findings"][3]["sentence"],
        "livepatches are made for 6.1.0-55-cloud-amd64 until 2027-12-14"
    );
    machine.put("run/systemd/container", "lxc\n");
    machine.put("proc/sys/kernel/modules_disabled", "1\n");
    let (code, found) = text(&machine, &["check"]);
    assert_eq!(code, 7, "{found}");
    assert!(
        found.contains("enable livepatching on the host") && found.contains("kernel.modules_disabled"),
        "{found}"
    );
}

#[test]
fn whether_the_kernel_must_be_updated_is_the_exit_status() {
    let machine = Machine::with_daemon();
    let (code, found) = json(&machine, &["kernel-upgrade-required"]);
    assert_eq!((code, found["answer"].as_str()), (1, Some("can-wait")), "{found:#}");
    machine.put("boot/vmlinuz-6.1.0-56-cloud-amd64", "");
    let (code, found) = json(&machine, &["kernel-upgrade-required"]);
    assert_eq!((code, found["reasons"][0]["code"].as_str()), (2, Some("next-boot-unknown")), "{found:#}");
    let grub = "set default=\"0\"\nmenuentry 'x' {\n linux /boot/vmlinuz-6.1.0-56-cloud-amd64 ro\n}\n";
    machine.put("boot/grub/grub.cfg", grub);
    let (code, found) = json(&machine, &["kernel-upgrade-required"]);
    assert_eq!((code, found["reasons"][0]["code"].as_str()), (2, Some("no-verdicts")), "{found:#}");
    let old = "Linux version 6.1.0-55-cloud-amd64 (x) (gcc) #1 SMP Debian 6.1.150-1 (2025-01-10)\n";
    machine.put("proc/version", old);
    let (code, found) = text(&machine, &["kernel-upgrade-required"]);
    assert_eq!(code, 0, "{found}");
    assert!(
        found.contains("too old") && found.contains("next step   reboot; the newer kernel is installed"),
        "{found}"
    );
    assert_eq!(text(&machine, &["kernel-upgrade-required", "--quiet"]), (0, String::new()));
}

#[test]
fn without_the_daemon_no_answer_looks_like_one() {
    let machine = Machine::new();
    for (arguments, code) in [
        (&["kernel-upgrade-required"][..], 4),
        (&["check"], 4),
        (&["cves"], 4),
        (&["secureboot", "status"], 4),
        (&["status", "--check"], 3),
    ] {
        assert_eq!(text(&machine, arguments).0, code, "{arguments:?}");
    }
}

#[test]
fn the_status_in_every_format() {
    let machine = Machine::with_daemon();
    let (code, status) = json(&machine, &["status"]);
    assert_eq!(code, 6);
    assert_eq!(status["kernel_status"]["state"], "supported-until");
    assert_eq!(status["kernel_status"]["package_version"], "6.1.192-1");
    let (_, yaml) = text(&machine, &["status", "--format", "yaml"]);
    assert!(yaml.starts_with("schema: 1\n") || yaml.contains("\nschema: 1\n"), "{yaml}");
    assert!(yaml.contains("\nstate: \"disabled\"\n") || yaml.starts_with("state: \"disabled\"\n"), "{yaml}");
    let (_, page) = text(&machine, &["status", "--format", "prometheus"]);
    assert!(page.contains("livepatch_state{state=\"disabled\"} 1\n"), "{page}");
    assert!(page.contains("livepatch_kernel_upgrade_required 0\n"), "{page}");
    let (code, line) = text(&machine, &["status", "--check"]);
    assert_eq!(code, 3, "{line}");
    assert!(line.starts_with("LIVEPATCH UNKNOWN - disabled"), "{line}");
    assert_eq!(text(&machine, &["status", "--wait=1"]).0, 6);
    let (_, verbose) = text(&machine, &["status", "--verbose"]);
    assert!(verbose.contains("build id abab") && verbose.contains("client      0."), "{verbose}");
    assert_eq!(machine.livepatch(&["check", "--format", "prometheus"]).status.code(), Some(1));
}

#[test]
fn an_enabled_machine_tells_of_its_failures() {
    let mut machine = Machine::new();
    machine.enrol();
    machine.start();
    // Nobody listens at its server.
    assert_ne!(machine.livepatch(&["refresh"]).status.code(), Some(0));
    let (code, status) = json(&machine, &["status"]);
    assert_eq!((code, status["state"].as_str()), (7, Some("check-failed")), "{status:#}");
    assert_eq!(text(&machine, &["status", "--check"]).0, 1);
    let (_, history) = text(&machine, &["history"]);
    assert!(history.contains("refused"), "{history}");
    // The login message was rendered, for everybody to read.
    let message = machine.socket().with_file_name("motd");
    let text_of = || fs::read_to_string(&message).unwrap_or_default();
    for _ in 0..100 {
        if text_of().contains("check failed") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(text_of().starts_with("Livepatch: check failed"), "{}", text_of());
    assert_eq!(fs::metadata(&message).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn a_support_bundle_holds_no_secret() {
    let mut machine = Machine::new();
    machine.enrol();
    machine.start();
    let path = machine.directory.path().join("bundle.json");
    let output = machine.livepatch(&["support-bundle", "--output", path.to_str().unwrap()]);
    assert!(output.status.success());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bundle = fs::read_to_string(&path).unwrap();
    assert!(!bundle.contains(Machine::CREDENTIAL), "{bundle}");
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(bundle["answers"]["secure_boot"]["schema"], 1);
    assert_eq!(bundle["status"]["machine_id"], "m-1");
}

#[test]
fn what_is_unknown_or_not_there_is_said() {
    let machine = Machine::with_daemon();
    let (code, message) = machine.fails(&["blocked", "explain", "0123456789"]);
    assert_eq!((code, message.starts_with("error[not-blocked]")), (3, true), "{message}");
    assert_eq!(text(&machine, &["history"]), (0, "nothing has happened on this machine yet\n".into()));
    let (code, cves) = text(&machine, &["cves"]);
    assert_eq!(code, 0);
    assert!(cves.starts_with("none\n") && cves.contains("no signed verdicts"), "{cves}");
    let (code, vex) = json(&machine, &["vex"]);
    assert_eq!((code, vex["@context"].as_str()), (0, Some("https://openvex.dev/ns/v0.2.0")));
}
