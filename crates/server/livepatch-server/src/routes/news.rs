//! Machines that wait for news. Static plane: no secret is asked for, and no database.

use super::extract::Segment;
use crate::{openapi::Perhaps, refusal::Refusal, site::Site};
use axum::extract::State;
use livepatch_api::{ErrorCode, News};
use std::{sync::Arc, time::Duration};

/// How long a machine waits before it asks anew.
const HOLD: Duration = Duration::from_secs(60 * 60);

/// Answers as soon as there is something new.
pub(super) async fn news(
    State(site): State<Arc<Site>>,
    Segment(version): Segment<u64>,
) -> Result<Perhaps<News>, Refusal> {
    let Some(_seat) = site.announcer.seat() else {
        return Err(Refusal::new(
            ErrorCode::Unavailable,
            "too many machines wait for news; the others look every hour",
        ));
    };
    let mut streams = site.streams.subscribe();
    tokio::select! {
        news = site.announcer.newer_than(version) => Ok(Perhaps(Some(news))),
        () = tokio::time::sleep(HOLD) => Ok(Perhaps(None)),
        // The server stops; whatever takes its place is asked at the next look.
        _ = streams.wait_for(|stopping| *stopping) => Ok(Perhaps(None)),
    }
}
