//! One machine: what it is, what it has and lacks, and what keeps it from more.

use crate::{
    Cell, Column, Frame, Table,
    frame::{Place, command, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::{BlockSummary, MachineDetail, MachineSummary, Role};
use livepatch_manifest::Digest;
use maud::{Markup, html};

/// A livepatch that a machine does not have.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The livepatch's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Why not, and what comes next.
    pub why: String,
    /// The rollout that it comes by.
    pub release: Option<String>,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct MachineView {
    /// What it is and what it reported.
    pub detail: MachineDetail,
    /// The newer livepatch for its kernel, if there is one.
    pub waiting: Option<Waiting>,
    /// Fixes in what is applied.
    pub fixed: Vec<String>,
    /// Published fixes that it lacks.
    pub lacking: Vec<String>,
    /// Vulnerabilities that its kernel itself does not mend, by the published verdicts.
    pub verdicts: Vec<MachineVerdict>,
    /// Blocks of operators that keep something from it.
    pub blocks: Vec<BlockSummary>,
    /// Livepatches that it blocks by itself, newest first.
    pub blocked: Vec<BlockedLivepatch>,
    /// Transitions that it told of, newest first.
    pub transitions: Vec<PastTransition>,
}

/// A livepatch that brought trouble to a machine, and that it loads no more until its owner clears it.
#[derive(Clone, Debug)]
pub struct BlockedLivepatch {
    /// The livepatch's name.
    pub name: String,
    /// Its module.
    pub sha256: Digest,
    /// When the trouble was, as the machine says.
    pub since: String,
}

/// A transition that ended.
#[derive(Clone, Debug)]
pub struct PastTransition {
    /// The livepatch's name, as the machine says.
    pub name: String,
    /// When it ended, as the machine says.
    pub at: String,
    /// How long it took, in milliseconds; absent: it did not end in time, and was reverted.
    pub took_ms: Option<u32>,
}

/// How a vulnerability stands on a machine.
#[derive(Clone, Debug)]
pub struct MachineVerdict {
    /// `CVE-2026-1234`.
    pub cve: String,
    /// The verdict for its kernel, one sentence.
    pub sentence: String,
    /// Whether what is applied mends it.
    pub mended: bool,
}

/// One machine.
pub fn machine(frame: &Frame, view: &MachineView) -> String {
    let machine = &view.detail.machine;
    let body = html! {
        (facts(frame, machine))
        section { h2 { (words::NEXT_UPDATE) } (next_update(view)) }
        @if !view.blocks.is_empty() { section { h2 { (words::BLOCKS) } (blocks(frame, view).to_html()) } }
        @if !view.blocked.is_empty() { section { h2 { (words::BLOCKED_BY_MACHINE) } (blocked(frame, view)) } }
        section { h2 { (words::FIXES) } (fixes(view)) }
        @if !view.verdicts.is_empty() { section { h2 { (words::MACHINE_VERDICTS) } (verdicts(view).to_html()) } }
        @if !view.transitions.is_empty() { section { h2 { (words::TRANSITIONS) } (transitions(frame, view).to_html()) } }
        section { h2 { (words::HISTORY) } (history(frame, view)) }
        @if frame.may(Role::Operator) && machine.revoked.is_none() {
            section {
                h2 { (words::ADMINISTRATION) }
                p { (words::REVOKE_MACHINE_MEANING) }
                p { a.button href={ (paths::one(paths::MACHINES, &machine.machine_id)) "/revoke" } { (words::REVOKE_MACHINE) } }
            }
        }
    };
    page(frame, Place::Machines, words::name_of(&machine.hostname), &body)
}

fn facts(frame: &Frame, machine: &MachineSummary) -> Markup {
    let (word, tone) = words::state(machine.state);
    let flags: Vec<_> = machine.taint.flags().collect();
    html! {
        dl.facts {
            dt { (words::STATE) } dd { (badge(word, tone)) " " (words::state_meaning(machine.state)) }
            @if let Some(revoked) = &machine.revoked {
                dt { (words::REVOKED) } dd { (moment::moment_of(revoked, frame.now)) }
            }
            dt { (words::APPLIED) }
            dd { @match &machine.applied {
                Some(applied) => { a href=(paths::one(paths::LIVEPATCHES, &applied.name)) { (applied.name) } " " span.digest { (applied.sha256.short()) } },
                None => (words::NOTHING_APPLIED),
            } }
            dt { (words::KERNEL) }
            dd { a href={ (paths::MACHINES) (paths::query(&[("kernel", machine.kernel.release.as_str())])) } { (machine.kernel.release.as_str()) }
                " " (machine.kernel.arch) ", " (words::BUILD_ID) " " span.digest { (machine.kernel.build_id) } }
            dt { (words::TIER) }
            dd { a href={ (paths::MACHINES) (paths::query(&[("tier", &machine.tier)])) } { (machine.tier) } }
            @if !machine.tags.is_empty() {
                dt { (words::TAGS) }
                dd { ul.tags { @for tag in &machine.tags { li { a href={ (paths::MACHINES) (paths::query(&[("tag", tag)])) } { (tag) } } } } }
            }
            dt { (words::TAINT) }
            dd { (machine.taint.0)
                @if !flags.is_empty() { ul.plain { @for flag in &flags { li { code { (flag.letter) } " " (flag.meaning) } } } } }
            dt { (words::LAST_SEEN) } dd { (moment::moment_of(&machine.last_seen, frame.now)) }
            dt { (words::ID) } dd { code { (machine.machine_id) } }
        }
    }
}

fn next_update(view: &MachineView) -> Markup {
    html! {
        @match &view.waiting {
            None => p { (words::NO_UPDATE) },
            Some(waiting) => {
                p {
                    a href=(paths::one(paths::LIVEPATCHES, &waiting.name)) { (words::version(waiting.version)) } ": " (waiting.why)
                    @if let Some(release) = &waiting.release {
                        " " a href=(paths::one(paths::ROLLOUTS, release)) { (words::rollout(release)) }
                    }
                }
            }
        }
    }
}

fn verdicts(view: &MachineView) -> Table {
    // What is open comes first.
    let mut sorted: Vec<&MachineVerdict> = view.verdicts.iter().collect();
    sorted.sort_by_key(|one| one.mended);
    let rows = sorted.into_iter().map(|one| {
        let (word, tone) =
            if one.mended { (words::MENDED, crate::Tone::Good) } else { (words::OPEN, crate::Tone::Warn) };
        vec![
            Cell::link(&one.cve, &paths::one(paths::CVES, &one.cve)),
            Cell::badge(word, tone),
            Cell::text(&one.sentence),
        ]
    });
    Table {
        caption: words::MACHINE_VERDICTS.to_owned(),
        columns: vec![
            Column::text("cve", words::CVE),
            Column::text("state", words::STATE),
            Column::text("verdict", words::VERDICT),
        ],
        rows: rows.collect(),
        export: None,
    }
}

fn blocks(frame: &Frame, view: &MachineView) -> Table {
    let rows = view.blocks.iter().map(|one| {
        let until = match &one.expires {
            Some(expires) => Cell::shown(expires.clone(), moment::moment_of(expires, frame.now)),
            None => Cell::text(words::UNTIL_LIFTED),
        };
        let what = html! { (words::block(one.kind)) " " code { (one.subject) } };
        vec![Cell::shown(one.subject.clone(), what), Cell::text(&one.reason), Cell::text(&one.actor), until]
    });
    Table {
        caption: words::BLOCKS.to_owned(),
        columns: vec![
            Column::text("block", words::BLOCKED),
            Column::text("reason", words::REASON),
            Column::text("actor", words::WHO),
            Column::text("until", words::HOLDS_UNTIL),
        ],
        rows: rows.collect(),
        export: None,
    }
}

fn blocked(frame: &Frame, view: &MachineView) -> Markup {
    html! {
        p { (words::BLOCKED_BY_MACHINE_MEANING) }
        ul.plain {
            @for one in &view.blocked {
                li {
                    a href=(paths::one(paths::LIVEPATCHES, &one.name)) { (one.name) } " "
                    (moment::moment_of(&one.since, frame.now))
                    (command(&format!("sudo livepatch blocked clear {}", one.sha256.short())))
                }
            }
        }
    }
}

fn transitions(frame: &Frame, view: &MachineView) -> Table {
    let rows = view.transitions.iter().map(|one| {
        let took = match one.took_ms {
            Some(ms) => Cell::shown(ms, html! { (words::seconds(ms)) }),
            None => Cell::badge(words::REVERTED, crate::Tone::Bad),
        };
        vec![Cell::text(&one.name), Cell::shown(one.at.clone(), moment::moment_of(&one.at, frame.now)), took]
    });
    Table {
        caption: words::TRANSITIONS.to_owned(),
        columns: vec![
            Column::text("livepatch", words::LIVEPATCH),
            Column::text("ended", words::WHEN),
            Column::number("took_ms", words::TOOK),
        ],
        rows: rows.collect(),
        export: None,
    }
}

fn fixes(view: &MachineView) -> Markup {
    html! {
        @if view.fixed.is_empty() && view.lacking.is_empty() { p.empty { (words::NO_FIXES) } }
        @if !view.lacking.is_empty() {
            p { (words::LACKING) }
            ul.tags { @for id in &view.lacking { li { (badge(id, crate::Tone::Warn)) } } }
        }
        @if !view.fixed.is_empty() {
            p { (words::FIXED) }
            ul.tags { @for id in &view.fixed { li { (badge(id, crate::Tone::Good)) } } }
        }
    }
}

fn history(frame: &Frame, view: &MachineView) -> Markup {
    let detail = &view.detail;
    if detail.events.is_empty() {
        return html! { p.empty { (words::NO_EVENTS) } };
    }
    html! {
        ol.events {
            @for event in detail.events.iter().rev() {
                @let (word, tone) = words::event(words::event_key(event.kind));
                li {
                    (badge(word, tone)) " " (moment::moment_of(&event.at, frame.now))
                    pre.detail tabindex="0" { (event.detail) }
                }
            }
        }
        (command(&format!("livepatch-admin machine show {}", detail.machine.machine_id)))
    }
}
