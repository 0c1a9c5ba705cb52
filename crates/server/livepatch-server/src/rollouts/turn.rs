//! The engine's looks at the fleet: every minute, and at once when a machine reports trouble.

use super::{RunningModule, fleet::Machines, publish_steering};
use crate::{clock, hooks, refusal::Refusal, site::Site};
use livepatch_api::{HookEvent, RolloutBuild, RolloutHalt, RolloutView};
use livepatch_rollout::{Act, BuildState, Fleet as _, Rollout, Signal, State};
use livepatch_store::{Backend, Seconds, Store, Turn, TurnGuard};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard, Notify, RwLock};

/// What the looks of one program share.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    turn: Mutex<()>,
    /// Somebody reported trouble.
    pub(crate) trouble: Notify,
    /// Modules of rollouts that reports may be about; `None` before the first look.
    modules: RwLock<Option<Remembered>>,
}

/// Modules, and the rollouts under way that they are of.
#[derive(Clone, Debug)]
struct Remembered {
    under_way: Vec<(String, String)>,
    modules: Arc<[RunningModule]>,
}

/// One look or order at a time, in this program and among the replicas: each reads a rollout, changes it, and keeps it.
#[derive(Debug)]
pub(crate) struct LookTurn<'a> {
    _here: MutexGuard<'a, ()>,
    _everywhere: TurnGuard,
}

/// Waits for the turn.
pub(crate) async fn take_turn(site: &Site) -> Result<LookTurn<'_>, Refusal> {
    let here = site.looks.turn.lock().await;
    let everywhere = site.database.store().await?.turn(Turn::Rollouts).await?;
    Ok(LookTurn { _here: here, _everywhere: everywhere })
}

/// The engine's name in the audit log.
const ENGINE: &str = "livepatch-server";

/// Looks again and again, until the task is dropped. A look that fails is logged and repeated.
pub(crate) async fn keep_looking(site: Arc<Site>) {
    let mut turns = tokio::time::interval(site.settings.look_every);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = site.looks.trouble.notified() => {
                // Trouble seldom comes alone; a moment later one look sees it all.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        // The refusal was logged where it arose.
        let _ = look(&site).await;
    }
}

/// One look at every rollout.
pub(crate) async fn look(site: &Arc<Site>) -> Result<(), Refusal> {
    let _turn = take_turn(site).await?;
    let store = site.database.store().await?;
    let now = clock::seconds();
    let mut rollouts = Vec::new();
    for stored in store.rollouts().await? {
        let mut rollout = stored.rollout;
        if rollout.state == State::Running {
            step(site, store, &mut rollout, now).await?;
        }
        rollouts.push(rollout);
    }
    remember(site, &rollouts).await;
    // Blocks end by themselves.
    crate::blocks::apply(site).await?;
    if rollouts.is_empty() { Ok(()) } else { publish_steering(site, rollouts).await }
}

async fn step(site: &Site, store: &Store, rollout: &mut Rollout, now: Seconds) -> Result<(), Refusal> {
    let machines = Machines::gather(store, rollout, now).await?;
    let acts = rollout.step(&machines, now);
    if acts.is_empty() {
        return Ok(());
    }
    store.save_rollout(rollout, now).await?;
    for act in &acts {
        tell(store, &rollout.release, act, now).await?;
        if let Act::Halted(evidence) = act {
            hooks::tell(site, HookEvent::Halt, &rollout.release, &evidence.summary).await;
        }
    }
    Ok(())
}

async fn tell(store: &Store, release: &str, act: &Act, now: Seconds) -> Result<(), Refusal> {
    let (action, detail) = match act {
        Act::Widened { build, admitted } => {
            tracing::info!(release, %build, admitted, "more machines may have the release");
            return Ok(());
        }
        Act::Advanced { build, stage } => ("rollout-stage", format!("{build} is in stage {}", stage + 1)),
        Act::BuildComplete { build } => ("rollout-stage", format!("{build} is through")),
        Act::Halted(evidence) => ("rollout-halt", evidence.summary.clone()),
        Act::Withdrawn => ("rollout-withdraw", "withdrawn by its halt".to_owned()),
        Act::Complete => ("rollout-complete", String::new()),
    };
    tracing::warn!(release, detail, "{action}");
    Ok(store.record_act(ENGINE, action, release, &detail, now).await?)
}

/// The modules that a report may be about. Another replica may have begun a rollout a moment ago, and its first reports
/// come here: on a database that is shared, what is remembered is compared with what is under way.
pub(crate) async fn running_modules(site: &Arc<Site>) -> Result<Arc<[RunningModule]>, Refusal> {
    let store = site.database.store().await?;
    let remembered = site.looks.modules.read().await.clone();
    if let Some(remembered) = remembered
        && (store.backend() == Backend::Sqlite || store.rollouts_under_way().await? == remembered.under_way)
    {
        return Ok(remembered.modules);
    }
    let stored = store.rollouts().await?;
    let rollouts: Vec<Rollout> = stored.into_iter().map(|stored| stored.rollout).collect();
    Ok(remember(site, &rollouts).await)
}

/// Keeps in mind which modules are being rolled out. Halted ones too: their machines still report.
async fn remember(site: &Arc<Site>, rollouts: &[Rollout]) -> Arc<[RunningModule]> {
    let under_way = rollouts.iter().filter(|one| matches!(one.state, State::Running | State::Halted));
    let modules: Arc<[RunningModule]> = under_way
        .clone()
        .flat_map(|rollout| {
            rollout.builds.values().map(|build| RunningModule {
                release: rollout.release.clone(),
                name: build.livepatch.clone(),
                sha256: build.sha256.clone(),
            })
        })
        .collect();
    let mut under_way: Vec<_> =
        under_way.map(|one| (one.release.clone(), one.state.as_str().to_owned())).collect();
    under_way.sort();
    let remembered = Remembered { under_way, modules: Arc::clone(&modules) };
    *site.looks.modules.write().await = Some(remembered);
    modules
}

/// A rollout as it is shown.
pub(crate) async fn view(store: &Store, rollout: &Rollout) -> Result<RolloutView, Refusal> {
    let machines = Machines::gather(store, rollout, clock::seconds()).await?;
    let builds = rollout.builds.iter().map(|(id, build)| {
        let tally = machines.tally(id);
        let signals = Signal::ALL.into_iter().map(|signal| (signal.to_string(), tally.signals.get(signal)));
        RolloutBuild {
            build_id: id.clone(),
            livepatch: build.livepatch.clone(),
            state: match build.state {
                BuildState::Running => "running",
                BuildState::Halted => "halted",
                BuildState::Complete => "complete",
            }
            .to_owned(),
            stage: build.stage + 1,
            stages: rollout.profile.stages.len(),
            since: clock::text(build.since),
            machines: machines.population(id),
            admitted: build.admitted,
            given: tally.given,
            soaked: tally.soaked,
            out: tally.out,
            signals: signals.filter(|(_, count)| *count > 0).collect(),
        }
    });
    let halts = rollout.halts.iter().map(|halt| RolloutHalt {
        at: clock::text(halt.at),
        signal: halt.signal.map(|signal| signal.to_string()),
        build_id: halt.build.clone(),
        count: halt.count,
        given: halt.given,
        chance: halt.chance,
        machines: halt.machines.clone(),
        summary: halt.summary.clone(),
    });
    Ok(RolloutView {
        release: rollout.release.clone(),
        state: rollout.state.as_str().to_owned(),
        profile: rollout.profile.name.clone(),
        tiers: rollout.tiers.clone(),
        started: clock::text(rollout.started),
        builds: builds.collect(),
        halts: halts.collect(),
    })
}
