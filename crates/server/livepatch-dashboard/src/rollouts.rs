//! Rollouts: the list, and one of them with its waves, gates and evidence.

use crate::{
    Cell, Column, Frame, Seconds, Table, Tone, chart,
    frame::{Place, command, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::Role;
use livepatch_kernel::BuildId;
use livepatch_rollout::{Build, BuildState, Evidence, Limit, Rollout, Signal, Stage, State, Tally};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// A rollout with what came of it.
#[derive(Clone, Debug)]
pub struct RolloutPage {
    /// The engine's state.
    pub rollout: Rollout,
    /// Machines of each kernel build that are alive.
    pub populations: BTreeMap<BuildId, u32>,
    /// What came of the release on each build.
    pub tallies: BTreeMap<BuildId, Tally>,
    /// Release names of the kernel builds.
    pub kernels: BTreeMap<BuildId, String>,
    /// When shares of those that have the release had it: the share in percent, and the moment.
    pub times: Vec<(u8, Seconds)>,
    /// How many transitions took no longer than so many milliseconds, and longer than the bound before; absent: longer than
    /// all. Empty where only a line of it is shown.
    pub transitions: Vec<(Option<u32>, u32)>,
    /// What held transitions back that were reverted, and how often.
    pub stall_causes: Vec<(String, u32)>,
}

impl RolloutPage {
    /// Whether something of it waits for a person.
    pub fn is_stopped(&self) -> bool {
        let stopped = self.rollout.builds.values().any(|build| build.state == BuildState::Halted);
        self.rollout.state == State::Halted || (self.rollout.state == State::Running && stopped)
    }

    fn tally(&self, id: &BuildId) -> Tally {
        self.tallies.get(id).copied().unwrap_or_default()
    }

    fn population(&self, id: &BuildId) -> u32 {
        self.populations.get(id).copied().unwrap_or_default()
    }

    fn kernel(&self, id: &BuildId) -> String {
        self.kernels.get(id).cloned().unwrap_or_else(|| words::build(&id.to_string()))
    }

    fn sum(&self, of: impl Fn(&Self, &BuildId) -> u32) -> u32 {
        self.rollout.builds.keys().map(|id| of(self, id)).fold(0, u32::saturating_add)
    }

    fn state(&self) -> (&'static str, Tone) {
        match self.rollout.state {
            State::Running if self.is_stopped() => (words::PARTLY_HALTED, Tone::Bad),
            State::Running => (words::RUNNING, Tone::Good),
            State::Halted => (words::HALTED, Tone::Bad),
            State::Withdrawn => (words::WITHDRAWN, Tone::Quiet),
            State::Complete => (words::COMPLETE, Tone::Quiet),
        }
    }

    /// What a person should have seen before acting: a form carries it, and a page that is older asks again.
    pub fn seen(&self) -> String {
        format!("{}-{}", self.rollout.state.as_str(), self.rollout.halts.len())
    }
}

/// The list.
pub fn rollouts(frame: &Frame, all: &[RolloutPage]) -> String {
    let body = html! {
        @if all.is_empty() {
            p.empty { (words::NO_ROLLOUTS) }
            (command(words::ROLLOUT_COMMAND))
            p { a href=(paths::SIMULATOR) { (words::SIMULATE_FIRST) } }
        } @else {
            (rollout_table(all, frame.now, true).to_html())
        }
    };
    page(frame, Place::Rollouts, words::ROLLOUTS, &body)
}

/// The list as a table.
pub fn rollout_table(all: &[RolloutPage], now: Seconds, export: bool) -> Table {
    let rows = all.iter().map(|one| {
        let rollout = &one.rollout;
        let (word, tone) = one.state();
        let stage = rollout.builds.values().map(|build| build.stage + 1).min().unwrap_or(1);
        let stages = rollout.profile.stages.len();
        vec![
            Cell::link(&rollout.release, &paths::one(paths::ROLLOUTS, &rollout.release)),
            Cell::badge(word, tone),
            Cell::text(words::stage_of(stage, stages)),
            Cell::number(one.sum(|one, id| one.tally(id).given)),
            Cell::number(one.sum(|one, id| one.tally(id).soaked)),
            Cell::number(one.sum(RolloutPage::population)),
            Cell::text(&rollout.profile.name),
            Cell::text(rollout.tiers.join(", ")),
            Cell::shown(moment::rfc3339(rollout.started), moment::moment(rollout.started, now)),
        ]
    });
    Table {
        caption: words::ROLLOUTS.to_owned(),
        columns: vec![
            Column::text("release", words::RELEASE),
            Column::text("state", words::STATE),
            Column::text("stage", words::STAGE),
            Column::number("given", words::GIVEN),
            Column::number("soaked", words::SOAKED),
            Column::number("machines", words::MACHINES),
            Column::text("profile", words::PROFILE),
            Column::text("tiers", words::TIERS),
            Column::text("started", words::STARTED),
        ],
        rows: rows.collect(),
        export: export.then(|| (paths::ROLLOUTS.to_owned(), String::new())),
    }
}

/// One rollout.
pub fn rollout(frame: &Frame, one: &RolloutPage) -> String {
    let release = &one.rollout.release;
    let address = paths::one(paths::ROLLOUTS, release);
    let body = html! {
        (buttons(frame, one, &address))
        div #live data-live={ (address) "/live" } { (live(one, frame.now)) }
        section { h2 { (words::SAME_BY_COMMAND) } (command(&format!("livepatch-admin rollout show {release}"))) }
    };
    page(frame, Place::Rollouts, &words::rollout(release), &body)
}

/// The part of the page that changes, for the stream of events.
pub fn rollout_live(one: &RolloutPage, now: Seconds) -> String {
    live(one, now).into_string()
}

fn buttons(frame: &Frame, one: &RolloutPage, address: &str) -> Markup {
    let state = one.rollout.state;
    html! {
        div.buttons {
            @if frame.may(Role::Operator) && state == State::Running {
                a.button.grave href={ (address) "/halt" } { (words::HALT) }
            }
            @if frame.may(Role::Releaser) && one.is_stopped() {
                a.button href={ (address) "/resume" } { (words::RESUME) }
            }
            @if frame.may(Role::Releaser) && state != State::Withdrawn {
                a.button href={ (address) "/withdraw" } { (words::WITHDRAW) }
            }
        }
        @if !frame.may(Role::Operator) && state == State::Running { p.hint { (words::VIEWER_HALT) } }
    }
}

fn live(one: &RolloutPage, now: Seconds) -> Markup {
    let rollout = &one.rollout;
    let (word, tone) = one.state();
    html! {
        dl.facts {
            dt { (words::STATE) } dd { (badge(word, tone)) }
            dt { (words::STARTED) } dd { (moment::moment(rollout.started, now)) }
            dt { (words::PROFILE) } dd { (rollout.profile.name) }
            dt { (words::TIERS) } dd { (rollout.tiers.join(", ")) }
            @if rollout.withdraw_on_halt { dt { (words::ON_HALT) } dd { (words::WITHDRAWS) } }
            @for (share, at) in &one.times {
                dt { (words::share_had_it(*share)) } dd { (moment::length(at - rollout.started)) }
            }
        }
        @if let Some(last) = rollout.halts.last().filter(|_| one.is_stopped() || rollout.state == State::Withdrawn) { (evidence(last, now, "last")) }
        section { h2 { (words::WAVES) } (waves(one)) }
        section { h2 { (words::BUILDS) } (builds(one).to_html()) }
        section { h2 { (words::GATES) } (gates(one, now)) }
        section { h2 { (words::SIGNALS) } p { (words::SIGNALS_MEANING) } (signals(one).to_html()) }
        section { h2 { (words::TRANSITIONS) } (transitions(one)) }
        section { h2 { (words::STALL_CAUSES) } (stall_causes(one)) }
        @if rollout.halts.len() > 1 || (!rollout.halts.is_empty() && !one.is_stopped()) {
            section { h2 { (words::HALTS) } @for halt in rollout.halts.iter().rev() { (evidence(halt, now, "")) } }
        }
    }
}

fn evidence(halt: &Evidence, now: Seconds, class: &str) -> Markup {
    html! {
        div class={ "evidence " (class) } {
            p { strong { (halt.summary) } }
            p {
                (moment::moment(halt.at, now))
                @if let Some(build) = &halt.build { ", " (words::build(&build.to_string())) }
                @if halt.signal.is_some() { ", " (words::count_of(halt.count, halt.given)) ", " (words::chance(halt.chance)) }
            }
            @if !halt.machines.is_empty() {
                p { (words::LOOK_AT) }
                ul.plain { @for id in &halt.machines { li { a href=(paths::one(paths::MACHINES, id)) { code { (id) } } } } }
            }
        }
    }
}

fn waves(one: &RolloutPage) -> Markup {
    let stages: Vec<String> = one.rollout.profile.stages.iter().map(words::stage).collect();
    let lanes: Vec<chart::Lane> = one.rollout.builds.iter().map(|(id, build)| lane(one, id, build)).collect();
    chart::waves(&words::waves_of(&one.rollout.release), &stages, &lanes)
}

fn lane(one: &RolloutPage, id: &BuildId, build: &Build) -> chart::Lane {
    let (tally, population) = (one.tally(id), one.population(id));
    let stage = one.rollout.profile.stages.get(build.stage);
    let wanted = stage.map_or(population, |stage| stage.machines(population)).max(1);
    let share = |count: u32| f64::from(count) / f64::from(wanted);
    let is_through = build.state == BuildState::Complete || one.rollout.state == State::Complete;
    let (word, tone) = match (build.state, one.rollout.state) {
        _ if is_through => (words::COMPLETE, Tone::Good),
        (BuildState::Halted, _) | (_, State::Halted) => (words::HALTED, Tone::Bad),
        (_, State::Withdrawn) => (words::WITHDRAWN, Tone::Quiet),
        _ => (words::RUNNING, Tone::Good),
    };
    let stages = one.rollout.profile.stages.len();
    chart::Lane {
        label: one.kernel(id),
        stage: if is_through { stages } else { build.stage },
        admitted: share(build.admitted),
        soaked: share(tally.soaked),
        tone,
        words: words::lane(word, build.stage + 1, stages, build.admitted, tally.soaked),
    }
}

fn builds(one: &RolloutPage) -> Table {
    let rows = one.rollout.builds.iter().map(|(id, build)| {
        let tally = one.tally(id);
        vec![
            Cell::text(one.kernel(id)),
            Cell::link(&build.livepatch, &paths::one(paths::LIVEPATCHES, &build.livepatch)),
            Cell::text(words::stage_of(build.stage + 1, one.rollout.profile.stages.len())),
            Cell::number(one.population(id)),
            Cell::number(build.admitted),
            Cell::number(tally.given),
            Cell::number(tally.soaked),
            Cell::number(tally.out),
        ]
    });
    Table {
        caption: words::BUILDS.to_owned(),
        columns: vec![
            Column::text("kernel", words::KERNEL),
            Column::text("livepatch", words::LIVEPATCH),
            Column::text("stage", words::STAGE),
            Column::number("machines", words::MACHINES),
            Column::number("admitted", words::ADMITTED),
            Column::number("given", words::GIVEN),
            Column::number("soaked", words::SOAKED),
            Column::number("out", words::OUT),
        ],
        rows: rows.collect(),
        export: None,
    }
}

/// What each running build's stage still waits for.
fn gates(one: &RolloutPage, now: Seconds) -> Markup {
    let running: Vec<_> = one
        .rollout
        .builds
        .iter()
        .filter(|(_, build)| one.rollout.state == State::Running && build.state == BuildState::Running)
        .filter_map(|(id, build)| Some((id, build, one.rollout.profile.stages.get(build.stage)?)))
        .collect();
    html! {
        @if running.is_empty() { p.empty { (words::NO_GATES) } }
        @for (id, build, stage) in running {
            h3 { (one.kernel(id)) ", " (words::stage_of(build.stage + 1, one.rollout.profile.stages.len())) }
            ul.gates { @for (is_open, words) in gates_of(one, id, build, stage, now) { li class=(if is_open { "open" } else { "shut" }) { (words) } } }
        }
    }
}

fn gates_of(
    one: &RolloutPage,
    id: &BuildId,
    build: &Build,
    stage: &Stage,
    now: Seconds,
) -> [(bool, String); 3] {
    let (tally, wanted) = (one.tally(id), stage.machines(one.population(id)));
    let opens = build.since + Seconds::from(stage.wait);
    let able = u64::from(build.admitted.saturating_sub(tally.out));
    let needed = u32::try_from((able * u64::from(stage.soaked)).div_ceil(1_000_000)).unwrap_or(u32::MAX);
    [
        (build.admitted >= wanted, words::gate_admitted(build.admitted, wanted, stage.per_minute)),
        (now >= opens, words::gate_time(&moment::text(opens), &moment::relative(opens, now))),
        (tally.soaked >= needed, words::gate_soaked(tally.soaked, needed)),
    ]
}

/// Each signal, what was seen of it, and how many would halt.
fn signals(one: &RolloutPage) -> Table {
    let given = one.sum(|one, id| one.tally(id).given);
    let rows = Signal::ALL.into_iter().map(|signal| {
        let seen = one.sum(|one, id| one.tally(id).signals.get(signal));
        let tone = if seen > 0 { Tone::Warn } else { Tone::Quiet };
        let limit = one.rollout.profile.limit(signal);
        // Silence follows from time and place; only the engine's own look counts it.
        let seen = if signal == Signal::Silence {
            Cell::none()
        } else {
            Cell::badge(&words::number(seen.into()), tone)
        };
        let halts = fewest(limit, given);
        vec![
            Cell::text(words::signal(signal)),
            seen,
            Cell::number(halts),
            Cell::text(words::scope(signal.scope())),
        ]
    });
    Table {
        caption: words::SIGNALS.to_owned(),
        columns: vec![
            Column::text("signal", words::SIGNAL),
            Column::number("seen", words::SEEN),
            Column::number("halts_at", words::HALTS_AT),
            Column::text("scope", words::STOPS),
        ],
        rows: rows.collect(),
        export: None,
    }
}

/// How long transitions took: a picture, and the same figures as a table.
fn transitions(one: &RolloutPage) -> Markup {
    let bars: Vec<(String, u32)> = one
        .transitions
        .iter()
        .scan(0, |from, (bound, count)| {
            let label = words::took(*from, *bound);
            *from = bound.unwrap_or(*from);
            Some((label, *count))
        })
        .collect();
    if bars.iter().all(|(_, count)| *count == 0) {
        return html! { p.empty { (words::NO_TRANSITIONS) } };
    }
    let rows = bars.iter().map(|(label, count)| vec![Cell::text(label), Cell::number(*count)]);
    let table = Table {
        caption: words::TRANSITIONS.to_owned(),
        columns: vec![Column::text("took", words::TOOK), Column::number("transitions", words::TRANSITIONS)],
        rows: rows.collect(),
        export: None,
    };
    html! {
        p { (words::TRANSITIONS_MEANING) }
        (chart::histogram(words::TRANSITIONS, &bars))
        details { summary { (words::AS_TABLE) } (table.to_html()) }
    }
}

fn stall_causes(one: &RolloutPage) -> Markup {
    if one.stall_causes.is_empty() {
        return html! { p.empty { (words::NO_STALL_CAUSES) } };
    }
    let rows = one.stall_causes.iter().map(|(cause, count)| vec![Cell::code(cause), Cell::number(*count)]);
    let table = Table {
        caption: words::STALL_CAUSES.to_owned(),
        columns: vec![Column::text("cause", words::TASK), Column::number("stalls", words::STALLS)],
        rows: rows.collect(),
        export: None,
    };
    html! { p { (words::STALL_CAUSES_MEANING) } (table.to_html()) }
}

/// How many machines with a signal would halt, of so many that were given the release. More are less likely, so halving finds it.
fn fewest(limit: Limit, given: u32) -> u32 {
    let (mut few, mut many) = (limit.least.max(1), given.max(limit.least).saturating_add(1));
    while few < many {
        let middle = few + (many - few) / 2;
        if limit.is_exceeded(middle, given) { many = middle } else { few = middle + 1 }
    }
    few
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn the_fewest_that_halt_are_those_that_halt() {
        let profile = livepatch_rollout::Profile::named("normal").unwrap();
        for given in [0, 1, 7, 100, 5000, 100_000] {
            for signal in Signal::ALL {
                let (limit, found) = (profile.limit(signal), fewest(profile.limit(signal), given));
                assert!(found > given || limit.is_exceeded(found, given), "{signal} of {given}: {found}");
                assert!(
                    found == limit.least.max(1) || !limit.is_exceeded(found - 1, given),
                    "{signal} of {given}: {found}"
                );
            }
        }
    }
}
