//! Publishing, promoting, listing.

use super::{
    certificates,
    extract::{Actor, Document, ModuleBody, Releaser, Segment, Viewer, text},
};
use crate::{
    Tiers,
    approvals::Approved,
    blocks, clock, hooks,
    openapi::Kept,
    publish::{self, Plan},
    refusal::Refusal,
    site::Site,
};
use axum::{Json, extract::State};
use livepatch_api::{HookEvent, LivepatchSummary, PromoteRequest, PublishAnswer, WithdrawRequest};
use livepatch_schedule::{Steering, key_of};
use livepatch_trust::{PublishError, Published, Publisher};
use std::sync::Arc;

/// Publishes a module to a tier and those before it.
pub(crate) async fn publish(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    ModuleBody(body): ModuleBody,
) -> Result<Kept<PublishAnswer>, Refusal> {
    let store = site.database.store().await?;
    let trusted = certificates::trusted(store).await?;
    let (tiers, blocks) = (site.tiers().await?, blocks::holding(&site).await?);
    let approved = Approved::for_actor(&site, &actor).await?;
    let (answer, is_new) = site
        .with_publisher(move |publisher| {
            let (manifest, tier, module) = publish::split_body(&body)?;
            publish::known_tier(&tiers, &tier)?;
            publish::check_module(module, &manifest, &trusted)?;
            let published: Vec<_> = publisher.published().cloned().collect();
            let is_new = match publish::plan(&manifest, &tier, &tiers, published.iter())? {
                Plan::Repeated => false,
                Plan::Publish(tiers) => {
                    approved.check(&manifest.name, &tiers)?;
                    if blocks::covers(&blocks, &manifest) {
                        blocks::steer(publisher, &blocks, &[(&manifest, &manifest.module.sha256)])?;
                    }
                    publisher.stage(module, &manifest, &tiers)?;
                    publisher.commit(clock::now())?;
                    true
                }
            };
            Ok((answer(publisher, &manifest.name)?, is_new))
        })
        .await?;
    if is_new {
        note(&site, &actor, "publish", &answer).await;
        crate::cves::follow(&site).await;
    }
    Ok(Kept { document: answer, is_new })
}

/// Makes a published livepatch available to a tier and those before it. Again is allowed, and changes nothing.
pub(crate) async fn promote(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(request): Document<PromoteRequest>,
) -> Result<Json<PublishAnswer>, Refusal> {
    Ok(Json(promote_to(&site, &actor, &request.name, &request.tier).await?))
}

/// Promotes for somebody whose role was looked at.
pub(super) async fn promote_to(
    site: &Arc<Site>,
    actor: &Actor,
    name: &str,
    tier: &str,
) -> Result<PublishAnswer, Refusal> {
    let tiers = site.tiers().await?;
    let (wanted, name) = (publish::known_tier(&tiers, tier)?.to_vec(), name.to_owned());
    let approved = Approved::for_actor(site, actor).await?;
    let (answer, is_new) = site
        .with_publisher(move |publisher| {
            let current = current_tiers(publisher, &name)?;
            check_no_rollout(publisher, &name)?;
            let is_new = !wanted.iter().all(|tier| current.contains(tier));
            if is_new {
                approved.check(&name, &wanted)?;
                publisher.set_tiers(&name, &union(&tiers, &current, &wanted))?;
                publisher.commit(clock::now())?;
            }
            Ok((answer(publisher, &name)?, is_new))
        })
        .await?;
    if is_new {
        note(site, actor, "promote", &answer).await;
    }
    Ok(answer)
}

/// What is published, by kernel and version.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<LivepatchSummary>>, Refusal> {
    Ok(Json(list_of(&site).await?))
}

/// The list.
pub(super) async fn list_of(site: &Site) -> Result<Vec<LivepatchSummary>, Refusal> {
    let mut list = site
        .with_publisher(|publisher| {
            let steering = publisher.steering();
            Ok(publisher.published().map(|entry| summary(entry, steering)).collect::<Vec<_>>())
        })
        .await?;
    list.sort_by(|one, other| {
        let key = |entry: &LivepatchSummary| (entry.manifest.kernel.release.clone(), entry.manifest.version);
        key(one).cmp(&key(other))
    });
    Ok(list)
}

/// Takes a livepatch back for good: no machine loads it any more, here and downstream. Again changes nothing.
pub(crate) async fn withdraw(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment(name): Segment<String>,
    Document(request): Document<WithdrawRequest>,
) -> Result<Json<LivepatchSummary>, Refusal> {
    text("reason", &request.reason, 1000)?;
    let asked = name.clone();
    let (summary, is_new) = site
        .with_publisher(move |publisher| {
            let entry = publisher.published().find(|entry| entry.manifest.name == asked).cloned();
            let entry = entry.ok_or(PublishError::UnknownName(asked))?;
            let mut steering = publisher.steering().clone();
            let is_new = steering.denied.insert(key_of(&entry.sha256));
            publisher.steer(&steering, clock::now())?;
            Ok((summary(&entry, &steering), is_new))
        })
        .await?;
    if is_new {
        tracing::warn!(name, by = actor.name, reason = request.reason, "withdrew a livepatch");
        let store = site.database.store().await?;
        store.record_act(&actor.name, "withdraw", &name, &request.reason, clock::seconds()).await?;
    }
    Ok(Json(summary))
}

/// A livepatch for a list.
pub(super) fn summary(entry: &Published, steering: &Steering) -> LivepatchSummary {
    LivepatchSummary {
        manifest: entry.manifest.clone(),
        tiers: entry.tiers.clone(),
        withdrawn: steering.withdraws(&entry.sha256),
        origin: entry.origin.clone(),
    }
}

fn current_tiers(publisher: &Publisher, name: &str) -> Result<Vec<String>, PublishError> {
    let entry = publisher.published().find(|entry| entry.manifest.name == name);
    entry.map(|entry| entry.tiers.clone()).ok_or_else(|| PublishError::UnknownName(name.to_owned()))
}

/// What is being rolled out has its tiers from the rollout, and its pace.
pub(super) fn check_no_rollout(publisher: &Publisher, name: &str) -> Result<(), Refusal> {
    let entry = publisher.published().find(|entry| entry.manifest.name == name);
    match entry.and_then(|entry| entry.schedule.as_ref()) {
        None => Ok(()),
        Some(schedule) => Err(Refusal::conflict(format!(
            "{name} is being rolled out by {0}; see livepatch-admin rollout show {0}",
            schedule.release
        ))),
    }
}

/// Both sets in the operator's order. Tiers that are not configured any more stay at the end: machines may be in them.
pub(super) fn union(tiers: &Tiers, current: &[String], wanted: &[String]) -> Vec<String> {
    let configured = tiers.names();
    let known = configured.iter().filter(|tier| current.contains(tier) || wanted.contains(tier));
    let former = current.iter().filter(|tier| !configured.contains(tier));
    known.chain(former).cloned().collect()
}

pub(super) fn answer(publisher: &Publisher, name: &str) -> Result<PublishAnswer, PublishError> {
    let entry = publisher.published().find(|entry| entry.manifest.name == name);
    let entry = entry.ok_or_else(|| PublishError::UnknownName(name.to_owned()))?;
    let versions = publisher.versions();
    Ok(PublishAnswer {
        name: entry.manifest.name.clone(),
        version: entry.manifest.version,
        tiers: entry.tiers.clone(),
        targets_version: versions.targets,
        snapshot_version: versions.snapshot,
        timestamp_version: versions.timestamp,
    })
}

/// The act is done and signed; a database that fails now must not make it look undone.
pub(super) async fn note(site: &Site, actor: &Actor, action: &str, answer: &PublishAnswer) {
    let tiers = answer.tiers.join(", ");
    tracing::info!(name = %answer.name, %tiers, targets_version = answer.targets_version, "{action}");
    let event = if action == "publish" { HookEvent::Publish } else { HookEvent::Promote };
    hooks::tell(site, event, &answer.name, &tiers).await;
    if let Ok(store) = site.database.store().await {
        let noted = store.record_act(&actor.name, action, &answer.name, &tiers, clock::seconds()).await;
        if let Err(error) = noted {
            let _ = Refusal::from(error); // logs it
        }
    }
}
