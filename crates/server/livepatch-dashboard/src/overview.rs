//! The page that is left open all day.

use crate::{
    Cell, Column, Frame, RolloutPage, Seconds, Support, Table, Tone, chart, clock,
    frame::{Place, command, figure, page},
    livepatches::support_table,
    moment, paths, rollouts, words,
};
use livepatch_api::{CveClock, PatchState, Role};
use maud::{Markup, html};

/// The fleet at a moment.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Machines that are not revoked.
    pub machines: u32,
    /// How many are in each state; states without machines are left out.
    pub states: Vec<(PatchState, u32)>,
    /// How well they are protected by what is published.
    pub protection: Protection,
    /// Published fixes that machines lack, the one that most lack first.
    pub exposures: Vec<Exposure>,
    /// Rollouts that run or are halted.
    pub rollouts: Vec<RolloutPage>,
    /// Machines that were not heard of for [`Overview::silent_after`].
    pub silent: u32,
    /// In seconds.
    pub silent_after: Seconds,
    /// The newest crashes and failures.
    pub troubles: Vec<Trouble>,
    /// How long the last fixes took.
    pub clocks: Vec<CveClock>,
    /// Kernels whose support ends soon, or has ended.
    pub support: Vec<Support>,
    /// When the signed metadata expire, if nobody signs them again.
    pub metadata_expire: Seconds,
    /// How many livepatches are published.
    pub livepatches: usize,
    /// How many certificates may sign modules.
    pub certificates: usize,
    /// Where machines reach the server, as far as it knows.
    pub server: String,
}

/// Machines by how well what is published protects them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The newest livepatch for their kernel is applied.
    pub protected: u32,
    /// There is a newer one.
    pub behind: u32,
    /// Nothing is published for their kernel.
    pub uncovered: u32,
}

/// A published fix, and machines without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// `CVE-2026-93146`.
    pub id: String,
    /// One line.
    pub summary: String,
    /// Machines whose kernel it is published for, and that do not have it.
    pub machines: u32,
}

/// A crash or a failure.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// The machine's id.
    pub machine_id: String,
    /// Its host name.
    pub hostname: String,
    /// When it was reported.
    pub at: Seconds,
    /// `crashed`, `failed`.
    pub kind: String,
    /// One sentence, as the machine says.
    pub detail: String,
}

/// The overview.
pub fn overview(frame: &Frame, fleet: &Overview) -> String {
    let is_new = fleet.machines == 0 || fleet.livepatches == 0;
    let body = html! {
        @if is_new { (first_steps(frame, fleet)) }
        @if fleet.machines > 0 {
            (figures(fleet))
            section {
                h2 { (words::PROTECTION) }
                (protection(fleet))
            }
            section {
                h2 { (words::ROLLOUTS_IN_FLIGHT) }
                @if fleet.rollouts.is_empty() { p.empty { (words::NO_ROLLOUT_RUNS) } } @else { (rollouts::rollout_table(&fleet.rollouts, frame.now, false).to_html()) }
            }
            div.columns {
                section { h2 { (words::EXPOSURE) } (exposure(fleet)) }
                section { h2 { (words::STATES) } (states(fleet)) }
            }
            section { h2 { (words::TROUBLE) } (troubles(frame, fleet)) }
            div.columns {
                section { h2 { (words::TIME_TO_PROTECT) } (times(fleet)) }
                section { h2 { (words::DEADLINES) } (deadlines(frame, fleet)) }
            }
        }
    };
    page(frame, Place::Overview, words::OVERVIEW, &body)
}

/// What to do first, each with its command; what is done is ticked.
fn first_steps(frame: &Frame, fleet: &Overview) -> Markup {
    let server = &fleet.server;
    let steps = [
        (fleet.certificates > 0, words::STEP_CERTIFICATE, words::STEP_CERTIFICATE_COMMAND.to_owned()),
        (fleet.livepatches > 0, words::STEP_PUBLISH, words::STEP_PUBLISH_COMMAND.to_owned()),
        (fleet.machines > 0, words::STEP_TOKEN, words::STEP_TOKEN_COMMAND.to_owned()),
        (fleet.machines > 0, words::STEP_ENABLE, format!("sudo livepatch enable TOKEN --server {server}")),
    ];
    html! {
        section.first-steps {
            h2 { (words::FIRST_STEPS) }
            @if !frame.may(Role::Admin) { p { (words::FIRST_STEPS_ROLE) } }
            ol {
                @for (is_done, what, how) in &steps {
                    li class=[is_done.then_some("done")] {
                        p { @if *is_done { span.tick { (words::STEP_DONE) " " } } (what) }
                        @if !is_done { (command(how)) }
                    }
                }
            }
        }
    }
}

fn figures(fleet: &Overview) -> Markup {
    let in_trouble: u32 = fleet
        .states
        .iter()
        .filter(|(state, _)| words::state(*state).1 == Tone::Bad)
        .map(|(_, count)| count)
        .sum();
    let (running, halted) = fleet.rollouts.iter().fold((0, 0), |(running, halted), one| {
        if one.is_stopped() { (running, halted + 1) } else { (running + 1, halted) }
    });
    let share = fleet.protection.protected * 100 / fleet.machines.max(1);
    let trouble = if in_trouble > 0 { "bad" } else { "" };
    html! {
        div.figures {
            (figure(&words::number(fleet.machines.into()), words::MACHINES, paths::MACHINES, ""))
            (figure(&format!("{share} %"), words::FULLY_PROTECTED, &format!("{}?state=applied", paths::MACHINES), ""))
            (figure(&words::number(in_trouble.into()), words::IN_TROUBLE, &format!("{}?state=trouble", paths::MACHINES), trouble))
            (figure(&running.to_string(), words::ROLLOUTS_RUNNING, paths::ROLLOUTS, ""))
            (figure(&halted.to_string(), words::ROLLOUTS_HALTED, paths::ROLLOUTS, if halted > 0 { "bad" } else { "" }))
            (figure(&words::number(fleet.silent.into()), &words::silent_for(fleet.silent_after), &format!("{}?state=silent", paths::MACHINES), ""))
        }
    }
}

fn protection(fleet: &Overview) -> Markup {
    let Protection { protected, behind, uncovered } = fleet.protection;
    let part =
        |word, count, tone, address: &str| chart::Part { word, count, tone, address: address.to_owned() };
    let parts = [
        part(words::PROTECTED, protected, Tone::Good, &format!("{}?state=applied", paths::MACHINES)),
        part(words::BEHIND, behind, Tone::Warn, &format!("{}?sort=kernel", paths::MACHINES)),
        part(
            words::UNCOVERED,
            uncovered,
            Tone::Quiet,
            &format!("{}?state=nothing-to-apply", paths::MACHINES),
        ),
    ];
    chart::bar(words::PROTECTION, &parts)
}

fn exposure(fleet: &Overview) -> Markup {
    if fleet.exposures.is_empty() {
        return html! { p.empty { (words::NO_EXPOSURE) } };
    }
    let rows = fleet.exposures.iter().map(|one| {
        let lacking = format!("{}{}", paths::MACHINES, paths::query(&[("lacks", &one.id)]));
        let machines = html! { a href=(lacking) { (words::number(one.machines.into())) } };
        vec![Cell::code(&one.id), Cell::text(&one.summary), Cell::shown(one.machines, machines)]
    });
    let table = Table {
        caption: words::EXPOSURE.to_owned(),
        columns: vec![
            Column::text("id", words::FIX),
            Column::text("summary", words::SUMMARY),
            Column::number("machines", words::MACHINES_WITHOUT),
        ],
        rows: rows.collect(),
        export: None,
    };
    table.to_html()
}

fn states(fleet: &Overview) -> Markup {
    let rows = fleet.states.iter().map(|(state, count)| {
        let (word, tone) = words::state(*state);
        let address = format!("{}?state={}", paths::MACHINES, words::state_key(*state));
        let shown = html! { a href=(address) { (crate::table::badge(word, tone)) } };
        vec![Cell::shown(words::state_key(*state), shown), Cell::number(*count)]
    });
    let columns = vec![Column::text("state", words::STATE), Column::number("machines", words::MACHINES)];
    Table { caption: words::STATES.to_owned(), columns, rows: rows.collect(), export: None }.to_html()
}

fn troubles(frame: &Frame, fleet: &Overview) -> Markup {
    if fleet.troubles.is_empty() {
        return html! { p.empty { (words::NO_TROUBLE) } };
    }
    html! {
        ol.events {
            @for one in &fleet.troubles {
                li {
                    (crate::table::badge(words::event(&one.kind).0, words::event(&one.kind).1)) " "
                    a href=(paths::one(paths::MACHINES, &one.machine_id)) { (words::name_of(&one.hostname)) } " "
                    (moment::moment(one.at, frame.now))
                    p.detail { (one.detail) }
                }
            }
        }
    }
}

fn times(fleet: &Overview) -> Markup {
    if fleet.clocks.is_empty() {
        return html! { p.empty { (words::NO_FIX_YET) } };
    }
    let rows = fleet.clocks.iter().map(|one| {
        vec![
            Cell::link(&one.cve, &paths::one(paths::CVES, &one.cve)),
            clock::after(one.livepatch.as_ref()),
            clock::after(one.machines_50.as_ref()),
            clock::after(one.machines_95.as_ref()),
            clock::percent(one),
        ]
    });
    let table = Table {
        caption: words::TIME_TO_PROTECT.to_owned(),
        columns: vec![
            Column::text("cve", words::FIX),
            Column::number("livepatch_seconds", words::TO_LIVEPATCH),
            Column::number("machines_50_seconds", words::TO_HALF),
            Column::number("machines_95_seconds", words::TO_MOST),
            Column::number("protected_percent", words::PROTECTED_SHARE),
        ],
        rows: rows.collect(),
        export: None,
    };
    html! { (table.to_html()) p.hint { a href=(paths::CLOCK) { (words::ALL_CLOCKS) } } }
}

fn deadlines(frame: &Frame, fleet: &Overview) -> Markup {
    html! {
        p { (words::METADATA_EXPIRE) " " (moment::moment(fleet.metadata_expire, frame.now)) "." }
        @if fleet.support.is_empty() {
            p.empty { (words::NO_DEADLINE) }
        } @else {
            (support_table(&fleet.support).to_html())
        }
        p.hint { a href={ (paths::KERNELS) "#time-line" } { (words::ALL_WINDOWS) } }
    }
}
