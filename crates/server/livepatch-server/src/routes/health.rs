//! Whether the server serves.

use crate::{clock, refusal::Refusal, site::Site};
use axum::extract::State;
use livepatch_api::ErrorCode;
use std::{sync::Arc, time::Duration};

/// A database that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Always 200 while it answers at all: the static plane needs nothing else.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// 200 when everything works: the database answers, and the signed metadata are good.
pub(crate) async fn ready(State(site): State<Arc<Site>>) -> Result<&'static str, Refusal> {
    let database = async { Ok::<_, Refusal>(site.database.store().await?.ping().await?) };
    tokio::time::timeout(PATIENCE, database).await.map_err(|_| Refusal::unavailable())??;
    let expires = site.with_publisher(|publisher| Ok(publisher.expires())).await?;
    if expires <= clock::now() {
        let message =
            "the signed metadata have expired: the server could not sign them again; its log says why";
        return Err(Refusal::new(ErrorCode::Unavailable, message));
    }
    Ok("ready\n")
}
