//! One look at the fleet: trouble first, then progress.

use crate::{
    Act, Build, BuildState, Evidence, Fleet, Profile, Rollout, Seconds, State,
    fleet::Tally,
    signal::{Scope, Signal},
};
use livepatch_kernel::BuildId;
use livepatch_schedule::Reach;

/// Machines that the evidence names.
const EXAMPLES: usize = 20;

impl Rollout {
    /// Looks at the fleet and does what is due. To be called again and again; a call too many changes nothing.
    pub fn step(&mut self, fleet: &impl Fleet, now: Seconds) -> Vec<Act> {
        let mut acts = Vec::new();
        // A complete rollout is still watched: its directives can be halted by a person only, its signals show.
        if self.state != State::Running {
            return acts;
        }
        self.look_for_trouble(fleet, now, &mut acts);
        if self.state != State::Running {
            return acts;
        }
        for (id, build) in &mut self.builds {
            if build.state == BuildState::Running {
                advance(build, id, &self.profile, fleet, now, &mut acts);
            }
        }
        if self.builds.values().all(|build| build.state == BuildState::Complete) {
            self.state = State::Complete;
            acts.push(Act::Complete);
        }
        acts
    }

    fn look_for_trouble(&mut self, fleet: &impl Fleet, now: Seconds, acts: &mut Vec<Act>) {
        let tallies: Vec<(BuildId, Tally)> = self
            .builds
            .iter()
            .map(|(id, build)| (id.clone(), fresh(&fleet.tally(id), &build.accepted)))
            .collect();
        for signal in Signal::ALL {
            // A fault of the fix may show on one build, or thinly on all.
            let one = tallies.iter().find(|(id, tally)| {
                self.builds.get(id).is_some_and(|build| build.state != BuildState::Halted)
                    && self.is_exceeded(signal, tally)
            });
            let all = tallies.iter().fold(Tally::default(), |sum, (_, tally)| plus(sum, tally, signal));
            match (signal.scope(), one) {
                (Scope::Build, Some((id, tally))) => {
                    let evidence = self.evidence(signal, Some(id), tally, fleet, now);
                    if let Some(build) = self.builds.get_mut(id) {
                        build.state = BuildState::Halted;
                    }
                    self.note(evidence, acts);
                    if self.builds.values().all(|build| build.state == BuildState::Halted) {
                        self.state = State::Halted;
                    }
                }
                (Scope::Release, Some((id, tally))) => {
                    let evidence = self.evidence(signal, Some(id), tally, fleet, now);
                    self.halt_all(Evidence { build: None, ..evidence }, acts);
                }
                (Scope::Release, None) if self.is_exceeded(signal, &all) => {
                    let evidence = self.evidence(signal, None, &all, fleet, now);
                    self.halt_all(evidence, acts);
                }
                _ => {}
            }
            if self.state != State::Running {
                return;
            }
        }
    }

    fn halt_all(&mut self, evidence: Evidence, acts: &mut Vec<Act>) {
        self.state = State::Halted;
        self.note(evidence, acts);
        if self.withdraw_on_halt {
            self.state = State::Withdrawn;
            acts.push(Act::Withdrawn);
        }
    }

    fn note(&mut self, evidence: Evidence, acts: &mut Vec<Act>) {
        self.halts.push(evidence.clone());
        acts.push(Act::Halted(evidence));
    }

    fn is_exceeded(&self, signal: Signal, tally: &Tally) -> bool {
        self.profile.limit(signal).is_exceeded(tally.signals.get(signal), tally.given)
    }

    fn evidence(
        &self,
        signal: Signal,
        build: Option<&BuildId>,
        tally: &Tally,
        fleet: &impl Fleet,
        now: Seconds,
    ) -> Evidence {
        let (count, given) = (tally.signals.get(signal), tally.given);
        let chance = self.profile.limit(signal).chance(count, given);
        let asked: Vec<&BuildId> = build.map_or_else(|| self.builds.keys().collect(), |id| vec![id]);
        let machines = asked.into_iter().flat_map(|id| fleet.examples(id, signal)).take(EXAMPLES).collect();
        let summary = Evidence::sentence(signal, count, given, chance);
        Evidence {
            at: now,
            signal: Some(signal),
            build: build.cloned(),
            count,
            given,
            chance,
            machines,
            summary,
        }
    }
}

/// Lets more machines in, and begins the next stage when this one has proved itself.
fn advance(
    build: &mut Build,
    id: &BuildId,
    profile: &Profile,
    fleet: &impl Fleet,
    now: Seconds,
    acts: &mut Vec<Act>,
) {
    let population = fleet.population(id);
    let allowed = build.allowance(profile, population, now);
    let is_last = build.stage + 1 == profile.stages.len();
    // The last stage is for machines that nobody has heard of yet, too.
    let everybody = is_last && allowed >= population;
    let wanted = if everybody { Reach::EVERYBODY } else { fleet.reach(id, allowed) };
    if wanted > build.reach {
        build.reach = wanted;
        acts.push(Act::Widened { build: id.clone(), admitted: allowed });
    }
    build.admitted = build.admitted.max(allowed);
    if !build.is_proven(profile, population, &fleet.tally(id), now) {
        return;
    }
    if is_last {
        build.state = BuildState::Complete;
        acts.push(Act::BuildComplete { build: id.clone() });
    } else {
        build.stage += 1;
        build.since = now;
        build.admitted_before = build.admitted;
        acts.push(Act::Advanced { build: id.clone(), stage: build.stage });
    }
}

/// What has come on top of what a person accepted.
fn fresh(now: &Tally, accepted: &Tally) -> Tally {
    let mut fresh = Tally { given: now.given.saturating_sub(accepted.given), ..Tally::default() };
    for signal in Signal::ALL {
        fresh.signals.add(signal, now.signals.get(signal).saturating_sub(accepted.signals.get(signal)));
    }
    fresh
}

fn plus(mut sum: Tally, tally: &Tally, signal: Signal) -> Tally {
    sum.given = sum.given.saturating_add(tally.given);
    sum.signals.add(signal, tally.signals.get(signal));
    sum
}
