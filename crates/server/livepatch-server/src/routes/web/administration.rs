//! Tokens, keys, and the audit log.

use super::{
    WebRefusal, cookies, export, redirect,
    session::{Person, Posted},
};
use crate::{
    clock,
    refusal::Refusal,
    routes::{
        access::{make_key, take_back_key},
        tokens::{make_token, take_back_token},
    },
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{Html, Response},
};
use livepatch_api::{ApiKeyRequest, ApiKeySummary, AuditEntry, Role, TokenRequest, TokenSummary};
use livepatch_dashboard::{self as dashboard, Audit, Done, Question, paths};
use std::sync::Arc;

const DAY: u64 = 86_400;
/// Entries of the audit log on a page.
const PAGE: u32 = 100;
/// Entries in a file: the newest. The whole log, with its chain, comes from `livepatch-admin audit list`.
const FILE: u32 = 100_000;

async fn all_tokens(site: &Site) -> Result<Vec<TokenSummary>, Refusal> {
    Ok(site.database.store().await?.tokens().await?)
}

pub(super) async fn tokens(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Html<String>, WebRefusal> {
    let gathered = async { Ok::<_, Refusal>((all_tokens(&site).await?, site.tiers().await?)) };
    let (all, tiers) = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::tokens(&person.frame(), &all, tiers.names())))
}

pub(super) async fn tokens_csv(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Response, WebRefusal> {
    let all = all_tokens(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::token_table(&all, clock::seconds(), false)))
}

pub(super) async fn tokens_json(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Response, WebRefusal> {
    let all = all_tokens(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::token_table(&all, clock::seconds(), false)))
}

pub(super) async fn create_token(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Html<String>, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Operator)?;
    let request = TokenRequest {
        tier: posted.field("tier").to_owned(),
        uses: posted.number("uses")?,
        expires_after: posted.number::<u64>("days")?.map(|days| days.saturating_mul(DAY)),
        note: posted.field("note").to_owned(),
        tags: Vec::new(),
    };
    let created =
        make_token(&site, &person.actor, request).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::created_secret(&person.frame(), true, &created.token, &cookies::server(&headers))))
}

pub(super) async fn ask_revoke_token(
    person: Person,
    Path(id): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Operator)?;
    let meaning = "No machine enrols with it any more. Machines that did stay.";
    Ok(Html(ask_revoke(&person, paths::TOKENS, &id, meaning)))
}

pub(super) async fn revoke_token(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Operator)?;
    take_back_token(&site, &person.actor, &id).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::TOKENS, Done::TokenRevoked.as_str())))
}

async fn all_keys(site: &Site, person: &Person) -> Result<Vec<ApiKeySummary>, WebRefusal> {
    person.must_be(Role::Admin)?;
    let gathered = async { Ok::<_, Refusal>(site.database.store().await?.api_keys().await?) };
    gathered.await.map_err(|refusal| person.refuse(refusal))
}

pub(super) async fn keys(State(site): State<Arc<Site>>, person: Person) -> Result<Html<String>, WebRefusal> {
    let all = all_keys(&site, &person).await?;
    Ok(Html(dashboard::keys(&person.frame(), &all)))
}

pub(super) async fn keys_csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = all_keys(&site, &person).await?;
    Ok(export::csv(&dashboard::key_table(&all, clock::seconds(), false)))
}

pub(super) async fn keys_json(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = all_keys(&site, &person).await?;
    Ok(export::json(&dashboard::key_table(&all, clock::seconds(), false)))
}

pub(super) async fn create_key(
    State(site): State<Arc<Site>>,
    posted: Posted,
) -> Result<Html<String>, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    let unknown = |error: livepatch_api::UnknownRole| person.refuse(Refusal::invalid(error.to_string()));
    let request = ApiKeyRequest {
        name: posted.field("name").trim().to_owned(),
        role: posted.field("role").parse().map_err(unknown)?,
        expires_after: posted.number::<u64>("days")?.map(|days| days.saturating_mul(DAY)),
    };
    let created = make_key(&site, &person.actor, request).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::created_secret(&person.frame(), false, &created.key, "")))
}

pub(super) async fn ask_revoke_key(
    person: Person,
    Path(id): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Admin)?;
    let meaning =
        "Whoever holds it can do nothing with it any more, and its sessions here are over, at once.";
    Ok(Html(ask_revoke(&person, paths::KEYS, &id, meaning)))
}

pub(super) async fn revoke_key(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    take_back_key(&site, &person.actor, &id).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::KEYS, Done::KeyRevoked.as_str())))
}

fn ask_revoke(person: &Person, list: &str, id: &str, meaning: &str) -> String {
    let question = Question {
        title: format!("Revoke {id}?"),
        meaning,
        facts: vec![],
        action: format!("{}/revoke", paths::one(list, id)),
        fields: vec![],
        reason: false,
        button: "Revoke it",
        back: list.to_owned(),
        grave: true,
    };
    dashboard::confirm(&person.frame(), &question)
}

/// Where a reader of the audit log has got to.
#[derive(serde::Deserialize)]
pub(super) struct Before {
    #[serde(default)]
    before: String,
}

async fn entries(site: &Site, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, Refusal> {
    Ok(site.database.store().await?.newest_acts(before, limit).await?)
}

pub(super) async fn audit(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(Before { before }): Query<Before>,
) -> Result<Html<String>, WebRefusal> {
    let before: Option<i64> = before.parse().ok();
    let entries = entries(&site, before, PAGE).await.map_err(|refusal| person.refuse(refusal))?;
    let older = entries.last().map(|last| last.id).filter(|_| entries.len() == PAGE as usize);
    let log = Audit { is_first: before.is_none(), before: older, entries };
    Ok(Html(dashboard::audit(&person.frame(), &log)))
}

pub(super) async fn audit_csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let entries = entries(&site, None, FILE).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::audit_table(&entries, clock::seconds())))
}

pub(super) async fn audit_json(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Response, WebRefusal> {
    let entries = entries(&site, None, FILE).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::audit_table(&entries, clock::seconds())))
}
