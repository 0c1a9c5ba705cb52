//! Blocks: make, list, lift.

use super::{
    extract::{Document, Operator, Segment, Viewer, text},
    tokens::expiry,
};
use crate::{blocks, clock, openapi::Created, refusal::Refusal, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{BlockKind, BlockRequest, BlockSummary, ErrorCode};
use livepatch_store::NewBlock;
use std::sync::Arc;

/// The blocks that hold.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<BlockSummary>>, Refusal> {
    Ok(Json(blocks::holding(&site).await?))
}

/// Blocks something; machines that poll know at once.
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Document(request): Document<BlockRequest>,
) -> Result<Created<Vec<BlockSummary>>, Refusal> {
    text("subject", &request.subject, 255)?;
    text("reason", &request.reason, 1000)?;
    if request.reason.trim().is_empty() {
        return Err(Refusal::invalid("a reason is needed: others will read it next to what is blocked"));
    }
    check(&site, &request).await?;
    let now = clock::seconds();
    let expires = request.expires_after.map(|life| expiry(now, life)).transpose()?;
    let store = site.database.store().await?;
    let block = NewBlock {
        id: uuid::Uuid::now_v7().to_string(),
        kind: request.kind,
        subject: request.subject.clone(),
        reason: request.reason.clone(),
        actor: actor.name.clone(),
        expires,
    };
    if !store.add_block(&block, now).await? {
        return Err(Refusal::conflict(format!("{} {} is blocked already", request.kind, request.subject)));
    }
    let subject = format!("{} {}", request.kind, request.subject);
    store.record_act(&actor.name, "block", &subject, &request.reason, now).await?;
    tracing::warn!(subject, by = actor.name, reason = request.reason, "blocked");
    blocks::apply(&site).await?;
    Ok(Created(blocks::holding(&site).await?))
}

/// Lifts a block.
pub(crate) async fn lift(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(id): Segment<String>,
) -> Result<Json<Vec<BlockSummary>>, Refusal> {
    let store = site.database.store().await?;
    let before = blocks::holding(&site).await?;
    let block = before.iter().find(|block| block.id == id).ok_or_else(|| {
        let message = format!("no block {id} holds; livepatch-admin block list shows what does");
        Refusal::new(ErrorCode::NotFound, message)
    })?;
    store.remove_block(&id).await?;
    let subject = format!("{} {}", block.kind, block.subject);
    store.record_act(&actor.name, "block-lift", &subject, "", clock::seconds()).await?;
    blocks::apply(&site).await?;
    Ok(Json(blocks::holding(&site).await?))
}

/// A block of nothing would look like protection: what can be known must be there.
async fn check(site: &Arc<Site>, request: &BlockRequest) -> Result<(), Refusal> {
    match request.kind {
        BlockKind::Patch => {
            let name = request.subject.clone();
            let found = site
                .with_publisher(move |publisher| {
                    Ok(publisher.published().any(|entry| entry.manifest.name == name))
                })
                .await?;
            if !found {
                return Err(livepatch_trust::PublishError::UnknownName(request.subject.clone()).into());
            }
        }
        BlockKind::Machine => {
            super::machines::known(site.database.store().await?, &request.subject).await?;
        }
        // Kernels and tags that come later are blocked too.
        BlockKind::Kernel | BlockKind::Tag => {
            if request.subject.trim().is_empty() || request.subject.contains(',') {
                return Err(Refusal::invalid("name one kernel release, build id or tag"));
            }
        }
    }
    Ok(())
}
