//! The engine, step by step, and what always holds of it.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_kernel::BuildId;
use livepatch_manifest::Digest;
use livepatch_rollout::{
    Act, BuildState, Fault, Fleet, Profile, Rollout, RolloutError, Signal, Simulation, Slot, State, Tally,
    ask, simulate, summarise,
};
use livepatch_schedule::{Position, Reach};
use proptest::prelude::*;
use std::collections::BTreeMap;

const START: i64 = 1_800_000_000;
const HOUR: i64 = 3600;

/// A fleet that a test fills by hand.
#[derive(Default)]
struct Lab {
    positions: BTreeMap<BuildId, Vec<Position>>,
    tallies: BTreeMap<BuildId, Tally>,
}

impl Lab {
    fn with(sizes: &[u32]) -> Self {
        let mut lab = Self::default();
        for (at, size) in sizes.iter().enumerate() {
            let mut positions: Vec<_> =
                (0..*size).map(|number| Position::of(&format!("{at}-{number}"), "r")).collect();
            positions.sort_unstable();
            lab.positions.insert(build(at), positions);
            lab.tallies.insert(build(at), Tally::default());
        }
        lab
    }

    fn record(&mut self, at: usize) -> &mut Tally {
        self.tallies.get_mut(&build(at)).unwrap()
    }
}

impl Fleet for Lab {
    fn population(&self, build: &BuildId) -> u32 {
        self.positions[build].len() as u32
    }

    fn reach(&self, build: &BuildId, machines: u32) -> Reach {
        let positions = &self.positions[build];
        let last = (machines as usize).min(positions.len()).checked_sub(1);
        last.map_or(Reach::NOBODY, |last| Reach::up_to(positions[last]))
    }

    fn tally(&self, build: &BuildId) -> Tally {
        self.tallies[build]
    }

    fn examples(&self, build: &BuildId, signal: Signal) -> Vec<String> {
        (0..self.tallies[build].signals.get(signal)).map(|number| format!("machine-{number}")).collect()
    }
}

fn build(at: usize) -> BuildId {
    BuildId::from_bytes(&[at as u8 + 1; 20]).unwrap()
}

fn rollout(profile: &str, builds: usize) -> Rollout {
    let modules = (0..builds).map(|at| (build(at), format!("livepatch_{at}"), Digest::of(&[at as u8])));
    Rollout::new("r".into(), vec!["stable".into()], Profile::named(profile).unwrap(), modules, START)
}

/// The engine's looks from `from` to `to`, one a minute.
fn run(rollout: &mut Rollout, lab: &Lab, from: i64, to: i64) -> Vec<Act> {
    (from..to).step_by(60).flat_map(|now| rollout.step(lab, now)).collect()
}

#[test]
fn stage_needs_its_time_and_its_evidence() {
    let mut lab = Lab::with(&[10_000]);
    let mut rollout = rollout("normal", 1);
    // Ten minutes at two machines a minute: 0.02 % of 10,000 are two machines, and no more are let in.
    run(&mut rollout, &lab, START, START + HOUR / 6);
    assert_eq!((rollout.builds[&build(0)].admitted, rollout.builds[&build(0)].stage), (2, 0));
    // Time alone is not enough.
    run(&mut rollout, &lab, START, START + 20 * HOUR);
    assert_eq!(rollout.builds[&build(0)].stage, 0);
    // Evidence alone is not enough either, and one of two machines is less than 80 %.
    let now = START + 20 * HOUR;
    *lab.record(0) = Tally { given: 2, soaked: 1, ..Tally::default() };
    assert_eq!(rollout.step(&lab, now), []);
    lab.record(0).soaked = 2;
    assert_eq!(rollout.step(&lab, now), [Act::Advanced { build: build(0), stage: 1 }]);
    run(&mut rollout, &lab, now + 60, now + HOUR);
    assert_eq!(rollout.builds[&build(0)].admitted, 10, "0.1 % of 10,000");
    *lab.record(0) = Tally { given: 10, soaked: 10, ..Tally::default() };
    assert_eq!(rollout.step(&lab, now + 2 * HOUR), [], "eight hours have not passed");
    assert_eq!(rollout.step(&lab, now + 8 * HOUR).len(), 1);
}

#[test]
fn builds_advance_each_by_its_own_evidence() {
    let mut lab = Lab::with(&[5000, 5000]);
    let mut rollout = rollout("normal", 2);
    run(&mut rollout, &lab, START, START + 4 * HOUR);
    *lab.record(0) = Tally { given: 1, soaked: 1, ..Tally::default() };
    run(&mut rollout, &lab, START + 4 * HOUR, START + 5 * HOUR);
    assert_eq!((rollout.builds[&build(0)].stage, rollout.builds[&build(1)].stage), (1, 0));
}

#[test]
fn one_crash_in_the_first_stage_halts_everything_with_evidence() {
    let mut lab = Lab::with(&[10_000, 300]);
    let mut rollout = rollout("normal", 2);
    run(&mut rollout, &lab, START, START + HOUR);
    lab.record(1).given = 1;
    lab.record(1).signals.add(Signal::Crash, 1);
    let acts = rollout.step(&lab, START + HOUR);
    let [Act::Halted(evidence)] = acts.as_slice() else { panic!("{acts:?}") };
    assert_eq!((evidence.signal, evidence.count, evidence.given), (Some(Signal::Crash), 1, 1));
    assert_eq!(evidence.machines, ["machine-0"]);
    assert!(evidence.summary.contains("crash on 1 of 1 machines"), "{}", evidence.summary);
    assert_eq!(rollout.state, State::Halted);
    assert!(
        rollout.directives().all(|(_, directive)| directive.halted),
        "a fault of the fix stops all builds"
    );
    assert_eq!(rollout.step(&lab, START + 50 * HOUR), [], "no way on without a person");
}

#[test]
fn refused_module_halts_its_build_only() {
    let mut lab = Lab::with(&[10_000, 10_000]);
    let mut rollout = rollout("normal", 2);
    run(&mut rollout, &lab, START, START + HOUR);
    lab.record(0).given = 2;
    lab.record(0).signals.add(Signal::FailedLoad, 2);
    let acts = rollout.step(&lab, START + HOUR);
    assert!(
        matches!(acts.as_slice(), [Act::Halted(evidence)] if evidence.build == Some(build(0))),
        "{acts:?}"
    );
    assert_eq!(rollout.state, State::Running);
    let halted: Vec<bool> = rollout.directives().map(|(_, directive)| directive.halted).collect();
    assert_eq!(halted, [true, false]);
}

#[test]
fn resume_accepts_what_was_seen_and_nothing_else() {
    let mut lab = Lab::with(&[10_000]);
    let mut rollout = rollout("normal", 1);
    assert_eq!(rollout.resume(&lab, START), Err(RolloutError::WrongState("running")));
    run(&mut rollout, &lab, START, START + HOUR);
    lab.record(0).given = 2;
    lab.record(0).signals.add(Signal::Oops, 1);
    rollout.step(&lab, START + HOUR);
    assert_eq!(rollout.state, State::Halted);
    rollout.resume(&lab, START + 2 * HOUR).unwrap();
    run(&mut rollout, &lab, START + 2 * HOUR, START + 3 * HOUR);
    assert_eq!(rollout.state, State::Running, "the accepted oops does not halt it again");
    lab.record(0).given = 3;
    lab.record(0).signals.add(Signal::Oops, 1);
    rollout.step(&lab, START + 3 * HOUR);
    assert_eq!((rollout.state, rollout.halts.len()), (State::Halted, 2), "another one does");
}

#[test]
fn people_halt_resume_and_withdraw() {
    let lab = Lab::with(&[100]);
    let mut rollout = rollout("normal", 1);
    rollout.halt("the help desk is on fire", START).unwrap();
    assert_eq!(rollout.halt("again", START), Err(RolloutError::WrongState("halted")));
    assert!(rollout.halts[0].summary.contains("help desk"));
    rollout.resume(&lab, START).unwrap();
    rollout.withdraw().unwrap();
    assert_eq!(rollout.withdraw(), Err(RolloutError::WrongState("withdrawn")));
    assert_eq!(rollout.resume(&lab, START), Err(RolloutError::WrongState("withdrawn")));
    assert!(rollout.directives().all(|(_, directive)| directive.halted));
}

#[test]
fn halt_may_withdraw() {
    let mut lab = Lab::with(&[100]);
    let mut rollout = Rollout { withdraw_on_halt: true, ..rollout("normal", 1) };
    rollout.step(&lab, START);
    lab.record(0).given = 1;
    lab.record(0).signals.add(Signal::Crash, 1);
    let acts = rollout.step(&lab, START + 60);
    assert!(matches!(acts.as_slice(), [Act::Halted(_), Act::Withdrawn]), "{acts:?}");
    assert_eq!(rollout.state, State::Withdrawn);
}

#[test]
fn one_machine_first_means_one() {
    let mut lab = Lab::with(&[50, 3]);
    let mut rollout = rollout("one-machine-first", 2);
    run(&mut rollout, &lab, START, START + 10 * HOUR);
    for at in [0, 1] {
        let reach = rollout.builds[&build(at)].reach;
        assert_eq!(lab.positions[&build(at)].iter().filter(|position| reach.includes(**position)).count(), 1);
    }
    // Three machines: the second stage has nobody new and still takes its time; then everybody.
    for at in [0, 1] {
        *lab.record(at) = Tally { given: 1, soaked: 1, ..Tally::default() };
    }
    run(&mut rollout, &lab, START + 10 * HOUR, START + 60 * HOUR);
    *lab.record(1) = Tally { given: 3, soaked: 3, ..Tally::default() };
    run(&mut rollout, &lab, START + 60 * HOUR, START + 200 * HOUR);
    assert_eq!(rollout.builds[&build(1)].state, BuildState::Complete);
    assert_eq!(rollout.builds[&build(1)].reach, Reach::EVERYBODY);
    assert_eq!(rollout.state, State::Running, "the other build has shown nothing");
}

#[test]
fn machines_that_are_out_are_not_waited_for() {
    let mut lab = Lab::with(&[5]);
    let mut rollout = rollout("one-machine-first", 1);
    run(&mut rollout, &lab, START, START + HOUR);
    lab.record(0).out = 1;
    run(&mut rollout, &lab, START + HOUR, START + 2 * HOUR);
    assert!(rollout.builds[&build(0)].stage > 0, "its only machine is out");
}

#[test]
fn state_survives_being_written_down() {
    let mut lab = Lab::with(&[10_000]);
    let mut rollout = rollout("normal", 1);
    lab.record(0).given = 2;
    lab.record(0).signals.add(Signal::Crash, 1);
    rollout.step(&lab, START);
    let text = serde_json::to_string(&rollout).unwrap();
    assert_eq!(serde_json::from_str::<Rollout>(&text).unwrap(), rollout);
}

#[test]
fn group_never_has_more_leases_than_its_cap() {
    let mut leases = Vec::new();
    assert_eq!(ask(&mut leases, 1, "a", 600, START), Slot::Granted { until: START + 600 });
    assert_eq!(ask(&mut leases, 1, "b", 600, START + 10), Slot::Wait { until: START + 600 });
    assert_eq!(ask(&mut leases, 1, "a", 600, START + 20), Slot::Granted { until: START + 620 }, "its own");
    assert_eq!(ask(&mut leases, 1, "b", 600, START + 620), Slot::Granted { until: START + 1220 }, "it ended");
    assert_eq!(leases.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever machines report: reach never shrinks, never more than the stage and its pace allow are in, no stage is
    /// left without its time, and nothing moves after a halt.
    #[test]
    fn rollout_never_outruns_its_profile(
        profile in proptest::sample::select(Profile::NAMES.to_vec()),
        sizes in proptest::collection::vec(0u32..4000, 1..4),
        reports in proptest::collection::vec((0usize..4, 0u32..60, 0u32..60, 0u32..3), 0..60),
    ) {
        let mut lab = Lab::with(&sizes);
        let mut rollout = rollout(profile, sizes.len());
        let mut now = START;
        let mut reports = reports.into_iter();
        for _ in 0..400 {
            let before = rollout.clone();
            let acts = rollout.step(&lab, now);
            if before.state != State::Running {
                prop_assert!(acts.is_empty());
                prop_assert_eq!(&before, &rollout);
            }
            for (id, build) in &rollout.builds {
                let old = &before.builds[id];
                let population = lab.population(id);
                prop_assert!(build.reach >= old.reach && build.stage >= old.stage);
                let stage = rollout.profile.stages[old.stage];
                let allowed = stage.machines(population);
                let minutes = u32::try_from((now - old.since) / 60).unwrap() + 1;
                prop_assert!(build.admitted <= allowed.max(old.admitted));
                prop_assert!(build.admitted <= old.admitted.max(old.admitted_before + minutes * stage.per_minute));
                let inside = lab.positions[id].iter().filter(|at| build.reach.includes(**at)).count();
                prop_assert!(inside <= build.admitted as usize);
                if build.stage > old.stage {
                    prop_assert!(now - old.since >= i64::from(stage.wait));
                }
            }
            if let Some((at, given, soaked, crashes)) = reports.next()
                && at < sizes.len()
            {
                let tally = lab.record(at);
                tally.given += given;
                tally.soaked += soaked;
                tally.signals.add(Signal::Crash, crashes.saturating_sub(1));
            }
            now += 30 * 60;
        }
    }

    #[test]
    fn leases_hold_their_cap(asks in proptest::collection::vec((0u8..8, 0i64..500), 0..80), cap in 0u32..4) {
        let (mut leases, mut now) = (Vec::new(), START);
        for (machine, pause) in asks {
            now += pause;
            let granted = matches!(ask(&mut leases, cap, &machine.to_string(), 300, now), Slot::Granted { .. });
            let own = leases.iter().any(|lease: &livepatch_rollout::Lease| lease.machine_id == machine.to_string());
            prop_assert_eq!(granted, own);
            prop_assert!(leases.len() <= cap.max(1) as usize);
        }
    }
}

fn outcomes(profile: &str, runs: u64, simulation: &Simulation) -> livepatch_rollout::Summary {
    let profile = Profile::named(profile).unwrap();
    let outcomes: Vec<_> =
        (1..=runs).map(|seed| simulate(&profile, &Simulation { seed, ..simulation.clone() })).collect();
    summarise(&outcomes).unwrap()
}

/// The promise of the documentation: a livepatch that crashes one machine in a hundred hits at most one in a thousand of
/// 100,000 machines under the normal profile.
#[test]
fn one_per_cent_crashes_hit_less_than_one_in_a_thousand() {
    let fault = Fault { crash: 0.01, crash_after: 300.0, ..Fault::default() };
    let summary = outcomes("normal", 20, &Simulation { fault, ..Simulation::default() });
    assert_eq!((summary.halted, summary.complete), (20, 0), "{summary:?}");
    assert!(summary.hit.max <= 100.0, "{summary:?}");
    assert!(summary.given.p95 <= 1000.0, "{summary:?}");
}

/// The same when the machines do not come back, so that nothing but their silence tells.
#[test]
fn silent_deaths_are_noticed() {
    let fault = Fault { crash: 0.01, crash_after: 300.0, never_back: 1.0, ..Fault::default() };
    let summary = outcomes("normal", 10, &Simulation { fault, ..Simulation::default() });
    assert_eq!((summary.halted, summary.complete), (10, 0), "{summary:?}");
    assert!(summary.hit.max <= 100.0, "{summary:?}");
}

/// A sound livepatch gets through, in spite of what fleets do by themselves.
#[test]
fn sound_livepatch_reaches_everybody() {
    let simulation = Simulation { machines: 20_000, ..Simulation::default() };
    let summary = outcomes("normal", 20, &simulation);
    assert!(summary.complete >= 18, "{summary:?}");
}

#[test]
fn same_seed_same_outcome() {
    let simulation = Simulation { machines: 5000, ..Simulation::default() };
    let profile = Profile::named("emergency").unwrap();
    assert_eq!(simulate(&profile, &simulation), simulate(&profile, &simulation));
}
