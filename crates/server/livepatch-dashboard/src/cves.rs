//! Vulnerabilities: the list, and one of them with the verdict for each kernel.

use crate::{
    Cell, Column, Frame, Table, Tone,
    frame::{Place, command, page},
    paths,
    table::badge,
    words,
};
use livepatch_api::{CveDetail, CveSummary, Role};
use livepatch_cve::Priority;
use maud::{Markup, html};
use serde_json::Value;

/// What the list is narrowed to, as in its address. Empty: not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CveFilter {
    /// Part of the identifier or of the title.
    pub q: String,
    /// A priority; `unrated` for those without.
    pub priority: String,
    /// `livepatch`: those that the policy wants livepatched; `exploited`: those that are used in attacks.
    pub only: String,
}

/// A page of the list.
#[derive(Clone, Debug, Default)]
pub struct CveList {
    /// What it is narrowed to.
    pub filter: CveFilter,
    /// The page's vulnerabilities, newest first.
    pub cves: Vec<CveSummary>,
    /// How many there are in all, narrowed as the list is.
    pub total: usize,
    /// Whether the page is the first.
    pub is_first: bool,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A vulnerability with the families that a decision can be about.
#[derive(Clone, Debug)]
pub struct CveView {
    /// All that is known.
    pub detail: CveDetail,
    /// Kernel families of the catalogue.
    pub families: Vec<String>,
}

impl CveFilter {
    /// The query of the list's address; `before` is a cursor.
    pub fn query(&self, before: &str) -> String {
        let Self { q, priority, only } = self;
        paths::query(&[("q", q), ("priority", priority), ("only", only), ("before", before)])
    }

    fn is_narrow(&self) -> bool {
        *self != Self::default()
    }
}

/// The list.
pub fn cves(frame: &Frame, list: &CveList) -> String {
    let body = html! {
        (filter_form(paths::CVES, &list.filter))
        @if list.total > 0 {
            p.count {
                (words::cves(list.total))
                @if list.filter.is_narrow() { " – " a href=(paths::CVES) { (words::SHOW_ALL_CVES) } }
            }
            (cve_table(&list.cves, &list.filter).to_html())
            nav.pages aria-label=(words::PAGES) {
                @if !list.is_first { a href={ (paths::CVES) (list.filter.query("")) } { (words::FIRST_PAGE) } }
                @if let Some(next) = &list.next {
                    a href={ (paths::CVES) (list.filter.query(next)) } rel="next" { (words::NEXT_PAGE) }
                }
            }
        } @else if list.filter.is_narrow() {
            p.empty { (words::NO_CVE_FOUND) " " a href=(paths::CVES) { (words::SHOW_ALL_CVES) } }
        } @else {
            p.empty { (words::NO_CVES) }
            (command(words::IMPORT_COMMAND))
        }
    };
    page(frame, Place::Cves, words::CVES, &body)
}

pub(crate) fn filter_form(address: &str, filter: &CveFilter) -> Markup {
    let priorities = Priority::ALL.into_iter().rev().map(Priority::word);
    html! {
        form.filter action=(address) method="get" {
            label { (words::FILTER_CVE) input type="search" name="q" value=(filter.q); }
            label { (words::PRIORITY)
                select name="priority" {
                    option value="" { (words::ANY) }
                    @for word in priorities { option value=(word) selected[filter.priority == word] { (word) } }
                    option value="unrated" selected[filter.priority == "unrated"] { (words::UNRATED) }
                }
            }
            label { (words::ONLY)
                select name="only" {
                    option value="" { (words::ANY) }
                    option value="livepatch" selected[filter.only == "livepatch"] { (words::WANTED) }
                    option value="exploited" selected[filter.only == "exploited"] { (words::EXPLOITED) }
                }
            }
            button type="submit" { (words::APPLY_FILTER) }
        }
    }
}

/// The list as a table.
pub fn cve_table(cves: &[CveSummary], filter: &CveFilter) -> Table {
    let rows = cves.iter().map(|cve| {
        vec![
            Cell::link(&cve.id, &paths::one(paths::CVES, &cve.id)),
            priority(cve.priority.as_deref()),
            Cell::badge(decided(cve), if cve.decided { Tone::Good } else { Tone::Quiet }),
            policy(cve),
            Cell::text(&cve.title),
        ]
    });
    Table {
        caption: words::CVES.to_owned(),
        columns: vec![
            Column::text("id", words::CVE),
            Column::text("priority", words::PRIORITY),
            Column::text("decided", words::DECIDED_BY),
            Column::text("policy", words::POLICY),
            Column::text("title", words::TITLE),
        ],
        rows: rows.collect(),
        export: Some((paths::CVES.to_owned(), filter.query(""))),
    }
}

pub(crate) fn priority(word: Option<&str>) -> Cell {
    match word {
        Some(word) => Cell::badge(word, words::priority_tone(word)),
        None => Cell::badge(words::UNRATED, Tone::Quiet),
    }
}

fn decided(cve: &CveSummary) -> &'static str {
    match (&cve.priority, cve.decided) {
        (None, _) => words::UNRATED,
        (Some(_), true) => words::DECIDED,
        (Some(_), false) => words::BY_FEED,
    }
}

fn policy(cve: &CveSummary) -> Cell {
    let (word, tone) = match cve {
        CveSummary { rejected: true, .. } => (words::REJECTED, Tone::Quiet),
        CveSummary { livepatch: true, .. } => (words::WANTED, Tone::Warn),
        _ => (words::NOT_WANTED, Tone::Quiet),
    };
    let shown = html! {
        (badge(word, tone))
        @if cve.exploited { " " (badge(words::EXPLOITED, Tone::Bad)) }
    };
    Cell::shown(word, shown)
}

/// One vulnerability.
pub fn cve(frame: &Frame, view: &CveView) -> String {
    let detail = &view.detail;
    let body = html! {
        (facts(detail))
        section { h2 { (words::VERDICTS) } (verdicts(detail)) }
        section { h2 { (words::SAYS_WHO) } (documents(detail)) }
        @if frame.may(Role::Operator) {
            p { a.button href={ (paths::NOTICES) (paths::query(&[("cves", &detail.summary.id)])) } { (words::BEGIN_NOTICE_ABOUT) } }
            section { h2 { (words::RATE) } (rate_form(frame, detail)) }
        }
        @if frame.may(Role::Releaser) { section { h2 { (words::REFUSE) } (refuse_form(frame, view)) } }
    };
    page(frame, Place::Cves, &detail.summary.id, &body)
}

pub(crate) fn facts(detail: &CveDetail) -> Markup {
    let summary = &detail.summary;
    let rating = claim(&detail.record, "rating");
    let description = claim(&detail.record, "description").and_then(Value::as_str);
    html! {
        @if !summary.title.is_empty() { p { (summary.title) } }
        dl.facts {
            dt { (words::PRIORITY) }
            dd { (priority(summary.priority.as_deref()).markup()) " " (decided(summary)) }
            @if let Some(reason) = rating.and_then(|rating| rating.get("reason")).and_then(Value::as_str) {
                @if !reason.is_empty() { dt { (words::REASON_OF_RATING) } dd { (reason) } }
            }
            @if let Some(proposal) = &detail.proposal {
                dt { (words::PROPOSAL) } dd { (badge(&proposal.priority, words::priority_tone(&proposal.priority))) " " (proposal.reason) }
            }
            dt { (words::POLICY) } dd { (policy(summary).markup()) }
            @if let Some(text) = description { dt { (words::DESCRIPTION) } dd.words { (text) } }
            @if !detail.contested.is_empty() { dt { (words::CONTESTED) } dd { (detail.contested.join(", ")) } }
        }
    }
}

/// What counts of a field of the record: its first claim.
fn claim<'a>(record: &'a Value, field: &str) -> Option<&'a Value> {
    record.get(field)?.get(0)?.get("value")
}

pub(crate) fn verdicts(detail: &CveDetail) -> Markup {
    if detail.verdicts.is_empty() {
        return html! { p.empty { (words::NO_VERDICT) } };
    }
    verdict_table(detail).to_html()
}

/// The verdict for each kernel as a table.
pub(crate) fn verdict_table(detail: &CveDetail) -> Table {
    let rows = detail.verdicts.iter().map(|one| {
        let shown = html! { span class={ "verdict " (words::verdict_tone(verdict_kind(&one.verdict)).class()) } { (one.sentence) } };
        vec![
            Cell::text(&one.family),
            Cell::text(&one.first),
            Cell::text(&one.last),
            Cell::shown(one.sentence.clone(), shown),
        ]
    });
    Table {
        caption: words::VERDICTS.to_owned(),
        columns: vec![
            Column::text("family", words::FAMILY),
            Column::text("first", words::FROM_BUILD),
            Column::text("last", words::TO_BUILD),
            Column::text("verdict", words::VERDICT),
        ],
        rows: rows.collect(),
        export: None,
    }
}

/// The word of a verdict, as verdict files carry it.
fn verdict_kind(verdict: &Value) -> &str {
    verdict.get("verdict").and_then(Value::as_str).unwrap_or_default()
}

fn documents(detail: &CveDetail) -> Markup {
    let rows = detail.documents.iter().map(|(_, kind, name)| vec![Cell::text(kind), Cell::code(name)]);
    let table = Table {
        caption: words::SAYS_WHO.to_owned(),
        columns: vec![Column::text("kind", words::KIND), Column::text("document", words::DOCUMENT)],
        rows: rows.collect(),
        export: None,
    };
    table.to_html()
}

fn rate_form(frame: &Frame, detail: &CveDetail) -> Markup {
    let wanted =
        detail.summary.priority.as_deref().or(detail.proposal.as_ref().map(|one| one.priority.as_str()));
    html! {
        form.stacked action={ (paths::one(paths::CVES, &detail.summary.id)) "/rate" } method="post" {
            (frame.csrf_field())
            label for="priority" { (words::PRIORITY) }
            select #priority name="priority" {
                @for one in Priority::ALL.into_iter().rev() {
                    option value=(one.word()) selected[wanted == Some(one.word())] { (one.word()) }
                }
            }
            details.definitions {
                summary { (words::PRIORITY_MEANINGS) }
                dl { @for one in Priority::ALL.into_iter().rev() { dt { (one.word()) } dd { (one.definition()) } } }
            }
            label for="rate-reason" { (words::RATE_REASON) }
            input #rate-reason type="text" name="reason" required maxlength="1000" autocomplete="off" aria-describedby="rate-hint";
            p #rate-hint.hint { (words::RATE_REASON_HINT) }
            div.buttons { button type="submit" { (words::RATE_BUTTON) } }
        }
    }
}

fn refuse_form(frame: &Frame, view: &CveView) -> Markup {
    let field = |id: &str, name: &str, word: &str, required: bool| {
        html! {
            label for=(id) { (word) }
            input id=(id) type="text" name=(name) required[required] maxlength="500" autocomplete="off";
        }
    };
    html! {
        p { (words::REFUSE_MEANING) }
        form.stacked action={ (paths::one(paths::CVES, &view.detail.summary.id)) "/refuse" } method="post" {
            (frame.csrf_field())
            label for="family" { (words::FAMILY) }
            select #family name="family" { @for family in &view.families { option value=(family) { (family) } } }
            (field("refuse-code", "code", words::REFUSE_CODE, true))
            (field("refuse-reason", "reason", words::REFUSE_REASON, true))
            (field("refuse-mitigation", "mitigation", words::MITIGATION, false))
            div.buttons { button type="submit" { (words::REFUSE_BUTTON) } }
        }
    }
}
