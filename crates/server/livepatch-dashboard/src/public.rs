//! Pages for readers, who need no session: vulnerabilities, those that cannot be livepatched, and the kernels that are.

use crate::{
    Cell, Column, CveList, Table, Theme, Tone,
    cves::{facts, filter_form, priority, verdicts},
    frame::document,
    paths, words,
};
use livepatch_api::{CveDetail, CveRefusal, paths as api};
use maud::{Markup, html};

/// A row of the support matrix, with its newest build.
#[derive(Clone, Debug)]
pub struct SupportedKernel {
    /// `Debian 12`.
    pub release: String,
    /// `6.1`.
    pub series: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Its flavours.
    pub flavours: Vec<String>,
    /// A build of it.
    pub build: String,
    /// The day on which that build was released.
    pub released: String,
    /// The build's last day with livepatches; absent: none is set.
    pub last_day: Option<String>,
    /// Whether that day has passed.
    pub is_over: bool,
}

const PLACES: [(&str, &str); 5] = [
    (api::NOTICE_PAGES, words::NOTICES),
    (paths::PUBLIC_CVES, words::CVES),
    (paths::NOT_LIVEPATCHABLE, words::NOT_LIVEPATCHABLE),
    (paths::CLOCK, words::CLOCK),
    (paths::KERNELS, words::KERNELS),
];

/// A page for readers.
pub(crate) fn page(here: &str, title: &str, body: &Markup) -> String {
    let main = html! {
        header.top {
            a.skip href="#main" { (words::SKIP) }
            a.brand href=(api::NOTICE_PAGES) { (words::PRODUCT) }
        }
        nav.places aria-label=(words::NAVIGATION) {
            ul {
                @for (address, word) in PLACES {
                    li { a href=(address) aria-current=[(address == here).then_some("page")] { (word) } }
                }
            }
        }
        main #main tabindex="-1" { h1 { (title) } (body) }
    };
    document(title, Theme::System, &main)
}

/// The vulnerabilities that are known.
pub fn public_cves(list: &CveList) -> String {
    let filter = &list.filter;
    let rows = list.cves.iter().map(|cve| {
        vec![
            Cell::link(&cve.id, &paths::one(paths::PUBLIC_CVES, &cve.id)),
            priority(cve.priority.as_deref()),
            if cve.exploited { Cell::badge(words::EXPLOITED, Tone::Bad) } else { Cell::none() },
            Cell::text(&cve.title),
        ]
    });
    let table = Table {
        caption: words::CVES.to_owned(),
        columns: vec![
            Column::text("id", words::CVE),
            Column::text("priority", words::PRIORITY),
            Column::text("exploited", words::EXPLOITED),
            Column::text("title", words::TITLE),
        ],
        rows: rows.collect(),
        export: None,
    };
    let body = html! {
        (filter_form(paths::PUBLIC_CVES, filter))
        @if list.total == 0 {
            p.empty { (words::NO_CVE_FOUND) " " a href=(paths::PUBLIC_CVES) { (words::SHOW_ALL_CVES) } }
        } @else {
            p.count { (words::cves(list.total)) }
            (table.to_html())
            nav.pages aria-label=(words::PAGES) {
                @if !list.is_first { a href={ (paths::PUBLIC_CVES) (filter.query("")) } { (words::FIRST_PAGE) } }
                @if let Some(next) = &list.next {
                    a href={ (paths::PUBLIC_CVES) (filter.query(next)) } rel="next" { (words::NEXT_PAGE) }
                }
            }
        }
    };
    page(paths::PUBLIC_CVES, words::CVES, &body)
}

/// One vulnerability.
pub fn public_cve(detail: &CveDetail) -> String {
    let body = html! {
        (facts(detail))
        section { h2 { (words::VERDICTS) } (verdicts(detail)) }
    };
    page(paths::PUBLIC_CVES, &detail.summary.id, &body)
}

/// What cannot be livepatched.
pub fn not_livepatchable(all: &[CveRefusal]) -> String {
    let rows = all.iter().map(|one| {
        vec![
            Cell::link(&one.cve, &paths::one(paths::PUBLIC_CVES, &one.cve)),
            Cell::text(&one.family),
            Cell::text(&one.reason),
            Cell::code(&one.code),
            one.mitigation.as_ref().map_or_else(Cell::none, Cell::text),
        ]
    });
    let table = Table {
        caption: words::NOT_LIVEPATCHABLE.to_owned(),
        columns: vec![
            Column::text("cve", words::CVE),
            Column::text("family", words::FAMILY),
            Column::text("reason", words::REASON_OF_RATING),
            Column::text("code", words::CODE),
            Column::text("mitigation", words::MITIGATION),
        ],
        rows: rows.collect(),
        export: None,
    };
    let body = html! {
        p { (words::NOT_LIVEPATCHABLE_MEANING) " " a href=(api::NOT_LIVEPATCHABLE) { "JSON" } }
        @if all.is_empty() { p.empty { (words::NOTHING_REFUSED) } } @else { (table.to_html()) }
    };
    page(paths::NOT_LIVEPATCHABLE, words::NOT_LIVEPATCHABLE, &body)
}

/// The kernels that get livepatches, and until when.
pub fn kernels(all: &[SupportedKernel]) -> String {
    let rows = all.iter().map(|one| {
        let last = match &one.last_day {
            Some(day) if one.is_over => {
                Cell::shown(day.clone(), html! { (day) " " (crate::table::badge(words::ENDED, Tone::Bad)) })
            }
            Some(day) => Cell::text(day),
            None => Cell::none(),
        };
        vec![
            Cell::text(&one.release),
            Cell::text(&one.series),
            Cell::text(&one.architecture),
            Cell::text(one.flavours.join(", ")),
            Cell::code(&one.build),
            Cell::text(&one.released),
            last,
        ]
    });
    let table = Table {
        caption: words::KERNELS.to_owned(),
        columns: vec![
            Column::text("release", words::DISTRIBUTION),
            Column::text("series", words::SERIES),
            Column::text("architecture", words::ARCHITECTURE),
            Column::text("flavours", words::FLAVOURS),
            Column::text("build", words::BUILD),
            Column::text("released", words::RELEASED),
            Column::text("last_day", words::LAST_DAY),
        ],
        rows: rows.collect(),
        export: None,
    };
    let body = html! {
        p { (words::KERNELS_MEANING) " " a href=(api::CALENDAR) { (words::AS_CALENDAR) } }
        @if all.is_empty() { p.empty { (words::NO_KERNELS) } } @else { (table.to_html()) }
    };
    page(paths::KERNELS, words::KERNELS, &body)
}
