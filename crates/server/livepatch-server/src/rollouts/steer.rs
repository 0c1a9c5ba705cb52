//! From rollouts to the signed steering that every poll reads.

use crate::{clock, refusal::Refusal, site::Site};
use livepatch_rollout::{Rollout, State};
use livepatch_schedule::{Steering, key_of};
use std::sync::Arc;

/// Signs what holds now, if that is news. What the metadata say about modules that no rollout here knows stays: a lost
/// database must not lift a halt or a denial.
pub(crate) async fn publish_steering(site: &Arc<Site>, rollouts: Vec<Rollout>) -> Result<(), Refusal> {
    site.with_publisher(move |publisher| {
        let mut steering = publisher.steering().clone();
        for rollout in &rollouts {
            apply(&mut steering, rollout);
        }
        // A rollout that is through needs neither schedule nor steering, once the targets say so.
        let scheduled: Vec<String> = publisher
            .published()
            .filter(|entry| entry.schedule.is_some())
            .map(|entry| entry.manifest.name.clone())
            .collect();
        let mut over = false;
        for build in
            rollouts.iter().filter(|rollout| rollout.state == State::Complete).flat_map(|r| r.builds.values())
        {
            if scheduled.contains(&build.livepatch) {
                publisher.set_schedule(&build.livepatch, None)?;
                over = true;
            }
        }
        if over {
            publisher.commit(clock::now())?;
        }
        publisher.steer(&steering, clock::now())?;
        Ok(())
    })
    .await
}

fn apply(steering: &mut Steering, rollout: &Rollout) {
    for (sha256, directive) in rollout.directives() {
        let key = key_of(sha256);
        match rollout.state {
            State::Complete => {
                steering.rollouts.remove(&key);
            }
            State::Withdrawn => {
                steering.rollouts.remove(&key);
                steering.denied.insert(key);
            }
            State::Running | State::Halted => {
                steering.rollouts.insert(key, directive);
            }
        }
    }
}
