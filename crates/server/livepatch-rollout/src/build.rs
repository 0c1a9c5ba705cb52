//! One kernel build's way through the stages.

use crate::{Profile, Seconds, fleet::Tally};
use livepatch_manifest::Digest;
use livepatch_schedule::{Directive, Reach};
use serde::{Deserialize, Serialize};

/// A module of the release, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Build {
    /// The livepatch's name.
    pub livepatch: String,
    /// The module.
    pub sha256: Digest,
    /// The stage that it is in, from 0.
    pub stage: usize,
    /// When the stage began; until then, machines of the stage before are still being let in.
    pub since: Seconds,
    /// Machines that were let in so far.
    pub admitted: u32,
    /// Machines that had been let in when the stage began.
    pub admitted_before: u32,
    /// How far it goes.
    pub reach: Reach,
    /// What it does.
    pub state: BuildState,
    /// What a person has seen and accepted when resuming: it halts nothing any more.
    pub accepted: Tally,
}

/// What a build does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildState {
    /// It goes on.
    Running,
    /// Stopped by its own signals.
    Halted,
    /// Everybody may have it, and nothing happened for the last stage's time.
    Complete,
}

impl Build {
    /// A module that nobody has yet.
    pub fn new(livepatch: String, sha256: Digest, now: Seconds) -> Self {
        Self {
            livepatch,
            sha256,
            stage: 0,
            since: now,
            admitted: 0,
            admitted_before: 0,
            reach: Reach::NOBODY,
            state: BuildState::Running,
            accepted: Tally::default(),
        }
    }

    /// What machines are told.
    pub(crate) fn directive(&self, halted: bool) -> Directive {
        Directive { reach: self.reach, halted: halted || self.state == BuildState::Halted }
    }

    /// How many machines may be in by now: the stage's share, let in at its pace.
    pub(crate) fn allowance(&self, profile: &Profile, population: u32, now: Seconds) -> u32 {
        let Some(stage) = profile.stages.get(self.stage) else { return population };
        // The first look lets the first minute's machines in.
        let minutes = u32::try_from((now - self.since).max(0) / 60).unwrap_or(u32::MAX).saturating_add(1);
        let paced = self.admitted_before.saturating_add(minutes.saturating_mul(stage.per_minute));
        stage.machines(population).min(paced).max(self.admitted.min(population))
    }

    /// Whether the stage has had its time and its evidence.
    pub(crate) fn is_proven(&self, profile: &Profile, population: u32, tally: &Tally, now: Seconds) -> bool {
        let Some(stage) = profile.stages.get(self.stage) else { return false };
        let full = self.admitted >= stage.machines(population);
        let waited = now >= self.since.saturating_add(i64::from(stage.wait));
        let able = u64::from(self.admitted.saturating_sub(tally.out));
        let needed = (able * u64::from(stage.soaked)).div_ceil(1_000_000);
        full && waited && u64::from(tally.soaked) >= needed
    }
}
