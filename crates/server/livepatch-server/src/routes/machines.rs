//! The operator's list of machines.

use super::extract::Operator;
use crate::{refusal::Refusal, site::Site};
use axum::{Json, extract::State};
use livepatch_api::MachineSummary;
use std::sync::Arc;

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Operator,
) -> Result<Json<Vec<MachineSummary>>, Refusal> {
    Ok(Json(site.database.store().await?.machines().await?))
}
