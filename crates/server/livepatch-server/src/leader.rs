//! What one replica does for all: following upstreams, sending mail. Whoever has the lead does it; when that program ends,
//! however it ends, another one takes the lead within a second.

use crate::site::Site;
use livepatch_store::Lead;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often a replica asks for the lead, or looks whether it still has it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether this program has the lead.
#[derive(Debug, Default)]
pub(crate) struct Leader(AtomicBool);

impl Leader {
    /// Whether it has.
    pub(crate) fn leads(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Takes the lead whenever it is free, until the task is dropped.
pub(crate) async fn keep_leading(site: Arc<Site>) {
    let mut lead: Option<Lead> = None;
    let mut turns = tokio::time::interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        lead = match lead.take() {
            Some(mut held) => held.holds().await.then_some(held),
            None => ask(&site).await,
        };
        let leads = lead.is_some();
        if site.leader.0.swap(leads, Ordering::Relaxed) != leads {
            tracing::info!(leads, "the lead among the replicas changed");
        }
    }
}

async fn ask(site: &Site) -> Option<Lead> {
    // A database that is away was logged where it is used; nobody leads then.
    site.database.quiet_store().await?.lead().await.ok().flatten()
}
