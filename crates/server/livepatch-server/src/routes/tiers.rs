//! Tiers while the server runs, and promotion of everything.

use super::{
    extract::{Admin, Document, Releaser, Viewer},
    livepatches::{check_no_rollout, union},
};
use crate::{
    Tiers,
    approvals::{Approved, check_stays},
    clock,
    publish::known_tier,
    refusal::Refusal,
    site::Site,
};
use axum::{Json, extract::State};
use livepatch_api::{PromoteAllRequest, PublishAnswer, TierChange, TierSummary};
use livepatch_rollout::State as RolloutState;
use livepatch_store::Store;
use std::{collections::BTreeSet, sync::Arc};

/// What a blocked machine is told that its tier is; nothing is ever published to it.
pub(crate) const NO_TIER: &str = "blocked";

/// The tiers in their order, with what belongs to each.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<TierSummary>>, Refusal> {
    Ok(Json(summaries(&site).await?))
}

async fn summaries(site: &Arc<Site>) -> Result<Vec<TierSummary>, Refusal> {
    let tiers = site.tiers().await?;
    let uses = site.database.store().await?.tier_use().await?;
    let published = site
        .with_publisher(|publisher| {
            Ok(publisher.published().map(|entry| entry.tiers.clone()).collect::<Vec<_>>())
        })
        .await?;
    let summary = |name: &String| {
        let of = uses.get(name).copied().unwrap_or_default();
        let livepatches = published.iter().filter(|tiers| tiers.contains(name)).count();
        TierSummary {
            name: name.clone(),
            machines: of.machines,
            tokens: of.tokens,
            livepatches: u32::try_from(livepatches).unwrap_or(u32::MAX),
        }
    };
    Ok(tiers.names().iter().map(summary).collect())
}

/// Changes the tiers; the list as it is then.
pub(crate) async fn change(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Document(change): Document<TierChange>,
) -> Result<Json<Vec<TierSummary>>, Refusal> {
    // As orders about rollouts are: two admins at once go one after the other.
    let turn = crate::rollouts::take_turn(&site).await?;
    let store = site.database.store().await?;
    let tiers = site.tiers().await?;
    let (action, subject, detail) = match change {
        TierChange::Create { name, after } => {
            let names = created(&tiers, &name, after.as_deref())?;
            store.set_tiers(names.names(), None).await?;
            ("tier-create", name, names.to_string())
        }
        TierChange::Rename { name, to } => {
            check_stays(&site, &name)?;
            rename(&site, store, &tiers, &name, &to).await?;
            ("tier-rename", name, to)
        }
        TierChange::Reorder { names } => {
            let names = reordered(&tiers, names)?;
            store.set_tiers(names.names(), None).await?;
            ("tier-reorder", names.to_string(), String::new())
        }
        TierChange::Remove { name, move_to } => {
            check_stays(&site, &name)?;
            remove(store, &tiers, &name, move_to.as_deref()).await?;
            ("tier-remove", name, move_to.unwrap_or_default())
        }
    };
    store.record_act(&actor.name, action, &subject, &detail, clock::seconds()).await?;
    drop(turn);
    tracing::info!(subject, detail, by = actor.name, "{action}");
    Ok(Json(summaries(&site).await?))
}

fn created(tiers: &Tiers, name: &str, after: Option<&str>) -> Result<Tiers, Refusal> {
    let mut names = tiers.names().to_vec();
    let at = match after {
        Some(after) => known_tier(tiers, after)?.len(),
        None => 0,
    };
    names.insert(at, name.to_owned());
    checked(names)
}

fn reordered(tiers: &Tiers, names: Vec<String>) -> Result<Tiers, Refusal> {
    let wanted: BTreeSet<_> = names.iter().collect();
    if wanted != tiers.names().iter().collect() {
        return Err(Refusal::invalid(format!("name each of the tiers once: {tiers}")));
    }
    checked(names)
}

fn checked(names: Vec<String>) -> Result<Tiers, Refusal> {
    let tiers: Tiers =
        names.join(",").parse().map_err(|error: crate::SettingsError| Refusal::invalid(error.to_string()))?;
    if tiers.names().iter().any(|name| name == NO_TIER) {
        return Err(Refusal::invalid(format!(
            "'{NO_TIER}' is what blocked machines are told; take another name"
        )));
    }
    Ok(tiers)
}

/// First everything that the old name has becomes available under the new one too, then machines and tokens change over: no
/// machine is without its livepatches for a moment. Under the old name it stays available, to machines that have not heard
/// of the new one yet.
async fn rename(site: &Arc<Site>, store: &Store, tiers: &Tiers, name: &str, to: &str) -> Result<(), Refusal> {
    known_tier(tiers, name)?;
    let names = tiers.names().iter().map(|one| if one == name { to.to_owned() } else { one.clone() });
    let names = checked(names.collect())?;
    no_rollout_to(store, name).await?;
    let (old, new) = (name.to_owned(), to.to_owned());
    site.with_publisher(move |publisher| {
        let entries: Vec<_> = publisher
            .published()
            .filter(|entry| entry.tiers.contains(&old) && !entry.tiers.contains(&new))
            .map(|entry| (entry.manifest.name.clone(), entry.tiers.clone()))
            .collect();
        for (livepatch, tiers) in &entries {
            let with = tiers.iter().cloned().chain([new.clone()]).collect::<Vec<_>>();
            publisher.set_tiers(livepatch, &with)?;
        }
        if !entries.is_empty() {
            publisher.commit(clock::now())?;
        }
        Ok(())
    })
    .await?;
    Ok(store.set_tiers(names.names(), Some((name, to))).await?)
}

async fn remove(store: &Store, tiers: &Tiers, name: &str, move_to: Option<&str>) -> Result<(), Refusal> {
    known_tier(tiers, name)?;
    no_rollout_to(store, name).await?;
    let names: Vec<_> = tiers.names().iter().filter(|one| *one != name).cloned().collect();
    if names.is_empty() {
        return Err(Refusal::conflict("the last tier cannot be removed"));
    }
    if let Some(place) = move_to {
        known_tier(&checked(names.clone())?, place)?;
    }
    let used = store.tier_use().await?.get(name).copied().unwrap_or_default();
    if move_to.is_none() && (used.machines, used.tokens) != (0, 0) {
        return Err(Refusal::conflict(format!(
            "{name} has {} machines and {} tokens; say with --move-to which tier they go to",
            used.machines, used.tokens
        )));
    }
    Ok(store.set_tiers(&names, move_to.map(|place| (name, place))).await?)
}

/// A rollout under way has its tiers by name.
async fn no_rollout_to(store: &Store, name: &str) -> Result<(), Refusal> {
    let under_way = |state| matches!(state, RolloutState::Running | RolloutState::Halted);
    let rollouts = store.rollouts().await?;
    let busy = rollouts
        .iter()
        .map(|stored| &stored.rollout)
        .find(|rollout| under_way(rollout.state) && rollout.tiers.iter().any(|tier| tier == name));
    match busy {
        None => Ok(()),
        Some(rollout) => Err(Refusal::conflict(format!(
            "{} is on its way to {name}; end or withdraw that rollout first",
            rollout.release
        ))),
    }
}

/// Makes everything that one tier has available to another: one new state of the repository. What is being rolled out, or
/// was withdrawn, is left out.
pub(crate) async fn promote_all(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(request): Document<PromoteAllRequest>,
) -> Result<Json<Vec<PublishAnswer>>, Refusal> {
    let tiers = site.tiers().await?;
    known_tier(&tiers, &request.from)?;
    let wanted = known_tier(&tiers, &request.tier)?.to_vec();
    let from = request.from.clone();
    let approved = Approved::for_actor(&site, &actor).await?;
    let answers = site
        .with_publisher(move |publisher| {
            let mut promoted = Vec::new();
            for entry in publisher.published().cloned().collect::<Vec<_>>() {
                let name = &entry.manifest.name;
                let is_due =
                    entry.tiers.contains(&from) && !wanted.iter().all(|tier| entry.tiers.contains(tier));
                let may = check_no_rollout(publisher, name).is_ok()
                    && !publisher.steering().withdraws(&entry.sha256);
                if is_due && may {
                    approved.check(name, &wanted)?;
                    publisher.set_tiers(name, &union(&tiers, &entry.tiers, &wanted))?;
                    promoted.push(name.clone());
                }
            }
            if !promoted.is_empty() {
                publisher.commit(clock::now())?;
            }
            let answers = promoted.iter().map(|name| super::livepatches::answer(publisher, name));
            Ok(answers.collect::<Result<Vec<_>, _>>()?)
        })
        .await?;
    for answer in &answers {
        super::livepatches::note(&site, &actor, "promote", answer).await;
    }
    Ok(Json(answers))
}
