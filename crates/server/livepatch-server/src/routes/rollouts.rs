//! Rollouts: begin, show, halt, resume, withdraw.

use super::extract::{Actor, Document, Operator, Releaser, Segment, Viewer, text};
use crate::{
    Tiers, approvals::Approved, clock, hooks, openapi::Created, publish::known_tier, refusal::Refusal,
    rollouts, site::Site,
};
use axum::{Json, extract::State};
use livepatch_api::{ErrorCode, HookEvent, Role, RolloutOrder, RolloutRequest, RolloutVerb, RolloutView};
use livepatch_kernel::BuildId;
use livepatch_manifest::Digest;
use livepatch_rollout::{Profile, Rollout, RolloutError, State as RolloutState};
use livepatch_store::Store;
use livepatch_trust::Published;
use std::{collections::BTreeMap, sync::Arc};

/// A release has a module for each kernel build; there are some hundred in the world.
const MOST_LIVEPATCHES: usize = 512;

/// Begins a rollout. The targets get their schedule first: until the steering says more, nobody may have them.
pub(crate) async fn begin(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(request): Document<RolloutRequest>,
) -> Result<Created<RolloutView>, Refusal> {
    let profile = profile(&request.profile)?;
    let tiers = site.tiers().await?;
    let wanted = known_tier(&tiers, &request.tier)?.to_vec();
    let approved = Approved::for_actor(&site, &actor).await?;
    request.livepatches.iter().try_for_each(|livepatch| approved.check(livepatch, &wanted))?;
    let store = site.database.store().await?;
    if store.rollout(&request.release).await?.is_some() {
        return Err(Refusal::conflict(format!(
            "there is a rollout called {0} already; livepatch-admin rollout show {0}",
            request.release
        )));
    }
    let mut rollout = {
        let _turn = rollouts::take_turn(&site).await?;
        let entries = entries(&site, &request).await?;
        let rollout = plan(&site, &request, profile, &wanted, &entries).await?;
        if !store.add_rollout(&rollout, clock::seconds()).await? {
            return Err(Refusal::conflict("another operator has just begun this rollout"));
        }
        publish(&site, store, &rollout, (&tiers, &wanted), &entries).await?;
        rollout
    };
    let detail = format!("{} to {}, {}", request.livepatches.join(", "), request.tier, rollout.profile.name);
    store.record_act(&actor.name, "rollout-begin", &rollout.release, &detail, clock::seconds()).await?;
    rollouts::look(&site).await?;
    if let Some(stored) = store.rollout(&rollout.release).await? {
        rollout = stored.rollout;
    }
    Ok(Created(rollouts::view(store, &rollout).await?))
}

/// Every rollout, newest first.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<RolloutView>>, Refusal> {
    let store = site.database.store().await?;
    let mut views = Vec::new();
    for stored in store.rollouts().await? {
        views.push(rollouts::view(store, &stored.rollout).await?);
    }
    Ok(Json(views))
}

/// One rollout.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Segment(release): Segment<String>,
) -> Result<Json<RolloutView>, Refusal> {
    let store = site.database.store().await?;
    let stored = store.rollout(&release).await?.ok_or_else(|| unknown(&release))?;
    Ok(Json(rollouts::view(store, &stored.rollout).await?))
}

/// A person halts, resumes or withdraws.
pub(crate) async fn order(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(release): Segment<String>,
    Document(order): Document<RolloutOrder>,
) -> Result<Json<RolloutView>, Refusal> {
    give_order(&site, &actor, &release, &order).await?;
    let store = site.database.store().await?;
    let stored = store.rollout(&release).await?.ok_or_else(|| unknown(&release))?;
    Ok(Json(rollouts::view(store, &stored.rollout).await?))
}

/// Does what a person orders, at once; the steering is signed when this returns.
pub(super) async fn give_order(
    site: &Arc<Site>,
    actor: &Actor,
    release: &str,
    order: &RolloutOrder,
) -> Result<(), Refusal> {
    text("reason", &order.reason, 255)?;
    if order.reason.trim().is_empty() {
        return Err(Refusal::invalid("a reason is needed: others will read it next to what happened"));
    }
    let store = site.database.store().await?;
    let now = clock::seconds();
    {
        let _turn = rollouts::take_turn(site).await?;
        let stored = store.rollout(release).await?.ok_or_else(|| unknown(release))?;
        let mut rollout = stored.rollout;
        let action = match order.order {
            RolloutVerb::Halt => {
                rollout.halt(&order.reason, now)?;
                "rollout-halt"
            }
            RolloutVerb::Resume => {
                actor.must_be(Role::Releaser)?;
                let fleet = rollouts::fleet(store, &rollout, now).await?;
                rollout.resume(&fleet, now)?;
                "rollout-resume"
            }
            RolloutVerb::Withdraw => {
                actor.must_be(Role::Releaser)?;
                rollout.withdraw()?;
                "rollout-withdraw"
            }
        };
        store.save_rollout(&rollout, now).await?;
        store.record_act(&actor.name, action, release, &order.reason, now).await?;
        tracing::warn!(release, reason = order.reason, "{action}");
    }
    match order.order {
        RolloutVerb::Halt => hooks::tell(site, HookEvent::Halt, release, &order.reason).await,
        RolloutVerb::Resume => hooks::tell(site, HookEvent::Resume, release, &order.reason).await,
        RolloutVerb::Withdraw => {}
    }
    rollouts::look(site).await
}

fn profile(wish: &serde_json::Value) -> Result<Profile, Refusal> {
    let profile = match wish.as_str() {
        Some(name) => Profile::named(name).map_err(|error| Refusal::invalid(error.to_string()))?,
        None => serde_json::from_value(wish.clone())
            .map_err(|error| Refusal::invalid(format!("the profile cannot be read: {error}")))?,
    };
    text("profile.name", &profile.name, 64)?;
    profile.check().map_err(|error| Refusal::invalid(error.to_string()))?;
    Ok(profile)
}

/// The published livepatches that are asked for, one for each kernel build.
async fn entries(
    site: &Arc<Site>,
    request: &RolloutRequest,
) -> Result<BTreeMap<BuildId, Published>, Refusal> {
    if !(1..=MOST_LIVEPATCHES).contains(&request.livepatches.len()) {
        return Err(Refusal::invalid(format!("a rollout needs from 1 to {MOST_LIVEPATCHES} livepatches")));
    }
    let published =
        site.with_publisher(|publisher| Ok(publisher.published().cloned().collect::<Vec<_>>())).await?;
    let mut entries = BTreeMap::new();
    for name in &request.livepatches {
        let entry = published.iter().find(|entry| entry.manifest.name == *name);
        let entry = entry.ok_or_else(|| livepatch_trust::PublishError::UnknownName(name.clone()))?;
        if let Some(running) = &entry.schedule {
            return Err(Refusal::conflict(format!(
                "{name} is being rolled out already, by {}; halt or withdraw that first",
                running.release
            )));
        }
        if entries.insert(entry.manifest.kernel.build_id.clone(), entry.clone()).is_some() {
            return Err(Refusal::invalid(format!(
                "{name} is for a kernel build that another livepatch of this rollout is for as well"
            )));
        }
    }
    Ok(entries)
}

async fn plan(
    site: &Arc<Site>,
    request: &RolloutRequest,
    profile: Profile,
    wanted: &[String],
    entries: &BTreeMap<BuildId, Published>,
) -> Result<Rollout, Refusal> {
    let new: Vec<String> = wanted
        .iter()
        .filter(|tier| !entries.values().all(|entry| entry.tiers.contains(tier)))
        .cloned()
        .collect();
    if new.is_empty() {
        return Err(Refusal::conflict(format!(
            "tier {} has all of these livepatches already; there is nothing to roll out",
            request.tier
        )));
    }
    let denied = entries.values().map(|entry| entry.manifest.module.sha256.clone()).collect::<Vec<Digest>>();
    let is_denied = site
        .with_publisher(move |publisher| Ok(denied.iter().any(|sha256| publisher.steering().denies(sha256))))
        .await?;
    if is_denied {
        return Err(Refusal::conflict(
            "a livepatch of this rollout was withdrawn; build and publish a new version",
        ));
    }
    let builds = entries
        .iter()
        .map(|(id, entry)| (id.clone(), entry.manifest.name.clone(), entry.manifest.module.sha256.clone()));
    let rollout = Rollout {
        windows: request.windows.clone(),
        withdraw_on_halt: request.withdraw_on_halt,
        ..Rollout::new(request.release.clone(), new, profile, builds, clock::seconds())
    };
    rollout.schedule(0).check().map_err(|error| Refusal::invalid(error.to_string()))?;
    Ok(rollout)
}

/// Signs tiers and schedule of every module.
async fn publish(
    site: &Arc<Site>,
    store: &Store,
    rollout: &Rollout,
    (tiers, wanted): (&Tiers, &[String]),
    entries: &BTreeMap<BuildId, Published>,
) -> Result<(), Refusal> {
    let fleet = rollouts::fleet(store, rollout, clock::seconds()).await?;
    let changes: Vec<_> = entries
        .iter()
        .map(|(id, entry)| {
            let population = livepatch_rollout::Fleet::population(&fleet, id);
            let tiers = super::livepatches::union(tiers, &entry.tiers, wanted);
            (entry.manifest.name.clone(), tiers, rollout.schedule(population))
        })
        .collect();
    site.with_publisher(move |publisher| {
        for (name, tiers, schedule) in changes {
            publisher.set_tiers(&name, &tiers)?;
            publisher.set_schedule(&name, Some(schedule))?;
        }
        publisher.commit(clock::now())?;
        Ok(())
    })
    .await
}

pub(super) fn unknown(release: &str) -> Refusal {
    Refusal::new(
        ErrorCode::NotFound,
        format!("there is no rollout called {release}; livepatch-admin rollout list shows what there is"),
    )
}

impl From<RolloutError> for Refusal {
    fn from(error: RolloutError) -> Self {
        let RolloutError::WrongState(state) = error;
        let advice = match state {
            s if s == RolloutState::Running.as_str() => "nothing of it is halted",
            s if s == RolloutState::Withdrawn.as_str() => "that cannot be undone: publish a new version",
            _ => "see livepatch-admin rollout show",
        };
        Self::conflict(format!("{error}; {advice}"))
    }
}
