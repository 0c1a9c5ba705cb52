//! The site's neighbours: upstreams, whose livepatches it passes on, and hooks, which are told what happens.

use super::{
    WebRefusal, export, redirect,
    session::{Person, Posted},
};
use crate::{
    clock,
    refusal::Refusal,
    routes::{
        hooks::{make_hook, take_back_hook},
        upstreams::{begin_following, end_following, followed, sync_now},
    },
    site::Site,
};
use axum::{
    extract::{Path, State},
    response::{Html, Response},
};
use livepatch_api::{HookEvent, HookRequest, HookSummary, Role, Selection, UpstreamRequest};
use livepatch_dashboard::{self as dashboard, Done, Question, paths};
use livepatch_manifest::Digest;
use std::sync::Arc;

const HOUR: u32 = 3600;

pub(super) async fn upstreams(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Html<String>, WebRefusal> {
    let gathered = async { Ok::<_, Refusal>((followed(&site).await?, site.tiers().await?)) };
    let (all, tiers) = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::upstreams(&person.frame(), &all, tiers.names())))
}

pub(super) async fn upstreams_csv(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Response, WebRefusal> {
    let all = followed(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::upstream_table(&all, clock::seconds(), Role::Viewer)))
}

pub(super) async fn upstreams_json(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Response, WebRefusal> {
    let all = followed(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::upstream_table(&all, clock::seconds(), Role::Viewer)))
}

pub(super) async fn follow(State(site): State<Arc<Site>>, posted: Posted) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    let given = |name: &str| Some(posted.field(name).trim().to_owned()).filter(|text| !text.is_empty());
    let words = |name: &str| {
        posted.field(name).split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let hours = posted.number::<u32>("hours")?.filter(|hours| *hours > 0);
    let anchor: Digest = posted.field("anchor").trim().parse().map_err(|_| {
        let message =
            "the trust anchor's digest has 64 digits; livepatch-admin trust-anchor prints it at the upstream";
        person.refuse(Refusal::invalid(message))
    })?;
    let request = UpstreamRequest {
        name: posted.field("name").trim().to_owned(),
        url: given("url"),
        anchor,
        anchor_document: None,
        selection: Selection {
            tier: posted.field("tier").trim().to_owned(),
            series: words("series"),
            flavours: words("flavours"),
            architectures: words("architectures"),
        },
        into: given("into"),
        every: hours.map(|hours| hours.saturating_mul(HOUR)),
    };
    begin_following(&site, &person.actor, request).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::UPSTREAMS, Done::UpstreamAdded.as_str())))
}

/// Takes in what is new, and shows what that was.
pub(super) async fn sync(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Html<String>, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Releaser)?;
    let report = sync_now(&site, &person.actor, &name).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::synced(&person.frame(), &report)))
}

pub(super) async fn ask_unfollow(
    person: Person,
    Path(name): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Admin)?;
    let meaning = "Nothing new is taken from it any more. What came from it stays.";
    Ok(Html(ask_remove(&person, paths::UPSTREAMS, &name, &name, meaning)))
}

pub(super) async fn unfollow(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    end_following(&site, &person.actor, &name).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::UPSTREAMS, Done::UpstreamRemoved.as_str())))
}

async fn all_hooks(site: &Site) -> Result<Vec<HookSummary>, Refusal> {
    Ok(site.database.store().await?.hooks().await?)
}

pub(super) async fn hooks(State(site): State<Arc<Site>>, person: Person) -> Result<Html<String>, WebRefusal> {
    let all = all_hooks(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::hooks(&person.frame(), &all)))
}

pub(super) async fn hooks_csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = all_hooks(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::hook_table(&all, person.frame().role, false)))
}

pub(super) async fn hooks_json(
    State(site): State<Arc<Site>>,
    person: Person,
) -> Result<Response, WebRefusal> {
    let all = all_hooks(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::hook_table(&all, person.frame().role, false)))
}

pub(super) async fn create_hook(
    State(site): State<Arc<Site>>,
    posted: Posted,
) -> Result<Html<String>, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    // Each event is a box of its own; none that is ticked means all of them.
    let events = HookEvent::ALL.into_iter().filter(|event| !posted.field(event.as_str()).is_empty());
    let request = HookRequest {
        name: posted.field("name").trim().to_owned(),
        url: posted.field("url").trim().to_owned(),
        events: events.collect(),
    };
    let created = make_hook(&site, &person.actor, request).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::hook_made(&person.frame(), &created.secret)))
}

pub(super) async fn ask_remove_hook(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Admin)?;
    let all = all_hooks(&site).await.map_err(|refusal| person.refuse(refusal))?;
    let name = all.into_iter().find(|hook| hook.id == id).map_or_else(|| id.clone(), |hook| hook.name);
    let meaning = "It is told nothing more, and what waits for it is not sent.";
    Ok(Html(ask_remove(&person, paths::HOOKS, &id, &name, meaning)))
}

pub(super) async fn remove_hook(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    take_back_hook(&site, &person.actor, &id).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::HOOKS, Done::HookRemoved.as_str())))
}

fn ask_remove(person: &Person, list: &str, id: &str, name: &str, meaning: &str) -> String {
    let question = Question {
        title: format!("Remove {name}?"),
        meaning,
        facts: vec![],
        action: format!("{}/remove", paths::one(list, id)),
        fields: vec![],
        reason: false,
        button: "Remove it",
        back: list.to_owned(),
        grave: true,
    };
    dashboard::confirm(&person.frame(), &question)
}
