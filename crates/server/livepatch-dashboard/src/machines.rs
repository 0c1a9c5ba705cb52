//! Machines: the list, and counts of those that are alike.

use crate::{
    Cell, Column, Frame, Protection, Table,
    frame::{Place, command, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::{MachineSummary, PatchState};
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
    /// A word that they carry.
    pub tag: String,
    /// A published fix that they lack.
    pub lacks: String,
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
    /// Words that machines carry.
    pub tags: Vec<String>,
    /// Where machines reach the server.
    pub server: String,
}

impl MachineFilter {
    /// The query of the list's address; `after` is a cursor.
    pub fn query(&self, after: &str) -> String {
        self.with_sort(&self.sort, after)
    }

    fn with_sort(&self, sort: &str, after: &str) -> String {
        let Self { q, state, tier, kernel, tag, lacks, .. } = self;
        let parameters = [
            ("q", q.as_str()),
            ("state", state),
            ("tier", tier),
            ("kernel", kernel),
            ("tag", tag),
            ("lacks", lacks),
            ("sort", sort),
            ("after", after),
        ];
        paths::query(&parameters)
    }

    fn is_narrow(&self) -> bool {
        [&self.q, &self.state, &self.tier, &self.kernel, &self.tag, &self.lacks]
            .into_iter()
            .any(|value| !value.is_empty())
    }
}

/// The list.
pub fn machines(frame: &Frame, list: &MachineList) -> String {
    let filter = &list.filter;
    let body = html! {
        (views(None))
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
            @if !list.tags.is_empty() {
                label { (words::TAG)
                    select name="tag" {
                        option value="" { (words::ANY) }
                        @for tag in &list.tags { option value=(tag) selected[filter.tag == *tag] { (tag) } }
                    }
                }
            }
            label { (words::LACKS) input type="search" name="lacks" value=(filter.lacks) placeholder="CVE-2026-1234" autocomplete="off"; }
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

/// What machines are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// The kernel's release.
    Kernel,
    /// The tier.
    Tier,
    /// The state.
    State,
    /// The words that they carry; a machine with several is counted for each.
    Tag,
}

/// Machines that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineGroup {
    /// In what, as in the filter of the list.
    pub value: String,
    /// How many they are.
    pub machines: u32,
    /// How many of them are in trouble.
    pub in_trouble: u32,
    /// How well they are protected; absent: that is not counted by this.
    pub protection: Option<Protection>,
}

impl Grouping {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Tier, Self::State, Self::Tag];

    /// As it stands in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Tier => "tier",
            Self::State => "state",
            Self::Tag => "tag",
        }
    }

    /// The grouping of that name.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grouping| grouping.as_str() == word)
    }

    /// Where its page is.
    fn address(self) -> String {
        format!("{}/by/{}", paths::MACHINES, self.as_str())
    }

    fn title(self) -> &'static str {
        match self {
            Self::Kernel => words::KERNEL,
            Self::Tier => words::TIER,
            Self::State => words::STATE,
            Self::Tag => words::TAG,
        }
    }
}

/// The list, and the counts by each thing.
fn views(here: Option<Grouping>) -> Markup {
    html! {
        nav.channels aria-label=(words::GROUPS) {
            ul {
                li { a href=(paths::MACHINES) aria-current=[here.is_none().then_some("page")] { (words::EACH_MACHINE) } }
                @for grouping in Grouping::ALL {
                    li {
                        a href=(grouping.address()) aria-current=[(here == Some(grouping)).then_some("page")] {
                            (words::by(grouping.title()))
                        }
                    }
                }
            }
        }
    }
}

/// Machines counted by what they have in common.
pub fn machine_groups(frame: &Frame, grouping: Grouping, groups: &[MachineGroup]) -> String {
    let body = html! {
        (views(Some(grouping)))
        @if groups.is_empty() {
            p.empty { (if grouping == Grouping::Tag { words::NO_TAGS } else { words::NO_MACHINES }) }
            (command(if grouping == Grouping::Tag { words::TAG_COMMAND } else { words::STEP_TOKEN_COMMAND }))
        } @else {
            (machine_group_table(grouping, groups).to_html())
        }
    };
    page(frame, Place::Machines, &words::machines_by(grouping.title()), &body)
}

/// The counts as a table.
pub fn machine_group_table(grouping: Grouping, groups: &[MachineGroup]) -> Table {
    let has_protection = groups.iter().any(|group| group.protection.is_some());
    let rows = groups.iter().map(|group| {
        let address = format!("{}{}", paths::MACHINES, paths::query(&[(grouping.as_str(), &group.value)]));
        let shown = match grouping {
            Grouping::State => words::state_of(&group.value),
            _ => &group.value,
        };
        let mut row = vec![
            Cell::shown(group.value.clone(), html! { a href=(address) { (shown) } }),
            Cell::number(group.machines),
        ];
        if let Some(Protection { protected, behind, uncovered }) = group.protection {
            row.extend([protected, behind, uncovered].map(Cell::number));
        }
        row.push(Cell::number(group.in_trouble));
        row
    });
    let mut columns =
        vec![Column::text("group", grouping.title()), Column::number("machines", words::MACHINES)];
    if has_protection {
        columns.extend([
            Column::number("protected", words::PROTECTED),
            Column::number("behind", words::BEHIND),
            Column::number("uncovered", words::UNCOVERED),
        ]);
    }
    columns.push(Column::number("in_trouble", words::IN_TROUBLE));
    Table {
        caption: words::machines_by(grouping.title()),
        columns,
        rows: rows.collect(),
        export: Some((grouping.address(), String::new())),
    }
}
