//! Secure Boot for real: OVMF, shim, GRUB, a kernel that is locked down, and a key that its owner enrols at the console.

use crate::{
    installed::{LIMIT, Stage, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_e2e::Machine;
use livepatch_vm::Firmware;
use serde_json::Value;

const PASSWORD: &str = "openlivepatch";

#[test]
#[ignore = "long: cargo xtask test --long"]
fn a_locked_down_kernel_takes_the_livepatch_once_its_owner_has_enrolled_the_key() {
    scenario(&Stage::new());
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn the_same_on_a_locked_down_6_12() {
    scenario(&Stage::of_series("6.12"));
}

fn scenario(stage: &Stage) {
    let site = stage.scene.site();
    let manifest = stage.scene.prepared.manifest().unwrap();
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    let firmware = Firmware::secure_boot(stage.scene.directory.path().join("variables.fd")).unwrap();

    let machine = stage.install_with(5, |builder| builder.firmware(&firmware), "true");
    let lockdown = machine.guest().read_file("/sys/kernel/security/lockdown").unwrap();
    assert!(lockdown.contains("[integrity]"), "{lockdown}");
    assert_eq!(machine.guest().check("mokutil --sb-state", LIMIT).unwrap().trim(), "SecureBoot enabled");

    // Refused, with the reason and what to do about it.
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status, 3, "{said}");
    assert!(said.contains("not accepted by this kernel's keys"), "{said}");
    assert_eq!(in_kernel(&machine), Vec::<String>::new());

    let before = secure_boot(&machine);
    assert_eq!(before["prediction"], "refused", "{before:#}");
    let advice = before["next_step"].as_str().unwrap();
    assert!(advice.contains("livepatch secureboot enroll"), "{advice}");

    let enroll = format!("echo {PASSWORD} | livepatch secureboot enroll --password-stdin");
    let steps = machine.guest().check(&enroll, LIMIT).unwrap();
    assert!(steps.contains("Enroll MOK"), "{steps}");
    // What asked for it is ours; the distribution's tool reads it as its own.
    let listed = machine.guest().check("mokutil --list-new", LIMIT).unwrap();
    assert!(listed.contains("Livepatch tests"), "{listed}");
    let requested = secure_boot(&machine);
    assert_eq!(requested["certificates"][0]["requested"], true, "{requested:#}");
    stage.system.shut_down(machine).unwrap();

    let machine = stage.system.boot_with(|builder| builder.firmware(&firmware).enrol_key(PASSWORD)).unwrap();
    let lockdown = machine.guest().read_file("/sys/kernel/security/lockdown").unwrap();
    assert!(lockdown.contains("[integrity]"), "{lockdown}");
    let after = secure_boot(&machine);
    assert_eq!(after["prediction"], "accepted", "{after:#}");
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [manifest.name.as_str()]);
    let state = machine.kernel_state().unwrap();
    assert_eq!(state.taint_letters, "OK", "the kernel knows the key: no E");
}

/// What the client says about the firmware, the kernel's keys, and whether they will take the livepatch.
fn secure_boot(machine: &Machine) -> Value {
    let output = machine.livepatch("secureboot status --format json").unwrap();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
