//! A directory of fixes as the source of truth.

use crate::workplace::{RELEASE, Workplace};
use serde_json::{Value, json};

const SERIES: &str = r#"
[[fix]]
patch = "1.patch"
ids = ["CVE-2026-93146"]
summary = "one"
notice = "LSN-0101-1"
author = "Jane Doe <jane@example.org>"

[[fix]]
patch = "2.patch"
ids = ["debian-bug-1154101"]
summary = "two"
"#;

fn write_series(workplace: &Workplace) {
    workplace.write("fixes/series", SERIES);
    workplace.write("fixes/1.patch", "--- a/arch/entry.S\n+++ b/arch/entry.S\n@@ -1 +1 @@\n-\tret\n+\tnop\n");
    workplace.write("fixes/2.patch", "--- a/kernel/sample.c\n+++ b/kernel/sample.c\n");
}

#[test]
fn series_gives_patches_fixes_and_version() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    write_series(&workplace);
    let build = |more: &[&str]| {
        let all = ["build", "--kernel", RELEASE, "--series", "fixes", "--output", "out", "--format", "json"];
        workplace.run(&[&all[..], more].concat())
    };
    let answer = build(&[]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(report["version"], 2);
    assert_eq!(
        report["fixes"],
        json!([
            {"id": "CVE-2026-93146", "summary": "one", "notice": "LSN-0101-1", "author": "Jane Doe <jane@example.org>"},
            {"id": "debian-bug-1154101", "summary": "two"},
        ])
    );
    let later: Value = serde_json::from_str(&build(&["--livepatch-version", "7"]).stdout).unwrap();
    assert_eq!(later["version"], 7);
    assert_eq!(build(&["--patch", "x"]).code, 2, "a series names its patches itself");
}

#[test]
fn check_compares_with_the_version_before() {
    let workplace = Workplace::new();
    write_series(&workplace);
    let check = || workplace.run(&["series", "check", "fixes", "--previous", "old"]);
    let manifest = |version: u32, id: &str| {
        let digest = "0".repeat(64);
        let manifest = json!({
            "schema": 1, "name": "livepatch_x_1", "version": version,
            "kernel": {"release": RELEASE, "build_id": "3b".repeat(20), "arch": "x86_64"},
            "module": {"sha256": digest, "size": 1, "vermagic": "x"},
            "fixes": [{"id": id, "summary": "s"}], "objects": [],
            "provenance": {"builder": "0", "compiler": "gcc", "source": "linux", "patch_sha256": digest},
        });
        workplace.write("old/manifest.json", manifest.to_string());
    };
    manifest(1, "CVE-2026-93146");
    let answer = check();
    assert!(answer.code == 0 && answer.stdout.contains("version 2, 2 patches"), "{}", answer.stderr);
    manifest(1, "CVE-2025-1111");
    let answer = check();
    assert!(answer.code == 1 && answer.stderr.contains("version 1 mends CVE-2025-1111"), "{}", answer.stderr);
    manifest(2, "CVE-2026-93146");
    let answer = check();
    assert!(answer.code == 1 && answer.stderr.contains("must be greater than 2"), "{}", answer.stderr);
}
