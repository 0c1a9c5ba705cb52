//! Notices: the list, and the desk where one is written, previewed on every channel, reviewed and published.

mod editor;
mod preview;

pub use editor::edited;
pub use preview::Channel;

use crate::{
    Cell, Column, Frame, Table, Tone,
    frame::{Place, command, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::{NoticeState, NoticeView, Role, paths as public};
use livepatch_notice::Notice;
use maud::{Markup, html};

/// A notice in the list.
#[derive(Clone, Debug)]
pub struct NoticeRow {
    /// `LSN-0123-1`.
    pub number: String,
    /// Its title.
    pub title: String,
    /// Whether it says that there can be no livepatch.
    pub is_alert: bool,
    /// How far it is.
    pub state: NoticeState,
    /// Who wrote it last.
    pub author: String,
    /// Who reviewed it as it is.
    pub reviewer: Option<String>,
    /// When it was published, RFC 3339.
    pub published: Option<String>,
}

/// The list, and what the form for a new notice begins with.
#[derive(Clone, Debug, Default)]
pub struct NoticeList {
    /// Newest first.
    pub notices: Vec<NoticeRow>,
    /// CVEs that a new notice shall be about, as in the page's address.
    pub cves: String,
}

/// A notice on the desk.
#[derive(Clone, Debug)]
pub struct NoticeDesk {
    /// As operators see it.
    pub view: NoticeView,
    /// The notice.
    pub notice: Notice,
    /// What stands for the text as it is: a form that was made for another text is refused.
    pub seen: String,
    /// The channel that is previewed.
    pub channel: Channel,
    /// Where readers reach the server.
    pub url: String,
}

/// The list.
pub fn notices(frame: &Frame, list: &NoticeList) -> String {
    let body = html! {
        @if list.notices.is_empty() {
            p.empty { (words::NO_NOTICES) }
        } @else {
            (notice_table(&list.notices, frame.now).to_html())
        }
        p { (words::FOR_READERS) ": " a href=(public::NOTICE_PAGES) { (public::NOTICE_PAGES) } }
        @if frame.may(Role::Operator) {
            section {
                h2 { (words::NEW_NOTICE) }
                form.stacked action=(paths::NOTICES) method="post" {
                    (frame.csrf_field())
                    label for="cves" { (words::NOTICE_CVES) }
                    input #cves type="text" name="cves" required maxlength="8000" value=(list.cves) autocomplete="off" aria-describedby="cves-hint";
                    p #cves-hint.hint { (words::NOTICE_CVES_HINT) }
                    div.buttons { button type="submit" { (words::BEGIN_NOTICE) } }
                }
            }
        } @else { p.hint { (words::VIEWER_NOTICES) } }
    };
    page(frame, Place::Notices, words::NOTICES, &body)
}

/// The list as a table.
pub fn notice_table(all: &[NoticeRow], now: crate::Seconds) -> Table {
    let rows = all.iter().map(|one| {
        let (word, tone) = words::notice_state(one.state);
        let state = html! {
            (badge(word, tone))
            @if one.is_alert { " " (badge(words::ALERT, Tone::Bad)) }
        };
        let published = match &one.published {
            Some(at) => Cell::shown(at.clone(), moment::moment_of(at, now)),
            None => Cell::none(),
        };
        vec![
            Cell::link(&one.number, &paths::one(paths::NOTICES, &one.number)),
            Cell::shown(word, state),
            Cell::text(&one.title),
            Cell::text(&one.author),
            one.reviewer.as_ref().map_or_else(Cell::none, Cell::text),
            published,
        ]
    });
    Table {
        caption: words::NOTICES.to_owned(),
        columns: vec![
            Column::text("number", words::NUMBER),
            Column::text("state", words::STATE),
            Column::text("title", words::TITLE),
            Column::text("author", words::AUTHOR),
            Column::text("reviewer", words::REVIEWER),
            Column::text("published", words::PUBLISHED_AT),
        ],
        rows: rows.collect(),
        export: Some((paths::NOTICES.to_owned(), String::new())),
    }
}

/// One notice.
pub fn notice(frame: &Frame, desk: &NoticeDesk) -> String {
    let address = paths::one(paths::NOTICES, &desk.view.number);
    let is_open = desk.view.state != NoticeState::Published;
    let body = html! {
        (facts(frame, desk))
        @if let Some(problem) = &desk.view.problem { p.notice.bad { (words::PROBLEM) " " (problem) } }
        (next_step(frame, desk, &address))
        section #preview { h2 { (words::PREVIEW) } (preview::preview(desk, &address)) }
        @if is_open && frame.may(Role::Operator) {
            section #edit { h2 { (words::EDIT) } (editor::editor(frame, desk, &address)) }
        }
        @if !is_open { section { h2 { (words::MAILS) } (mails(desk)) } }
    };
    page(frame, Place::Notices, &desk.view.number, &body)
}

fn facts(frame: &Frame, desk: &NoticeDesk) -> Markup {
    let view = &desk.view;
    let (word, tone) = words::notice_state(view.state);
    html! {
        p { (desk.notice.title) }
        dl.facts {
            dt { (words::STATE) }
            dd { (badge(word, tone)) @if desk.notice.is_alert() { " " (badge(words::ALERT, Tone::Bad)) } }
            dt { (words::AUTHOR) } dd { (view.author) }
            @if let Some(reviewer) = &view.reviewer { dt { (words::REVIEWER) } dd { (reviewer) } }
            @if let Some(published) = &view.published {
                dt { (words::PUBLISHED_AT) } dd { (moment::moment_of(published, frame.now)) }
                dt { (words::FOR_READERS) }
                dd { @let page = paths::one(public::NOTICE_PAGES, &view.number); a href=(page) { (page) } }
            }
        }
    }
}

/// What is to be done next, for those who may.
fn next_step(frame: &Frame, desk: &NoticeDesk, address: &str) -> Markup {
    let view = &desk.view;
    let form = |act: &str, button: &str, grave: bool, inner: &Markup| {
        html! {
            form.stacked action={ (address) "/" (act) } method="post" {
                (frame.csrf_field())
                input type="hidden" name="seen" value=(desk.seen);
                (inner)
                div.buttons { button type="submit" class=[grave.then_some("grave")] { (button) } }
            }
        }
    };
    let nothing = html! {};
    html! {
        section {
            @match view.state {
                NoticeState::Draft => {
                    h2 { (words::REVIEW) }
                    p { (words::REVIEW_MEANING) }
                    @if view.author == frame.who && !frame.is_master {
                        p.hint { (words::REVIEW_OWN) }
                    } @else if frame.may(Role::Operator) && view.problem.is_none() {
                        (form("review", words::REVIEW_BUTTON, false, &nothing))
                    }
                }
                NoticeState::Reviewed => {
                    h2 { (words::PUBLISH_NOTICE) }
                    p { (words::PUBLISH_MEANING) }
                    @if frame.may(Role::Releaser) {
                        (form("publish", words::PUBLISH_BUTTON, true, &nothing))
                    } @else { p.hint { (words::PUBLISH_ROLE) } }
                }
                NoticeState::Published => @if frame.may(Role::Operator) {
                    h2 { (words::REVISE) }
                    @let note = html! {
                        label for="note" { (words::REVISE_NOTE) }
                        input #note type="text" name="note" required maxlength="500" autocomplete="off" aria-describedby="note-hint";
                        p #note-hint.hint { (words::REVISE_HINT) }
                    };
                    (form("revise", words::REVISE_BUTTON, false, &note))
                }
            }
        }
    }
}

fn mails(desk: &NoticeDesk) -> Markup {
    if desk.view.mails.is_empty() {
        return html! { p.empty { (words::NO_MAILS) } (command("livepatch-admin subscriber add ADDRESS")) };
    }
    let rows = desk.view.mails.iter().map(|mail| {
        let tone = match mail.state.as_str() {
            "sent" => Tone::Good,
            "refused" => Tone::Bad,
            _ => Tone::Quiet,
        };
        vec![
            Cell::text(&mail.address),
            Cell::badge(&mail.state, tone),
            Cell::number(mail.attempts),
            Cell::text(&mail.detail),
        ]
    });
    let table = Table {
        caption: words::MAILS.to_owned(),
        columns: vec![
            Column::text("address", words::ADDRESS),
            Column::text("state", words::STATE),
            Column::number("attempts", words::ATTEMPTS),
            Column::text("answer", words::ANSWER),
        ],
        rows: rows.collect(),
        export: None,
    };
    table.to_html()
}
