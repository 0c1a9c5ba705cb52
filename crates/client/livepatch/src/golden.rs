//! What each command prints, in every format, against files in `tests/golden`. `LIVEPATCH_BLESS=1 cargo test -p livepatch
//! golden` writes them anew; look at the difference before you commit it.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use crate::{exit::Severity, render, vex, yaml};
use jiff::Timestamp;
use livepatch_agent::{
    CheckInPreview, CveList, Eligibility, History, SecureBootStatus, Status, Upgrade, canonical_yaml,
    prometheus,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

#[track_caller]
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = text.trim_end().to_owned() + "\n";
    if std::env::var_os("LIVEPATCH_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap_or_default(), "{name}: see the head of golden.rs");
}

fn now() -> Timestamp {
    "2026-11-24T07:03:00Z".parse().unwrap()
}

fn document() -> Value {
    json!({
        "schema": 1, "client_version": "0.1.0", "machine_id": "1f0c", "server": "https://livepatch.example.com",
        "tier": "stable",
        "kernel": {"release": "6.1.0-55-cloud-amd64", "build_id": "ab".repeat(20), "arch": "x86_64"},
        "kernel_status": {"state": "supported-until", "sentence": "livepatches are made for it until 2027-12-14",
            "next_step": "nothing", "distribution": "debian", "package_version": "6.1.192-1", "until": "2027-12-14",
            "days_left": 385},
        "state": "applied", "sentence": "applied and confirmed",
        "livepatch": {"name": "livepatch_6_1_0_55_cloud_amd64_1", "version": 1, "sha256": "c".repeat(64),
            "fixes": [{"id": "CVE-2026-1", "summary": "one"}, {"id": "CVE-2026-2", "summary": "two"}],
            "functions": ["vmlinux:f"], "applied_at": "2026-11-24T06:00:00Z", "confirmed": true},
        "taint": {"value": 36864, "letters": "OK", "flags": [], "explanation": "its own"},
        "last_check": {"at": "2026-11-24T07:00:00Z", "result": "ok", "code": null, "message": null, "check_in": null},
        "next_check": "2026-11-24T08:00:00Z", "last_failure": null,
        "tuf": {"root": 1, "targets": 2, "snapshot": 3, "timestamp": 4}, "blocked": [], "next_step": "nothing"
    })
}

fn applied() -> Status {
    serde_json::from_value(document()).unwrap()
}

/// A machine in trouble.
fn failed() -> Status {
    let mut document = document();
    document["state"] = json!("apply-failed");
    document["sentence"] = json!("apply failed: the kernel runs as it did before the attempt");
    document["livepatch"] = Value::Null;
    document["last_failure"] = json!({"code": "kernel-refused", "message": "the kernel refused"});
    document["last_check"] = json!({"at": "2026-11-24T07:00:00Z", "result": "failed", "code": "metadata-expired",
        "message": "it is out of date", "check_in": {"code": "server-unreachable", "message": "no route"}});
    document["blocked"] = json!([{"sha256": "d".repeat(64), "name": "livepatch_x_1", "reason": "the machine went down",
        "at": "2026-11-23T01:00:00Z"}]);
    document["next_step"] = json!("look at the kernel's log");
    serde_json::from_value(document).unwrap()
}

fn upgrade(answer: &str) -> Upgrade {
    serde_json::from_value(json!({
        "schema": 1, "answer": answer,
        "sentence": "the kernel must be updated: 6.1.0-56-cloud-amd64 mends 1 vulnerability that this kernel still has",
        "reasons": [{"code": "missing-fixes", "sentence": "it mends 1 vulnerability", "cves": ["CVE-2026-3"]}],
        "running": "6.1.0-55-cloud-amd64", "next_boot": "6.1.0-56-cloud-amd64", "next_boot_why": "GRUB's default entry (0)",
        "basis": "verdicts", "next_step": "reboot at your next chance"
    }))
    .unwrap()
}

fn cves() -> CveList {
    serde_json::from_value(json!({"schema": 1, "basis": "livepatches", "cves": [
        {"id": "CVE-2026-1", "state": "livepatched", "sentence": "livepatched: one", "notice": "LSN-0101-1"},
        {"id": "CVE-2026-2", "state": "livepatch-available", "sentence": "offered", "notice": null},
        {"id": "CVE-2026-3", "state": "needs-reboot", "sentence": "cannot be livepatched", "notice": null},
        {"id": "CVE-2026-4", "state": "not-affected", "sentence": "not affected: not in this version", "notice": null},
    ]}))
    .unwrap()
}

#[test]
fn status_in_every_format() {
    check("status.txt", &render::status(&applied(), false, now()));
    check("status-verbose.txt", &render::status(&applied(), true, now()));
    check("status-failed.txt", &render::status(&failed(), false, now()));
    check("status.json", &serde_json::to_string_pretty(&applied()).unwrap());
    check("status.yaml", &yaml::from_json(&serde_json::to_value(applied()).unwrap()));
    check("status.prom", &prometheus(&applied(), Some(&upgrade("can-wait"))));
    check("status-failed.prom", &prometheus(&failed(), Some(&upgrade("cannot-tell"))));
}

#[test]
fn monitoring_has_a_line_and_a_number() {
    for (status, answer, severity) in [
        (applied(), "can-wait", Severity::Good),
        (applied(), "required", Severity::Critical),
        (failed(), "can-wait", Severity::Critical),
    ] {
        let upgrade = upgrade(answer);
        assert_eq!(Severity::of(&status, &upgrade), severity);
    }
    let mut ending = applied();
    ending.kernel_status.days_left = Some(20);
    let can_wait = upgrade("can-wait");
    assert_eq!(Severity::of(&ending, &can_wait), Severity::Warning);
    check("monitoring.txt", &render::monitoring(&ending, &can_wait, Severity::Warning));
    check(
        "monitoring-critical.txt",
        &render::monitoring(&failed(), &upgrade("required"), Severity::Critical),
    );
}

#[test]
fn questions_in_text() {
    let eligibility: Eligibility = serde_json::from_value(json!({
        "schema": 1, "eligible": false, "kernel": document()["kernel"], "findings": [
            {"name": "container", "result": "good", "sentence": "the machine has a kernel of its own", "mend": null},
            {"name": "signing-key", "result": "bad", "sentence": "the kernel does not know the key",
                "mend": "run `livepatch secureboot enroll`"},
            {"name": "memory", "result": "warning", "sentence": "only 40 MiB are available", "mend": "free some"}]
    }))
    .unwrap();
    check("check.txt", &render::eligibility(&eligibility));
    let history: History = serde_json::from_value(json!({"schema": 1, "events": [
        {"at": "2026-11-24T05:00:00Z", "kind": "refused", "detail": "an old one"},
        {"at": "2026-11-24T06:00:00Z", "kind": "applied", "detail": "livepatch_6_1_0_55_cloud_amd64_1"}]}))
    .unwrap();
    check("history.txt", &render::history(&history, 1));
    check("cves.txt", &render::cves(&cves()));
    check("kernel-upgrade-required.txt", &render::upgrade(&upgrade("required")));
    check("blocked-explain.txt", &render::explain_blocked(&failed().blocked[0]));
    check("blocked.txt", &render::blocked(&failed().blocked));
    let secure_boot: SecureBootStatus = serde_json::from_value(json!({
        "schema": 1, "efi": true, "secure_boot": true, "lockdown": "integrity", "signatures_enforced": true,
        "modules_allowed": true, "prediction": "refused", "sentence": "the kernel does not know the key",
        "next_step": "run `livepatch secureboot enroll`", "certificates": [{"subject": "CN=Example", "key_id": "0a1b",
            "known_to_kernel": false, "enrolled": false, "requested": true, "revoked": false}]
    }))
    .unwrap();
    check("secureboot.txt", &render::secure_boot(&secure_boot));
}

#[test]
fn what_the_server_is_told() {
    let body = json!({"sequence": 8, "boot_id": "b", "kernel": document()["kernel"], "state": "applied", "applied": null,
        "taint": 0, "events": [], "client_version": "0.1.0"});
    let preview = |telemetry: &str, url: Value, body: Value| -> CheckInPreview {
        let headers = ["Authorization: Bearer (this machine's credential)"];
        serde_json::from_value(
            json!({"schema": 1, "telemetry": telemetry, "url": url, "headers": headers, "body": body}),
        )
        .unwrap()
    };
    check("check-in.txt", &render::check_in(&preview("full", json!("https://s/v1/check-in"), body)));
    check("check-in-off.txt", &render::check_in(&preview("off", Value::Null, Value::Null)));
}

#[test]
fn documents_of_other_programs() {
    let pretty = |document: Value| serde_json::to_string_pretty(&document).unwrap();
    check("vex.json", &pretty(vex::openvex(&cves(), &applied(), now())));
    check("vex-csaf.json", &pretty(vex::csaf(&cves(), &applied(), now())));
    let canonical = json!({"Client-Version": "0.1.0", "Machine-Id": "m", "Architecture": "x86_64", "CPU-Model": "A CPU",
        "Last-Check": "2026-11-24T07:00:00Z", "Boot-Time": "2026-11-24T06:00:00Z", "Uptime": "3600", "tier": "stable",
        "Status": [{"Kernel": "6.1.0-55-cloud-amd64", "Running": true, "Supported": "supported",
            "UpgradeRequiredDate": "2027-12-14", "Livepatch": {"CheckState": "checked", "State": "applied",
            "Version": "1.1", "Fixes": [{"Name": "CVE-2026-1", "Description": "one", "Bug": "", "Patched": true}]}}]});
    check("canonical.yaml", &yaml::from_json(&canonical_yaml(&canonical)));
    check("canonical-humane.txt", &crate::canonical::humane(&canonical, true));
}
