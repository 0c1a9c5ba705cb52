//! The agent: asks the pure core what to do, does it, and asks again.

use crate::{
    answers::Answers,
    config::Config,
    decide::{Action, Facts, decide},
    environment::{Environment, Progress, Step},
    facts::Snapshot,
    history::History,
    news::Known,
    records::{Catalogue, Check, Identity, Intent, Schedule, Spool},
    refusal::Refusal,
    state_dir::{Record, StateDir},
    status::{Status, patch_state},
    watch::KernelWatch,
};
use jiff::Timestamp;
use livepatch_api::{Event, EventKind, PatchState};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Polling a transition: the kernel announces nothing, so look often at first, then less.
const POLL_FIRST: Duration = Duration::from_millis(100);
const POLL_LAST: Duration = Duration::from_secs(2);

/// How often a machine without a network looks for a route.
const NETWORK_WATCH: Duration = Duration::from_secs(10);

/// More steps than any sequence of decisions needs; a defect must not spin.
const MOST_STEPS: usize = 64;

/// The client's one worker. Everything that changes the machine goes through it, one thing at a time.
pub struct Agent {
    pub(crate) state: StateDir,
    pub(crate) environment: Environment,
    pub(crate) config: Config,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) stuck_modules: Vec<String>,
    pub(crate) watch: KernelWatch,
    /// Whether the owner asked for what is done now.
    pub(crate) owner_asks: bool,
    /// Whether the owner waits for what is done now: then what failed is tried again without a pause.
    pub(crate) owner_waits: bool,
    /// What the kernel of the boot before this one said last about the livepatch at hand.
    pub(crate) crash_evidence: Option<String>,
    pub(crate) reported: Option<PatchState>,
    pub(crate) report_not_before: Duration,
    pub(crate) report_failures: u32,
}

impl Agent {
    /// An agent on this state directory. `phase` is a random number, kept when the machine has none yet: it spreads the
    /// looks of a fleet over the interval.
    ///
    /// # Errors
    /// [`Refusal::State`], [`Refusal::Machine`].
    pub fn new(
        state: StateDir,
        environment: Environment,
        config: Config,
        phase: u32,
    ) -> Result<Self, Refusal> {
        let watch = KernelWatch::open(&environment.host);
        let mut agent = Self {
            state,
            environment,
            config,
            stop: Arc::default(),
            stuck_modules: Vec::new(),
            watch,
            owner_asks: false,
            owner_waits: false,
            crash_evidence: None,
            reported: None,
            report_not_before: Duration::ZERO,
            report_failures: 0,
        };
        agent.start_schedule(phase)?;
        agent.unmark_stop()?;
        agent.read_crash_evidence()?;
        let snapshot = agent.snapshot()?;
        agent.reported = Some(patch_state(&snapshot.facts(&agent.config), snapshot.check.as_ref()));
        Ok(agent)
    }

    /// Set from another thread, it makes the agent return at the next safe point.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Does everything that can be done now, and says how long there is nothing more to do.
    ///
    /// # Errors
    /// A [`Refusal`] that could not be recorded, or that leaves the kernel in between; the caller tries again later.
    pub fn settle(&mut self, progress: &mut dyn Progress) -> Result<Duration, Refusal> {
        let mut poll = POLL_FIRST;
        let mut steps = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let snapshot = self.snapshot()?;
            self.watch_kernel(&snapshot)?;
            match decide(&self.facts(&snapshot)) {
                Action::Rest(limit) => return Ok(self.rest(&snapshot, limit)),
                Action::Poll => {
                    self.environment.clock.sleep(poll);
                    poll = (poll * 2).min(POLL_LAST);
                }
                action if steps < MOST_STEPS => {
                    steps += 1;
                    poll = POLL_FIRST;
                    self.execute(&snapshot, action, progress)?;
                }
                action => {
                    tracing::error!(?action, "the agent does not come to rest; it waits a minute");
                    return Ok(Duration::from_secs(60));
                }
            }
        }
        Ok(Duration::ZERO)
    }

    /// What a server is to be asked for news with; none when it is not to be asked.
    ///
    /// # Errors
    /// [`Refusal::State`], [`Refusal::Machine`].
    pub(crate) fn known(&self) -> Result<Option<Known>, Refusal> {
        let may_ask = self.config.push && self.config.mirror.is_none();
        let Some(identity) = self.state.load::<Identity>()?.filter(|_| may_ask) else { return Ok(None) };
        let check = self.state.load::<Check>()?.filter(|check| check.failure.is_none());
        let catalogue = self.state.load::<Catalogue>()?;
        let (Some(check), Some(catalogue)) = (check, catalogue) else { return Ok(None) };
        let web = identity.server.scheme() != "file" && self.environment.host.mode().mode.may_ask();
        let timestamp = catalogue.versions.timestamp;
        Ok(web.then_some(Known { server: identity.server, timestamp, looked_at: check.at }))
    }

    /// The server has news: the next look comes within this time.
    ///
    /// # Errors
    /// [`Refusal::State`].
    pub(crate) fn hear(&mut self, server: &url::Url, within: Duration) -> Result<(), Refusal> {
        let ours = self.state.load::<Identity>()?.is_some_and(|identity| identity.server == *server);
        if let Some(schedule) = self.state.load::<Schedule>()?.filter(|_| ours) {
            self.state.save(&schedule.sooner(self.environment.clock.now(), within))?;
        }
        Ok(())
    }

    /// To be called last, when the daemon is told to stop: a reboot after this is no crash.
    ///
    /// # Errors
    /// [`Refusal::State`].
    pub fn mark_stop(state: &StateDir) -> Result<(), Refusal> {
        if let Some(mut intent) = state.load::<Intent>()? {
            intent.stopped_cleanly = true;
            state.save(&intent)?;
        }
        Ok(())
    }

    /// The machine's status.
    ///
    /// # Errors
    /// [`Refusal::State`], [`Refusal::Machine`].
    pub fn status(&self) -> Result<Status, Refusal> {
        Ok(self.answers()?.status())
    }

    pub(crate) fn answers(&self) -> Result<Answers<'_>, Refusal> {
        Answers::take(&self.state, &self.environment.host, &self.config, self.environment.clock.now())
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, Refusal> {
        let now = self.environment.clock.now();
        let mut snapshot = Snapshot::take(&self.state, &self.environment.host, &self.config, now)?;
        snapshot.circumstances.owner_asks = self.owner_asks;
        Ok(snapshot)
    }

    pub(crate) fn facts<'a>(&'a self, snapshot: &'a Snapshot) -> Facts<'a> {
        let now = self.environment.clock.now();
        let interval = self.config.refresh_interval();
        let facts = snapshot.facts(&self.config);
        let state = patch_state(&facts, snapshot.check.as_ref());
        let news = !snapshot.spool.events.is_empty() || self.reported != Some(state);
        Facts {
            stuck_modules: &self.stuck_modules,
            words: self.watch.words(),
            crash_names_it: self.crash_evidence.is_some(),
            refresh_due: snapshot.schedule.as_ref().is_none_or(|schedule| schedule.is_due(now, interval))
                && self.has_way_to(snapshot),
            report_due: news && snapshot.uptime >= self.report_not_before && self.has_way_to(snapshot),
            ..facts
        }
    }

    fn rest(&self, snapshot: &Snapshot, limit: Option<Duration>) -> Duration {
        let now = self.environment.clock.now();
        let may_ask = snapshot.mode.mode.may_ask();
        let refresh = snapshot.identity.as_ref().filter(|_| may_ask).and(snapshot.schedule.as_ref());
        let until_refresh = refresh.map(|schedule| now.duration_until(schedule.next_refresh).unsigned_abs());
        let until_report = (may_ask && !snapshot.spool.events.is_empty() && snapshot.identity.is_some())
            .then(|| self.report_not_before.saturating_sub(snapshot.uptime));
        let waits = [limit, until_refresh, until_report];
        let shortest = waits.into_iter().flatten().min().unwrap_or(Duration::MAX);
        // Without a network what is due stays due; the kernel is asked for a route now and then.
        let least = if self.has_way_to(snapshot) { POLL_FIRST } else { NETWORK_WATCH };
        shortest.max(limit.map_or(least, |limit| least.min(limit.max(POLL_FIRST))))
    }

    /// Whether the server can be reached at all, as far as the routes tell; a look without any would only be a failure in the log.
    fn has_way_to(&self, snapshot: &Snapshot) -> bool {
        let near = |server: &url::Url| {
            server.scheme() == "file"
                || server.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host))
        };
        snapshot.identity.as_ref().is_some_and(|identity| near(&identity.server))
            || self.environment.host.has_network()
    }

    fn start_schedule(&self, phase: u32) -> Result<(), Refusal> {
        let phase = self.state.load::<Schedule>()?.map_or(phase, |schedule| schedule.phase);
        let now = self.environment.clock.now();
        self.state.save(&Schedule::at_start(phase, now, self.config.refresh_interval()))?;
        Ok(())
    }

    fn unmark_stop(&self) -> Result<(), Refusal> {
        let boot_id = self.environment.host.boot_id()?;
        let here = self.state.load::<Intent>()?.filter(|intent| intent.boot_id == boot_id);
        if let Some(mut intent) = here.filter(|intent| intent.stopped_cleanly) {
            intent.stopped_cleanly = false;
            self.state.save(&intent)?;
        }
        Ok(())
    }

    pub(crate) fn identity(&self) -> Result<Identity, Refusal> {
        self.state.load::<Identity>()?.ok_or(Refusal::NotEnabled)
    }

    /// Changes a record that has a default.
    pub(crate) fn update<R: Record + Default>(&self, change: impl FnOnce(&mut R)) -> Result<(), Refusal> {
        let mut record = self.state.load::<R>()?.unwrap_or_default();
        change(&mut record);
        Ok(self.state.save(&record)?)
    }

    pub(crate) fn event(&self, kind: EventKind, detail: String) -> Result<(), Refusal> {
        tracing::info!(?kind, detail, "event");
        let at = self.timestamp().to_string();
        let event = Event { at, kind, detail };
        self.environment.hooks.tell(&event);
        self.update(|history: &mut History| history.push(event.clone()))?;
        self.update(|spool: &mut Spool| spool.push(event))
    }

    /// Now, to the second.
    pub(crate) fn timestamp(&self) -> Timestamp {
        let now = self.environment.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

pub(crate) fn tell(progress: &mut dyn Progress, name: &'static str, text: impl Into<String>) {
    let text = text.into();
    tracing::info!(step = name, "{text}");
    progress.step(Step { name, text });
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
