//! The livepatch at hand: load, transition, soak, undo, and every crash in between.

use super::*;
use livepatch_host::{Frame, Incident, IncidentKind};

#[test]
fn a_crash_before_confirmation_blocks() {
    for phase in [Phase::Loading, Phase::Transition, Phase::Soaking, undoing(UndoReason::Trouble)] {
        let world = World::offering(&[1]).with_intent(1, phase.clone()).after_reboot();
        assert_eq!(world.decide(), Action::BlockCrashed, "{phase:?}");
    }
}

#[test]
fn a_crash_before_confirmation_blocks_even_when_it_was_confirmed_in_an_earlier_boot() {
    let mut world = World::offering(&[1]).with_intent(1, Phase::Soaking).after_reboot();
    world.confirmed.add(&manifest(1).module.sha256);
    assert_eq!(world.decide(), Action::BlockCrashed);
}

#[test]
fn a_crash_blocks_on_a_disabled_machine_too() {
    let world = World { enabled: false, ..World::idle().with_intent(1, Phase::Soaking).after_reboot() };
    assert_eq!(world.decide(), Action::BlockCrashed);
}

#[test]
fn a_proper_reboot_is_no_reproach() {
    let mut world = World::idle().with_intent(1, Phase::Soaking).after_reboot();
    world.intent.as_mut().unwrap().stopped_cleanly = true;
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
    let world = World::idle().with_intent(1, Phase::Confirmed).after_reboot();
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
    let world = World::idle().with_intent(1, undoing(UndoReason::Owner)).after_reboot();
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
}

#[test]
fn a_load_that_never_happened_is_forgotten() {
    let world = World::idle().with_intent(1, Phase::Loading);
    assert_eq!(world.decide(), Action::Forget(Forget::NeverLoaded));
    let world = World::idle().with_intent(1, Phase::Loading).module(&manifest(1).name, false);
    assert_eq!(world.decide(), Action::Poll);
}

#[test]
fn the_daemon_died_after_the_load() {
    let world = World::idle().with_intent(1, Phase::Loading).in_kernel(1, true, true);
    assert_eq!(world.decide(), Action::Enter(Phase::Transition));
}

#[test]
fn a_transition_is_watched_then_soaked() {
    let world = World::idle().with_intent(1, Phase::Transition).in_kernel(1, true, true);
    assert_eq!(world.decide(), Action::Poll);
    let world = World::idle().with_intent(1, Phase::Transition).in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Enter(Phase::Soaking));
}

#[test]
fn a_stalled_transition_is_reverted() {
    let mut world = World::idle().with_intent(1, Phase::Transition).in_kernel(1, true, true);
    world.uptime = Duration::from_secs(990 + 120);
    assert_eq!(world.decide(), Action::Undo(UndoReason::Stalled));
}

#[test]
fn a_transition_that_somebody_reverts_is_left_to_end() {
    let mut world = World::idle().with_intent(1, Phase::Transition).in_kernel(1, false, true);
    world.uptime = Duration::from_secs(5000);
    assert_eq!(world.decide(), Action::Poll);
}

#[test]
fn soak_ends_in_confirmation() {
    let mut world = World::idle().with_intent(1, Phase::Soaking).in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Rest(Some(SOAK_WATCH)));
    world.uptime = Duration::from_secs(990 + 598);
    assert_eq!(world.decide(), Action::Rest(Some(Duration::from_secs(2))));
    world.uptime = Duration::from_secs(990 + 600);
    assert_eq!(world.decide(), Action::Confirm);
}

#[test]
fn soak_does_not_keep_a_newer_version_away() {
    let world = World::offering(&[2]).with_intent(1, Phase::Soaking).in_kernel(1, true, false);
    assert_eq!(world.decide(), apply(2));
}

#[test]
fn trouble_in_the_soak_takes_it_back() {
    for bit in [Taint::DIED, Taint::WARNED, Taint::LOCKUP] {
        let mut world = World::idle().with_intent(1, Phase::Soaking).in_kernel(1, true, false);
        world.taint = Taint(45056 | 1 << bit);
        assert_eq!(world.decide(), Action::Undo(UndoReason::Trouble));
        world.intent.as_mut().unwrap().taint_before = Taint(1 << bit);
        assert_eq!(world.decide(), Action::Rest(Some(SOAK_WATCH)), "it was there before");
    }
}

/// A complaint of this kind in this function.
fn complaint(kind: IncidentKind, module: Option<&str>) -> Incident {
    let frame =
        Frame { function: "cmdline_proc_show".into(), module: module.map(ToOwned::to_owned), reliable: true };
    Incident { kind, headline: "the kernel's words".into(), sequence: 7, frames: vec![frame] }
}

#[test]
fn complaints_are_judged_by_whom_they_name() {
    let (name, stranger) = (manifest(1).name, Some("nvidia"));
    let own = Some(name.as_str());
    let undo = Action::Undo(UndoReason::Trouble);
    let watch = Action::Rest(Some(SOAK_WATCH));
    for (phase, kind, module, expected) in [
        (Phase::Soaking, IncidentKind::Warning, own, undo.clone()),
        (Phase::Soaking, IncidentKind::Warning, stranger, watch.clone()),
        (Phase::Soaking, IncidentKind::HungTask, stranger, watch),
        (Phase::Soaking, IncidentKind::Oops, stranger, undo.clone()),
        (Phase::Transition, IncidentKind::RcuStall, own, undo.clone()),
        (Phase::Confirmed, IncidentKind::Warning, own, Action::Rest(None)),
        (Phase::Confirmed, IncidentKind::Oops, stranger, Action::Rest(None)),
        (Phase::Confirmed, IncidentKind::Oops, own, undo),
    ] {
        let transition = phase == Phase::Transition;
        let mut world = World::idle().with_intent(1, phase.clone()).in_kernel(1, true, transition);
        world.incidents.push(complaint(kind, module));
        assert_eq!(world.decide(), expected, "{phase:?} {kind:?} {module:?}");
        // The warning sets its bit of the mask, which must not say more than the log.
        if kind == IncidentKind::Warning {
            world.taint = Taint(1 << Taint::WARNED);
            assert_eq!(world.decide(), expected, "{phase:?} {kind:?} {module:?} with taint");
        }
    }
}

#[test]
fn the_worst_that_names_the_livepatch_is_the_reason() {
    let world = World::idle().with_intent(1, Phase::Soaking);
    let name = manifest(1).name;
    let incidents = [
        complaint(IncidentKind::Panic, None),
        complaint(IncidentKind::Oops, Some(&name)),
        complaint(IncidentKind::Warning, Some(&name)),
    ];
    let words = KernelWords { incidents: &incidents, log_is_read: true };
    let reason = trouble(words, Taint(0), world.intent.as_ref().unwrap()).unwrap();
    assert_eq!(reason, "oops in its function cmdline_proc_show: the kernel's words");
}

#[test]
fn a_crash_long_after_confirmation_blocks_only_what_the_kernel_named() {
    let mut world = World::offering(&[1]).with_intent(1, Phase::Confirmed).after_reboot();
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
    world.crash_names_it = true;
    assert_eq!(world.decide(), Action::BlockCrashed);
    world.intent.as_mut().unwrap().stopped_cleanly = true;
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
}

#[test]
fn a_livepatch_that_somebody_took_out_is_not_forced_back() {
    for phase in [Phase::Transition, Phase::Soaking, Phase::Confirmed] {
        let world = World::idle().with_intent(1, phase);
        assert_eq!(world.decide(), Action::Forget(Forget::TakenOut));
    }
}

#[test]
fn undo_goes_through_disable_and_removal() {
    let mut world = World::idle().with_intent(1, Phase::Confirmed).in_kernel(1, true, false);
    undo_by_owner(&mut world, 1);
    assert_eq!(world.decide(), Action::Undo(UndoReason::Owner));
    let world = World::idle().with_intent(1, undoing(UndoReason::Owner)).in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Undo(UndoReason::Owner), "the daemon died before it disabled");
    let world = World::idle().with_intent(1, undoing(UndoReason::Owner)).in_kernel(1, false, true);
    assert_eq!(world.decide(), Action::Poll);
    let world = World::idle().with_intent(1, undoing(UndoReason::Owner)).module(&manifest(1).name, true);
    assert_eq!(world.decide(), Action::RemoveModule(manifest(1).name));
    let world = World::idle().with_intent(1, undoing(UndoReason::Owner));
    assert_eq!(world.decide(), Action::FinishUndo);
}

#[test]
fn an_undo_that_stalls_is_looked_at_now_and_then() {
    let mut world =
        World::offering(&[2]).with_intent(1, undoing(UndoReason::Owner)).in_kernel(1, false, true);
    world.uptime = Duration::from_secs(990 + 120);
    assert_eq!(world.decide(), Action::Rest(Some(SOAK_WATCH)));
}

#[test]
fn a_module_that_the_kernel_keeps_does_not_hold_the_undo_up() {
    let mut world = World::idle().with_intent(1, undoing(UndoReason::Owner)).module(&manifest(1).name, true);
    world.stuck.push(manifest(1).name);
    assert_eq!(world.decide(), Action::FinishUndo);
}

#[test]
fn replaced_modules_are_removed_and_foreign_ones_are_not() {
    let replaced = manifest(1).name;
    let world = World::idle().with_intent(2, Phase::Confirmed).in_kernel(2, true, false);
    let world = world.module(&replaced, true).module("kpatch_1", true).module("ext4", true);
    assert_eq!(world.decide(), Action::RemoveModule(replaced.clone()));
    let world = World { stuck: vec![replaced], ..world };
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn a_livepatch_without_a_record_is_adopted() {
    let world = World::offering(&[1, 2]).in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Adopt(Box::new(manifest(1))));
    let world = World::offering(&[1]).in_kernel(9, true, false);
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn own_names_are_told_from_foreign_ones() {
    assert_eq!(own_version("livepatch_6_1_0_55_cloud_amd64_12", &kernel()), Some(12));
    for name in [
        "lp_v1",
        "livepatch_6_1_0_56_cloud_amd64_1",
        "livepatch_6_1_0_55_cloud_amd64_",
        "livepatch_6_1_0_55_cloud_amd64_x",
    ] {
        assert_eq!(own_version(name, &kernel()), None, "{name}");
    }
}

#[test]
fn a_step_back_puts_the_version_before_in_place() {
    let mut world = World::offering(&[1, 2, 3]).with_intent(3, Phase::Confirmed).in_kernel(3, true, false);
    assert_eq!(previous_version(&world.facts(), &manifest(3)), Some(2));
    block(&mut world, 2);
    assert_eq!(previous_version(&world.facts(), &manifest(3)), Some(1));
    undo_by_owner(&mut world, 3);
    world.undone.as_mut().unwrap().back_to = Some(1);
    assert_eq!(world.decide(), apply(1), "without a gap");
    // It is there, and stays.
    let after = World { undone: world.undone.clone(), ..World::offering(&[1, 2, 3]) };
    let after = after.with_intent(1, Phase::Confirmed).in_kernel(1, true, false);
    assert_eq!(after.decide(), Action::Rest(None));
    // It cannot be applied: the owner's wish that this one goes counts all the same.
    world.attempt = Some(Attempt {
        boot_id: BOOT.into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        sha256: manifest(1).module.sha256,
        name: manifest(1).name,
        failure: Failure { code: "kernel-refused".into(), message: String::new() },
        retry: false,
        tasks: vec![],
        count: 1,
        uptime_ms: 0,
    });
    assert_eq!(world.decide(), Action::Undo(UndoReason::Owner));
    assert_eq!(previous_version(&World::offering(&[1]).facts(), &manifest(1)), None);
}
