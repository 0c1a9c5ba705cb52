//! The simulated fleet: positions, what is going to happen, and what was reported.

use super::{Random, Simulation};
use crate::{
    Rollout, Seconds,
    fleet::{Fleet, Tally},
    signal::Signal,
};
use livepatch_kernel::BuildId;
use livepatch_manifest::Digest;
use livepatch_schedule::{Position, Reach};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// What reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A soak ended well.
    Soaked,
    /// A sign of trouble.
    Signal(Signal),
}

/// A kernel build's machines.
struct Kind {
    id: BuildId,
    /// In order.
    positions: Vec<Position>,
    /// How many have been let in.
    let_in: usize,
    tally: Tally,
}

/// The fleet.
pub(crate) struct Machines {
    kinds: Vec<Kind>,
    by_id: BTreeMap<BuildId, usize>,
    polls: BinaryHeap<Reverse<(Seconds, usize)>>,
    events: BinaryHeap<Reverse<(Seconds, usize, Event)>>,
    hit: u32,
}

impl Machines {
    pub(crate) fn new(simulation: &Simulation, release: &str) -> Self {
        let mut kinds = Vec::new();
        let (mut left, mut number) = (simulation.machines, 0u32);
        for kind in 0..simulation.builds.max(1) {
            let size = if kind + 1 == simulation.builds.max(1) { left } else { left.div_ceil(2) };
            left -= size;
            let ids = number..number + size;
            number += size;
            let mut positions: Vec<_> =
                ids.map(|id| Position::of(&format!("machine-{id}"), release)).collect();
            positions.sort_unstable();
            kinds.extend(build_id(kind).map(|id| Kind { id, positions, let_in: 0, tally: Tally::default() }));
        }
        let by_id = kinds.iter().enumerate().map(|(at, kind)| (kind.id.clone(), at)).collect();
        Self { kinds, by_id, polls: BinaryHeap::new(), events: BinaryHeap::new(), hit: 0 }
    }

    /// A module for each kernel build.
    pub(crate) fn modules(&self) -> Vec<(BuildId, String, Digest)> {
        let module = |(at, kind): (usize, &Kind)| {
            (kind.id.clone(), format!("livepatch_{at}_1"), Digest::of(kind.id.to_string().as_bytes()))
        };
        self.kinds.iter().enumerate().map(module).collect()
    }

    /// Machines that the rollout lets in now poll within the next interval.
    pub(crate) fn let_in(
        &mut self,
        rollout: &Rollout,
        now: Seconds,
        simulation: &Simulation,
        random: &mut Random,
    ) {
        for (at, kind) in self.kinds.iter_mut().enumerate() {
            let Some(build) = rollout.builds.get(&kind.id) else { continue };
            let end = kind.positions.partition_point(|position| build.reach.includes(*position));
            while kind.let_in < end {
                kind.let_in += 1;
                self.polls.push(Reverse((now + i64::from(random.below(simulation.poll_every)), at)));
            }
        }
    }

    /// Nobody new applies it.
    pub(crate) fn stop(&mut self) {
        self.polls.clear();
    }

    /// The next machine that polls before then.
    pub(crate) fn next_poll(&mut self, before: Seconds) -> Option<(Seconds, usize)> {
        let Reverse((at, _)) = self.polls.peek()?;
        (*at < before).then(|| self.polls.pop().map(|Reverse(poll)| poll)).flatten()
    }

    pub(crate) fn give(&mut self, kind: usize) {
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.tally.given += 1;
        }
    }

    pub(crate) fn hit(&mut self) {
        self.hit += 1;
    }

    pub(crate) fn expect(&mut self, at: Seconds, kind: usize, event: Event) {
        self.events.push(Reverse((at, kind, event)));
    }

    /// Takes in what was reported up to now.
    pub(crate) fn happen(&mut self, now: Seconds) {
        while self.events.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, kind, event))) = self.events.pop() else { return };
            let Some(kind) = self.kinds.get_mut(kind) else { continue };
            match event {
                Event::Soaked => kind.tally.soaked += 1,
                Event::Signal(signal) => kind.tally.signals.add(signal, 1),
            }
        }
    }

    /// Everything that was reported, of all builds.
    pub(crate) fn total(&self) -> Tally {
        self.kinds.iter().fold(Tally::default(), |mut sum, kind| {
            sum.given += kind.tally.given;
            sum.soaked += kind.tally.soaked;
            for signal in Signal::ALL {
                sum.signals.add(signal, kind.tally.signals.get(signal));
            }
            sum
        })
    }

    /// Machines that the fault crashed.
    pub(crate) fn hits(&self) -> u32 {
        self.hit
    }

    fn kind(&self, build: &BuildId) -> Option<&Kind> {
        self.by_id.get(build).and_then(|at| self.kinds.get(*at))
    }
}

impl Fleet for Machines {
    fn population(&self, build: &BuildId) -> u32 {
        self.kind(build).map_or(0, |kind| kind.positions.len() as u32)
    }

    fn reach(&self, build: &BuildId, machines: u32) -> Reach {
        let last = self.kind(build).and_then(|kind| {
            let last = (machines as usize).min(kind.positions.len()).checked_sub(1)?;
            kind.positions.get(last)
        });
        last.map_or(Reach::NOBODY, |position| Reach::up_to(*position))
    }

    fn tally(&self, build: &BuildId) -> Tally {
        self.kind(build).map_or_else(Tally::default, |kind| kind.tally)
    }

    fn examples(&self, _build: &BuildId, _signal: Signal) -> Vec<String> {
        Vec::new()
    }
}

/// Twenty bytes with the number at their end.
fn build_id(number: u32) -> Option<BuildId> {
    let mut bytes = [0u8; 20];
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    BuildId::from_bytes(&bytes).ok()
}
