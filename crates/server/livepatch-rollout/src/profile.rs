//! How carefully a release goes out.

use crate::signal::{Limit, Signal};
use livepatch_schedule::{MILLION, Wave};
use serde::{Deserialize, Serialize};

const HOUR: u32 = 3600;

/// A way to go through a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The stages, in order; the last reaches everybody.
    pub stages: Vec<Stage>,
    /// How much of each signal is too much, in the order of [`Signal::ALL`].
    pub limits: [Limit; 6],
    /// Seconds after which a machine that was given the livepatch and is not heard of counts as silent.
    pub silent_after: u32,
}

/// A wave: how many machines, and what must be seen before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Share of a kernel build's machines, in parts per million; at least one machine.
    pub share: u32,
    /// No more machines than this, whatever the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// Machines that are let in per minute.
    pub per_minute: u32,
    /// Seconds that must pass after the stage began.
    pub wait: u32,
    /// Share of the machines let in so far on which the livepatch must have soaked, in parts per million.
    pub soaked: u32,
}

/// Why a profile is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The stages.
    #[error(
        "1 to 32 stages are needed, each wider than the one before it, the last for everybody (1000000 without a limit), each with at least one machine per minute"
    )]
    Stages,
    /// There is none of that name.
    #[error("there is no profile '{0}': emergency, normal, cautious or one-machine-first")]
    Unknown(String),
}

/// What fleets show by themselves in the time between apply and the end of the soak, in machines per million.
///
/// Crash: one unplanned restart per machine and year is 29 per million in a quarter of an hour; nearly twice that. An
/// oops is rarer. A transition that stalls is no fault of the fix until many do; a module that the kernel refuses is,
/// unless machines differ (a module option, a foreign livepatch). Silence is common: machines are switched off.
const LIMITS: [Limit; 6] = [
    Limit { background: 50, least: 1 },
    Limit { background: 20, least: 1 },
    Limit { background: 200, least: 2 },
    Limit { background: 20_000, least: 3 },
    Limit { background: 2_000, least: 2 },
    Limit { background: 3_000, least: 2 },
];

impl Profile {
    /// The names of the profiles that come with the program.
    pub const NAMES: [&str; 4] = ["emergency", "normal", "cautious", "one-machine-first"];

    /// A profile that comes with the program.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`].
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let (stages, silent_after) = match name {
            "emergency" => (emergency(), 2 * HOUR),
            "normal" => (normal(), 3 * HOUR),
            "cautious" => (cautious(), 3 * HOUR),
            "one-machine-first" => (one_machine_first(), 3 * HOUR),
            _ => return Err(ProfileError::Unknown(name.to_owned())),
        };
        Ok(Self { name: name.to_owned(), stages, limits: LIMITS, silent_after })
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// [`ProfileError::Stages`].
    pub fn check(&self) -> Result<(), ProfileError> {
        let wider = self.stages.windows(2).all(|pair| match pair {
            [one, next] => one.share <= next.share,
            _ => true,
        });
        let all = self.stages.last().is_some_and(|last| last.share == MILLION && last.at_most.is_none());
        let paced = self.stages.iter().all(|stage| stage.per_minute > 0 && stage.share > 0);
        let sound = wider && all && paced && self.stages.len() <= livepatch_schedule::MOST_WAVES;
        if sound { Ok(()) } else { Err(ProfileError::Stages) }
    }

    /// How much of a signal is too much.
    pub fn limit(&self, signal: Signal) -> Limit {
        let [crash, oops, taint, stalled, failed_load, silence] = self.limits;
        match signal {
            Signal::Crash => crash,
            Signal::Oops => oops,
            Signal::Taint => taint,
            Signal::Stalled => stalled,
            Signal::FailedLoad => failed_load,
            Signal::Silence => silence,
        }
    }

    /// The waves that the signed schedule promises at the earliest, for a kernel build with so many machines. The
    /// steering lets machines in by rank; the schedule is a fence of positions around it, wide enough for any spread.
    pub fn waves(&self, population: u32) -> Vec<Wave> {
        let mut after = 0u32;
        let mut waves: Vec<Wave> = Vec::new();
        for stage in &self.stages {
            let narrow = waves.last().map_or(0, |wave| wave.share);
            waves.push(Wave { after, share: fence(stage.machines(population), population).max(narrow) });
            after = after.saturating_add(stage.wait);
        }
        waves
    }
}

impl Stage {
    /// How many of so many machines are in by the end of the stage: at least one, when there is any.
    pub fn machines(&self, population: u32) -> u32 {
        let share = u64::from(population) * u64::from(self.share);
        let share = u32::try_from(share.div_ceil(u64::from(MILLION))).unwrap_or(u32::MAX);
        share.min(self.at_most.unwrap_or(u32::MAX)).min(population)
    }
}

/// A share of the positions below which the first machines of so many stand, but for one case in a million: their mean,
/// six standard deviations, and room for the first few.
fn fence(machines: u32, population: u32) -> u32 {
    if machines >= population {
        return MILLION;
    }
    let wide = f64::from(machines) + 6.0 * f64::from(machines).sqrt() + 12.0;
    (wide / f64::from(population) * f64::from(MILLION)).min(f64::from(MILLION)) as u32
}

fn stage(share: u32, at_most: u32, per_minute: u32, wait: u32, soaked: u32) -> Stage {
    let at_most = (at_most > 0).then_some(at_most);
    Stage { share, at_most, per_minute, wait, soaked }
}

/// For what is exploited already: everybody within half a day when all is well.
fn emergency() -> Vec<Stage> {
    vec![
        stage(1_000, 100, 100, HOUR + HOUR / 2, 500_000),
        stage(50_000, 2_000, 200, HOUR + HOUR / 2, 700_000),
        stage(250_000, 0, 2_000, 2 * HOUR, 700_000),
        stage(MILLION, 0, 10_000, 2 * HOUR, 700_000),
    ]
}

/// A working week.
fn normal() -> Vec<Stage> {
    vec![
        stage(200, 20, 2, 4 * HOUR, 800_000),
        stage(1_000, 100, 2, 8 * HOUR, 800_000),
        stage(5_000, 500, 4, 12 * HOUR, 800_000),
        stage(50_000, 5_000, 50, 24 * HOUR, 800_000),
        stage(250_000, 0, 500, 24 * HOUR, 800_000),
        stage(MILLION, 0, 2_000, 24 * HOUR, 800_000),
    ]
}

/// Two weeks, small steps.
fn cautious() -> Vec<Stage> {
    vec![
        stage(50, 5, 1, 24 * HOUR, 1_000_000),
        stage(500, 50, 1, 24 * HOUR, 900_000),
        stage(2_000, 200, 1, 48 * HOUR, 900_000),
        stage(10_000, 1_000, 5, 48 * HOUR, 900_000),
        stage(50_000, 0, 20, 48 * HOUR, 900_000),
        stage(200_000, 0, 100, 48 * HOUR, 900_000),
        stage(MILLION, 0, 500, 48 * HOUR, 900_000),
    ]
}

/// One machine of each kernel build proves it; then as normal, in fewer steps. For small fleets.
fn one_machine_first() -> Vec<Stage> {
    vec![
        stage(1, 1, 1, HOUR, MILLION),
        stage(10_000, 100, 2, 12 * HOUR, 800_000),
        stage(100_000, 0, 50, 24 * HOUR, 800_000),
        stage(MILLION, 0, 1_000, 24 * HOUR, 800_000),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn own_profiles_are_sound_and_others_are_judged() {
        for name in Profile::NAMES {
            Profile::named(name).unwrap().check().unwrap();
        }
        assert_eq!(Profile::named("fast"), Err(ProfileError::Unknown("fast".into())));
        let mut profile = Profile::named("normal").unwrap();
        profile.stages.pop();
        assert_eq!(profile.check(), Err(ProfileError::Stages));
    }
}
