//! The site's machines as the engine sees them.

use livepatch_kernel::BuildId;
use livepatch_rollout::{Fleet, Rollout, Signal, Tally};
use livepatch_schedule::{Position, Reach};
use livepatch_store::{MachinePlace, Seconds, Store, StoreError};
use std::collections::BTreeMap;

/// A machine that was not heard of for so long is none any more: it is neither waited for nor counted.
const GONE_AFTER: Seconds = 14 * 86_400;
/// Examples for each signal.
const EXAMPLES: u32 = 20;

/// What the engine asks about, gathered at one moment.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    positions: BTreeMap<BuildId, Vec<Position>>,
    tallies: BTreeMap<BuildId, Tally>,
    examples: BTreeMap<(BuildId, Signal), Vec<String>>,
}

impl Machines {
    /// Gathers it for one rollout.
    pub(crate) async fn gather(store: &Store, rollout: &Rollout, now: Seconds) -> Result<Self, StoreError> {
        let release = &rollout.release;
        let mut machines = Self { tallies: store.tallies(release).await?, ..Self::default() };
        for place in store.places(release, &rollout.tiers).await? {
            machines.place(rollout, &place, now);
        }
        machines.positions.values_mut().for_each(|positions| positions.sort_unstable());
        for signal in Signal::ALL {
            if machines.tallies.values().any(|tally| tally.signals.get(signal) > 0) {
                for (id, build) in store.machines_with(release, signal, EXAMPLES).await? {
                    machines.examples.entry((build, signal)).or_default().push(id);
                }
            }
        }
        Ok(machines)
    }

    fn place(&mut self, rollout: &Rollout, place: &MachinePlace, now: Seconds) {
        if now - place.last_seen > GONE_AFTER {
            return;
        }
        let position = Position::of(&place.id, &rollout.release);
        self.positions.entry(place.build.clone()).or_default().push(position);
        let Some(build) = rollout.builds.get(&place.build) else { return };
        // Heard of since the rollout let machines in, let in itself, and then no more.
        let was_there = place.last_seen >= rollout.started;
        let is_silent = now - place.last_seen > Seconds::from(rollout.profile.silent_after);
        if build.reach.includes(position) && was_there && is_silent && !place.settled {
            self.tallies.entry(place.build.clone()).or_default().signals.add(Signal::Silence, 1);
            let examples = self.examples.entry((place.build.clone(), Signal::Silence)).or_default();
            if examples.len() < EXAMPLES as usize {
                examples.push(place.id.clone());
            }
        }
    }
}

impl Fleet for Machines {
    fn population(&self, build: &BuildId) -> u32 {
        self.positions.get(build).map_or(0, |positions| u32::try_from(positions.len()).unwrap_or(u32::MAX))
    }

    fn reach(&self, build: &BuildId, machines: u32) -> Reach {
        let last = self.positions.get(build).and_then(|positions| {
            let last = (machines as usize).min(positions.len()).checked_sub(1)?;
            positions.get(last)
        });
        last.map_or(Reach::NOBODY, |position| Reach::up_to(*position))
    }

    fn tally(&self, build: &BuildId) -> Tally {
        let mut tally = self.tallies.get(build).copied().unwrap_or_default();
        // The silent had it, as far as anybody knows.
        tally.given = tally.given.max(tally.signals.get(Signal::Silence));
        tally
    }

    fn examples(&self, build: &BuildId, signal: Signal) -> Vec<String> {
        self.examples.get(&(build.clone(), signal)).cloned().unwrap_or_default()
    }
}
