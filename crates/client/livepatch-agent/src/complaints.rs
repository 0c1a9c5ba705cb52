//! Keeps what the kernel complained of while a livepatch was applied, and what the kernel before this boot said last.

use crate::{
    agent::Agent,
    facts::Snapshot,
    records::{Complaint, Complaints, Intent},
    refusal::Refusal,
    soak::describe,
};
use jiff::{SignedDuration, Timestamp};
use livepatch_host::{CrashLog, find_incidents};

/// A clock may be a little off between the write of the intent and that of the crash's log.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

impl Agent {
    /// Reads what is new in the kernel's log; a complaint that was not known is kept.
    pub(crate) fn watch_kernel(&mut self, now: &Snapshot) -> Result<(), Refusal> {
        let here = now.intent.as_ref().filter(|intent| intent.boot_id == now.boot_id);
        self.watch.look(&self.environment.host, here.and_then(|intent| intent.log_from));
        let Some(intent) = here else {
            return Ok(());
        };
        let livepatch = &intent.manifest.name;
        let known = self.state.load::<Complaints>()?.unwrap_or_default();
        let is_known = |sequence: u64| {
            known.entries.iter().any(|entry| entry.boot_id == now.boot_id && entry.sequence == sequence)
        };
        let incidents = self.watch.words().incidents;
        let new: Vec<Complaint> = incidents
            .iter()
            .filter(|incident| !is_known(incident.sequence))
            .map(|incident| Complaint {
                at: self.timestamp(),
                boot_id: now.boot_id.clone(),
                sequence: incident.sequence,
                kind: incident.kind,
                headline: incident.headline.clone(),
                livepatch: livepatch.clone(),
                blame: incident.blame(livepatch).map(|blame| blame.to_string()),
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        for incident in incidents.iter().filter(|incident| !is_known(incident.sequence)) {
            tracing::warn!(livepatch, "the kernel complains: {}", describe(incident, livepatch));
        }
        self.update(|complaints: &mut Complaints| new.into_iter().for_each(|entry| complaints.push(entry)))
    }

    /// Looks for the last words of the kernel before this boot, when a livepatch was at hand then.
    pub(crate) fn read_crash_evidence(&mut self) -> Result<(), Refusal> {
        let boot_id = self.environment.host.boot_id()?;
        let intent = self.state.load::<Intent>()?;
        let earlier = intent.filter(|intent| intent.boot_id != boot_id && !intent.stopped_cleanly);
        self.crash_evidence =
            earlier.and_then(|intent| evidence(&intent, &self.environment.host.crash_logs()));
        Ok(())
    }
}

/// What a crash's log says against the livepatch, if it is of a crash after it was applied and names it.
fn evidence(intent: &Intent, logs: &[CrashLog]) -> Option<String> {
    let module = &intent.manifest.name;
    let after = |log: &&CrashLog| {
        Timestamp::try_from(log.at).is_ok_and(|at| at >= intent.began.saturating_add(-SLACK).unwrap_or(at))
    };
    logs.iter().filter(after).find_map(|log| {
        let lines = log.text.lines().enumerate().map(|(at, line)| (at as u64, line));
        let incidents = find_incidents(lines);
        let named = incidents.iter().filter(|incident| incident.blame(module).is_some());
        named.max_by_key(|incident| incident.kind).map(|incident| describe(incident, module))
    })
}
