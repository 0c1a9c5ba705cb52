//! What the machine's owner can ask for.

use crate::{
    agent::{Agent, tell},
    config::is_server_url,
    decide::{postponed, previous_version},
    environment::Progress,
    http::{is_exposed, origin},
    look::CLIENT_VERSION,
    records::{
        Attempt, Blocked, Catalogue, Check, Failure, Identity, Intent, MachineId, MitigationDecisions, Phase,
        Schedule, Undone,
    },
    refusal::Refusal,
    telemetry::Telemetry,
    verify::Anchor,
};
use livepatch_api::{EnrolRequest, EnrolmentToken, PatchState};
use livepatch_manifest::Digest;
use url::Url;

impl Agent {
    /// Enrols the machine with a token and does a first full cycle. The failure, if any, is the cycle's: the machine is
    /// enabled nevertheless, and tries again by itself.
    ///
    /// # Errors
    /// [`Refusal`] when the machine could not be enrolled; nothing has changed then.
    pub fn enable(
        &mut self,
        token: &str,
        server: Option<Url>,
        progress: &mut dyn Progress,
    ) -> Result<Option<Failure>, Refusal> {
        if let Some(container) = self.environment.host.surroundings().container {
            return Err(Refusal::Container(container));
        }
        self.refuse_wrong_clock()?;
        if let Some(identity) = self.state.load::<Identity>()? {
            return Err(Refusal::AlreadyEnabled(origin(&identity.server)));
        }
        let token: EnrolmentToken = token
            .parse()
            .map_err(|error: livepatch_api::TokenError| Refusal::MalformedToken(error.to_string()))?;
        let server = server.or_else(|| self.config.server.clone()).ok_or(Refusal::NoServer)?;
        if !is_server_url(&server) {
            return Err(Refusal::MalformedServer(server.to_string()));
        }
        if is_exposed(&server) {
            tell(
                progress,
                "warning",
                "the server's URL is http: the token and reports cross the network in the clear",
            );
        }
        let anchor = self.pinned_anchor(&server, &token)?;
        tell(progress, "trust", "the server's trust anchor is the one that the token pins");
        let identity = self.enrol(server, &token)?;
        self.state.save_trust_anchor(&anchor)?;
        self.state.remove::<Undone>()?;
        self.state.save(&identity)?;
        tell(progress, "enrol", format!("enrolled as {} in tier {}", identity.machine_id, identity.tier));
        self.full_cycle(progress)
    }

    fn pinned_anchor(&self, server: &Url, token: &EnrolmentToken) -> Result<Vec<u8>, Refusal> {
        let bytes = self.environment.service.trust_anchor(server, &token.trust_anchor)?;
        if Digest::of(&bytes) != token.trust_anchor {
            return Err(Refusal::TrustAnchorMismatch);
        }
        Anchor::parse(&bytes)?;
        Ok(bytes)
    }

    fn enrol(&self, server: Url, token: &EnrolmentToken) -> Result<Identity, Refusal> {
        let host = &self.environment.host;
        let machine_id = self.machine_id()?;
        let request = EnrolRequest {
            machine_id: machine_id.clone(),
            hostname: match self.config.telemetry {
                Telemetry::Full => host.hostname().unwrap_or_default(),
                Telemetry::Minimal | Telemetry::Off => String::new(),
            },
            kernel: host.kernel()?,
            client_version: CLIENT_VERSION.to_owned(),
        };
        let answer = self.environment.service.enrol(&server, &token.secret, &request)?;
        Ok(Identity {
            machine_id,
            server,
            credential: answer.credential,
            tier: answer.tier,
            trust_anchor: token.trust_anchor.clone(),
        })
    }

    fn machine_id(&self) -> Result<String, Refusal> {
        if let Some(known) = self.state.load::<MachineId>()? {
            return Ok(known.machine_id);
        }
        let machine_id = uuid::Uuid::new_v4().to_string();
        self.state.save(&MachineId { machine_id: machine_id.clone() })?;
        Ok(machine_id)
    }

    /// Tells the server good-bye and forgets it. What is applied stays in the kernel until it is undone or the machine
    /// reboots, after which nothing is applied.
    ///
    /// # Errors
    /// [`Refusal::NotEnabled`], [`Refusal::State`].
    pub fn disable(&mut self, progress: &mut dyn Progress) -> Result<(), Refusal> {
        let identity = self.identity()?;
        if let Err(failure) = self.send_report(PatchState::Disabled)? {
            tell(progress, "check-in", format!("the server was not told: {}", failure.message));
        }
        self.state.remove::<Identity>()?;
        self.state.remove::<Catalogue>()?;
        self.state.remove::<Check>()?;
        self.state.remove::<Attempt>()?;
        tell(progress, "disable", format!("{} is forgotten", origin(&identity.server)));
        Ok(())
    }

    /// Looks at the repository now and applies what it offers. `apply`: also what the owner undid.
    ///
    /// # Errors
    /// [`Refusal::NotEnabled`], [`Refusal::State`], [`Refusal::Machine`].
    pub fn refresh(&mut self, apply: bool, progress: &mut dyn Progress) -> Result<Option<Failure>, Refusal> {
        self.identity()?;
        if apply {
            self.state.remove::<Undone>()?;
        }
        self.owner_asks = apply;
        let outcome = self.full_cycle(progress);
        self.owner_asks = false;
        outcome
    }

    /// Takes the applied livepatch back; it stays out until a newer one comes or `refresh` is told to apply. `previous`: to the
    /// version before it, which takes its place without a gap, instead of to none.
    ///
    /// # Errors
    /// [`Refusal::NothingToUndo`]; [`Refusal::NoPrevious`]; [`Refusal::TransitionStalled`] when tasks keep the transition back from ending.
    pub fn undo(&mut self, previous: bool, progress: &mut dyn Progress) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let here = snapshot.intent.filter(|intent| intent.boot_id == snapshot.boot_id);
        let intent = here.ok_or(Refusal::NothingToUndo)?;
        let mut undone = self.undone(&intent.manifest);
        if previous {
            // What is offered must be known to be offered now, or to be good here.
            if snapshot.mode.mode.may_ask() {
                self.look(progress)?;
            }
            let now = self.snapshot()?;
            let back_to = previous_version(&now.facts(&self.config), &intent.manifest);
            undone.back_to = Some(back_to.ok_or_else(|| Refusal::NoPrevious(intent.manifest.name.clone()))?);
        }
        self.state.save(&undone)?;
        self.owner_asks = true;
        let settled = self.settle(progress);
        self.owner_asks = false;
        settled?;
        match self.state.load::<Intent>()? {
            Some(left) if matches!(left.phase, Phase::Undoing { .. }) => {
                Err(Refusal::TransitionStalled(self.environment.host.blocking_tasks(false, 8)))
            }
            _ => Ok(()),
        }
    }

    /// Lets the machine load a blocked livepatch again. `digest`: the SHA-256 or its beginning, at least 8 digits.
    ///
    /// # Errors
    /// [`Refusal::NotBlocked`] when it matches none or several.
    pub fn clear_blocked(&mut self, digest: &str) -> Result<Digest, Refusal> {
        let blocked = self.state.load::<Blocked>()?.unwrap_or_default();
        let matches = |text: &str| digest.len() >= 8 && text.starts_with(digest);
        let mut found = blocked.entries.iter().filter(|entry| matches(entry.sha256.as_str()));
        let (Some(entry), None) = (found.next(), found.next()) else {
            return Err(Refusal::NotBlocked(digest.chars().take(64).collect()));
        };
        let sha256 = entry.sha256.clone();
        self.update(|blocked: &mut Blocked| blocked.entries.retain(|entry| entry.sha256 != sha256))?;
        self.look_soon()?;
        Ok(sha256)
    }

    /// Keeps what the owner decided about a mitigation. It is carried out by whoever runs `livepatch mitigation settle`: this
    /// process may not.
    ///
    /// # Errors
    /// [`Refusal::UnknownMitigation`], [`Refusal::State`], [`Refusal::Machine`].
    pub fn decide_mitigation(&mut self, name: &str, wanted: bool) -> Result<(), Refusal> {
        if !self.answers()?.mitigations().mitigations.iter().any(|one| one.name == name) {
            return Err(Refusal::UnknownMitigation(name.chars().take(64).collect()));
        }
        self.update(|known: &mut MitigationDecisions| {
            known.decided.insert(name.to_owned(), wanted);
        })
    }

    /// Makes the next look due now.
    fn look_soon(&self) -> Result<(), Refusal> {
        if let Some(schedule) = self.state.load::<Schedule>()? {
            self.state.save(&Schedule { next_refresh: self.timestamp(), ..schedule })?;
        }
        Ok(())
    }

    /// Looks, applies, waits until the kernel rests, and reports. Gives the first thing that went wrong.
    fn full_cycle(&mut self, progress: &mut dyn Progress) -> Result<Option<Failure>, Refusal> {
        self.owner_waits = true;
        let outcome = self.cycle(progress);
        self.owner_waits = false;
        outcome
    }

    fn cycle(&mut self, progress: &mut dyn Progress) -> Result<Option<Failure>, Refusal> {
        let mode = self.environment.host.mode();
        if mode.mode.may_ask() {
            self.look(progress)?;
        } else {
            let set_by = mode.set_by.unwrap_or_default();
            tell(
                progress,
                "mode",
                format!("the mode is {} (set by {set_by}): the server is not asked", mode.mode),
            );
        }
        self.settle(progress)?;
        let snapshot = self.snapshot()?;
        let check = snapshot.check.as_ref().and_then(|check| check.failure.clone());
        let attempt = snapshot.attempt.as_ref().filter(|attempt| !attempt.retry);
        if let Some(why) = postponed(&snapshot.facts(&self.config)) {
            tell(progress, "postponed", format!("the newest livepatch is not applied now: {why}"));
        }
        let blocked = || blocked_offer(&snapshot.catalogue, &snapshot.blocked);
        Ok(check.or_else(|| attempt.map(|attempt| attempt.failure.clone())).or_else(blocked))
    }
}

/// The greatest offer, when it is blocked here.
fn blocked_offer(catalogue: &Option<Catalogue>, blocked: &Blocked) -> Option<Failure> {
    let best = catalogue.as_ref()?.livepatches.first()?;
    let entry = blocked.find(&best.module.sha256)?;
    let refusal = Refusal::BlockedDigest { name: entry.name.clone(), reason: entry.reason.clone() };
    Some(refusal.to_failure())
}
