//! Enrolment tokens.

use super::extract::{Actor, Document, Operator, Segment, Viewer, text};
use crate::{clock, openapi::Created, publish::known_tier, refusal::Refusal, secret::Secret, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{EnrolmentToken, ErrorCode, TokenCreated, TokenRequest, TokenSummary};
use livepatch_store::{NewToken, Seconds};
use std::sync::Arc;

/// Ten years; a longer life is a typing error.
const LONGEST_LIFE: u64 = 10 * 366 * 86_400;

/// Makes a token. It pins the trust anchor as it is now: TUF root and module certificates.
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Document(request): Document<TokenRequest>,
) -> Result<Created<TokenCreated>, Refusal> {
    Ok(Created(make_token(&site, &actor, request).await?))
}

/// Makes a token for somebody whose role was looked at.
pub(super) async fn make_token(
    site: &Arc<Site>,
    actor: &Actor,
    request: TokenRequest,
) -> Result<TokenCreated, Refusal> {
    known_tier(&site.tiers().await?, &request.tier)?;
    check_tags(&request.tags)?;
    text("note", &request.note, 255)?;
    if request.uses == Some(0) {
        return Err(Refusal::invalid("uses must be at least 1"));
    }
    let now = clock::seconds();
    let expires = request.expires_after.map(|life| expiry(now, life)).transpose()?;
    let store = site.database.store().await?;
    let trust_anchor = super::certificates::current_anchor(site, store).await?.sha256;
    let secret = Secret::generate()?;
    let id = uuid::Uuid::now_v7().to_string();
    let TokenRequest { tier, uses, note, tags, .. } = request;
    let token =
        NewToken { id: id.clone(), secret: secret.digest(), tier: tier.clone(), uses, expires, note, tags };
    store.add_token(&token, now).await?;
    store.record_act(&actor.name, "token-create", &id, &format!("tier {tier}"), now).await?;
    tracing::info!(%id, %tier, "made an enrolment token");
    let token = EnrolmentToken { secret: secret.reveal().to_owned(), trust_anchor }.to_string();
    Ok(TokenCreated { id, token, tier })
}

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<TokenSummary>>, Refusal> {
    Ok(Json(site.database.store().await?.tokens().await?))
}

/// Takes a token back, at once. Machines that enrolled with it stay.
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(id): Segment<String>,
) -> Result<Json<Vec<TokenSummary>>, Refusal> {
    take_back_token(&site, &actor, &id).await?;
    Ok(Json(site.database.store().await?.tokens().await?))
}

/// Takes a token back for somebody whose role was looked at.
pub(super) async fn take_back_token(site: &Site, actor: &Actor, id: &str) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    let now = clock::seconds();
    if !store.revoke_token(id, now).await? {
        let message = "no token with this id holds; livepatch-admin token list shows what there is";
        return Err(Refusal::new(ErrorCode::NotFound, message));
    }
    Ok(store.record_act(&actor.name, "token-revoke", id, "", now).await?)
}

/// Words, which are kept with commas between them.
fn check_tags(tags: &[String]) -> Result<(), Refusal> {
    let sound = |tag: &String| {
        (1..=64).contains(&tag.len())
            && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:=".contains(&b))
    };
    if tags.len() <= 32 && tags.iter().all(sound) {
        return Ok(());
    }
    Err(Refusal::invalid("at most 32 tags, each of at most 64 letters, digits and -._:= signs"))
}

/// The moment after so many seconds.
pub(super) fn expiry(now: Seconds, life: u64) -> Result<Seconds, Refusal> {
    match Seconds::try_from(life) {
        Ok(seconds) if (1..=LONGEST_LIFE).contains(&life) => Ok(now.saturating_add(seconds)),
        _ => Err(Refusal::invalid("expires_after must be from one second to ten years")),
    }
}
