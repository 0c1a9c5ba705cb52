//! The operator's list of machines.

use super::extract::{Actor, Operator, Segment, Viewer};
use crate::{clock, refusal::Refusal, site::Site};
use axum::{Json, extract::State};
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
    Segment(id): Segment<String>,
) -> Result<Json<MachineDetail>, Refusal> {
    Ok(Json(detail(site.database.store().await?, &id).await?))
}

/// Takes a machine's credential back, at once. What is applied on it stays applied.
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(id): Segment<String>,
) -> Result<Json<MachineDetail>, Refusal> {
    take_back_machine(&site, &actor, &id).await?;
    Ok(Json(detail(site.database.store().await?, &id).await?))
}

/// Takes a machine's credential back for somebody whose role was looked at; once more does no harm.
pub(super) async fn take_back_machine(site: &Site, actor: &Actor, id: &str) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    let now = clock::seconds();
    known(store, id).await?;
    if store.revoke_machine(id, now).await? {
        store.record_act(&actor.name, "machine-revoke", id, "", now).await?;
        tracing::info!(id, by = actor.name, "revoked a machine");
    }
    Ok(())
}

/// A machine that has enrolled at some time.
pub(super) async fn known(store: &Store, id: &str) -> Result<MachineSummary, Refusal> {
    let missing = || {
        let message =
            "no machine with this id has enrolled; livepatch-admin machine list shows those that did";
        Refusal::new(ErrorCode::NotFound, message)
    };
    store.machine(id).await?.ok_or_else(missing)
}

async fn detail(store: &Store, id: &str) -> Result<MachineDetail, Refusal> {
    let machine = known(store, id).await?;
    Ok(MachineDetail { machine, events: store.events(id, HISTORY).await? })
}
