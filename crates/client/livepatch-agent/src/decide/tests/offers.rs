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

/// Published on the day before the test's.
fn dated(mut world: World, version: u32) -> World {
    let date = "2026-11-23T12:00:00Z".parse().unwrap();
    let digest = manifest(version).module.sha256.as_str().to_owned();
    world.catalogue.as_mut().unwrap().published.insert(digest, date);
    world
}

#[test]
fn modes_forbid_what_they_say() {
    for (mode, applies, asks) in [
        (Mode::Normal, true, true),
        (Mode::NoApply, false, true),
        (Mode::NoRefresh, true, false),
        (Mode::Stop, false, false),
    ] {
        let mut world = World::offering(&[1]);
        world.circumstances.mode = mode;
        assert_eq!(world.decide() == apply(1), applies, "{mode}");
        for world in
            [World { refresh_due: true, ..World::idle() }, World { report_due: true, ..World::idle() }]
        {
            let mut world = world;
            world.circumstances.mode = mode;
            let asked = matches!(world.decide(), Action::Refresh | Action::Report);
            assert_eq!(asked, asks, "{mode}");
        }
    }
}

#[test]
fn a_stopped_client_still_sees_a_transition_to_its_end() {
    let mut world = World::idle().with_intent(1, Phase::Transition).in_kernel(1, true, true);
    world.circumstances.mode = Mode::Stop;
    world.uptime = Duration::from_secs(990 + 120);
    assert_eq!(world.decide(), Action::Undo(UndoReason::Stalled));
    let mut world = World::idle().with_intent(1, Phase::Soaking).after_reboot();
    world.circumstances.mode = Mode::Stop;
    assert_eq!(world.decide(), Action::BlockCrashed);
}

#[test]
fn an_older_offer_is_applied_while_the_newest_has_to_wait() {
    let mut world = dated(World::offering(&[1, 2]), 2);
    world.policy.delay = Duration::from_secs(7 * 86_400);
    assert_eq!(world.decide(), apply(1), "what has no date counts as old");
    let until = "2026-11-30T12:00:00Z".parse().unwrap();
    assert_eq!(postponed(&world.facts()), Some(Postponed::Delay { until }));
    world.circumstances.owner_asks = true;
    assert_eq!(world.decide(), apply(2));
    world.policy.cutoff = Some("2026-11-01T00:00:00Z".parse().unwrap());
    assert_eq!(world.decide(), apply(1), "the cut-off date is stronger than a wish");
}

#[test]
fn what_proved_good_does_not_wait_for_a_window() {
    let mut world = World::offering(&[1]);
    world.policy.windows = vec!["Sat 01:00-02:00".parse().unwrap()];
    assert_eq!(world.decide(), Action::Rest(None));
    world.confirmed.add(&manifest(1).module.sha256);
    assert_eq!(world.decide(), apply(1));
}
