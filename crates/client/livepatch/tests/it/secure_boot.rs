//! Secure Boot on a machine whose firmware is a directory: what is predicted, and how an enrolment is asked for. The firmware
//! itself comes in the VM tests.

use crate::machine::Machine;
use livepatch_api::TrustAnchor;
use livepatch_module::{KeySize, SigningKey};
use serde_json::Value;
use std::{fs, time::SystemTime};

const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SHIM: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";

/// A machine in lockdown that trusts one certificate; also that certificate's key identifier.
fn machine() -> (Machine, String) {
    let mut machine = Machine::new();
    let key = SigningKey::generate_sized(KeySize::Rsa2048, "Livepatch tests", SystemTime::now()).unwrap();
    let certificate = key.certificate();
    let anchor = TrustAnchor {
        schema: 1,
        tuf_root: "{}".into(),
        module_certificates: vec![certificate.to_pem().to_owned()],
        site: None,
        origins: vec![],
    };
    machine.enrol();
    fs::write(machine.directory.path().join("state/trust-anchor.json"), anchor.to_bytes().unwrap()).unwrap();
    let variable = |name: &str, guid: &str| format!("sys/firmware/efi/efivars/{name}-{guid}");
    machine.put(&variable("SecureBoot", GLOBAL), [6, 0, 0, 0, 1]);
    machine.put(&variable("SetupMode", GLOBAL), [6, 0, 0, 0, 0]);
    machine.put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    machine.put("sys/module/module/parameters/sig_enforce", "N\n");
    machine.put("proc/keys", DEBIAN);
    machine.start();
    (machine, certificate.key_id())
}

const DEBIAN: &str = "0053a9c8 I------     1 perm 1f030000     0     0 asymmetri Debian Secure Boot CA: \
                      6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1: X509.rsa bb419ea1 []\n";

fn status(machine: &Machine) -> Value {
    let output = machine.livepatch(&["secureboot", "status", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn enroll(machine: &Machine, more: &[&str]) -> (i32, String) {
    let root = machine.directory.path().join("root");
    let output =
        machine.livepatch(&[&["secureboot", "enroll", "--root", root.to_str().unwrap()], more].concat());
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn from_refused_to_accepted() {
    let (machine, key_id) = machine();
    let found = status(&machine);
    assert_eq!((found["secure_boot"].as_bool(), found["lockdown"].as_str()), (Some(true), Some("integrity")));
    assert_eq!(found["prediction"], "refused", "{found:#}");
    assert!(found["next_step"].as_str().unwrap().contains("secureboot enroll"));
    assert_eq!(machine.livepatch(&["check"]).status.code(), Some(7));

    let (code, text) = enroll(&machine, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("'Enroll MOK'") && text.contains("Type this password: "), "{text}");
    let mok = machine.directory.path().join(format!("root/sys/firmware/efi/efivars/MokNew-{SHIM}"));
    assert_eq!(fs::read(&mok).unwrap()[..4], [7, 0, 0, 0]);
    let found = status(&machine);
    assert_eq!(found["certificates"][0]["requested"], true, "{found:#}");
    let (code, text) = enroll(&machine, &[]);
    assert_eq!((code, text.contains("asked already")), (0, true), "{text}");
    assert!(enroll(&machine, &["--again"]).1.contains("Type this password: "));

    // After the reboot shim lists the key and the kernel has it.
    fs::rename(&mok, mok.with_file_name(format!("MokListRT-{SHIM}"))).unwrap();
    let own = format!("1a I--- 1 perm 1f 0 0 asymmetri Livepatch tests: {key_id}: X509.rsa x []\n");
    machine.put("proc/keys", format!("{DEBIAN}{own}"));
    let found = status(&machine);
    assert_eq!(
        (found["prediction"].as_str(), &found["certificates"][0]["enrolled"]),
        (Some("accepted"), &Value::Bool(true))
    );
    assert!(enroll(&machine, &[]).1.starts_with("nothing to do"));
}

#[test]
fn where_nothing_can_be_enrolled() {
    let (machine, _) = machine();
    fs::remove_dir_all(machine.directory.path().join("root/sys/firmware")).unwrap();
    let (code, message) = {
        let root = machine.directory.path().join("root");
        machine.fails(&["secureboot", "enroll", "--root", root.to_str().unwrap()])
    };
    assert_eq!((code, message.starts_with("error[no-efi]")), (3, true), "{message}");
    assert!(status(&machine)["next_step"].as_str().unwrap().contains("sig_enforce"));
    let bare = Machine::with_daemon();
    let (code, message) = bare.fails(&["secureboot", "enroll"]);
    assert_eq!((code, message.starts_with("error[not-enabled]")), (6, true), "{message}");
}
