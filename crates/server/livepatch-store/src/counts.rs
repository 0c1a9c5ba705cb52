//! What reports add to counts that many machines share. Collected while a transaction takes reports in, and written at its end
//! in one order, so that transactions of replicas do not wait for one another in a circle.

use crate::{RolloutResult, Seconds, StoreError, protections, transitions};
use sqlx::{Any, Transaction};
use std::collections::BTreeMap;

/// Kernel build, version before, version and span.
type Step = (String, i64, i64, i64);
/// The first time, the last, and how many machines.
type Times = (Seconds, Seconds, i64);

/// The counts of some reports.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// When machines came from one version to another.
    protections: BTreeMap<Step, Times>,
    /// By release and bound in milliseconds.
    transitions: BTreeMap<(String, i64), i64>,
    /// By release and cause.
    stalls: BTreeMap<(String, String), i64>,
}

impl Counts {
    /// A machine came from one version of a kernel build's livepatches to a greater one.
    pub(crate) fn protect(&mut self, build: String, above: i64, version: i64, at: Seconds) {
        let key = (build, above, version, protections::span(at));
        let (first, last, machines) = self.protections.entry(key).or_insert((at, at, 0));
        (*first, *last, *machines) = ((*first).min(at), (*last).max(at), *machines + 1);
    }

    /// What a report says of a transition.
    pub(crate) fn tell(&mut self, result: &RolloutResult) {
        if let Some(took) = result.transition_ms {
            let key = (result.release.clone(), transitions::bound(took));
            *self.transitions.entry(key).or_default() += 1;
        }
        for cause in result.stall_causes.iter().take(transitions::STALL_CAUSES) {
            *self.stalls.entry((result.release.clone(), cause.clone())).or_default() += 1;
        }
    }

    /// Writes them.
    pub(crate) async fn write(
        self,
        transaction: &mut Transaction<'_, Any>,
        now: Seconds,
    ) -> Result<(), StoreError> {
        for ((build, above, version, span), times) in self.protections {
            protections::add(transaction, (&build, above, version, span), times, now).await?;
        }
        for ((release, bound), count) in self.transitions {
            transitions::add_time(transaction, &release, bound, count).await?;
        }
        for ((release, cause), count) in self.stalls {
            transitions::add_stall(transaction, &release, &cause, count).await?;
        }
        Ok(())
    }
}
