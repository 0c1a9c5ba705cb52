//! The clock: how long it took from the news of a vulnerability until machines were protected. For everybody.

use crate::{
    Cell, Column, Table,
    chart::{self, Course},
    cves::priority,
    moment, paths,
    public::page,
    words,
};
use livepatch_api::{ClockStep, CveClock, paths as api};
use maud::{Markup, html};

/// Clocks in the picture; the table holds them all.
const PICTURED: usize = 20;

/// A page of clocks.
#[derive(Clone, Debug, Default)]
pub struct ClockList {
    /// The page's clocks, newest vulnerability first.
    pub clocks: Vec<CveClock>,
    /// Whether the page is the first.
    pub is_first: bool,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// How long fixes took.
pub fn clock(list: &ClockList) -> String {
    let body = html! {
        p { (words::CLOCK_MEANING) " " a href=(api::CLOCK) { "JSON" } }
        @if list.clocks.is_empty() {
            p.empty { (words::NO_CLOCKS) }
        } @else {
            (picture(&list.clocks))
            (clock_table(&list.clocks).to_html())
            nav.pages aria-label=(words::PAGES) {
                @if !list.is_first { a href=(paths::CLOCK) { (words::FIRST_PAGE) } }
                @if let Some(next) = &list.next {
                    a href={ (paths::CLOCK) (paths::query(&[("before", next)])) } rel="next" { (words::NEXT_PAGE) }
                }
            }
        }
    };
    page(paths::CLOCK, words::CLOCK, &body)
}

/// The clocks as a table; in files with the moments and the seconds.
pub fn clock_table(clocks: &[CveClock]) -> Table {
    let rows = clocks.iter().map(|one| {
        vec![
            named(one),
            priority(one.priority.as_deref()),
            day(one.public.as_deref()),
            after(one.mitigation.as_ref()),
            after(one.livepatch.as_ref()),
            after(one.first_machine.as_ref()),
            after(one.machines_50.as_ref()),
            after(one.machines_95.as_ref()),
            after(one.machines_99.as_ref()),
            percent(one),
            Cell::text(&one.title),
        ]
    });
    Table {
        caption: words::CLOCK.to_owned(),
        columns: vec![
            Column::text("cve", words::CVE),
            Column::text("priority", words::PRIORITY),
            Column::text("public", words::PUBLIC),
            Column::number("mitigation_seconds", words::TO_MITIGATION),
            Column::number("livepatch_seconds", words::TO_LIVEPATCH),
            Column::number("first_machine_seconds", words::TO_FIRST_MACHINE),
            Column::number("machines_50_seconds", words::TO_HALF),
            Column::number("machines_95_seconds", words::TO_MOST),
            Column::number("machines_99_seconds", words::TO_NEARLY_ALL),
            Column::number("protected_percent", words::PROTECTED_SHARE),
            Column::in_files("title"),
        ],
        rows: rows.collect(),
        export: Some((paths::CLOCK.to_owned(), String::new())),
    }
}

/// The vulnerability, with its title below.
fn named(clock: &CveClock) -> Cell {
    let address = paths::one(paths::PUBLIC_CVES, &clock.cve);
    let shown = html! { div { a.cve href=(address) { (clock.cve) } @if !clock.title.is_empty() { " " span.ago { (clock.title) } } } };
    Cell::shown(clock.cve.clone(), shown)
}

/// How much is protected.
pub(crate) fn percent(clock: &CveClock) -> Cell {
    clock.protected_percent.map_or_else(Cell::none, Cell::number)
}

fn day(moment: Option<&str>) -> Cell {
    match moment {
        Some(at) => Cell::shown(at, html! { time datetime=(at) { (at.get(..10).unwrap_or(at)) } }),
        None => Cell::none(),
    }
}

/// How long a step took; its day where that cannot be said.
pub(crate) fn after(step: Option<&ClockStep>) -> Cell {
    match step {
        None => Cell::none(),
        Some(ClockStep { at, after: None }) => Cell::shown(
            serde_json::Value::Null,
            html! { time datetime=(at) { (at.get(..10).unwrap_or(at)) } },
        ),
        Some(ClockStep { at, after: Some(seconds) }) => {
            let length = if *seconds < 0 { words::BEFORE_NEWS.to_owned() } else { moment::length(*seconds) };
            Cell::shown(*seconds, html! { time datetime=(at) title=(at) { (length) } })
        }
    }
}

/// The newest ones whose steps can be laid along a line.
fn picture(clocks: &[CveClock]) -> Markup {
    let seconds = |step: &Option<ClockStep>| step.as_ref().and_then(|step| step.after);
    let courses: Vec<Course<'_>> = clocks
        .iter()
        .filter_map(|one| {
            let livepatch = seconds(&one.livepatch)?;
            let steps = [&one.machines_50, &one.machines_95, &one.machines_99];
            let steps = steps.map(|step| seconds(step).map(|after| after.saturating_sub(livepatch)));
            Some(Course { label: &one.cve, first: livepatch, steps })
        })
        .take(PICTURED)
        .collect();
    if courses.is_empty() {
        html! {}
    } else {
        chart::courses(words::CLOCK_PICTURE, &courses)
    }
}
