//! What came of simulations.

use super::{Machines, Simulation};
use crate::{Rollout, Seconds, State, signal::Counts};
use serde::{Deserialize, Serialize};

/// What came of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Machines in the fleet.
    pub machines: u32,
    /// Machines that were given the livepatch.
    pub given: u32,
    /// Machines that its fault crashed.
    pub hit: u32,
    /// Machines on which it soaked well.
    pub soaked: u32,
    /// How it ended.
    pub state: State,
    /// The stage that the furthest build had reached, from 1.
    pub stage: usize,
    /// Seconds until it was halted or complete.
    pub ended_after: Option<Seconds>,
    /// What was reported.
    pub signals: Counts,
    /// The sentence of the halt.
    pub halt: Option<String>,
}

/// What came of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many.
    pub runs: u32,
    /// How many were halted.
    pub halted: u32,
    /// How many went through.
    pub complete: u32,
    /// Machines that the fault crashed.
    pub hit: Spread,
    /// Machines that were given the livepatch.
    pub given: Spread,
    /// Seconds until the halt, where there was one.
    pub seconds_to_halt: Option<Spread>,
    /// Seconds until everybody had it, where that came.
    pub seconds_to_complete: Option<Spread>,
}

/// How values spread over the runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names say it
pub struct Spread {
    pub mean: f64,
    pub median: f64,
    pub p95: f64,
    pub max: f64,
}

pub(super) fn outcome(
    rollout: &Rollout,
    machines: &Machines,
    simulation: &Simulation,
    ended_after: Option<Seconds>,
) -> Outcome {
    let total = machines.total();
    Outcome {
        machines: simulation.machines,
        given: total.given,
        hit: machines.hits(),
        soaked: total.soaked,
        state: rollout.state,
        stage: rollout.builds.values().map(|build| build.stage + 1).max().unwrap_or_default(),
        ended_after,
        signals: total.signals,
        halt: rollout.halts.last().map(|evidence| evidence.summary.clone()),
    }
}

/// Many outcomes as figures. `None` of none.
pub fn summarise(outcomes: &[Outcome]) -> Option<Summary> {
    let of = |keep: &dyn Fn(&Outcome) -> Option<f64>| spread(outcomes.iter().filter_map(keep).collect());
    let ended = |state: State| {
        move |outcome: &Outcome| outcome.ended_after.filter(|_| outcome.state == state).map(|at| at as f64)
    };
    let count = |state: State| outcomes.iter().filter(|outcome| outcome.state == state).count() as u32;
    Some(Summary {
        runs: u32::try_from(outcomes.len()).ok()?,
        halted: count(State::Halted) + count(State::Withdrawn),
        complete: count(State::Complete),
        hit: of(&|outcome| Some(f64::from(outcome.hit)))?,
        given: of(&|outcome| Some(f64::from(outcome.given)))?,
        seconds_to_halt: of(&ended(State::Halted)),
        seconds_to_complete: of(&ended(State::Complete)),
    })
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = ((values.len() as f64 * share).ceil() as usize).max(1) - 1;
        values.get(rank).copied()
    };
    Some(Spread {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        median: at(0.5)?,
        p95: at(0.95)?,
        max: at(1.0)?,
    })
}
