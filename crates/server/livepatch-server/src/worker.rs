//! Signs metadata again before they expire.

use crate::{clock, site::Site};
use std::sync::Arc;

/// Looks at once and then at every interval, until the task is dropped. A failure is logged and tried again: the
/// metadata last for days after they are due.
pub(crate) async fn keep_metadata_fresh(site: Arc<Site>) {
    let mut turns = tokio::time::interval(site.settings.refresh_every);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        // The refusal was logged where it arose.
        if let Ok(Some(versions)) =
            site.with_publisher(|publisher| Ok(publisher.refresh(clock::now())?)).await
        {
            tracing::info!(%versions, "signed metadata again");
        }
    }
}
