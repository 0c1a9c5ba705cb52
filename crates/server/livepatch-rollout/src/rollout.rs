//! A rollout, as it is kept, and what people do to it.

use crate::{
    Build, BuildState, Fleet, Profile, Seconds,
    signal::{Scope, Signal},
};
use livepatch_kernel::BuildId;
use livepatch_manifest::Digest;
use livepatch_schedule::{Directive, Schedule, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A release on its way through the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rollout {
    /// The release; positions of machines depend on it.
    pub release: String,
    /// The tiers that it brings the release to, in the operator's order.
    pub tiers: Vec<String>,
    /// How carefully.
    pub profile: Profile,
    /// When machines may apply; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Whether a halt withdraws the release as well.
    #[serde(default)]
    pub withdraw_on_halt: bool,
    /// When it began.
    pub started: Seconds,
    /// What it does.
    pub state: State,
    /// Its modules.
    pub builds: BTreeMap<BuildId, Build>,
    /// Why it was halted, oldest first.
    #[serde(default)]
    pub halts: Vec<Evidence>,
}

/// What a rollout does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It goes on.
    Running,
    /// Nobody new gets the release, until a person resumes.
    Halted,
    /// No machine may load the release any more.
    Withdrawn,
    /// Everybody may have it.
    Complete,
}

/// Why a rollout was halted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// When.
    pub at: Seconds,
    /// The sign of trouble; absent: a person halted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// The kernel build that stopped; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildId>,
    /// Machines that showed it.
    pub count: u32,
    /// Of so many that were given the livepatch.
    pub given: u32,
    /// How likely that is without the livepatch.
    pub chance: f64,
    /// Some of those machines.
    pub machines: Vec<String>,
    /// One sentence.
    pub summary: String,
}

/// What a step did, for the log, the audit and the web-hooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
pub enum Act {
    /// More machines of a build may have it.
    Widened {
        /// Which build.
        build: BuildId,
        /// How many may have it now.
        admitted: u32,
    },
    /// A build began its next stage.
    Advanced {
        /// Which build.
        build: BuildId,
        /// The stage, from 0.
        stage: usize,
    },
    /// Trouble: the rollout, or a build of it, stopped.
    Halted(Evidence),
    /// The release is withdrawn.
    Withdrawn,
    /// A build is through.
    BuildComplete {
        /// Which build.
        build: BuildId,
    },
    /// All builds are through.
    Complete,
}

/// Why a person's wish cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// Only a running rollout can be halted, and so on.
    #[error("the rollout is {0}")]
    WrongState(&'static str),
}

impl Rollout {
    /// A rollout that begins now. `builds` are its modules.
    pub fn new(
        release: String,
        tiers: Vec<String>,
        profile: Profile,
        builds: impl IntoIterator<Item = (BuildId, String, Digest)>,
        now: Seconds,
    ) -> Self {
        let builds =
            builds.into_iter().map(|(id, name, sha256)| (id, Build::new(name, sha256, now))).collect();
        Self {
            release,
            tiers,
            profile,
            windows: Vec::new(),
            withdraw_on_halt: false,
            started: now,
            state: State::Running,
            builds,
            halts: Vec::new(),
        }
    }

    /// What the release key signs for a build with so many machines.
    pub fn schedule(&self, population: u32) -> Schedule {
        Schedule {
            release: self.release.clone(),
            tiers: self.tiers.clone(),
            start: self.started,
            waves: self.profile.waves(population),
            windows: self.windows.clone(),
        }
    }

    /// What machines are told, by module.
    pub fn directives(&self) -> impl Iterator<Item = (&Digest, Directive)> {
        let halted = self.state != State::Running;
        let open = self.state == State::Complete;
        self.builds.values().map(move |build| (&build.sha256, build.directive(halted && !open)))
    }

    /// A person stops it.
    ///
    /// # Errors
    /// [`RolloutError::WrongState`] when it is not running.
    pub fn halt(&mut self, reason: &str, now: Seconds) -> Result<(), RolloutError> {
        self.expect(State::Running)?;
        self.state = State::Halted;
        let summary = format!("halted by a person: {reason}");
        let (build, signal, machines) = (None, None, Vec::new());
        self.halts.push(Evidence {
            at: now,
            signal,
            build,
            count: 0,
            given: 0,
            chance: 1.0,
            machines,
            summary,
        });
        Ok(())
    }

    /// A person has looked at the evidence and lets it go on: what was seen so far halts nothing any more. Each build
    /// begins its stage anew.
    ///
    /// # Errors
    /// [`RolloutError::WrongState`] when nothing is halted.
    pub fn resume(&mut self, fleet: &impl Fleet, now: Seconds) -> Result<(), RolloutError> {
        let stopped = self.builds.values().any(|build| build.state == BuildState::Halted);
        if !(self.state == State::Halted || self.state == State::Running && stopped) {
            return Err(RolloutError::WrongState(self.state.as_str()));
        }
        self.state = State::Running;
        for (id, build) in &mut self.builds {
            build.accepted = fleet.tally(id);
            if build.state != BuildState::Complete {
                build.state = BuildState::Running;
                build.since = now;
                build.admitted_before = build.admitted;
            }
        }
        Ok(())
    }

    /// A person takes the release back for good.
    ///
    /// # Errors
    /// [`RolloutError::WrongState`] when it is withdrawn already.
    pub fn withdraw(&mut self) -> Result<(), RolloutError> {
        if self.state == State::Withdrawn {
            return Err(RolloutError::WrongState(self.state.as_str()));
        }
        self.state = State::Withdrawn;
        Ok(())
    }

    fn expect(&self, state: State) -> Result<(), RolloutError> {
        if self.state == state { Ok(()) } else { Err(RolloutError::WrongState(self.state.as_str())) }
    }
}

impl State {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Halted => "halted",
            Self::Withdrawn => "withdrawn",
            Self::Complete => "complete",
        }
    }
}

impl Evidence {
    /// The sentence about a signal.
    pub(crate) fn sentence(signal: Signal, count: u32, given: u32, chance: f64) -> String {
        let scope = match signal.scope() {
            Scope::Release => "the rollout",
            Scope::Build => "this kernel build",
        };
        format!(
            "{signal} on {count} of {given} machines that were given the livepatch; without it that happens once in \
             {:.0} times: {scope} is halted",
            (1.0 / chance.max(1e-9)).max(1.0)
        )
    }
}
