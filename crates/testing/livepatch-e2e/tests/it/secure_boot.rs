//! Secure Boot for real: OVMF, shim, GRUB, a kernel that is locked down, and an authority that its owner enrols at the
//! console, once, whatever keys sign below it.

use crate::{
    installed::{LIMIT, Stage, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_e2e::{Builder, Machine, Prepared, Site};
use livepatch_manifest::{Digest, Manifest};
use livepatch_vm::Firmware;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

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
    let authority = Authority::new(stage);
    let site = stage.scene.site_trusting(&authority.certificate());
    let first = authority.signs(&stage.scene.prepared, "first");
    site.publish(&first, TIER).unwrap();
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
    assert!(listed.contains(AUTHORITY), "{listed}");
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
    assert_eq!(in_kernel(&machine), [name(&first)]);
    let state = machine.kernel_state().unwrap();
    assert_eq!(state.taint_letters, "OK", "the kernel knows the key: no E");
    a_new_key_needs_no_new_enrolment(stage, &authority, &site, &machine);
}

/// Neither the firmware nor the machine is told anything: the authority vouches for the new key as for the old one.
fn a_new_key_needs_no_new_enrolment(
    stage: &Stage,
    authority: &Authority<'_>,
    site: &Site,
    machine: &Machine,
) {
    let second = authority.signs(&stage.scene.unpublished("complains.patch", 2), "second");
    site.publish(&second, TIER).unwrap();
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    assert_eq!(in_kernel(machine), [name(&second)]);
    assert_eq!(machine.kernel_state().unwrap().taint_letters, "OK");
}

const AUTHORITY: &str = "Livepatch tests, authority";

/// What machines trust, and the keys below it.
struct Authority<'a> {
    builder: Builder<'a>,
    directory: PathBuf,
}

impl<'a> Authority<'a> {
    fn new(stage: &'a Stage) -> Self {
        let directory = stage.scene.directory.path().join("authority");
        let builder = Builder::new(&stage.scene.programs, directory.with_extension("log"), &|_| {});
        builder.generate_authority(AUTHORITY, &directory).unwrap();
        Self { builder, directory }
    }

    fn certificate(&self) -> PathBuf {
        self.directory.join("cert.pem")
    }

    /// The build of a livepatch, signed with a fresh key that this authority certified.
    fn signs(&self, prepared: &Prepared, name: &str) -> PathBuf {
        let (keys, build) = (self.directory.join(name), self.directory.join(format!("{name}-build")));
        self.builder
            .generate_certified_key(&format!("Livepatch tests, {name} key"), &self.directory, &keys)
            .unwrap();
        unsigned(prepared, &build);
        self.builder.sign_below(&build, &keys, &self.directory).unwrap();
        build
    }
}

/// Copies a build as it was before it was signed.
fn unsigned(prepared: &Prepared, build: &Path) {
    fs::create_dir(build).unwrap();
    let signed = prepared.module().unwrap();
    let body = livepatch_module::split(&signed).unwrap().body;
    let mut manifest = prepared.manifest().unwrap();
    manifest.module.sha256 = Digest::of(body);
    manifest.module.size = body.len() as u64;
    manifest.module.signer = None;
    fs::write(build.join(manifest.file_name()), body).unwrap();
    fs::write(build.join("manifest.json"), manifest.to_canonical_bytes().unwrap()).unwrap();
}

fn name(build: &Path) -> String {
    Manifest::parse(&fs::read(build.join("manifest.json")).unwrap()).unwrap().name
}

/// What the client says about the firmware, the kernel's keys, and whether they will take the livepatch.
fn secure_boot(machine: &Machine) -> Value {
    let output = machine.livepatch("secureboot status --format json").unwrap();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
