//! Secure Boot for real: OVMF, shim, GRUB, a kernel that is locked down, and a key that its owner enrols at the console.

use crate::{
    installed::{LIMIT, Stage, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_e2e::run_logged;
use livepatch_vm::{Exit, Firmware};
use std::process::Command;

const PASSWORD: &str = "open-livepatch";

#[test]
#[ignore = "long: cargo xtask test --long"]
fn a_locked_down_kernel_takes_the_livepatch_once_its_owner_has_enrolled_the_key() {
    let stage = Stage::new();
    let site = stage.scene.site();
    let manifest = stage.scene.prepared.manifest().unwrap();
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    let directory = stage.scene.directory.path();
    let firmware = Firmware::secure_boot(directory.join("variables.fd")).unwrap();
    let certificate = directory.join("certificate.der");
    let mut convert = Command::new("openssl");
    convert.args(["x509", "-outform", "DER", "-in"]).arg(stage.scene.prepared.certificate());
    run_logged(convert.arg("-out").arg(&certificate), &directory.join("openssl.log"), &|_| {}).unwrap();

    let with_key = |builder: livepatch_vm::GuestBuilder| {
        builder.firmware(&firmware).file(&certificate, "/root/certificate.der", 0o644)
    };
    let machine = stage.install_with(5, with_key, "true");
    let lockdown = machine.guest().read_file("/sys/kernel/security/lockdown").unwrap();
    assert!(lockdown.contains("[integrity]"), "{lockdown}");
    assert_eq!(machine.guest().check("mokutil --sb-state", LIMIT).unwrap().trim(), "SecureBoot enabled");

    // Refused, with the reason and what to do about it.
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status, 3, "{said}");
    assert!(said.contains("not accepted by this kernel's keys"), "{said}");
    assert_eq!(in_kernel(&machine), Vec::<String>::new());

    let request = format!(
        "mokutil --generate-hash={PASSWORD} > /root/hash && \
         mokutil --import /root/certificate.der --hash-file /root/hash && mokutil --list-new"
    );
    let listed = machine.guest().check(&request, LIMIT).unwrap();
    assert!(listed.contains("Livepatch tests"), "{listed}");
    machine.guest().check("systemctl start --no-block poweroff.target", LIMIT).unwrap();
    assert_eq!(machine.guest().wait_for_exit(LIMIT).unwrap(), Exit::PoweredOff);
    drop(machine);

    let machine = stage.system.boot_with(|builder| builder.firmware(&firmware).enrol_key(PASSWORD)).unwrap();
    let lockdown = machine.guest().read_file("/sys/kernel/security/lockdown").unwrap();
    assert!(lockdown.contains("[integrity]"), "{lockdown}");
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [manifest.name.as_str()]);
    let state = machine.kernel_state().unwrap();
    assert_eq!(state.taint_letters, "OK", "the kernel knows the key: no E");
}
