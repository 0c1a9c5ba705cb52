//! Machines: the list, and one of them.

use crate::{
    Cell, Column, Frame, Table,
    frame::{Place, command, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::{MachineDetail, MachineSummary, PatchState, Role};
use maud::{Markup, html};

/// What the list is narrowed to, as in its address. Empty: not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFilter {
    /// Part of the host name or of the id.
    pub q: String,
    /// A state; `trouble` for all bad ones, `silent` for those that are not heard of.
    pub state: String,
    /// A tier.
    pub tier: String,
    /// A kernel release.
    pub kernel: String,
    /// `host`, `kernel`, `state` or `seen`.
    pub sort: String,
}

/// A page of the list.
#[derive(Clone, Debug)]
pub struct MachineList {
    /// What it is narrowed to.
    pub filter: MachineFilter,
    /// The page's machines.
    pub machines: Vec<MachineSummary>,
    /// How many there are in all.
    pub total: u32,
    /// Whether the page is the first.
    pub is_first: bool,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// The tiers to choose from.
    pub tiers: Vec<String>,
    /// Kernel releases in the fleet, with their machines.
    pub kernels: Vec<(String, u32)>,
    /// Where machines reach the server.
    pub server: String,
}

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

impl MachineFilter {
    /// The query of the list's address; `after` is a cursor.
    pub fn query(&self, after: &str) -> String {
        self.with_sort(&self.sort, after)
    }

    fn with_sort(&self, sort: &str, after: &str) -> String {
        let Self { q, state, tier, kernel, .. } = self;
        let parameters = [
            ("q", q.as_str()),
            ("state", state),
            ("tier", tier),
            ("kernel", kernel),
            ("sort", sort),
            ("after", after),
        ];
        paths::query(&parameters)
    }

    fn is_narrow(&self) -> bool {
        [&self.q, &self.state, &self.tier, &self.kernel].into_iter().any(|value| !value.is_empty())
    }
}

/// The list.
pub fn machines(frame: &Frame, list: &MachineList) -> String {
    let filter = &list.filter;
    let body = html! {
        (filter_form(list))
        @if list.total == 0 {
            (nothing(list))
        } @else {
            p.count {
                (words::machines(list.total))
                @if filter.is_narrow() { " – " a href=(paths::MACHINES) { (words::SHOW_ALL) } }
            }
            (machine_table(&list.machines, filter, frame.now).to_html())
            nav.pages aria-label=(words::PAGES) {
                @if !list.is_first { a href={ (paths::MACHINES) (filter.query("")) } { (words::FIRST_PAGE) } }
                @if let Some(next) = &list.next {
                    a href={ (paths::MACHINES) (filter.query(next)) } rel="next" { (words::NEXT_PAGE) }
                }
            }
        }
    };
    page(frame, Place::Machines, words::MACHINES, &body)
}

fn filter_form(list: &MachineList) -> Markup {
    let filter = &list.filter;
    let states = PatchState::all();
    html! {
        form.filter action=(paths::MACHINES) method="get" {
            label { (words::FILTER_TEXT) input type="search" name="q" value=(filter.q); }
            label { (words::STATE)
                select name="state" {
                    option value="" { (words::ANY) }
                    option value="trouble" selected[filter.state == "trouble"] { (words::IN_TROUBLE) }
                    option value="silent" selected[filter.state == "silent"] { (words::SILENT) }
                    @for state in states {
                        @let key = words::state_key(state);
                        option value=(key) selected[filter.state == key] { (words::state(state).0) }
                    }
                }
            }
            label { (words::TIER)
                select name="tier" {
                    option value="" { (words::ANY) }
                    @for tier in &list.tiers { option value=(tier) selected[filter.tier == *tier] { (tier) } }
                }
            }
            label { (words::KERNEL)
                select name="kernel" {
                    option value="" { (words::ANY) }
                    @for (kernel, count) in &list.kernels {
                        option value=(kernel) selected[filter.kernel == *kernel] { (kernel) " (" (words::number((*count).into())) ")" }
                    }
                }
            }
            @if !filter.sort.is_empty() { input type="hidden" name="sort" value=(filter.sort); }
            button type="submit" { (words::APPLY_FILTER) }
        }
    }
}

fn nothing(list: &MachineList) -> Markup {
    html! {
        @if list.filter.is_narrow() {
            p.empty { (words::NO_MACHINE_FOUND) " " a href=(paths::MACHINES) { (words::SHOW_ALL) } }
        } @else {
            p.empty { (words::NO_MACHINES) }
            (command(words::STEP_TOKEN_COMMAND))
            (command(&format!("sudo livepatch enable TOKEN --server {}", list.server)))
        }
    }
}

/// The list as a table.
pub fn machine_table(machines: &[MachineSummary], filter: &MachineFilter, now: crate::Seconds) -> Table {
    let sortable = |column: Column, sort: &str| Column {
        sorted: filter.sort == sort || (filter.sort.is_empty() && sort == "host"),
        sort: Some(format!("{}{}", paths::MACHINES, filter.with_sort(sort, ""))),
        ..column
    };
    let rows = machines.iter().map(|machine| {
        let applied = machine.applied.as_ref();
        vec![
            Cell::link(&machine.hostname, &paths::one(paths::MACHINES, &machine.machine_id)),
            state(machine),
            Cell::text(machine.kernel.release.as_str()),
            Cell::text(&machine.tier),
            applied.map_or_else(Cell::none, |applied| Cell::number(applied.version)),
            Cell::shown(machine.last_seen.clone(), moment::moment_of(&machine.last_seen, now)),
            Cell::code(&machine.machine_id),
        ]
    });
    Table {
        caption: words::MACHINES.to_owned(),
        columns: vec![
            sortable(Column::text("hostname", words::HOST), "host"),
            sortable(Column::text("state", words::STATE), "state"),
            sortable(Column::text("kernel", words::KERNEL), "kernel"),
            Column::text("tier", words::TIER),
            Column::number("applied_version", words::APPLIED_VERSION),
            sortable(Column::text("last_seen", words::LAST_SEEN), "seen"),
            Column::text("machine_id", words::ID),
        ],
        rows: rows.collect(),
        export: Some((paths::MACHINES.to_owned(), filter.query(""))),
    }
}

fn state(machine: &MachineSummary) -> Cell {
    let (word, tone) = words::state(machine.state);
    let shown = html! {
        (badge(word, tone))
        @if machine.revoked.is_some() { " " (badge(words::REVOKED, crate::Tone::Quiet)) }
    };
    Cell::shown(words::state_key(machine.state), shown)
}

/// One machine.
pub fn machine(frame: &Frame, view: &MachineView) -> String {
    let machine = &view.detail.machine;
    let body = html! {
        (facts(frame, machine))
        section { h2 { (words::NEXT_UPDATE) } (next_update(view)) }
        section { h2 { (words::FIXES) } (fixes(view)) }
        @if !view.verdicts.is_empty() { section { h2 { (words::MACHINE_VERDICTS) } (verdicts(view).to_html()) } }
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
