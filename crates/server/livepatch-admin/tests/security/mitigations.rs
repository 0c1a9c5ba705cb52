//! A mitigation, from the operator to a machine: issued with an alert, agreed to, in force, and taken back when it has done its work.

use crate::{
    stage::Stage,
    verdicts::{FAMILY, REFUSED, import},
};
use serde_json::{Value, json};
use std::fs;

const NAME: &str = "no-kettle";
const HEAT: &str = "proc/sys/dev/kettle/heat";

fn issue(stage: &Stage, more: &[&str]) -> Option<i32> {
    let about = "Kettles are not heated: there is no tea.";
    let issue = ["mitigation", "issue", NAME, "--cve", REFUSED, "--family", FAMILY, "--about", about];
    stage.admin(&[&issue[..], more].concat()).status.code()
}

/// The mitigation as the machine sees it, and what it says of the vulnerability.
fn states(stage: &Stage) -> (Value, Value) {
    let list = stage.livepatch_json(&["mitigation", "list", "--format", "json"]);
    let cves = stage.livepatch_json(&["cves", "--all", "--format", "json"]);
    let cve = cves["cves"].as_array().unwrap().iter().find(|one| one["id"] == REFUSED).unwrap().clone();
    (list["mitigations"][0]["state"].clone(), cve["state"].clone())
}

#[test]
fn a_mitigation_helps_until_the_vulnerability_is_mended() {
    let mut stage = Stage::new(&[]);
    import(&stage);
    stage.json(&["verdicts", "publish"]);
    for wrong in [&["--sysctl", "kernel.core_pattern=|/bin/sh"][..], &["--deny-module", "../x"], &[]] {
        assert_ne!(issue(&stage, wrong), Some(0), "{wrong:?}");
    }
    assert_eq!(issue(&stage, &["--deny-module", "kettle", "--sysctl", "dev.kettle.heat=0"]), Some(0));
    let draft = stage.json(&["notice", "draft", REFUSED]);
    let helps = draft["notice"]["alert"]["mitigation"].as_str().unwrap();
    assert!(helps.contains("livepatch mitigation apply no-kettle"), "{draft:#}");

    stage.start_machine();
    stage.write(&format!("root/{HEAT}"), "7\n");
    assert_eq!(states(&stage), (json!("offered"), json!("needs-reboot")));
    let root = stage.path("root").to_str().unwrap().to_owned();
    let settle = ["mitigation", "settle", "--root", &root];
    assert_eq!(stage.livepatch(&settle).0, Some(0));
    assert_eq!(states(&stage).0, "offered", "nothing happens without consent");

    let (code, text) = stage.livepatch(&["mitigation", "apply", NAME, "--root", &root]);
    assert!(code == Some(0) && text.contains("is put in force"), "{text}");
    assert_eq!(states(&stage), (json!("in-force"), json!("mitigated")));
    assert_eq!(fs::read_to_string(stage.path("root").join(HEAT)).unwrap(), "0");
    let denied = stage.path("root/etc/modprobe.d/livepatch-mitigation-no-kettle.conf");
    assert!(fs::read_to_string(&denied).unwrap().contains("install kettle /bin/false"));
    assert_eq!(stage.livepatch(&["mitigation", "apply", "no-cup", "--root", &root]).0, Some(3));

    // Somebody else changes it back: that is seen, and mended.
    stage.write(&format!("root/{HEAT}"), "7\n");
    assert_eq!(states(&stage), (json!("wanted"), json!("needs-reboot")));
    assert_eq!(stage.livepatch(&settle).0, Some(0));
    assert_eq!(states(&stage).0, "in-force");

    // The fixed kernel runs.
    let fixed = "Linux version 6.1.0-54-cloud-amd64 (x) (gcc) #1 SMP Debian 6.1.192-1 (2026-11-14)\n";
    stage.write("root/proc/version", fixed);
    assert_eq!(states(&stage), (json!("to-retire"), json!("fixed-in-kernel")));
    let (code, text) = stage.livepatch(&settle);
    assert!(code == Some(0) && text.contains("is taken back"), "{text}");
    assert_eq!(states(&stage).0, "not-needed");
    assert!(!denied.exists());
    assert_eq!(fs::read_to_string(stage.path("root").join(HEAT)).unwrap(), "7");
}

#[test]
fn policy_may_agree_and_the_operator_may_take_back() {
    let mut stage = Stage::new(&[]);
    import(&stage);
    stage.json(&["verdicts", "publish"]);
    assert_eq!(issue(&stage, &["--deny-module", "kettle"]), Some(0));
    stage.write("livepatchd.toml", "mitigations = \"apply\"\n");
    stage.start_machine();
    let root = stage.path("root").to_str().unwrap().to_owned();
    assert_eq!(states(&stage).0, "wanted");
    assert_eq!(stage.livepatch(&["mitigation", "settle", "--root", &root]).0, Some(0));
    assert_eq!(states(&stage), (json!("in-force"), json!("mitigated")));
    stage.done(&["mitigation", "retire", NAME]);
    stage.livepatch(&["refresh"]);
    assert_eq!(states(&stage), (json!("to-retire"), json!("needs-reboot")));
    assert_eq!(stage.livepatch(&["mitigation", "settle", "--root", &root]).0, Some(0));
    let list = stage.livepatch_json(&["mitigation", "list", "--format", "json"]);
    assert_eq!(list["mitigations"], json!([]));
}
