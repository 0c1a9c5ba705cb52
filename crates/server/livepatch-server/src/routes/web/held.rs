//! What keeps a machine from a livepatch, and what it told of those before. Pure.

use crate::{
    blocks::{covers, of_machine},
    rollouts::transition_ms,
};
use livepatch_api::{BlockSummary, Event, EventKind, MachineSummary};
use livepatch_dashboard::{BlockedLivepatch, PastTransition, Waiting, length, moment_text};
use livepatch_schedule::{Hold, Position, Request, Steering, hold};
use livepatch_store::Seconds;
use livepatch_trust::Published;

/// Everything that says whether a machine may have a livepatch.
pub(super) struct Rules<'a> {
    pub(super) published: &'a [Published],
    pub(super) steering: &'a Steering,
    pub(super) blocks: &'a [BlockSummary],
    pub(super) now: Seconds,
}

impl Rules<'_> {
    /// The newer livepatch that a machine does not have, and why: the machine's own rule answers.
    pub(super) fn waiting(&self, machine: &MachineSummary) -> Option<Waiting> {
        let applied = machine.applied.as_ref().map(|applied| applied.version);
        let newest = self
            .for_kernel(machine)
            .filter(|entry| entry.tiers.contains(&machine.tier) && Some(entry.manifest.version) > applied)
            .max_by_key(|entry| entry.manifest.version)?;
        Some(Waiting {
            name: newest.manifest.name.clone(),
            version: newest.manifest.version,
            why: self.why(machine, newest),
            release: newest.schedule.as_ref().map(|schedule| schedule.release.clone()),
        })
    }

    fn for_kernel(&self, machine: &MachineSummary) -> impl Iterator<Item = &Published> {
        let build = machine.kernel.build_id.clone();
        self.published.iter().filter(move |entry| entry.manifest.kernel.build_id == build)
    }

    fn why(&self, machine: &MachineSummary, newest: &Published) -> String {
        if of_machine(self.blocks, &machine.machine_id, &machine.tags).is_some() {
            return "an operator keeps every livepatch from this machine; see the blocks below.".to_owned();
        }
        if covers(self.blocks, &newest.manifest) {
            return "an operator keeps it from every machine; see the blocks below.".to_owned();
        }
        let request = Request {
            machine_id: &machine.machine_id,
            tier: &machine.tier,
            sha256: &newest.sha256,
            confirmed: false,
            now: self.now,
        };
        match hold(newest.schedule.as_ref(), self.steering, request) {
            None => "it may have it now, and takes it at its next check, unless its owner says otherwise."
                .to_owned(),
            Some(Hold::NotYet) => self.wave(machine, newest),
            Some(Hold::Halted) => "its rollout is halted; a person decides whether it goes on.".to_owned(),
            Some(Hold::Closed { opens_in }) => format!(
                "its rollout's maintenance window is closed; it opens in {} ({}).",
                length(opens_in),
                moment_text(self.now.saturating_add(opens_in))
            ),
            Some(hold @ Hold::Denied) => format!("{hold}."),
        }
    }

    /// Which wave the machine is in, and when that comes.
    fn wave(&self, machine: &MachineSummary, newest: &Published) -> String {
        let place = newest.schedule.as_ref().and_then(|schedule| {
            let position = Position::of(&machine.machine_id, &schedule.release);
            Some((schedule.wave_of(position)?, schedule.waves.len()))
        });
        match place {
            None => "its wave has not come; by the signed schedule it never does.".to_owned(),
            Some(((number, opens), waves)) if opens > self.now => format!(
                "its wave has not come: wave {number} of {waves} opens in {} ({}) at the earliest.",
                length(opens - self.now),
                moment_text(opens)
            ),
            Some(((number, _), waves)) => format!(
                "its wave, {number} of {waves}, is open by the schedule, and waits for the evidence of those before it."
            ),
        }
    }

    /// The blocks that keep something from a machine.
    pub(super) fn blocks_of(&self, machine: &MachineSummary) -> Vec<BlockSummary> {
        let applies = |block: &&BlockSummary| {
            let one = std::slice::from_ref(*block);
            of_machine(one, &machine.machine_id, &machine.tags).is_some()
                || block.subject == machine.kernel.release.as_str()
                || self.for_kernel(machine).any(|entry| covers(one, &entry.manifest))
        };
        self.blocks.iter().filter(applies).cloned().collect()
    }

    /// Livepatches that brought trouble to a machine: it blocks them by itself until its owner clears them.
    pub(super) fn blocked_by(&self, events: &[Event]) -> Vec<BlockedLivepatch> {
        let is_trouble = |event: &&Event| match event.kind {
            EventKind::Crashed => true,
            EventKind::Failed => event.detail.starts_with("soak-trouble:"),
            _ => false,
        };
        let mut found: Vec<BlockedLivepatch> = Vec::new();
        for event in events.iter().rev().filter(is_trouble) {
            let named = self.published.iter().filter(|entry| names(&event.detail, &entry.manifest.name));
            for entry in named {
                let name = entry.manifest.name.clone();
                if !found.iter().any(|known| known.name == name) {
                    found.push(BlockedLivepatch {
                        name,
                        sha256: entry.sha256.clone(),
                        since: event.at.clone(),
                    });
                }
            }
        }
        found
    }
}

fn names(detail: &str, name: &str) -> bool {
    detail.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == name)
}

/// The transitions that a machine told of, newest first.
pub(super) fn transitions(events: &[Event]) -> Vec<PastTransition> {
    let told = events.iter().rev().filter_map(|event| {
        let (name, took_ms) = match event.kind {
            EventKind::Applied => (event.detail.split(' ').next()?, Some(transition_ms(&event.detail)?)),
            EventKind::Failed => {
                (event.detail.strip_prefix("transition-stalled: ")?.split(':').next()?, None)
            }
            _ => return None,
        };
        Some(PastTransition { name: name.to_owned(), at: event.at.clone(), took_ms })
    });
    told.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::routes::web::fleet::samples::published;
    use livepatch_api::{BlockKind, PatchState};
    use livepatch_kernel::{KernelIdentity, Taint};
    use livepatch_schedule::{Directive, Reach, Schedule, Wave, key_of};

    const NOW: Seconds = 1_800_000_000;

    fn machine() -> MachineSummary {
        MachineSummary {
            machine_id: "m-1".into(),
            hostname: "web-1".into(),
            tier: "stable".into(),
            kernel: KernelIdentity {
                release: "6.1.0-1-cloud-amd64".parse().unwrap(),
                build_id: "01".repeat(20).parse().unwrap(),
                arch: "x86_64".into(),
            },
            state: PatchState::Unapplied,
            applied: None,
            taint: Taint(0),
            last_seen: String::new(),
            revoked: None,
            tags: vec!["lab".into()],
            last_event: None,
        }
    }

    /// One livepatch whose waves come after 0 and after 5 hours; the first is for nobody.
    fn scheduled() -> Published {
        let waves = [(0, 0), (5 * 3600, 1_000_000)].map(|(after, share)| Wave { after, share });
        let schedule = Schedule {
            release: "r".into(),
            tiers: vec![],
            start: NOW,
            waves: waves.to_vec(),
            windows: vec![],
        };
        Published { schedule: Some(schedule), ..published(1, 2, &["CVE-1"], &["stable"]) }
    }

    fn block(kind: BlockKind, subject: &str) -> BlockSummary {
        BlockSummary {
            id: String::new(),
            kind,
            subject: subject.into(),
            reason: String::new(),
            actor: String::new(),
            created: String::new(),
            expires: None,
        }
    }

    fn why(steering: &Steering, blocks: &[BlockSummary], now: Seconds) -> String {
        let published = [scheduled(), published(2, 9, &["CVE-2"], &["stable"])];
        let rules = Rules { published: &published, steering, blocks, now };
        rules.waiting(&machine()).unwrap().why
    }

    #[test]
    fn a_machine_learns_when_its_wave_comes() {
        let directive = |reach, halted| Steering {
            rollouts: [(key_of(&scheduled().sha256), Directive { reach, halted })].into(),
            ..Steering::default()
        };
        let (nobody, all) = (directive(Reach::NOBODY, false), directive(Reach::EVERYBODY, false));
        let waits = "its wave has not come: wave 2 of 2 opens in 5 h (2027-01-15 13:00 UTC) at the earliest.";
        assert_eq!(why(&all, &[], NOW), waits);
        assert!(why(&nobody, &[], NOW + 5 * 3600).contains("waits for the evidence"));
        assert!(why(&all, &[], NOW + 5 * 3600).contains("it may have it now"));
        assert!(why(&directive(Reach::EVERYBODY, true), &[], NOW).contains("halted"));
        assert!(
            why(&all, &[block(BlockKind::Tag, "lab")], NOW).contains("every livepatch from this machine")
        );
        assert!(why(&all, &[block(BlockKind::Patch, "livepatch_1_2")], NOW).contains("from every machine"));
        assert_eq!(why(&all, &[block(BlockKind::Tag, "web")], NOW), waits, "another tag");
    }

    #[test]
    fn blocks_of_others_are_not_the_machines() {
        let published = [scheduled(), published(2, 9, &["CVE-2"], &["stable"])];
        let blocks = [
            block(BlockKind::Tag, "lab"),
            block(BlockKind::Tag, "web"),
            block(BlockKind::Machine, "m-2"),
            block(BlockKind::Kernel, "6.1.0-1-cloud-amd64"),
            block(BlockKind::Patch, "livepatch_2_9"),
            block(BlockKind::Patch, "livepatch_1_2"),
        ];
        let rules =
            Rules { published: &published, steering: &Steering::default(), blocks: &blocks, now: NOW };
        let found: Vec<String> = rules.blocks_of(&machine()).into_iter().map(|block| block.subject).collect();
        assert_eq!(found, ["lab", "6.1.0-1-cloud-amd64", "livepatch_1_2"]);
    }

    #[test]
    fn history_tells_of_transitions_and_of_what_is_blocked() {
        let event = |kind, at: &str, detail: &str| Event { at: at.into(), kind, detail: detail.into() };
        let events = [
            event(EventKind::Failed, "1", "transition-stalled: livepatch_1_2: the transition did not end"),
            event(EventKind::Applied, "2", "livepatch_1_2 is applied; the transition took 3.2 s"),
            event(EventKind::Applied, "3", "livepatch_1_2 is applied; the transition is complete"),
            event(EventKind::Crashed, "4", "the machine went down before livepatch_1_2 was confirmed"),
            event(EventKind::Crashed, "5", "the machine went down before livepatch_1_22 was confirmed"),
            event(EventKind::Failed, "6", "kernel-refused: livepatch_2_9: no"),
        ];
        let told: Vec<_> = transitions(&events).into_iter().map(|one| (one.at, one.took_ms)).collect();
        assert_eq!(told, [("2".to_owned(), Some(3200)), ("1".to_owned(), None)]);
        let published = [scheduled(), published(2, 9, &["CVE-2"], &["stable"])];
        let rules = Rules { published: &published, steering: &Steering::default(), blocks: &[], now: NOW };
        let blocked: Vec<_> =
            rules.blocked_by(&events).into_iter().map(|one| (one.name, one.since)).collect();
        assert_eq!(blocked, [("livepatch_1_2".to_owned(), "4".to_owned())]);
    }
}
