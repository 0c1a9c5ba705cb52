//! Pages for readers, who need no session: vulnerabilities, and those that cannot be livepatched.

use crate::{
    Cell, Column, CveList, Table, Theme, Tone,
    cves::{facts, filter_form, priority, verdicts},
    frame::document,
    paths, words,
};
use livepatch_api::{CveDetail, CveRefusal, paths as api};
use maud::{Markup, html};

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
