//! What must never reach the kernel: each has its own code, and the kernel stays untouched.

use crate::{
    module::{FOREIGN_KEY, KEY, build, manifest, running, signed},
    rig::Rig,
};
use livepatch_agent::{Refusal, verify_module};
use livepatch_api::{EnrolmentToken, PatchState};
use livepatch_module::sign;
use std::fs;

/// The code with which a machine refuses this module, which the repository really offers.
fn refusal_of(module: &[u8]) -> String {
    let mut rig = Rig::enabled();
    rig.site.publish(1, module);
    let code = rig.refused();
    assert!(rig.kernel.is_untouched());
    assert_eq!(rig.status().state, PatchState::ApplyFailed);
    assert_eq!(rig.events(), ["refused"]);
    assert_eq!(rig.refused(), code, "and again");
    code
}

#[test]
fn signatures() {
    assert_eq!(refusal_of(&build(1, &[])), "module-unsigned");
    assert_eq!(refusal_of(&sign(&build(1, &[]), &FOREIGN_KEY).unwrap()), "module-signer-unknown");
    let mut tampered = signed(1);
    tampered[80] ^= 1;
    assert_eq!(refusal_of(&tampered), "module-signature-invalid");
}

#[test]
fn modules_that_were_built_for_another_kernel() {
    let other = "cd".repeat(20);
    for change in [
        ("livepatch_build_id", other.as_str()),
        ("livepatch_release", "6.1.0-56-cloud-amd64"),
        ("vermagic", "6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions "),
    ] {
        let module = sign(&build(1, &[change]), &KEY).unwrap();
        assert_eq!(refusal_of(&module), "wrong-kernel", "{change:?}");
    }
}

#[test]
fn modules_that_are_not_what_the_manifest_says() {
    for change in [("livepatch", "N"), ("name", "another")] {
        let module = sign(&build(1, &[change]), &KEY).unwrap();
        assert_eq!(refusal_of(&module), "module-malformed", "{change:?}");
    }
}

#[test]
fn manifests_that_are_right_in_build_id_and_wrong_in_the_rest() {
    let mut rig = Rig::enabled();
    let module = signed(1);
    let mut manifest = manifest(1, &module);
    manifest.kernel.arch = "aarch64".into();
    rig.site.publish_as(manifest, &module, "edge");
    assert_eq!(rig.refused(), "wrong-kernel");
    assert!(rig.kernel.is_untouched());
}

/// TUF refuses other bytes before this check sees them; it must hold by itself, for what comes from the cache.
#[test]
fn bytes_that_are_not_those_of_the_manifest() {
    let (published, other) = (manifest(1, &signed(1)), signed(2));
    let trusted = [KEY.certificate().clone()];
    let refusal = verify_module(&other, &published, &trusted, &running()).unwrap_err();
    assert_eq!(refusal.code(), "target-altered");
    let published = manifest(1, &signed(1));
    verify_module(&signed(1), &published, &trusted, &running()).unwrap();
}

#[test]
fn a_module_that_was_altered_in_transit() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.site.alter_modules();
    assert_eq!(rig.refused(), "target-altered");
    assert!(rig.kernel.is_untouched());
}

#[test]
fn expired_metadata() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.site.expire();
    assert_eq!(rig.refused(), "metadata-expired");
    assert!(rig.kernel.is_untouched());
    let status = rig.status();
    assert_eq!(status.state, PatchState::CheckFailed);
    assert_eq!(status.last_check.unwrap().code.as_deref(), Some("metadata-expired"));
}

#[test]
fn rolled_back_metadata() {
    let mut rig = Rig::enabled();
    let timestamp = rig.site.metadata().join("timestamp.json");
    let old = fs::read(&timestamp).unwrap();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.undo().unwrap();
    fs::write(timestamp, old).unwrap();
    assert_eq!(rig.refused(), "metadata-rolled-back");
    assert_eq!(rig.refused(), "metadata-rolled-back");
    assert_eq!(rig.events(), ["applied", "undone", "refused"]);
    assert!(rig.kernel.active().is_empty());
}

#[test]
fn tokens() {
    let mut rig = Rig::new();
    let refused = |rig: &mut Rig, token: &str| rig.enable_with(token).unwrap_err().code();
    assert_eq!(refused(&mut rig, "lp1.short"), "malformed-token");
    assert_eq!(rig.site.requests().len(), 0);
    let unknown = EnrolmentToken { secret: "z".repeat(32), ..rig.site.token() };
    assert_eq!(refused(&mut rig, &unknown.to_string()), "unknown-token");
    rig.site.replace_anchor();
    let requests = rig.site.requests().len();
    let token = rig.site.token().to_string();
    assert_eq!(refused(&mut rig, &token), "trust-anchor-mismatch");
    assert_eq!(rig.site.requests().len(), requests + 1, "the secret was not sent");
    assert_eq!(rig.status().state, PatchState::Disabled);
    assert!(rig.kernel.is_untouched());
}

#[test]
fn enabling_twice_and_without_a_server() {
    let mut rig = Rig::enabled();
    assert!(matches!(rig.enable(), Err(Refusal::AlreadyEnabled(_))));
    rig.disable();
    assert_eq!(rig.enable().unwrap(), None);
    rig.disable();
    rig.site.set_down(true);
    assert_eq!(rig.enable().unwrap_err().code(), "server-unreachable");
}

#[test]
fn a_container_has_no_kernel_of_its_own() {
    let mut rig = Rig::new();
    rig.kernel.put("run/systemd/container", "lxc\n");
    let refusal = rig.enable().unwrap_err();
    assert_eq!(refusal.code(), "container");
    assert!(refusal.to_string().contains("enable livepatching there"), "{refusal}");
    assert_eq!(rig.status().state, PatchState::Disabled);
}

#[test]
fn a_kernel_without_livepatch_support() {
    let mut rig = Rig::enabled();
    rig.kernel.lose_livepatch_support();
    rig.site.publish(1, &signed(1));
    assert_eq!(rig.refused(), "kernel-unsupported");
    assert_eq!(rig.status().state, PatchState::ApplyFailed);
}
