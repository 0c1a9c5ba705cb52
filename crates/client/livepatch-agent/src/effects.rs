//! Does what the pure core decided. Each action leaves the records such that a crash right after it, or in its middle,
//! is understood by the next decision.

use crate::{
    agent::{Agent, milliseconds, tell},
    decide::{Action, Forget, own_version},
    environment::Progress,
    facts::Snapshot,
    records::{Attempt, Blocked, BlockedDigest, Confirmed, Failure, Intent, Phase, UndoReason, Undone},
    refusal::Refusal,
    soak::trouble,
    verify::{Anchor, verify_module},
};
use livepatch_api::EventKind;
use livepatch_host::{BlockingTask, LoadedLivepatch};
use livepatch_manifest::Manifest;
use std::time::Duration;

/// How many tasks that hold a transition back are named.
const MOST_BLOCKERS: usize = 8;
/// A module that is still in use is tried again this often.
const REMOVE_TRIES: u32 = 20;
const REMOVE_PAUSE: Duration = Duration::from_millis(100);
/// After the kernel refused to start a transition back.
const DISABLE_PAUSE: Duration = Duration::from_secs(1);

impl Agent {
    pub(crate) fn execute(
        &mut self,
        now: &Snapshot,
        action: Action,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let intent = now.intent.clone();
        match (action, intent) {
            (Action::Refresh, _) => self.look(progress),
            (Action::Apply(manifest), _) => self.try_to_apply(now, &manifest, progress),
            (Action::Adopt(manifest), _) => self.adopt(now, *manifest),
            (Action::RemoveModule(name), _) => self.remove_module(&name, progress),
            (Action::Report, _) => self.report(progress),
            (Action::BlockCrashed, Some(intent)) => self.block_crashed(&intent),
            (Action::Forget(why), Some(intent)) => self.forget(now, &intent, why),
            (Action::Enter(phase), Some(intent)) => self.enter(now, intent, phase, progress),
            (Action::Confirm, Some(intent)) => self.confirm(now, intent),
            (Action::Undo(reason), Some(intent)) => self.start_undo(now, intent, reason, progress),
            (Action::FinishUndo, Some(intent)) => self.finish_undo(now, &intent, progress),
            (Action::Poll | Action::Rest(_), _) | (_, None) => Ok(()),
        }
    }

    fn block_crashed(&mut self, intent: &Intent) -> Result<(), Refusal> {
        let name = &intent.manifest.name;
        let when = if intent.phase == Phase::Confirmed { "while" } else { "before" };
        let what = if intent.phase == Phase::Confirmed { "applied" } else { "confirmed" };
        let reason = format!("the machine went down {when} {name} was {what} (applied {})", intent.began);
        let evidence = self.crash_evidence.take();
        let detail = evidence.iter().fold(reason.clone(), |text, words| format!("{text}; {words}"));
        self.block(&intent.manifest, reason, evidence)?;
        self.event(EventKind::Crashed, detail)?;
        Ok(self.state.remove::<Intent>()?)
    }

    fn block(&self, manifest: &Manifest, reason: String, evidence: Option<String>) -> Result<(), Refusal> {
        let entry = BlockedDigest {
            sha256: manifest.module.sha256.clone(),
            name: manifest.name.clone(),
            reason,
            evidence,
            at: self.timestamp(),
        };
        self.update(|confirmed: &mut Confirmed| confirmed.digests.retain(|digest| *digest != entry.sha256))?;
        self.update(|blocked: &mut Blocked| {
            blocked.entries.retain(|old| old.sha256 != entry.sha256);
            blocked.entries.push(entry);
        })
    }

    fn forget(&self, now: &Snapshot, intent: &Intent, why: Forget) -> Result<(), Refusal> {
        if why == Forget::TakenOut {
            self.state.save(&self.undone(&intent.manifest))?;
            let name = &intent.manifest.name;
            self.event(
                EventKind::Undone,
                format!("{name} was taken out of the kernel, and not by this client"),
            )?;
        }
        self.drop_intent(now, intent)
    }

    /// Back to the livepatch that was there before, when the kernel still has it.
    fn drop_intent(&self, now: &Snapshot, intent: &Intent) -> Result<(), Refusal> {
        let active = |before: &&Intent| {
            let name = &before.manifest.name;
            before.boot_id == now.boot_id
                && now.livepatches.iter().any(|livepatch| livepatch.enabled && livepatch.name == *name)
        };
        match intent.replaces.as_deref().filter(active) {
            Some(before) => Ok(self.state.save(before)?),
            None => Ok(self.state.remove::<Intent>()?),
        }
    }

    fn enter(
        &self,
        now: &Snapshot,
        intent: Intent,
        phase: Phase,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let soaking = phase == Phase::Soaking;
        let took = milliseconds(now.uptime).saturating_sub(intent.phase_began_ms);
        let intent = self.save_phase(now, intent, phase)?;
        if soaking {
            let name = &intent.manifest.name;
            let soak = self.config.soak().as_secs();
            tell(progress, "applied", format!("{name} is applied; it is watched for {soak} s"));
            self.look_for_tracing_again(&intent, progress)?;
            self.state.remove::<Attempt>()?;
            // The server reads the seconds out of it again.
            let took = format!("{}.{} s", took / 1000, took % 1000 / 100);
            self.event(EventKind::Applied, format!("{name} is applied; the transition took {took}"))?;
        }
        Ok(())
    }

    fn save_phase(&self, now: &Snapshot, mut intent: Intent, phase: Phase) -> Result<Intent, Refusal> {
        intent.phase = phase;
        intent.phase_began_ms = milliseconds(now.uptime);
        self.state.save(&intent)?;
        Ok(intent)
    }

    fn confirm(&self, now: &Snapshot, intent: Intent) -> Result<(), Refusal> {
        self.update(|confirmed: &mut Confirmed| confirmed.add(&intent.manifest.module.sha256))?;
        let intent = self.save_phase(now, intent, Phase::Confirmed)?;
        let soak = self.config.soak().as_secs();
        self.event(
            EventKind::Confirmed,
            format!("{} ran for {soak} s without trouble", intent.manifest.name),
        )?;
        let confirmed = self.state.load::<Confirmed>()?.unwrap_or_default();
        self.state.prune_modules(|sha256| confirmed.digests.iter().any(|kept| kept.as_str() == sha256))?;
        Ok(())
    }

    fn start_undo(
        &self,
        now: &Snapshot,
        intent: Intent,
        reason: UndoReason,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let name = intent.manifest.name.clone();
        if !matches!(intent.phase, Phase::Undoing { .. }) {
            let tasks = self.stalling_tasks(reason);
            let detail = self.undo_detail(now, &intent, reason, &tasks);
            tell(progress, "undo", format!("taking {name} back: {detail}"));
            if reason == UndoReason::Trouble {
                let evidence = trouble(self.watch.words(), now.taint, &intent);
                self.block(&intent.manifest, detail.clone(), evidence)?;
            }
            self.save_phase(now, intent, Phase::Undoing { reason, detail, tasks })?;
        }
        match self.environment.kernel.disable(&name) {
            Err(error) if error.is_transient() => {
                self.environment.clock.sleep(DISABLE_PAUSE);
                Ok(())
            }
            Err(error) if error.is_missing() => Ok(()),
            other => Ok(other?),
        }
    }

    /// The tasks that hold the transition back, when that is the reason: they can only be named before it is reverted.
    fn stalling_tasks(&self, reason: UndoReason) -> Vec<BlockingTask> {
        match reason {
            UndoReason::Stalled => self.environment.host.blocking_tasks(true, MOST_BLOCKERS),
            UndoReason::Owner | UndoReason::Trouble => Vec::new(),
        }
    }

    fn undo_detail(
        &self,
        now: &Snapshot,
        intent: &Intent,
        reason: UndoReason,
        tasks: &[BlockingTask],
    ) -> String {
        match reason {
            UndoReason::Owner => "the machine's owner asked for it".to_owned(),
            UndoReason::Stalled => Refusal::TransitionStalled(tasks.to_vec()).to_string(),
            UndoReason::Trouble => {
                let trouble = trouble(self.watch.words(), now.taint, intent);
                Refusal::SoakTrouble(trouble.unwrap_or_else(|| "it is over".to_owned())).to_string()
            }
        }
    }

    fn finish_undo(
        &self,
        now: &Snapshot,
        intent: &Intent,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let Phase::Undoing { reason, detail, tasks } = &intent.phase else {
            return Ok(());
        };
        let manifest = &intent.manifest;
        tell(progress, "undone", format!("{} is out of the kernel", manifest.name));
        match reason {
            UndoReason::Owner => {
                self.event(EventKind::Undone, format!("{} was taken back by the owner", manifest.name))?;
            }
            UndoReason::Stalled => {
                let code = Refusal::TransitionStalled(Vec::new()).code();
                self.record_attempt(manifest, code, detail, tasks, true)?;
            }
            UndoReason::Trouble => {
                let code = Refusal::SoakTrouble(String::new()).code();
                self.record_attempt(manifest, code, detail, &[], true)?;
            }
        }
        self.drop_intent(now, intent)
    }

    fn remove_module(&mut self, name: &str, progress: &mut dyn Progress) -> Result<(), Refusal> {
        for _ in 0..REMOVE_TRIES {
            match self.environment.kernel.remove(name) {
                Err(error) if error.is_transient() => self.environment.clock.sleep(REMOVE_PAUSE),
                Err(error) if error.is_missing() => return Ok(()),
                Err(error) => {
                    tracing::warn!(name, %error, "an unused module stays in the kernel");
                    self.stuck_modules.push(name.to_owned());
                    return Ok(());
                }
                Ok(()) => {
                    tell(progress, "remove", format!("the unused module {name} is removed"));
                    return Ok(());
                }
            }
        }
        tracing::warn!(name, "an unused module is still held by the kernel");
        self.stuck_modules.push(name.to_owned());
        Ok(())
    }

    fn adopt(&mut self, now: &Snapshot, manifest: Manifest) -> Result<(), Refusal> {
        tracing::info!(name = manifest.name, "the kernel has this livepatch already");
        let intent = self.intent(now, manifest, Phase::Soaking);
        Ok(self.state.save(&intent)?)
    }

    fn intent(&mut self, now: &Snapshot, manifest: Manifest, phase: Phase) -> Intent {
        let replaces = now.intent.clone().map(|before| Box::new(Intent { replaces: None, ..before }));
        Intent {
            boot_id: now.boot_id.clone(),
            manifest,
            phase,
            phase_began_ms: milliseconds(now.uptime),
            began: self.timestamp(),
            taint_before: now.taint,
            log_from: self.watch.mark(),
            stopped_cleanly: false,
            replaces,
        }
    }

    fn try_to_apply(
        &mut self,
        now: &Snapshot,
        manifest: &Manifest,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        match self.apply(now, manifest, progress) {
            Ok(()) => Ok(()),
            Err(refusal @ Refusal::State(_)) => Err(refusal),
            Err(refusal) => {
                tell(progress, "refused", format!("{}: {refusal}", refusal.code()));
                let failed = refusal.touched_the_kernel();
                self.record_attempt(manifest, refusal.code(), &refusal.to_string(), &[], failed)
            }
        }
    }

    /// Verify everything, write the intent durably, then load. What follows is decided from what the kernel shows.
    fn apply(
        &mut self,
        now: &Snapshot,
        manifest: &Manifest,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let name = &manifest.name;
        if !self.environment.host.supports_livepatch() {
            return Err(Refusal::KernelUnsupported);
        }
        if let Some(foreign) = foreign_livepatch(now) {
            return Err(Refusal::OtherLivepatch(foreign.name.clone()));
        }
        if let Some(container) = self.environment.host.surroundings().container {
            return Err(Refusal::Container(container));
        }
        self.look_for_tracing(now, manifest, progress)?;
        let anchor = self.anchor()?;
        let module = self.obtain(manifest, &anchor, progress)?;
        verify_module(&module, manifest, &anchor.certificates, &now.kernel)?;
        let id = manifest.module.sha256.short();
        tell(progress, "verify", format!("{name} is verified: digest {id}, signature, kernel build id"));
        self.state.cache_module(&manifest.module.sha256, &module)?;

        let intent = self.intent(now, manifest.clone(), Phase::Loading);
        self.state.save(&intent)?;
        if let Err(error) = self.environment.kernel.load(name, &module) {
            self.drop_intent(now, &intent)?;
            return Err(error.into());
        }
        tell(progress, "load", format!("{name} is loaded"));
        self.save_phase(now, intent, Phase::Transition)?;
        Ok(())
    }

    /// From the cache, or from the repository, which is read anew.
    fn obtain(
        &self,
        manifest: &Manifest,
        anchor: &Anchor,
        progress: &mut dyn Progress,
    ) -> Result<Vec<u8>, Refusal> {
        let sha256 = &manifest.module.sha256;
        if let Some(module) = self.state.cached_module(sha256)? {
            // A damaged cache entry is fetched again rather than refused for ever.
            if livepatch_manifest::Digest::of(&module) == *sha256 {
                return Ok(module);
            }
        }
        self.fetch(manifest, anchor, progress)
    }

    fn record_attempt(
        &self,
        manifest: &Manifest,
        code: &str,
        message: &str,
        tasks: &[BlockingTask],
        touched_the_kernel: bool,
    ) -> Result<(), Refusal> {
        let failure = Failure { code: code.to_owned(), message: message.to_owned() };
        let boot_id = self.environment.host.boot_id()?;
        let last = self.state.load::<Attempt>()?.filter(|last| last.sha256 == manifest.module.sha256);
        let same = last.as_ref().filter(|last| last.boot_id == boot_id && last.failure.code == code);
        let attempt = Attempt {
            count: same.map_or(1, |same| same.count.saturating_add(1)),
            uptime_ms: milliseconds(self.environment.host.uptime()?),
            tasks: tasks.to_vec(),
            boot_id,
            at: self.timestamp(),
            sha256: manifest.module.sha256.clone(),
            name: manifest.name.clone(),
            failure,
            retry: false,
        };
        let known = last.is_some_and(|last| last.failure == attempt.failure);
        self.state.save(&attempt)?;
        if known {
            return Ok(());
        }
        let kind = if touched_the_kernel { EventKind::Failed } else { EventKind::Refused };
        self.event(kind, format!("{code}: {}: {message}", manifest.name))
    }

    pub(crate) fn undone(&self, manifest: &Manifest) -> Undone {
        Undone {
            build_id: manifest.kernel.build_id.clone(),
            version: manifest.version,
            back_to: None,
            at: self.timestamp(),
        }
    }

    pub(crate) fn anchor(&self) -> Result<Anchor, Refusal> {
        let missing = || Refusal::TrustAnchorUnusable("it is missing".to_owned());
        Anchor::parse(&self.state.trust_anchor()?.ok_or_else(missing)?)
    }
}

/// A livepatch that is not ours: a cumulative one of ours would silently replace it.
fn foreign_livepatch(now: &Snapshot) -> Option<&LoadedLivepatch> {
    now.livepatches.iter().find(|livepatch| own_version(&livepatch.name, &now.kernel).is_none())
}
