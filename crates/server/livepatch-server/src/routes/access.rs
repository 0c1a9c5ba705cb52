//! API keys, and the audit log.

use super::extract::{Actor, Admin, Document, Parameters, Segment, Viewer, text};
use crate::{clock, openapi::Created, refusal::Refusal, secret::Secret, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{ApiKeyCreated, ApiKeyRequest, ApiKeySummary, AuditEntry, ErrorCode};
use livepatch_store::NewApiKey;
use std::sync::Arc;

/// Entries of the audit log in one answer.
const MOST_ENTRIES: u32 = 1000;

/// Makes an API key. It is shown this once.
pub(crate) async fn create_key(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Document(request): Document<ApiKeyRequest>,
) -> Result<Created<ApiKeyCreated>, Refusal> {
    Ok(Created(make_key(&site, &actor, request).await?))
}

/// Makes a key for somebody whose role was looked at.
pub(super) async fn make_key(
    site: &Site,
    actor: &Actor,
    request: ApiKeyRequest,
) -> Result<ApiKeyCreated, Refusal> {
    text("name", &request.name, 64)?;
    if request.name.trim().is_empty() || request.name == super::extract::MASTER {
        return Err(Refusal::invalid("an API key needs a name of its own: it stands in the audit log"));
    }
    // People stand in the audit log as `user:NAME` and `openid:NAME`.
    if request.name.contains(':') {
        return Err(Refusal::invalid("an API key's name has no colon: what has one is a person's"));
    }
    let now = clock::seconds();
    let expires = request.expires_after.map(|life| super::tokens::expiry(now, life)).transpose()?;
    let (id, secret) = (uuid::Uuid::now_v7().to_string(), Secret::generate()?);
    let key = NewApiKey {
        id: id.clone(),
        secret: secret.digest(),
        name: request.name,
        role: request.role,
        expires,
    };
    let store = site.database.store().await?;
    if !store.add_api_key(&key, now).await? {
        return Err(Refusal::conflict(format!("there is an API key named {} already", key.name)));
    }
    store.record_act(&actor.name, "key-create", &key.name, key.role.as_str(), now).await?;
    Ok(ApiKeyCreated { id, key: secret.reveal().to_owned() })
}

/// Every API key, without its secret.
pub(crate) async fn list_keys(
    State(site): State<Arc<Site>>,
    _: Admin,
) -> Result<Json<Vec<ApiKeySummary>>, Refusal> {
    Ok(Json(site.database.store().await?.api_keys().await?))
}

/// Takes an API key back, at once.
pub(crate) async fn revoke_key(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(id): Segment<String>,
) -> Result<Json<Vec<ApiKeySummary>>, Refusal> {
    take_back_key(&site, &actor, &id).await?;
    Ok(Json(site.database.store().await?.api_keys().await?))
}

/// Takes a key back for somebody whose role was looked at.
pub(super) async fn take_back_key(site: &Site, actor: &Actor, id: &str) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    let now = clock::seconds();
    if !store.revoke_api_key(id, now).await? {
        let message = "no API key with this id holds; livepatch-admin key list shows what there is";
        return Err(Refusal::new(ErrorCode::NotFound, message));
    }
    Ok(store.record_act(&actor.name, "key-revoke", id, "", now).await?)
}

/// Where a reader of the audit log has got to.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct After {
    /// The number of the last entry that was read.
    #[serde(default)]
    after: i64,
}

/// The audit log, oldest entries first.
pub(crate) async fn audit(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Parameters(After { after }): Parameters<After>,
) -> Result<Json<Vec<AuditEntry>>, Refusal> {
    Ok(Json(site.database.store().await?.acts(after, MOST_ENTRIES).await?))
}
