//! Looking at the repository and telling the server: the two conversations of a refresh. The second is loss-tolerant:
//! what the server did not confirm is told again, and no answer from it is needed to be protected.

use crate::{
    agent::{Agent, milliseconds, tell},
    decide::postponed,
    documents::{self, verdicts_name},
    environment::Progress,
    records::{Attempt, Catalogue, Check, Failure, Identity, Schedule, Spool},
    refusal::Refusal,
    service::Repository,
    status::patch_state,
    telemetry::Telemetry,
    time_check::{can_be_right, comparison},
    verify::Anchor,
    wait::may_retry,
};
use jiff::Timestamp;
use livepatch_api::{CheckInAnswer, EventKind, PatchState};
use livepatch_manifest::Manifest;
use livepatch_trust::TrustError;
use std::{collections::BTreeMap, time::Duration};

/// The version that is reported.
pub(crate) const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// After a report that was not taken, the next one waits this long, then twice as long, up to the interval.
const REPORT_RETRY: Duration = Duration::from_secs(60);

impl Agent {
    /// Checks in, reads the repository, keeps what it offers to this machine. What fails is recorded, not returned.
    pub(crate) fn look(&mut self, progress: &mut dyn Progress) -> Result<(), Refusal> {
        if let Err(refusal) = self.refuse_wrong_clock() {
            let failure = refusal.to_failure();
            tell(progress, "refused", format!("{}: {}", failure.code, failure.message));
            return self.record_look(Some(failure.clone()), Err(failure));
        }
        let answer = self.check_in(progress)?;
        let repository = self.read_repository(progress);
        if let Err(refusal @ (Refusal::State(_) | Refusal::Machine(_))) = repository {
            return Err(refusal);
        }
        let failure = repository.err().map(|refusal| self.explain(&refusal));
        if let Some(failure) = &failure {
            tell(progress, "refused", format!("{}: {}", failure.code, failure.message));
        }
        self.record_look(failure, answer)
    }

    /// With a clock that cannot be right nobody is asked: certificates would not be valid yet, and old metadata would be.
    pub(crate) fn refuse_wrong_clock(&self) -> Result<(), Refusal> {
        let now = self.environment.clock.now();
        if can_be_right(now) { Ok(()) } else { Err(Refusal::ClockWrong(now)) }
    }

    /// Metadata that are out of date by this clock may be so because of this clock.
    fn explain(&self, refusal: &Refusal) -> Failure {
        let mut failure = refusal.to_failure();
        if let Refusal::Repository(TrustError::Expired { .. }) = refusal {
            let server = self.environment.service.server_clock();
            failure.message += &comparison(self.environment.clock.now(), server);
        }
        failure
    }

    fn record_look(
        &mut self,
        failure: Option<Failure>,
        answer: Result<CheckInAnswer, Failure>,
    ) -> Result<(), Refusal> {
        let now = self.environment.clock.now();
        let interval = self.config.refresh_interval();
        let last = self.state.load::<Check>()?.and_then(|check| check.failure);
        let patience = self.environment.service.asked_patience();
        let news =
            failure.as_ref().filter(|failure| last.as_ref().map(|last| &last.code) != Some(&failure.code));
        if let Some(news) = news {
            self.event(EventKind::Refused, format!("{}: {}", news.code, news.message))?;
        }
        if let Some(schedule) = self.state.load::<Schedule>()? {
            let refresh_after = answer.as_ref().ok().and_then(|answer| answer.refresh_after);
            let next = match &failure {
                None => schedule.after_success(now, interval, refresh_after.map(Duration::from_secs)),
                Some(_) => schedule.after_failure(now, interval, patience),
            };
            let snapshot = self.snapshot()?;
            let opening = postponed(&snapshot.facts(&self.config)).and_then(|why| why.until());
            self.state.save(&opening.map_or(next.clone(), |opening| next.not_later_than(opening)))?;
        }
        if failure.is_none() {
            self.allow_retry()?;
        }
        self.state.save(&Check { at: self.timestamp(), failure, check_in: answer.err() })?;
        Ok(())
    }

    fn allow_retry(&mut self) -> Result<(), Refusal> {
        self.stuck_modules.clear();
        if let Some(mut attempt) = self.state.load::<Attempt>()? {
            let host = &self.environment.host;
            let tasks: Vec<_> = attempt.tasks.iter().map(|task| host.task(task.pid, task.tid)).collect();
            if self.owner_waits || may_retry(&attempt, host.uptime()?, &tasks) {
                attempt.retry = true;
                self.state.save(&attempt)?;
            }
        }
        Ok(())
    }

    fn read_repository(&self, progress: &mut dyn Progress) -> Result<(), Refusal> {
        let identity = self.identity()?;
        let repository = self.open_repository(&identity, &self.anchor()?)?;
        let kernel = self.environment.host.kernel()?;
        let offered = |tiers: &[String], manifest: &Manifest| {
            tiers.contains(&identity.tier) && manifest.kernel.build_id == kernel.build_id
        };
        let offers = repository.published();
        let offers = offers.into_iter().filter(|published| offered(&published.tiers, &published.manifest));
        let (mut livepatches, mut published) = (Vec::new(), BTreeMap::new());
        for offer in offers {
            if let Some(hold) = self.hold(repository.as_ref(), offer, &identity)? {
                tell(progress, "check", format!("{} waits: {hold}", offer.manifest.name));
                continue;
            }
            livepatches.push(offer.manifest.clone());
            let date = offer.published_at.and_then(|second| Timestamp::from_second(second).ok());
            published.extend(date.map(|date| (offer.sha256.as_str().to_owned(), date)));
        }
        livepatches.sort_by_key(|manifest| std::cmp::Reverse(manifest.version));
        let versions = repository.versions();
        let offer = livepatches.first().map_or_else(
            || format!("nothing for {} in tier {}", kernel.release, identity.tier),
            |best| format!("{} for {}", best.name, kernel.release),
        );
        tell(
            progress,
            "check",
            format!("the signed repository (targets {}) offers {offer}", versions.targets),
        );
        let host = &self.environment.host;
        let verdicts = verdicts_name(
            &kernel,
            host.kernel_package().ok().as_ref(),
            &host.surroundings(),
            &host.installed_kernels(),
        );
        documents::keep(&self.state, repository.as_ref(), verdicts.as_deref())?;
        self.state.save(&Catalogue {
            at: self.timestamp(),
            boot_id: self.environment.host.boot_id()?,
            uptime_ms: milliseconds(self.environment.host.uptime()?),
            build_id: kernel.build_id,
            tier: identity.tier,
            versions,
            livepatches,
            published,
        })?;
        Ok(())
    }

    fn open_repository(&self, identity: &Identity, anchor: &Anchor) -> Result<Box<dyn Repository>, Refusal> {
        let datastore = self.state.datastore();
        self.environment.service.open_repository(&identity.server, anchor, &datastore)
    }

    pub(crate) fn fetch(
        &self,
        manifest: &Manifest,
        anchor: &Anchor,
        progress: &mut dyn Progress,
    ) -> Result<Vec<u8>, Refusal> {
        let identity = self.identity()?;
        let repository = self.open_repository(&identity, anchor)?;
        let published = repository.published();
        let withdrawn = || TrustError::TargetMissing { name: manifest.file_name() };
        let published = published.into_iter().find(|published| published.manifest == *manifest);
        let published = published.ok_or_else(withdrawn)?;
        // The rollout may have been halted since the last look.
        if let Some(hold) = self.hold(repository.as_ref(), published, &identity)? {
            return Err(Refusal::Held(hold));
        }
        let bytes = repository.module(published)?;
        tell(progress, "fetch", format!("{} is fetched, {} bytes", manifest.name, bytes.len()));
        Ok(bytes)
    }

    /// Reports on its own, when there is news.
    pub(crate) fn report(&mut self, progress: &mut dyn Progress) -> Result<(), Refusal> {
        self.check_in(progress).map(|_| ())
    }

    /// Reports. The inner error is why the server did not take it.
    fn check_in(&mut self, progress: &mut dyn Progress) -> Result<Result<CheckInAnswer, Failure>, Refusal> {
        let snapshot = self.snapshot()?;
        let state = patch_state(&snapshot.facts(&self.config), snapshot.check.as_ref());
        let answer = self.send_report(state)?;
        match &answer {
            Ok(_) => {
                self.reported = Some(state);
                self.report_failures = 0;
                self.report_not_before = Duration::ZERO;
                tell(
                    progress,
                    "check-in",
                    match self.config.telemetry {
                        Telemetry::Off => "nothing is sent: telemetry is off",
                        _ => "the server has this machine's report",
                    },
                );
            }
            Err(failure) => {
                let wait = REPORT_RETRY.saturating_mul(1 << self.report_failures.min(16));
                self.report_not_before = snapshot.uptime + wait.min(self.config.refresh_interval());
                self.report_failures = self.report_failures.saturating_add(1);
                tell(progress, "check-in", format!("not taken: {}: {}", failure.code, failure.message));
            }
        }
        Ok(answer)
    }

    /// Sends one report, numbered durably before it leaves, and drops the events that the server confirmed.
    pub(crate) fn send_report(&self, state: PatchState) -> Result<Result<CheckInAnswer, Failure>, Refusal> {
        let mut identity = self.identity()?;
        if self.config.telemetry == Telemetry::Off {
            self.update(|spool: &mut Spool| spool.events.clear())?;
            return Ok(Ok(CheckInAnswer { tier: identity.tier, refresh_after: None }));
        }
        let snapshot = self.snapshot()?;
        let mut spool = snapshot.spool.clone();
        spool.sequence += 1;
        self.state.save(&spool)?;
        let request = self.config.telemetry.report(&snapshot, state, spool.sequence);
        match self.environment.service.check_in(&identity.server, &identity.credential, &request) {
            Ok(answer) => {
                let told = request.events.len();
                self.update(|spool: &mut Spool| drop(spool.events.drain(..told.min(spool.events.len()))))?;
                if answer.tier != identity.tier {
                    identity.tier.clone_from(&answer.tier);
                    self.state.save(&identity)?;
                }
                Ok(Ok(answer))
            }
            Err(refusal) => Ok(Err(refusal.to_failure())),
        }
    }
}
