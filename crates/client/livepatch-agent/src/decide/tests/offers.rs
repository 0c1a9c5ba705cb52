//! What is applied, and when nothing is.

use super::*;

#[test]
fn nothing_to_do_is_rest() {
    assert_eq!(World::idle().decide(), Action::Rest(None));
    assert_eq!(World::offering(&[]).decide(), Action::Rest(None));
}

#[test]
fn the_greatest_offer_is_applied() {
    assert_eq!(World::offering(&[1, 3, 2]).decide(), apply(3));
    assert_eq!(
        World::offering(&[1, 2]).in_kernel(1, true, false).with_intent(1, Phase::Confirmed).decide(),
        apply(2)
    );
}

#[test]
fn what_is_applied_or_newer_stays() {
    let world = World::offering(&[1]).in_kernel(2, true, false).with_intent(2, Phase::Confirmed);
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn a_disabled_machine_applies_and_asks_nothing() {
    let world = World { enabled: false, refresh_due: true, report_due: true, ..World::offering(&[1]) };
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn an_offer_for_another_kernel_is_not_for_us() {
    let mut world = World::offering(&[1]);
    world.catalogue.as_mut().unwrap().build_id = "cd".repeat(20).parse().unwrap();
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn a_blocked_digest_gives_way_to_the_one_before() {
    let mut world = World::offering(&[1, 2]);
    block(&mut world, 2);
    assert_eq!(world.decide(), apply(1));
    block(&mut world, 1);
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn what_the_owner_undid_stays_out_until_a_newer_one() {
    let mut world = World::offering(&[1]);
    undo_by_owner(&mut world, 1);
    assert_eq!(world.decide(), Action::Rest(None));
    world.catalogue = World::offering(&[2]).catalogue;
    assert_eq!(world.decide(), apply(2));
}

#[test]
fn a_failed_attempt_waits_for_the_next_look() {
    let mut world = World::offering(&[1]);
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
    assert_eq!(world.decide(), Action::Rest(None));
    world.attempt.as_mut().unwrap().retry = true;
    assert_eq!(world.decide(), apply(1));
    world.attempt.as_mut().unwrap().retry = false;
    world.catalogue = World::offering(&[2]).catalogue;
    assert_eq!(world.decide(), apply(2));
}

#[test]
fn a_stale_offer_counts_only_when_confirmed_here() {
    let (mut earlier_boot, mut long_ago) = (World::offering(&[1]), World::offering(&[1]));
    earlier_boot.catalogue.as_mut().unwrap().boot_id = EARLIER.into();
    long_ago.catalogue.as_mut().unwrap().uptime_ms = 0;
    for mut world in [earlier_boot, long_ago] {
        assert_eq!(world.decide(), Action::Rest(None));
        world.confirmed.add(&manifest(1).module.sha256);
        assert_eq!(world.decide(), apply(1));
    }
}

#[test]
fn refresh_comes_before_apply_and_report_last() {
    let mut world = World { refresh_due: true, report_due: true, ..World::offering(&[1]) };
    assert_eq!(world.decide(), Action::Refresh);
    world.refresh_due = false;
    assert_eq!(world.decide(), apply(1));
    world.catalogue = None;
    assert_eq!(world.decide(), Action::Report);
}
