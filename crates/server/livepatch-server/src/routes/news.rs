//! Machines that wait for news. Static plane: no secret is asked for, and no database.

use crate::{refusal::Refusal, site::Site};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use livepatch_api::ErrorCode;
use std::{sync::Arc, time::Duration};

/// How long a machine waits before it asks anew.
const HOLD: Duration = Duration::from_secs(60 * 60);

/// Answers as soon as there is something new.
pub(super) async fn news(
    State(site): State<Arc<Site>>,
    Path(version): Path<u64>,
) -> Result<Response, Refusal> {
    let Some(_seat) = site.announcer.seat() else {
        return Err(Refusal::new(
            ErrorCode::Unavailable,
            "too many machines wait for news; the others look every hour",
        ));
    };
    let mut streams = site.streams.subscribe();
    tokio::select! {
        news = site.announcer.newer_than(version) => Ok(Json(news).into_response()),
        () = tokio::time::sleep(HOLD) => Ok(StatusCode::NO_CONTENT.into_response()),
        // The server stops; whatever takes its place is asked at the next look.
        _ = streams.wait_for(|stopping| *stopping) => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
