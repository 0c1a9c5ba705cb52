//! Tokens, keys, and the audit log.

use crate::{
    Cell, Column, Frame, Seconds, Table, Tone,
    frame::{Place, command, page},
    moment, paths, words,
};
use livepatch_api::{ApiKeySummary, AuditEntry, Role, TokenSummary};
use maud::{Markup, html};

/// Enrolment tokens; `tiers` to choose from.
pub fn tokens(frame: &Frame, all: &[TokenSummary], tiers: &[String]) -> String {
    let may = frame.may(Role::Operator);
    let body = html! {
        @if all.is_empty() {
            p.empty { (words::NO_TOKENS) }
            (command(words::STEP_TOKEN_COMMAND))
        } @else {
            (token_table(all, frame.now, may).to_html())
        }
        @if may {
            section {
                h2 { (words::NEW_TOKEN) }
                form.stacked action=(paths::TOKENS) method="post" {
                    (frame.csrf_field())
                    label for="tier" { (words::TIER) }
                    select #tier name="tier" { @for tier in tiers { option value=(tier) { (tier) } } }
                    label for="uses" { (words::USES) }
                    input #uses type="number" name="uses" min="1" max="4294967295" aria-describedby="uses-hint";
                    p #uses-hint.hint { (words::USES_HINT) }
                    label for="days" { (words::DAYS) }
                    input #days type="number" name="days" min="1" max="3660" aria-describedby="days-hint";
                    p #days-hint.hint { (words::DAYS_HINT) }
                    label for="note" { (words::NOTE) }
                    input #note type="text" name="note" maxlength="255" autocomplete="off";
                    div.buttons { button type="submit" { (words::MAKE_TOKEN) } }
                }
            }
        } @else { p.hint { (words::VIEWER_TOKENS) } }
    };
    page(frame, Place::Tokens, words::TOKENS, &body)
}

/// The tokens as a table.
pub fn token_table(all: &[TokenSummary], now: Seconds, may_revoke: bool) -> Table {
    let rows = all.iter().map(|token| {
        let limit = token.uses.map_or_else(|| words::ANY.to_owned(), |uses| uses.to_string());
        let used = format!("{} / {limit}", token.used);
        vec![
            Cell::code(&token.id),
            Cell::text(&token.tier),
            Cell::shown(token.used, html! { (used) }),
            until(token.revoked.as_deref(), token.expires.as_deref(), now),
            Cell::text(&token.note),
            revoke(paths::TOKENS, &token.id, may_revoke && token.revoked.is_none()),
        ]
    });
    Table {
        caption: words::TOKENS.to_owned(),
        columns: vec![
            Column::text("id", words::ID),
            Column::text("tier", words::TIER),
            Column::number("used", words::USED),
            Column::text("until", words::HOLDS_UNTIL),
            Column::text("note", words::NOTE),
            Column::text("act", words::ACT),
        ],
        rows: rows.collect(),
        export: Some((paths::TOKENS.to_owned(), String::new())),
    }
}

/// API keys.
pub fn keys(frame: &Frame, all: &[ApiKeySummary]) -> String {
    let body = html! {
        p { (words::KEYS_MEANING) }
        @if all.is_empty() {
            p.empty { (words::NO_KEYS) }
            (command(words::KEY_COMMAND))
        } @else {
            (key_table(all, frame.now, true).to_html())
        }
        section {
            h2 { (words::NEW_KEY) }
            form.stacked action=(paths::KEYS) method="post" {
                (frame.csrf_field())
                (name_and_role())
                label for="days" { (words::DAYS) }
                input #days type="number" name="days" min="1" max="3660" aria-describedby="days-hint";
                p #days-hint.hint { (words::DAYS_HINT) }
                div.buttons { button type="submit" { (words::MAKE_KEY) } }
            }
        }
    };
    page(frame, Place::Keys, words::KEYS, &body)
}

/// Who is to be made, and what they may do.
pub(crate) fn name_and_role() -> Markup {
    html! {
        label for="name" { (words::NAME) }
        input #name type="text" name="name" required maxlength="64" autocomplete="off";
        label for="role" { (words::ROLE) }
        select #role name="role" {
            @for role in [Role::Viewer, Role::Operator, Role::Releaser, Role::Admin] {
                option value=(role.as_str()) { (role.as_str()) " – " (words::role(role)) }
            }
        }
    }
}

/// The keys as a table.
pub fn key_table(all: &[ApiKeySummary], now: Seconds, may_revoke: bool) -> Table {
    let rows = all.iter().map(|key| {
        let used = match &key.used {
            Some(used) => Cell::shown(used.clone(), moment::moment_of(used, now)),
            None => Cell::none(),
        };
        vec![
            Cell::text(&key.name),
            Cell::text(key.role.as_str()),
            until(key.revoked.as_deref(), key.expires.as_deref(), now),
            used,
            Cell::code(&key.id),
            revoke(paths::KEYS, &key.id, may_revoke && key.revoked.is_none()),
        ]
    });
    Table {
        caption: words::KEYS.to_owned(),
        columns: vec![
            Column::text("name", words::NAME),
            Column::text("role", words::ROLE),
            Column::text("until", words::HOLDS_UNTIL),
            Column::text("used", words::LAST_USED),
            Column::text("id", words::ID),
            Column::text("act", words::ACT),
        ],
        rows: rows.collect(),
        export: Some((paths::KEYS.to_owned(), String::new())),
    }
}

/// A secret that was just made, shown this once.
pub fn created_secret(frame: &Frame, is_token: bool, secret: &str, server: &str) -> String {
    let (place, back, title) = if is_token {
        (Place::Tokens, paths::TOKENS, words::TOKEN_MADE)
    } else {
        (Place::Keys, paths::KEYS, words::KEY_MADE)
    };
    let body = html! {
        p { (words::SHOWN_ONCE) }
        (command(secret))
        @if is_token {
            p { (words::ON_A_MACHINE) }
            (command(&format!("sudo livepatch enable {secret} --server {server}")))
        }
        p { a href=(back) { (words::TO_LIST) } }
    };
    page(frame, place, title, &body)
}

/// A page of the audit log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Whether they are the newest.
    pub is_first: bool,
    /// Where the next page begins.
    pub before: Option<i64>,
}

/// The audit log.
pub fn audit(frame: &Frame, log: &Audit) -> String {
    let body = html! {
        p { (words::AUDIT_MEANING) }
        (command("livepatch-admin audit verify"))
        @if log.entries.is_empty() { p.empty { (words::NO_ACTS) } } @else { (audit_table(&log.entries, frame.now).to_html()) }
        nav.pages aria-label=(words::PAGES) {
            @if !log.is_first { a href=(paths::AUDIT) { (words::NEWEST) } }
            @if let Some(before) = log.before { a href={ (paths::AUDIT) "?before=" (before) } rel="next" { (words::OLDER) } }
        }
    };
    page(frame, Place::Audit, words::AUDIT, &body)
}

/// The audit log as a table.
pub fn audit_table(entries: &[AuditEntry], now: Seconds) -> Table {
    let rows = entries.iter().map(|entry| {
        vec![
            Cell::number(entry.id),
            Cell::shown(moment::rfc3339(entry.at), moment::moment(entry.at, now)),
            Cell::text(&entry.actor),
            Cell::text(&entry.action),
            Cell::text(&entry.subject),
            Cell::text(&entry.detail),
        ]
    });
    Table {
        caption: words::AUDIT.to_owned(),
        columns: vec![
            Column::number("entry", words::ENTRY),
            Column::text("at", words::WHEN),
            Column::text("actor", words::WHO),
            Column::text("action", words::DID),
            Column::text("subject", words::TO_WHAT),
            Column::text("detail", words::HOW),
        ],
        rows: rows.collect(),
        export: Some((paths::AUDIT.to_owned(), String::new())),
    }
}

fn until(revoked: Option<&str>, expires: Option<&str>, now: Seconds) -> Cell {
    match (revoked, expires) {
        (Some(_), _) => Cell::badge(words::REVOKED, Tone::Quiet),
        (None, None) => Cell::text(words::FOR_EVER),
        (None, Some(expires)) => {
            let over = moment::seconds(expires).is_some_and(|at| at <= now);
            if over {
                Cell::badge(words::EXPIRED, Tone::Quiet)
            } else {
                Cell::shown(expires, moment::moment_of(expires, now))
            }
        }
    }
}

fn revoke(list: &str, id: &str, may: bool) -> Cell {
    let link: Markup = html! { a.button href={ (paths::one(list, id)) "/revoke" } { (words::REVOKE) } };
    if may { Cell::shown(serde_json::Value::Null, link) } else { Cell::none() }
}
