//! Livepatches and kernels.

use super::{
    WebRefusal, export, fleet, overview, redirect,
    session::{Person, Posted},
};
use crate::{
    clock,
    refusal::Refusal,
    routes::{
        build_documents::text_of,
        livepatches::{list_of, promote_to, summary},
    },
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse as _, Response},
};
use livepatch_api::{ErrorCode, Role, UnknownBuildDocumentKind};
use livepatch_dashboard::{self as dashboard, BuildDocument, Done, LivepatchView, Question, paths};
use std::sync::Arc;

pub(super) async fn list(State(site): State<Arc<Site>>, person: Person) -> Result<Html<String>, WebRefusal> {
    let gathered = async {
        let groups = site.database.store().await?.groups().await?;
        let support = fleet::support(&groups, overview::today(clock::seconds()), true);
        Ok::<_, Refusal>((list_of(&site).await?, site.tiers().await?, support))
    };
    let (all, tiers, support) = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::livepatches(&person.frame(), &all, tiers.names(), &support)))
}

pub(super) async fn csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = list_of(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::livepatch_table(&all)))
}

pub(super) async fn json(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = list_of(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::livepatch_table(&all)))
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let view = view(&site, &name).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::livepatch(&person.frame(), &view)))
}

async fn view(site: &Arc<Site>, name: &str) -> Result<LivepatchView, Refusal> {
    let (published, steering, _) = overview::signed(site).await?;
    let missing = || Refusal::new(ErrorCode::NotFound, format!("No livepatch called {name} is published."));
    let entry = published.into_iter().find(|entry| entry.manifest.name == name).ok_or_else(missing)?;
    let store = site.database.store().await?;
    let mut documents = Vec::new();
    for summary in store.build_documents(&entry.sha256).await? {
        let text = store.build_document(&entry.sha256, summary.kind).await?.unwrap_or_default();
        documents.push(BuildDocument { summary, text });
    }
    let groups = store.groups().await?;
    let here = || groups.iter().filter(|group| group.build_id == entry.manifest.kernel.build_id);
    let with = here().filter(|group| group.applied_version == Some(entry.manifest.version));
    let tiers = site.tiers().await?;
    let tiers = tiers.names().iter().filter(|tier| !entry.tiers.contains(tier));
    Ok(LivepatchView {
        machines: (with.map(|group| group.machines).sum(), here().map(|group| group.machines).sum()),
        further_tiers: tiers.cloned().collect(),
        livepatch: summary(&entry, &steering),
        published: entry.published_at,
        release: entry.schedule.map(|schedule| schedule.release),
        denied: steering.denies(&entry.sha256),
        documents,
    })
}

/// A document of the build as it was handed in.
pub(super) async fn document(
    State(site): State<Arc<Site>>,
    person: Person,
    Path((name, kind)): Path<(String, String)>,
) -> Result<Response, WebRefusal> {
    let unknown = |error: UnknownBuildDocumentKind| Refusal::new(ErrorCode::NotFound, error.to_string());
    let kind = kind.parse().map_err(unknown).map_err(|refusal| person.refuse(refusal))?;
    let text = text_of(&site, &name, kind).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(text.into_response())
}

/// Which tier a livepatch shall go to.
#[derive(serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    tier: String,
}

pub(super) async fn ask_promote(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(name): Path<String>,
    Query(Wanted { tier }): Query<Wanted>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Releaser)?;
    view(&site, &name).await.map_err(|refusal| person.refuse(refusal))?;
    let back = paths::one(paths::LIVEPATCHES, &name);
    let question = Question {
        title: format!("Promote {name} to {tier}?"),
        meaning: "Every machine of that tier and of those before it may have it at once. A rollout would bring it stage by stage, and stop by itself.",
        facts: vec![],
        action: format!("{back}/promote"),
        fields: vec![("tier", tier)],
        reason: false,
        button: "Promote it",
        back,
        grave: true,
    };
    Ok(Html(dashboard::confirm(&person.frame(), &question)))
}

pub(super) async fn promote(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Releaser)?;
    promote_to(&site, &person.actor, &name, posted.field("tier"))
        .await
        .map_err(|refusal| person.refuse(refusal))?;
    let back = paths::one(paths::LIVEPATCHES, &name);
    Ok(redirect(&format!("{back}?done={}", Done::Promoted.as_str())))
}
