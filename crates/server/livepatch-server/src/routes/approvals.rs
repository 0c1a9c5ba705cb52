//! Approvals: one of the two people that a guarded tier wants.

use super::extract::{Document, Releaser, Viewer, text};
use crate::{clock, publish::known_tier, refusal::Refusal, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{ApprovalRequest, ApprovalSummary, ApprovalTakeBack};
use livepatch_trust::PublishError;
use std::sync::Arc;

/// Approves a published livepatch for a tier. Again changes nothing.
pub(crate) async fn add(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(request): Document<ApprovalRequest>,
) -> Result<Json<Vec<ApprovalSummary>>, Refusal> {
    let ApprovalRequest { livepatch, tier, reason } = request;
    text("reason", &reason, 1000)?;
    known_tier(&site.tiers().await?, &tier)?;
    let name = livepatch.clone();
    site.with_publisher(move |publisher| {
        let is_known = publisher.published().any(|entry| entry.manifest.name == name);
        if is_known { Ok(()) } else { Err(PublishError::UnknownName(name).into()) }
    })
    .await?;
    let store = site.database.store().await?;
    let now = clock::seconds();
    store.approve(&livepatch, &tier, &actor.name, &reason, now).await?;
    store.record_act(&actor.name, "approve", &livepatch, &format!("{tier}: {reason}"), now).await?;
    Ok(Json(store.approvals().await?))
}

/// Takes one's own approval back. It changes nothing that was done by it.
pub(crate) async fn take_back(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(request): Document<ApprovalTakeBack>,
) -> Result<Json<Vec<ApprovalSummary>>, Refusal> {
    let ApprovalTakeBack { livepatch, tier } = request;
    let store = site.database.store().await?;
    if store.take_approval_back(&livepatch, &tier, &actor.name).await? {
        store.record_act(&actor.name, "approval-taken-back", &livepatch, &tier, clock::seconds()).await?;
    }
    Ok(Json(store.approvals().await?))
}

/// All of them.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<ApprovalSummary>>, Refusal> {
    Ok(Json(site.database.store().await?.approvals().await?))
}
