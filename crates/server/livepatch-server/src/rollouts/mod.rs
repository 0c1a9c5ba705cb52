//! Rollouts on a live site: reports become tallies, the engine looks at them, and what it decides becomes signed words.

mod fleet;
mod results;
mod steer;
mod turn;

pub(crate) use fleet::Machines;
pub(crate) use results::{RunningModule, results, transition_ms};
pub(crate) use steer::publish_steering;
pub(crate) use turn::{Looks, keep_looking, look, running_modules, take_turn, view};

use livepatch_rollout::Rollout;
use livepatch_store::{Seconds, Store, StoreError};

/// The machines of a rollout, now.
pub(crate) async fn fleet(store: &Store, rollout: &Rollout, now: Seconds) -> Result<Machines, StoreError> {
    Machines::gather(store, rollout, now).await
}
