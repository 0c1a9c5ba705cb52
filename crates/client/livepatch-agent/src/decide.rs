//! The pure core: given what the kernel shows and what the records say, what to do next.
//!
//! No I/O and no clock. The daemon asks, does the one thing that it is told, and asks again, so every step may be the
//! last before a crash: what the next one does is decided from the kernel and the durable records alone.

use crate::{
    policy::{Circumstances, Policy, Postponed, gate},
    records::{Attempt, Blocked, Catalogue, Confirmed, Intent, Phase, UndoReason, Undone},
    soak::{KernelWords, trouble},
};
use livepatch_host::{LoadedLivepatch, LoadedModule};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::Manifest;
use std::time::Duration;

/// How often the taint mask is looked at during the soak.
pub(crate) const SOAK_WATCH: Duration = Duration::from_secs(5);

/// For how long after a look at the repository a livepatch may be applied on the strength of it.
const FRESH: Duration = Duration::from_secs(120);

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The running kernel.
    pub kernel: &'a KernelIdentity,
    /// This boot.
    pub boot_id: &'a str,
    /// Time since boot.
    pub uptime: Duration,
    /// The kernel's taint mask.
    pub taint: Taint,
    /// The kernel's livepatches.
    pub livepatches: &'a [LoadedLivepatch],
    /// The kernel's modules.
    pub modules: &'a [LoadedModule],
    /// Whether the machine is enabled.
    pub enabled: bool,
    /// The livepatch at hand.
    pub intent: Option<&'a Intent>,
    /// What the repository offered last.
    pub catalogue: Option<&'a Catalogue>,
    /// What may not be loaded.
    pub blocked: &'a Blocked,
    /// What the owner took back.
    pub undone: Option<&'a Undone>,
    /// What proved good here.
    pub confirmed: &'a Confirmed,
    /// What failed last.
    pub attempt: Option<&'a Attempt>,
    /// Modules that the kernel would not let go: not to be tried again now.
    pub stuck_modules: &'a [String],
    /// What the owner allows.
    pub policy: &'a Policy,
    /// When and how this is asked.
    pub circumstances: &'a Circumstances,
    /// What the kernel said since the livepatch at hand was handed to it.
    pub words: KernelWords<'a>,
    /// Whether the last words of the kernel before this boot name the livepatch at hand.
    pub crash_names_it: bool,
    /// Whether it is time to look at the repository.
    pub refresh_due: bool,
    /// Whether the server should hear something.
    pub report_due: bool,
    /// How long a new livepatch is watched.
    pub soak: Duration,
    /// How long a transition may take.
    pub transition_deadline: Duration,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The machine went down between apply and confirmation: block the digest, then forget the intent.
    BlockCrashed,
    /// The record has nothing to say about this kernel any more.
    Forget(Forget),
    /// The kernel has got further: write it down.
    Enter(Phase),
    /// Soaked without trouble.
    Confirm,
    /// Disable the livepatch at hand (again, if a crash interrupted it).
    Undo(UndoReason),
    /// Remove this module: it does nothing any more.
    RemoveModule(String),
    /// The undone livepatch has left the kernel.
    FinishUndo,
    /// The kernel has a livepatch of ours that no record tells of: write one.
    Adopt(Box<Manifest>),
    /// Look at the repository.
    Refresh,
    /// Fetch, verify and load this one.
    Apply(Box<Manifest>),
    /// Tell the server.
    Report,
    /// The kernel is moving: look again in a moment.
    Poll,
    /// Nothing to do, at least for the given time (or until the next refresh).
    Rest(Option<Duration>),
}

/// Why an intent is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// It belongs to another boot and is no reproach: confirmed, undone, or the machine was shut down properly.
    OtherBoot,
    /// The daemon stopped before the kernel had the module.
    NeverLoaded,
    /// Somebody else took the livepatch out of the kernel.
    TakenOut,
}

/// What to do next.
pub fn decide(facts: &Facts<'_>) -> Action {
    let first = match facts.intent {
        Some(intent) if intent.boot_id != facts.boot_id => Some(after_reboot(facts, intent)),
        Some(intent) => advance(facts, intent),
        None => adoptable(facts).map(|manifest| Action::Adopt(Box::new(manifest.clone()))),
    };
    first
        .or_else(|| replaced_module(facts).map(|module| Action::RemoveModule(module.name.clone())))
        .or_else(|| (may_ask(facts) && facts.refresh_due).then_some(Action::Refresh))
        .or_else(|| candidate(facts).map(|manifest| Action::Apply(Box::new(manifest.clone()))))
        .or_else(|| (may_ask(facts) && facts.report_due).then_some(Action::Report))
        .unwrap_or_else(|| Action::Rest(soak_watch(facts)))
}

fn may_ask(facts: &Facts<'_>) -> bool {
    facts.enabled && facts.circumstances.mode.may_ask()
}

/// The intent is of an earlier boot, so its livepatch is not in the kernel.
fn after_reboot(facts: &Facts<'_>, intent: &Intent) -> Action {
    let provisional = match intent.phase {
        Phase::Loading | Phase::Transition | Phase::Soaking => true,
        Phase::Undoing { reason, .. } => reason != UndoReason::Owner,
        // It ran well for long; only the kernel's own word makes it the culprit.
        Phase::Confirmed => facts.crash_names_it,
    };
    if provisional && !intent.stopped_cleanly {
        Action::BlockCrashed
    } else {
        Action::Forget(Forget::OtherBoot)
    }
}

/// One step on for the livepatch at hand; `None` when it needs nothing now.
fn advance(facts: &Facts<'_>, intent: &Intent) -> Option<Action> {
    let loaded = facts.livepatches.iter().find(|livepatch| livepatch.name == intent.manifest.name);
    match (&intent.phase, loaded) {
        (Phase::Loading, Some(_)) => Some(Action::Enter(Phase::Transition)),
        (Phase::Loading, None) => Some(abandoned_load(facts, intent)),
        (Phase::Undoing { reason, .. }, loaded) => Some(undoing(facts, intent, *reason, loaded)),
        // A step back: the version before takes this one's place. When it cannot, this one goes all the same.
        (_, Some(loaded)) if is_undone(facts, &intent.manifest) => {
            let in_place = !loaded.transition && candidate(facts).is_some();
            (!in_place).then_some(Action::Undo(UndoReason::Owner))
        }
        (_, None) => Some(Action::Forget(Forget::TakenOut)),
        (Phase::Transition, Some(loaded)) => Some(transition(facts, intent, loaded)),
        (Phase::Soaking, Some(_)) => soaking(facts, intent),
        (Phase::Confirmed, Some(_)) => in_trouble(facts, intent),
    }
}

/// The daemon died around the load, and the kernel does not show the livepatch.
fn abandoned_load(facts: &Facts<'_>, intent: &Intent) -> Action {
    match facts.modules.iter().find(|module| module.name == intent.manifest.name) {
        Some(module) if !module.live => Action::Poll,
        _ => Action::Forget(Forget::NeverLoaded),
    }
}

fn transition(facts: &Facts<'_>, intent: &Intent, loaded: &LoadedLivepatch) -> Action {
    if let (Some(action), true) = (in_trouble(facts, intent), loaded.enabled) {
        return action;
    }
    let stalled = phase_age(facts, intent) >= facts.transition_deadline;
    match (loaded.transition, loaded.enabled) {
        (false, true) => Action::Enter(Phase::Soaking),
        (true, true) if stalled => Action::Undo(UndoReason::Stalled),
        _ => Action::Poll,
    }
}

fn soaking(facts: &Facts<'_>, intent: &Intent) -> Option<Action> {
    in_trouble(facts, intent).or_else(|| (phase_age(facts, intent) >= facts.soak).then_some(Action::Confirm))
}

fn in_trouble(facts: &Facts<'_>, intent: &Intent) -> Option<Action> {
    trouble(facts.words, facts.taint, intent).map(|_| Action::Undo(UndoReason::Trouble))
}

fn undoing(
    facts: &Facts<'_>,
    intent: &Intent,
    reason: UndoReason,
    loaded: Option<&LoadedLivepatch>,
) -> Action {
    let name = &intent.manifest.name;
    match loaded {
        Some(loaded) if loaded.enabled => Action::Undo(reason),
        // A way back that stalls ends when its tasks move; until then there is nothing to do but to look now and then.
        Some(_) if phase_age(facts, intent) >= facts.transition_deadline => Action::Rest(Some(SOAK_WATCH)),
        Some(_) => Action::Poll,
        None if facts.modules.iter().any(|module| module.name == *name) && !is_stuck(facts, name) => {
            Action::RemoveModule(name.clone())
        }
        None => Action::FinishUndo,
    }
}

/// The livepatch that should be applied now, if there is one: the greatest offered version that is not blocked, when it
/// is greater than what the kernel has, the owner has not taken it back, and it has not just failed.
///
/// An offer that is not fresh is good enough only for a livepatch that proved itself on this machine: anything else may
/// have been withdrawn meanwhile.
pub(crate) fn candidate<'a>(facts: &Facts<'a>) -> Option<&'a Manifest> {
    let catalogue = facts.catalogue.filter(|catalogue| catalogue.build_id == facts.kernel.build_id)?;
    let offers = offers(catalogue, facts.blocked);
    let allowed =
        |offer: &&Manifest| may_be_applied(facts, catalogue, offer).is_ok() && !is_undone(facts, offer);
    let best = offers.into_iter().find(allowed)?;
    let wanted = facts.enabled
        && applied_version(facts)
            .is_none_or(|version| version < best.version || steps_back(facts, version, best))
        && (is_fresh(facts, catalogue) || facts.confirmed.digests.contains(&best.module.sha256))
        && facts.attempt.is_none_or(|attempt| attempt.sha256 != best.module.sha256 || attempt.retry);
    wanted.then_some(best)
}

/// Whether this offer is what the owner steps back to from the version that is applied.
fn steps_back(facts: &Facts<'_>, applied: u32, offer: &Manifest) -> bool {
    facts.undone.is_some_and(|undone| {
        undone.back_to == Some(offer.version)
            && undone.build_id == offer.kernel.build_id
            && (offer.version + 1..=undone.version).contains(&applied)
    })
}

/// The greatest version before this one that could take its place.
pub(crate) fn previous_version(facts: &Facts<'_>, manifest: &Manifest) -> Option<u32> {
    let catalogue = facts.catalogue.filter(|catalogue| catalogue.build_id == facts.kernel.build_id)?;
    let usable = |offer: &&Manifest| {
        offer.version < manifest.version
            && gate(facts.policy, facts.circumstances, catalogue.published_at(&offer.module.sha256), true)
                .is_ok()
    };
    offers(catalogue, facts.blocked).into_iter().find(usable).map(|offer| offer.version)
}

/// Whether the owner lets this offer be applied now.
pub(crate) fn may_be_applied(
    facts: &Facts<'_>,
    catalogue: &Catalogue,
    offer: &Manifest,
) -> Result<(), Postponed> {
    let sha256 = &offer.module.sha256;
    let proven = facts.confirmed.digests.contains(sha256);
    gate(facts.policy, facts.circumstances, catalogue.published_at(sha256), proven)
}

/// Why the greatest offer is not applied now, if the owner's policy is why. The offers before it may be applied meanwhile.
pub(crate) fn postponed(facts: &Facts<'_>) -> Option<Postponed> {
    let catalogue = facts.catalogue.filter(|catalogue| catalogue.build_id == facts.kernel.build_id)?;
    let best = best_offer(catalogue, facts.blocked)?;
    let wanted = facts.enabled
        && !is_undone(facts, best)
        && applied_version(facts).is_none_or(|version| version < best.version);
    wanted.then(|| may_be_applied(facts, catalogue, best).err()).flatten()
}

fn is_fresh(facts: &Facts<'_>, catalogue: &Catalogue) -> bool {
    let age = facts.uptime.saturating_sub(Duration::from_millis(catalogue.uptime_ms));
    catalogue.boot_id == facts.boot_id && age <= FRESH
}

/// The greatest version of the catalogue that is not blocked.
pub(crate) fn best_offer<'a>(catalogue: &'a Catalogue, blocked: &Blocked) -> Option<&'a Manifest> {
    offers(catalogue, blocked).into_iter().next()
}

/// What the catalogue offers and is not blocked, the greatest version first.
fn offers<'a>(catalogue: &'a Catalogue, blocked: &Blocked) -> Vec<&'a Manifest> {
    let allowed = |manifest: &&Manifest| blocked.find(&manifest.module.sha256).is_none();
    let mut offers: Vec<&Manifest> = catalogue.livepatches.iter().filter(allowed).collect();
    offers.sort_by_key(|manifest| std::cmp::Reverse(manifest.version));
    offers
}

/// The greatest version of ours that is in the kernel and not on its way out.
pub(crate) fn applied_version(facts: &Facts<'_>) -> Option<u32> {
    let ours = facts.livepatches.iter().filter(|livepatch| livepatch.enabled);
    ours.filter_map(|livepatch| own_version(&livepatch.name, facts.kernel)).max()
}

/// The version in a module name of ours for this kernel (`livepatch_RELEASE_VERSION`); `None` for a foreign name.
pub(crate) fn own_version(name: &str, kernel: &KernelIdentity) -> Option<u32> {
    let rest = name.strip_prefix("livepatch_")?.strip_prefix(kernel.release.as_identifier().as_str())?;
    rest.strip_prefix('_')?.parse().ok()
}

/// Whether the owner took this version or a later one back.
pub(crate) fn is_undone(facts: &Facts<'_>, manifest: &Manifest) -> bool {
    facts.undone.is_some_and(|undone| {
        undone.build_id == manifest.kernel.build_id
            && undone.version >= manifest.version
            && undone.back_to != Some(manifest.version)
    })
}

fn adoptable<'a>(facts: &Facts<'a>) -> Option<&'a Manifest> {
    let catalogue = facts.catalogue.filter(|catalogue| catalogue.build_id == facts.kernel.build_id)?;
    let version = applied_version(facts)?;
    let in_kernel = |name: &str| facts.livepatches.iter().any(|livepatch| livepatch.name == name);
    catalogue.livepatches.iter().find(|manifest| manifest.version == version && in_kernel(&manifest.name))
}

/// A livepatch module of ours that the kernel has but does not use: a newer one replaced it, or it was disabled.
fn replaced_module<'a>(facts: &Facts<'a>) -> Option<&'a LoadedModule> {
    let used = |name: &str| facts.livepatches.iter().any(|livepatch| livepatch.name == name);
    facts.modules.iter().find(|module| {
        module.live
            && module.references.is_none_or(|count| count == 0)
            && own_version(&module.name, facts.kernel).is_some()
            && !used(&module.name)
            && !is_stuck(facts, &module.name)
    })
}

fn is_stuck(facts: &Facts<'_>, name: &str) -> bool {
    facts.stuck_modules.iter().any(|stuck| stuck == name)
}

fn soak_watch(facts: &Facts<'_>) -> Option<Duration> {
    let intent = facts.intent.filter(|intent| intent.phase == Phase::Soaking)?;
    Some(facts.soak.saturating_sub(phase_age(facts, intent)).min(SOAK_WATCH))
}

fn phase_age(facts: &Facts<'_>, intent: &Intent) -> Duration {
    facts.uptime.saturating_sub(Duration::from_millis(intent.phase_began_ms))
}

#[cfg(test)]
mod tests;
