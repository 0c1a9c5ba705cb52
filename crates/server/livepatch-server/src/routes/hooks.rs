//! Web-hooks: make, list, remove.

use super::extract::{Actor, Admin, Document, Segment, Viewer, text};
use crate::{clock, openapi::Created, refusal::Refusal, secret::Secret, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{ErrorCode, HookCreated, HookEvent, HookRequest, HookSummary};
use livepatch_store::NewHook;
use std::{collections::BTreeSet, sync::Arc};
use url::Url;

pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Document(request): Document<HookRequest>,
) -> Result<Created<HookCreated>, Refusal> {
    Ok(Created(make_hook(&site, &actor, request).await?))
}

/// A hook for somebody whose role was looked at.
pub(super) async fn make_hook(
    site: &Site,
    actor: &Actor,
    request: HookRequest,
) -> Result<HookCreated, Refusal> {
    text("name", &request.name, 64)?;
    text("url", &request.url, 1000)?;
    let url: Option<Url> = request.url.parse().ok();
    if request.name.is_empty()
        || !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
    {
        return Err(Refusal::invalid("a hook needs a name, and a URL with http or https and a host"));
    }
    let wanted: BTreeSet<HookEvent> = request.events.into_iter().collect();
    let events = if wanted.is_empty() { HookEvent::ALL.to_vec() } else { wanted.into_iter().collect() };
    let (id, secret) = (uuid::Uuid::now_v7().to_string(), Secret::generate()?);
    let hook = NewHook {
        id: id.clone(),
        name: request.name.clone(),
        url: request.url.clone(),
        secret: secret.reveal().to_owned(),
        events,
    };
    let store = site.database.store().await?;
    let now = clock::seconds();
    if !store.add_hook(&hook, now).await? {
        return Err(Refusal::conflict(format!("there is a hook called {} already", request.name)));
    }
    store.record_act(&actor.name, "hook-create", &request.name, &request.url, now).await?;
    Ok(HookCreated { id, secret: secret.reveal().to_owned() })
}

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<HookSummary>>, Refusal> {
    Ok(Json(site.database.store().await?.hooks().await?))
}

/// What waits for it is not sent any more.
pub(crate) async fn remove(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(id): Segment<String>,
) -> Result<Json<Vec<HookSummary>>, Refusal> {
    take_back_hook(&site, &actor, &id).await?;
    Ok(Json(site.database.store().await?.hooks().await?))
}

/// Tells a hook nothing more, for somebody whose role was looked at.
pub(super) async fn take_back_hook(site: &Site, actor: &Actor, id: &str) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    if !store.remove_hook(id).await? {
        let message = "there is no hook with this id; livepatch-admin hook list shows what there is";
        return Err(Refusal::new(ErrorCode::NotFound, message));
    }
    Ok(store.record_act(&actor.name, "hook-remove", id, "", clock::seconds()).await?)
}
