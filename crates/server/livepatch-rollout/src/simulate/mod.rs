//! The engine against a fleet in virtual time: what would a bad livepatch do before it is stopped?
//!
//! Machines poll at a phase of their own. A machine that is let in applies at its next poll; its fate is drawn then. What
//! it reports reaches the engine when it would in life: a crash after the restart, silence when it does not come back.

mod machines;
mod random;
mod result;

use crate::{Profile, Rollout, Seconds, State, signal::Signal};
use machines::{Event, Machines};
use random::Random;
pub use result::{Outcome, Spread, Summary, summarise};

/// The engine looks once a minute, as the server does.
const STEP: Seconds = 60;
/// A machine is back and has reported this long after a crash.
const RESTART: Seconds = 180;
/// A transition that does not end is reverted after this.
const STALL: Seconds = 60;
/// No profile takes longer; a rollout that waits for evidence that does not come is ended here.
const LONGEST: Seconds = 40 * 86_400;
/// After a halt, the machines that have it already are watched for as long.
const AFTERMATH: Seconds = 6 * 3600;
/// When virtual time begins.
const START: Seconds = 1_800_000_000;

/// A fleet, and what is wrong with the livepatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// How many machines.
    pub machines: u32,
    /// How many kernel builds; half of the machines run the first, half of the rest the second, and so on.
    pub builds: u32,
    /// Seconds between two polls of a machine.
    pub poll_every: u32,
    /// Seconds for which a machine watches a new livepatch.
    pub soak: u32,
    /// What is wrong with the livepatch.
    pub fault: Fault,
    /// Unplanned restarts of a machine per year, without any livepatch.
    pub restarts_per_year: f64,
    /// Share of machines that are switched off for good on a day, without any livepatch.
    pub switched_off_per_day: f64,
    /// Same seed, same outcome.
    pub seed: u64,
}

/// What a livepatch does to machines, as shares of those that apply it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fault {
    /// They crash.
    pub crash: f64,
    /// Mean of the seconds until then.
    pub crash_after: f64,
    /// Share of the crashed that do not come back by themselves.
    pub never_back: f64,
    /// They report an oops or a warning.
    pub oops: f64,
    /// Their transition stalls.
    pub stalled: f64,
    /// Their kernel refuses the module.
    pub failed_load: f64,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            machines: 100_000,
            builds: 8,
            poll_every: 3600,
            soak: 900,
            fault: Fault { crash_after: 300.0, ..Fault::default() },
            restarts_per_year: 1.0,
            switched_off_per_day: 0.002,
            seed: 1,
        }
    }
}

/// How a run stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since the rollout began.
    pub after: Seconds,
    /// Machines that were given the livepatch.
    pub given: u32,
    /// Machines on which it soaked well.
    pub soaked: u32,
    /// Machines that its fault crashed.
    pub hit: u32,
}

/// Runs a rollout to its end: complete, or halted and its aftermath over.
pub fn simulate(profile: &Profile, simulation: &Simulation) -> Outcome {
    simulate_watched(profile, simulation, |_| {})
}

/// The same, and `watch` sees every minute of it.
pub fn simulate_watched(
    profile: &Profile,
    simulation: &Simulation,
    mut watch: impl FnMut(Moment),
) -> Outcome {
    let mut random = Random::new(simulation.seed);
    // Each run meets the machines in another order, as each release does.
    let release = format!("simulated-{}", simulation.seed);
    let mut machines = Machines::new(simulation, &release);
    let builds = machines.modules();
    let mut rollout = Rollout::new(release, vec!["stable".to_owned()], profile.clone(), builds, START);
    let (mut now, mut halted_at) = (START, None);
    while now < START + LONGEST {
        machines.happen(now);
        let total = machines.total();
        watch(Moment { after: now - START, given: total.given, soaked: total.soaked, hit: machines.hits() });
        if rollout.state == State::Running {
            rollout.step(&machines, now);
            machines.let_in(&rollout, now, simulation, &mut random);
        }
        if rollout.state != State::Running {
            halted_at.get_or_insert(now);
        }
        match rollout.state {
            State::Complete => break,
            State::Running => {}
            State::Halted | State::Withdrawn => {
                machines.stop();
                if halted_at.is_some_and(|at| now >= at + AFTERMATH) {
                    break;
                }
            }
        }
        while let Some(given) = machines.next_poll(now + STEP) {
            fate(given, simulation, profile, &mut machines, &mut random);
        }
        now += STEP;
    }
    result::outcome(&rollout, &machines, simulation, halted_at.map(|at| at - START))
}

/// What becomes of a machine that applies the livepatch now.
fn fate(
    (at, build): (Seconds, usize),
    simulation: &Simulation,
    profile: &Profile,
    machines: &mut Machines,
    random: &mut Random,
) {
    machines.give(build);
    let fault = &simulation.fault;
    if random.happens(fault.failed_load) {
        return machines.expect(at, build, Event::Signal(Signal::FailedLoad));
    }
    if random.happens(fault.stalled) {
        return machines.expect(at + STALL, build, Event::Signal(Signal::Stalled));
    }
    let soak = f64::from(simulation.soak);
    if random.happens(fault.crash) {
        machines.hit();
        let after = random.exponential(fault.crash_after.max(1.0));
        let silence = random.happens(fault.never_back).then_some(profile.silent_after);
        let (heard, event) = crash(after, soak, silence);
        return machines.expect(at + heard, build, event);
    }
    let own = random.exponential(365.0 * 86_400.0 / simulation.restarts_per_year.max(1e-9));
    if own < soak {
        return machines.expect(at + own as Seconds + RESTART, build, Event::Signal(Signal::Crash));
    }
    if random.happens(simulation.switched_off_per_day * soak / 86_400.0) {
        let heard = at + i64::from(profile.silent_after);
        return machines.expect(heard, build, Event::Signal(Signal::Silence));
    }
    if random.happens(fault.oops) {
        let after = random.exponential(fault.crash_after.max(1.0)).min(soak);
        return machines.expect(at + after as Seconds, build, Event::Signal(Signal::Oops));
    }
    machines.expect(at + i64::from(simulation.soak), build, Event::Soaked);
}

/// When a crash is heard of, in seconds after the livepatch came, and as what; `silence` is when a machine that never comes
/// back is missed.
fn crash(after: f64, soak: f64, silence: Option<u32>) -> (Seconds, Event) {
    match silence {
        Some(silence) => (after as Seconds + i64::from(silence), Event::Signal(Signal::Silence)),
        None if after < soak => (after as Seconds + RESTART, Event::Signal(Signal::Crash)),
        // Too late to be told from any other crash: it counts as soaked, and as hit.
        None => (soak as Seconds, Event::Soaked),
    }
}
