//! The good roads: apply, soak, confirm, replace, undo, and what comes back after a reboot.

use crate::{
    module::{build, manifest, name, running, signed},
    rig::{Rig, SOAK},
};
use livepatch_agent::Refusal;
use livepatch_api::PatchState;
use livepatch_kernel::Taint;
use std::time::Duration;

#[test]
fn enable_applies_soaks_and_confirms() {
    let mut rig = Rig::new();
    assert_eq!(rig.status().state, PatchState::Disabled);
    let published = rig.site.publish(1, &signed(1));
    assert_eq!(rig.enable().unwrap(), None);
    assert_eq!(rig.kernel.active(), [name(1)]);
    let status = rig.status();
    assert_eq!(status.state, PatchState::Soaking);
    let livepatch = status.livepatch.unwrap();
    assert_eq!(livepatch.sha256, Some(published.module.sha256));
    assert_eq!(livepatch.fixes[0].id, "CVE-2026-1");
    assert_eq!(livepatch.functions, ["vmlinux:ext4_mb_load_buddy_gfp"]);
    assert_eq!(status.taint.value, Taint(45056));
    assert!(status.tuf.unwrap().targets > 1);
    rig.pass(SOAK);
    assert_eq!(rig.status().state, PatchState::Applied);
    assert_eq!(rig.events(), ["applied", "confirmed"]);
    let last = rig.site.reports().pop().unwrap();
    assert_eq!(last.state, PatchState::Applied);
    assert_eq!(last.applied.unwrap().name, name(1));
}

#[test]
fn a_newer_version_replaces_and_the_old_module_goes() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    assert_eq!(rig.refresh(), None);
    rig.site.publish(2, &signed(2));
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.active(), [name(2)]);
    assert_eq!(rig.kernel.modules(), [name(2)]);
    assert_eq!(rig.status().livepatch.unwrap().version, Some(2));
}

#[test]
fn other_tiers_and_other_kernels_get_nothing() {
    let mut rig = Rig::enabled();
    let module = signed(1);
    rig.site.publish_as(manifest(1, &module), &module, "stable");
    let (module, mut elsewhere) = (signed(2), running());
    elsewhere.build_id = "cd".repeat(20).parse().unwrap();
    let mut other = manifest(2, &module);
    other.kernel = elsewhere;
    rig.site.publish_as(other, &module, "edge");
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.status().state, PatchState::NothingToApply);
    assert!(rig.kernel.is_untouched());
}

#[test]
fn undo_stays_undone_until_told_or_newer() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.undo().unwrap();
    assert_eq!((rig.kernel.active(), rig.kernel.modules()), (vec![], vec![]));
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.status().state, PatchState::Unapplied);
    assert!(rig.status().next_step.contains("--apply"));
    assert!(matches!(rig.undo(), Err(Refusal::NothingToUndo)));
    assert_eq!(rig.refresh_and_apply(), None);
    assert_eq!(rig.kernel.active(), [name(1)]);
    rig.undo().unwrap();
    rig.site.publish(2, &signed(2));
    rig.refresh();
    assert_eq!(rig.kernel.active(), [name(2)]);
}

#[test]
fn an_undo_outlives_a_reboot() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.undo().unwrap();
    rig.reboot();
    rig.refresh();
    assert_eq!(rig.kernel.active(), [""; 0]);
}

#[test]
fn what_was_confirmed_comes_back_after_a_reboot_without_the_network() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.site.set_down(true);
    rig.reboot();
    assert_eq!(rig.kernel.active(), [name(1)]);
    assert_eq!(rig.status().state, PatchState::Soaking);
}

#[test]
fn what_was_not_confirmed_waits_for_the_repository_after_a_reboot() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.reboot();
    assert_eq!(rig.kernel.active(), [""; 0]);
    assert!(rig.status().blocked.is_empty(), "a proper reboot is no crash");
    rig.pass(Duration::from_secs(300));
    assert_eq!(rig.kernel.active(), [name(1)]);
}

#[test]
fn a_withdrawn_livepatch_is_not_applied_again() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.site.withdraw(&name(1));
    rig.refresh();
    assert_eq!(rig.kernel.active(), [name(1)], "what runs stays");
    rig.reboot();
    rig.refresh();
    assert_eq!(rig.kernel.active(), [""; 0]);
}

#[test]
fn a_cached_module_that_was_altered_is_fetched_again() {
    let mut rig = Rig::enabled();
    let module = signed(1);
    let published = rig.site.publish(1, &module);
    rig.refresh();
    rig.pass(SOAK);
    rig.state().cache_module(&published.module.sha256, &build(1, &[])).unwrap();
    rig.reboot();
    assert_eq!(rig.kernel.active(), [name(1)]);
    assert_eq!(rig.state().cached_module(&published.module.sha256).unwrap(), Some(module));
}

#[test]
fn the_daemon_looks_by_itself() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.pass(Duration::from_secs(3600));
    assert_eq!(rig.kernel.active(), [name(1)]);
}

#[test]
fn disable_leaves_the_kernel_alone_and_forgets_the_server() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.disable();
    assert_eq!(rig.kernel.active(), [name(1)]);
    assert_eq!(rig.status().state, PatchState::Disabled);
    let requests = rig.site.requests().len();
    rig.pass(Duration::from_secs(86_400));
    assert_eq!(rig.site.requests().len(), requests, "a disabled machine is silent");
    rig.undo().unwrap();
    assert_eq!(rig.kernel.active(), [""; 0]);
    rig.reboot();
    assert!(rig.kernel.active().is_empty());
}

#[test]
fn a_taken_out_livepatch_is_not_forced_back() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    livepatch_agent::KernelControl::disable(&rig.kernel, &name(1)).unwrap();
    rig.settle();
    rig.refresh();
    assert_eq!(rig.kernel.active(), [""; 0]);
    assert_eq!(rig.status().state, PatchState::Unapplied);
}

#[test]
fn a_step_back_leaves_no_gap_and_lasts_until_a_newer_one() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    assert_eq!(rig.step_back().unwrap_err().code(), "no-previous");
    assert_eq!(rig.kernel.active(), [name(1)], "nothing happened");
    rig.pass(SOAK);
    rig.site.publish(2, &signed(2));
    rig.refresh();
    rig.step_back().unwrap();
    assert_eq!((rig.kernel.active(), rig.kernel.modules()), (vec![name(1)], vec![name(1)]));
    rig.refresh();
    rig.reboot();
    assert_eq!(rig.kernel.active(), [name(1)], "as its owner wanted");
    rig.site.publish(3, &signed(3));
    rig.refresh();
    assert_eq!(rig.kernel.active(), [name(3)]);
}

#[test]
fn a_directory_is_server_enough() {
    let mut rig = Rig::new();
    rig.site.publish_as(crate::module::manifest(1, &signed(1)), &signed(1), "stable");
    rig.site.set_down(true);
    assert_eq!(rig.enable_from_directory().unwrap(), None);
    assert_eq!(rig.kernel.active(), [name(1)]);
    rig.site.alter_modules();
    rig.site.expire();
    assert_eq!(rig.refused(), "metadata-expired", "a directory is trusted no more than a server");
}

#[test]
fn the_switch_is_obeyed_without_a_restart() {
    let mut rig = Rig::enabled();
    rig.kernel.switch("no-apply");
    rig.site.publish(1, &signed(1));
    rig.refresh();
    assert!(rig.kernel.is_untouched());
    assert_eq!(rig.status().state, PatchState::Unapplied);
    rig.kernel.switch("stop");
    let asked = rig.site.requests().len();
    rig.pass(Duration::from_secs(20_000));
    rig.refresh();
    assert_eq!(rig.site.requests().len(), asked, "nobody is asked");
    rig.kernel.switch("normal");
    rig.refresh();
    assert_eq!(rig.kernel.active(), [name(1)]);
}

#[test]
fn without_a_route_nothing_is_asked_and_nothing_fails() {
    let mut rig = Rig::enabled();
    rig.kernel.set_routes(false);
    // The server of the tests is on loopback, which needs no route: another name for it does.
    let identity = rig.state().load::<livepatch_agent::Identity>().unwrap().unwrap();
    let mut elsewhere = identity.server.clone();
    elsewhere.set_host(Some("127.0.0.2")).unwrap();
    rig.state().save(&livepatch_agent::Identity { server: elsewhere, ..identity }).unwrap();
    let failures = |rig: &Rig| rig.state().load::<livepatch_agent::Schedule>().unwrap().unwrap().failures;
    rig.pass(Duration::from_secs(10_000));
    assert_eq!(failures(&rig), 0);
    rig.kernel.set_routes(true);
    rig.pass(Duration::from_secs(60));
    assert_eq!(failures(&rig), 1, "there it asks, and nobody answers");
}
