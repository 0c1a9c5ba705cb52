//! `inspect` and `verify` on a build folder.

use crate::sign::{NAME, SIGN, build_folder, write_key};
use crate::workplace::{RELEASE, Workplace};
use serde_json::Value;

fn module_of(workplace: &Workplace) -> String {
    workplace.path(&format!("out/{NAME}.ko")).display().to_string()
}

/// Result of each check, by name.
fn checks(workplace: &Workplace, more: &[&str]) -> (i32, Vec<(String, String)>) {
    let module = module_of(workplace);
    let answer = workplace.run(&[&["verify", &module, "--format", "json"], more].concat());
    let verification: Value = serde_json::from_str(&answer.stdout).expect(&answer.stderr);
    let pair = |check: &Value| {
        (check["check"].as_str().unwrap().to_owned(), check["result"].as_str().unwrap().to_owned())
    };
    (answer.code, verification["checks"].as_array().unwrap().iter().map(pair).collect())
}

fn result(checks: &[(String, String)], name: &str) -> String {
    checks.iter().find(|(check, _)| check == name).unwrap().1.clone()
}

#[test]
fn inspect_tells_name_kernel_functions_and_signer() {
    let workplace = Workplace::new();
    build_folder(&workplace);
    let module = module_of(&workplace);
    let answer = workplace.run(&["inspect", &module, "--format", "json"]);
    let inspection: Value = serde_json::from_str(&answer.stdout).expect(&answer.stderr);
    assert_eq!(
        (answer.code, &inspection["name"], &inspection["release"]),
        (0, &NAME.into(), &RELEASE.into())
    );
    assert_eq!((&inspection["livepatch"], &inspection["form"]), (&true.into(), &"klp-patch".into()));
    assert_eq!(inspection["signature"]["state"], "none");
    assert_eq!(inspection["objects"][0]["name"], "vmlinux");
    assert_eq!(inspection["objects"][0]["functions"][0]["name"], "patched");
    write_key(&workplace);
    assert_eq!(workplace.run(&SIGN).code, 0);
    let text = workplace.run(&["inspect", &module]).stdout;
    assert!(text.contains("signature   by CN=Test key,O=Open Livepatch"), "{text}");
    assert!(text.contains("  replaces  patched,0\n"), "{text}");
    let answer = workplace.run(&["inspect", "out/manifest.json"]);
    assert!(answer.code == 1 && answer.stderr.contains("cannot read out/manifest.json"), "{}", answer.stderr);
}

#[test]
fn signed_module_is_verified_with_its_certificate_and_no_other() {
    let workplace = Workplace::new();
    build_folder(&workplace);
    let (code, unsigned) = checks(&workplace, &[]);
    assert_eq!((code, result(&unsigned, "signature").as_str()), (0, "skipped"), "{unsigned:?}");
    write_key(&workplace);
    assert_eq!(workplace.run(&SIGN).code, 0);
    let (code, all) = checks(&workplace, &["--certificate", "keys/cert.pem"]);
    assert_eq!(code, 0, "{all:?}");
    for name in ["livepatch", "signature", "manifest"] {
        assert_eq!(result(&all, name), "passed", "{all:?}");
    }
    let other = workplace.run(&["key", "generate", "--output", "other"]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    let (code, all) = checks(&workplace, &["--certificate", "other/cert.pem"]);
    assert_eq!((code, result(&all, "signature").as_str()), (3, "failed"));
}

#[test]
fn altered_module_and_lying_manifest_and_report_are_found() {
    let workplace = Workplace::new();
    let folder = build_folder(&workplace);
    write_key(&workplace);
    assert_eq!(workplace.run(&SIGN).code, 0);
    let path = folder.join(format!("{NAME}.ko"));
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    let at = bad.windows(8).position(|window| window == b"vermagic").unwrap() + 12;
    bad[at] ^= 1;
    std::fs::write(&path, bad).unwrap();
    let (code, all) = checks(&workplace, &["--certificate", "keys/cert.pem"]);
    assert_eq!(
        (code, result(&all, "signature").as_str(), result(&all, "manifest").as_str()),
        (3, "failed", "failed")
    );
    std::fs::write(&path, good).unwrap();
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    workplace.write("out/manifest.json", manifest.replace("\"name\":\"patched\"", "\"name\":\"other\""));
    let (code, all) = checks(&workplace, &[]);
    assert_eq!((code, result(&all, "manifest").as_str()), (3, "failed"));
    workplace.write("out/manifest.json", manifest);
    workplace.write("out/report.json", format!("{{\"module_sha256\":\"{}\"}}", "0".repeat(64)));
    let (code, all) = checks(&workplace, &[]);
    assert_eq!((code, result(&all, "report").as_str()), (3, "failed"));
}
