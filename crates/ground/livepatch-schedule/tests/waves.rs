//! What always holds of waves.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_manifest::Digest;
use livepatch_schedule::{
    Directive, Hold, MILLION, Position, Reach, Request, Schedule, ScheduleError, Steering, Wave, Window,
    hold, key_of,
};
use proptest::prelude::*;

const START: i64 = 1_800_000_000;

fn schedule() -> Schedule {
    let wave = |after, share| Wave { after, share };
    Schedule {
        release: "2027-01".into(),
        tiers: vec!["stable".into()],
        start: START,
        waves: vec![wave(0, 1000), wave(3600, 100_000), wave(7200, MILLION)],
        windows: vec![],
    }
}

fn steering(sha256: &Digest, reach: Reach, halted: bool) -> Steering {
    let rollouts = [(key_of(sha256), Directive { reach, halted })].into();
    Steering { rollouts, ..Steering::default() }
}

fn ask<'a>(machine_id: &'a str, sha256: &'a Digest, now: i64) -> Request<'a> {
    Request { machine_id, tier: "stable", sha256, confirmed: false, now }
}

proptest! {
    #[test]
    fn once_in_always_in(machine in "[a-z0-9-]{1,36}", share in 0..=MILLION, more in 0..=MILLION) {
        let position = Position::of(&machine, "r");
        let (small, large) = (Reach::of_share(share.min(more)), Reach::of_share(share.max(more)));
        prop_assert!(!small.includes(position) || large.includes(position));
        prop_assert!(!Reach::NOBODY.includes(position) && Reach::EVERYBODY.includes(position));
        prop_assert!(Reach::up_to(position).includes(position));
    }

    #[test]
    fn neither_word_alone_opens_a_rollout(machine in "[a-z0-9-]{1,36}", now in START - 10_000..START + 10_000, open in 0..=MILLION) {
        let sha256 = Digest::of(b"ko");
        let schedule = schedule();
        let held = hold(Some(&schedule), &steering(&sha256, Reach::of_share(open), false), ask(&machine, &sha256, now));
        let position = Position::of(&machine, &schedule.release);
        let both = Reach::of_share(open).includes(position) && schedule.reach(now).includes(position);
        prop_assert_eq!(held.is_none(), both);
        let halted = steering(&sha256, Reach::EVERYBODY, true);
        prop_assert_eq!(hold(Some(&schedule), &halted, ask(&machine, &sha256, now)), Some(Hold::Halted));
        prop_assert_eq!(
            hold(Some(&schedule), &Steering::default(), ask(&machine, &sha256, now)), Some(Hold::NotYet)
        );
    }

    #[test]
    fn a_machines_wave_opens_when_the_schedule_reaches_it(machine in "[a-z0-9-]{1,36}") {
        let schedule = schedule();
        let position = Position::of(&machine, &schedule.release);
        let (number, opens) = schedule.wave_of(position).unwrap();
        prop_assert!((1..=schedule.waves.len()).contains(&number));
        prop_assert!(schedule.reach(opens).includes(position) && !schedule.reach(opens - 1).includes(position));
    }

    #[test]
    fn hostile_documents_are_read_or_refused(text in ".{0,200}") {
        let _ = serde_json::from_str::<Schedule>(&text).map(|schedule| schedule.check());
        let _ = serde_json::from_str::<Steering>(&text);
    }

    #[test]
    fn windows_open_when_they_say(days in proptest::sample::subsequence(livepatch_schedule::Day::ALL.to_vec(), 1..=7), start in 0u16..1440, minutes in 1u16..=1440, now in START..START + 8 * 86_400) {
        let window = Window { days, start, minutes };
        let wait = window.opens_in(now);
        prop_assert!((0..7 * 86_400).contains(&wait));
        prop_assert!(window.contains(now + wait));
        prop_assert_eq!(wait == 0, window.contains(now));
        prop_assert!(wait == 0 || !window.contains(now + wait - 1));
    }
}

#[test]
fn positions_spread_evenly_and_differ_by_release() {
    let machines: Vec<String> = (0..20_000).map(|number| format!("machine-{number}")).collect();
    let share = |release: &str, reach: Reach| {
        machines.iter().filter(|id| reach.includes(Position::of(id, release))).count()
    };
    for parts in [10_000, 250_000, 900_000] {
        let expected = 20_000.0 * f64::from(parts) / f64::from(MILLION);
        let found = share("one", Reach::of_share(parts)) as f64;
        // Five standard deviations of a binomial.
        let bound = 5.0 * (expected * (1.0 - expected / 20_000.0)).sqrt();
        assert!((found - expected).abs() < bound, "{parts}: {found} instead of {expected}");
    }
    let first = Reach::of_share(100_000);
    let both = machines
        .iter()
        .filter(|id| first.includes(Position::of(id, "one")) && first.includes(Position::of(id, "two")))
        .count();
    assert!((120..280).contains(&both), "a tenth of a tenth: {both}");
}

#[test]
fn denial_beats_everything_and_confirmation_beats_the_rest() {
    let sha256 = Digest::of(b"ko");
    let mut steering = steering(&sha256, Reach::EVERYBODY, true);
    let confirmed = Request { confirmed: true, ..ask("m", &sha256, START) };
    assert_eq!(hold(Some(&schedule()), &steering, confirmed), None);
    assert_eq!(hold(None, &steering, ask("m", &sha256, START)), None, "no schedule: for everybody");
    let edge = Request { tier: "edge", ..ask("m", &sha256, START) };
    assert_eq!(hold(Some(&schedule()), &steering, edge), None, "a tier that had it before");
    steering.denied.insert(key_of(&sha256));
    for request in [confirmed, ask("m", &sha256, START)] {
        assert_eq!(hold(Some(&schedule()), &steering, request), Some(Hold::Denied));
        assert_eq!(hold(None, &steering, request), Some(Hold::Denied));
    }
}

#[test]
fn unusable_schedules_are_refused() {
    let sound = schedule();
    assert_eq!(sound.check(), Ok(()));
    let waves = |waves| Schedule { waves, ..sound.clone() }.check();
    assert_eq!(Schedule { release: "a b".into(), ..sound.clone() }.check(), Err(ScheduleError::Release));
    assert_eq!(waves(vec![]), Err(ScheduleError::Waves));
    assert_eq!(
        waves(vec![Wave { after: 10, share: 5 }, Wave { after: 5, share: 9 }]),
        Err(ScheduleError::Waves)
    );
    let window = Window { days: vec![], start: 0, minutes: 1 };
    assert_eq!(Schedule { windows: vec![window], ..sound.clone() }.check(), Err(ScheduleError::Windows));
}

#[test]
fn poll_stays_small() {
    let mut steering = Steering::default();
    for number in 0..40 {
        let digest = Digest::of(&[number]);
        steering.rollouts.insert(key_of(&digest), Directive { reach: Reach::EVERYBODY, halted: true });
    }
    assert!(serde_json::to_vec(&steering).unwrap().len() < 3000);
}
