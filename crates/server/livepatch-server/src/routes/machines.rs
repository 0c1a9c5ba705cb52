//! The operator's list of machines.

use super::extract::{Operator, Viewer};
use crate::{clock, refusal::Refusal, site::Site};
use axum::{
    Json,
    extract::{Path, State},
};
use livepatch_api::{ErrorCode, MachineDetail, MachineSummary};
use livepatch_store::Store;
use std::sync::Arc;

/// Events in one answer.
const HISTORY: u32 = 1000;

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<MachineSummary>>, Refusal> {
    Ok(Json(site.database.store().await?.machines().await?))
}

/// A machine with its history.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Path(id): Path<String>,
) -> Result<Json<MachineDetail>, Refusal> {
    Ok(Json(detail(site.database.store().await?, &id).await?))
}

/// Takes a machine's credential back, at once. What is applied on it stays applied.
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Path(id): Path<String>,
) -> Result<Json<MachineDetail>, Refusal> {
    let store = site.database.store().await?;
    let now = clock::seconds();
    if store.revoke_machine(&id, now).await? {
        store.record_act(&actor.name, "machine-revoke", &id, "", now).await?;
        tracing::info!(id, by = actor.name, "revoked a machine");
    }
    Ok(Json(detail(store, &id).await?))
}

async fn detail(store: &Store, id: &str) -> Result<MachineDetail, Refusal> {
    let machine = store.machine(id).await?.ok_or_else(|| {
        let message =
            "no machine with this id has enrolled; livepatch-admin machine list shows those that did";
        Refusal::new(ErrorCode::NotFound, message)
    })?;
    Ok(MachineDetail { machine, events: store.events(id, HISTORY).await? })
}
