//! One livepatch for several kernels: each kernel's end is its own, the exit status is the worst.

use crate::workplace::{RELEASE, Workplace};
use serde_json::Value;

const ASSEMBLY: &str = "--- a/arch/entry.S\n+++ b/arch/entry.S\n@@ -1 +1 @@\n-\tret\n+\tnop\n";

#[test]
fn kernels_that_fail_do_not_stop_the_others() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    workplace.write("fix.patch", ASSEMBLY);
    let other = "6.1.0-99-cloud-amd64";
    let answer = workplace.run(&[
        "build",
        "--kernel",
        other,
        "--kernel",
        RELEASE,
        "--kernel",
        other,
        "--patch",
        "fix.patch",
        "--fix",
        "CVE-2026-1=a sample",
        "--output",
        "out",
        "--format",
        "json",
    ]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    let summary: Value = serde_json::from_str(&answer.stdout).unwrap();
    let written = std::fs::read(workplace.path("out/report.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), summary);
    let kernels = summary["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 2);
    assert_eq!(kernels[0]["release"], other);
    assert_eq!((&kernels[0]["outcome"], &kernels[0]["status"]), (&"failed".into(), &1.into()));
    assert!(kernels[0]["error"].as_str().unwrap().contains("kernel add"), "{summary}");
    assert_eq!((&kernels[1]["outcome"], &kernels[1]["status"]), (&"refused".into(), &3.into()));
    assert_eq!(kernels[1]["report"]["refusals"][0]["code"], "assembly-patch");
    assert!(workplace.path(&format!("out/{RELEASE}/report.json")).is_file());
    assert!(!workplace.path(&format!("out/{other}/report.json")).exists());
}

#[test]
fn every_prepared_kernel_gets_its_turn_and_its_reason_is_told() {
    let workplace = Workplace::new();
    let build = ["build", "--all-kernels", "--patch", "fix.patch", "--output", "out"];
    workplace.write("fix.patch", ASSEMBLY);
    let none = workplace.run(&build);
    assert!(none.code == 1 && none.stderr.contains("no kernel is prepared"), "{}", none.stderr);
    workplace.prepare_kernel();
    let answer = workplace.run(&build);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stdout.contains("[assembly-patch]"), "{}", answer.stdout);
    assert!(answer.stdout.contains("built for 0 of 1 kernels"), "{}", answer.stdout);
}
