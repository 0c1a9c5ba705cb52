//! A machine enrols, is livepatched, is seen by the server, and takes the livepatch back without a reboot.

use crate::scene::{Scene, TIER, assert_applied, assert_untouched, command_line, field};
use livepatch_api::PatchState;

#[test]
fn a_livepatch_is_applied_seen_and_undone() {
    let scene = Scene::new();
    let manifest = scene.prepared.manifest().unwrap();
    let site = scene.site();
    site.publish(&scene.prepared.build(), TIER).unwrap();
    let machine = scene.machine();
    assert_untouched(&machine);

    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    let state = assert_applied(&machine, &manifest, &output);
    assert_eq!(state.build_id, manifest.kernel.build_id);
    assert_eq!(
        state.taint_letters, "OEK",
        "a livepatch by a key that the kernel does not know, and nothing else"
    );
    assert_eq!(
        state.livepatches[0].functions,
        ["vmlinux/cmdline_proc_show,1"],
        "only the function of the fix"
    );
    assert_eq!(field(&machine, "/livepatch/sha256"), manifest.module.sha256.as_str());
    assert_eq!(field(&machine, "/state"), "soaking");

    let seen = site.machines().unwrap().pop().unwrap();
    assert_eq!(seen.kernel, manifest.kernel);
    assert_eq!(seen.applied.unwrap().sha256, manifest.module.sha256);
    assert_eq!(seen.state, PatchState::Soaking);

    let undone = machine.livepatch("undo").unwrap();
    assert_eq!(undone.status, 0, "{undone:?}");
    assert_out(&machine);
    // It stays out, until its owner says otherwise.
    assert_eq!(machine.livepatch("refresh").unwrap().status, 0);
    assert_out(&machine);
    let output = machine.livepatch("refresh --apply").unwrap();
    assert_applied(&machine, &manifest, &output);
}

#[track_caller]
fn assert_out(machine: &livepatch_e2e::Machine) {
    let state = machine.kernel_state().unwrap();
    assert!(state.livepatches.is_empty() && state.modules.is_empty(), "{state:?}");
    assert!(!command_line(machine).contains("livepatched"), "the original function must run again");
}
