//! Upstreams and web-hooks.

use crate::{
    Cell, Column, Frame, Seconds, Table, Tone,
    frame::{Place, command, page},
    moment, paths, words,
};
use livepatch_api::{HookEvent, HookSummary, Role, Selection, SyncReport, UpstreamSummary};
use maud::{Markup, html};
use serde_json::Value;

/// Sites whose livepatches this one passes on; `tiers` are our own.
pub fn upstreams(frame: &Frame, all: &[UpstreamSummary], tiers: &[String]) -> String {
    let body = html! {
        p { (words::UPSTREAMS_MEANING) }
        @if all.is_empty() {
            p.empty { (words::NO_UPSTREAMS) }
            div { (command(words::ANCHOR_COMMAND)) }
            div { (command(words::UPSTREAM_COMMAND)) }
        } @else {
            (upstream_table(all, frame.now, frame.role).to_html())
            @if frame.may(Role::Releaser) {
                @for one in all.iter().filter(|one| one.url.is_some()) { (sync_form(frame, &one.name)) }
            }
        }
        @if frame.may(Role::Admin) {
            section { h2 { (words::NEW_UPSTREAM) } (follow_form(frame, tiers)) }
        } @else { p.hint { (words::VIEWER_UPSTREAMS) } }
    };
    page(frame, Place::Upstreams, words::UPSTREAMS, &body)
}

/// The upstreams as a table; with what `role` may do with them.
pub fn upstream_table(all: &[UpstreamSummary], now: Seconds, role: Role) -> Table {
    let rows = all.iter().map(|one| {
        let synced = match &one.synced {
            Some(synced) => Cell::shown(synced.clone(), moment::moment_of(synced, now)),
            None => Cell::shown(Value::Null, html! { (words::NEVER_SYNCED) }),
        };
        let remove = html! { a.button href={ (paths::one(paths::UPSTREAMS, &one.name)) "/remove" } { (words::REMOVE) } };
        vec![
            Cell::text(&one.name),
            one.url.as_ref().map_or_else(|| Cell::shown(Value::Null, html! { (words::BUNDLES) }), Cell::text),
            Cell::text(selection(&one.selection)),
            one.into.as_ref().map_or_else(|| Cell::shown(Value::Null, html! { (words::HELD_BACK) }), Cell::text),
            Cell::text(one.every.map_or_else(|| words::ON_ORDER.to_owned(), words::every)),
            synced,
            result(one),
            Cell::shown(one.anchor.to_string(), html! { span.digest { (one.anchor.short()) } }),
            if role >= Role::Admin { Cell::shown(Value::Null, remove) } else { Cell::none() },
        ]
    });
    Table {
        caption: words::UPSTREAMS.to_owned(),
        columns: vec![
            Column::text("name", words::NAME),
            Column::text("url", words::URL),
            Column::text("follows", words::FOLLOWS),
            Column::text("into", words::INTO),
            Column::text("every", words::EVERY),
            Column::text("synced", words::LAST_SYNC),
            Column::text("result", words::RESULT),
            Column::text("anchor", words::ANCHOR),
            Column::text("act", words::ACT),
        ],
        rows: rows.collect(),
        export: Some((paths::UPSTREAMS.to_owned(), String::new())),
    }
}

/// `stable: 6.1, 6.12; cloud-amd64`.
fn selection(selection: &Selection) -> String {
    let lists = [&selection.series, &selection.flavours, &selection.architectures];
    let parts: Vec<String> =
        lists.into_iter().filter(|list| !list.is_empty()).map(|list| list.join(", ")).collect();
    if parts.is_empty() {
        selection.tier.clone()
    } else {
        format!("{}: {}", selection.tier, parts.join("; "))
    }
}

/// How the last attempt ended.
fn result(one: &UpstreamSummary) -> Cell {
    match (&one.failure, &one.synced) {
        (Some(failure), _) => {
            let shown = html! { (crate::table::badge(words::FAILED, Tone::Bad)) p.detail { (failure) } };
            Cell::shown(failure.clone(), shown)
        }
        (None, Some(_)) => Cell::badge(words::WENT_WELL, Tone::Good),
        (None, None) => Cell::none(),
    }
}

fn sync_form(frame: &Frame, name: &str) -> Markup {
    html! {
        form.inline action={ (paths::one(paths::UPSTREAMS, name)) "/sync" } method="post" {
            (frame.csrf_field())
            span { (name) }
            button type="submit" { (words::SYNC_NOW) span.hidden { " " (name) } }
        }
    }
}

fn follow_form(frame: &Frame, tiers: &[String]) -> Markup {
    html! {
        form.stacked action=(paths::UPSTREAMS) method="post" {
            (frame.csrf_field())
            (field("name", words::NAME, "text", true, None))
            (field("url", words::URL, "url", true, None))
            (field("anchor", words::ANCHOR, "text", true, Some(words::ANCHOR_HINT)))
            (field("tier", words::UPSTREAM_TIER, "text", true, Some(words::UPSTREAM_TIER_HINT)))
            (field("series", words::SELECTED_SERIES, "text", false, Some(words::SELECTION_HINT)))
            (field("flavours", words::SELECTED_FLAVOURS, "text", false, Some(words::SELECTION_HINT)))
            (field("architectures", words::SELECTED_ARCHITECTURES, "text", false, Some(words::SELECTION_HINT)))
            label for="into" { (words::INTO_TIER) }
            select #into name="into" {
                option value="" { (words::HELD_BACK) }
                @for tier in tiers { option value=(tier) { (tier) } }
            }
            (field("hours", words::HOURS, "number", false, Some(words::HOURS_HINT)))
            div.buttons { button type="submit" { (words::FOLLOW) } }
        }
    }
}

fn field(name: &str, word: &str, kind: &str, required: bool, hint: Option<&str>) -> Markup {
    let hint_id = format!("{name}-hint");
    html! {
        label for=(name) { (word) }
        input id=(name) type=(kind) name=(name) required[required] autocomplete="off"
            maxlength=[(kind != "number").then_some("1000")] min=[(kind == "number").then_some("1")]
            max=[(kind == "number").then_some("8760")] aria-describedby=[hint.map(|_| &hint_id)];
        @if let Some(hint) = hint { p.hint id=(hint_id) { (hint) } }
    }
}

/// What a sync brought.
pub fn synced(frame: &Frame, report: &SyncReport) -> String {
    let taken = report.taken.iter().map(|one| {
        vec![
            Cell::link(&one.name, &paths::one(paths::LIVEPATCHES, &one.name)),
            Cell::text(one.kernel.as_str()),
            Cell::text(one.fixes.join(", ")),
            Cell::text(if one.tiers.is_empty() { words::HELD_BACK.to_owned() } else { one.tiers.join(", ") }),
        ]
    });
    let taken = Table {
        caption: words::TAKEN.to_owned(),
        columns: vec![
            Column::text("name", words::NAME),
            Column::text("kernel", words::KERNEL),
            Column::text("fixes", words::FIXES),
            Column::text("tiers", words::TIERS),
        ],
        rows: taken.collect(),
        export: None,
    };
    let skipped = report.skipped.iter().map(|one| {
        vec![
            Cell::code(&one.target),
            Cell::badge(words::skip(one.reason), Tone::Quiet),
            Cell::text(&one.message),
        ]
    });
    let skipped = Table {
        caption: words::SKIPPED.to_owned(),
        columns: vec![
            Column::text("target", words::TARGET),
            Column::text("reason", words::REASON),
            Column::text("message", words::HOW),
        ],
        rows: skipped.collect(),
        export: None,
    };
    let body = html! {
        p { (words::synced(&report.upstream, report.targets_version)) }
        @if report.taken.is_empty() { p.empty { (words::NOTHING_TAKEN) } } @else { section { h2 { (words::TAKEN) } (taken.to_html()) } }
        @if !report.skipped.is_empty() { section { h2 { (words::SKIPPED) } (skipped.to_html()) } }
        @if !report.denied.is_empty() { p { (words::WITHDRAWN_THERE) " " (report.denied.join(", ")) } }
        p { a href=(paths::UPSTREAMS) { (words::TO_LIST) } }
    };
    page(frame, Place::Upstreams, words::SYNCED, &body)
}

/// Web-hooks.
pub fn hooks(frame: &Frame, all: &[HookSummary]) -> String {
    let body = html! {
        p { (words::HOOKS_MEANING) }
        @if all.is_empty() {
            p.empty { (words::NO_HOOKS) }
            (command(words::HOOK_COMMAND))
        } @else {
            (hook_table(all, frame.role, true).to_html())
        }
        @if frame.may(Role::Admin) {
            section { h2 { (words::NEW_HOOK) } (hook_form(frame)) }
        } @else { p.hint { (words::VIEWER_HOOKS) } }
    };
    page(frame, Place::Hooks, words::HOOKS, &body)
}

/// The hooks as a table for somebody of this role; on a page with buttons.
pub fn hook_table(all: &[HookSummary], role: Role, on_page: bool) -> Table {
    let rows = all.iter().map(|one| {
        let events: Vec<&str> = one.events.iter().map(|event| event.as_str()).collect();
        let given_up = if one.given_up > 0 { Tone::Bad } else { Tone::Quiet };
        let remove =
            html! { a.button href={ (paths::one(paths::HOOKS, &one.id)) "/remove" } { (words::REMOVE) } };
        vec![
            Cell::text(&one.name),
            Cell::text(if role >= Role::Admin { one.url.as_str() } else { host_of(&one.url) }),
            Cell::text(events.join(", ")),
            Cell::number(one.waiting),
            Cell::shown(one.given_up, crate::table::badge(&words::number(one.given_up.into()), given_up)),
            Cell::code(&one.id),
            if on_page && role >= Role::Admin { Cell::shown(Value::Null, remove) } else { Cell::none() },
        ]
    });
    Table {
        caption: words::HOOKS.to_owned(),
        columns: vec![
            Column::text("name", words::NAME),
            Column::text("url", words::URL),
            Column::text("events", words::TOLD_OF),
            Column::number("waiting", words::WAITING),
            Column::number("given_up", words::GIVEN_UP),
            Column::text("id", words::ID),
            Column::text("act", words::ACT),
        ],
        rows: rows.collect(),
        export: Some((paths::HOOKS.to_owned(), String::new())),
    }
}

/// The host of a URL: user, password, path and query may be secrets.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn hook_form(frame: &Frame) -> Markup {
    html! {
        form.stacked action=(paths::HOOKS) method="post" {
            (frame.csrf_field())
            (field("name", words::NAME, "text", true, None))
            (field("url", words::URL, "url", true, Some(words::HOOK_URL_HINT)))
            fieldset {
                legend { (words::HOOK_EVENTS) }
                @for event in HookEvent::ALL {
                    label.choice { input type="checkbox" name=(event.as_str()) value="yes"; " " (words::hook_event(event)) }
                }
                p.hint { (words::HOOK_EVENTS_HINT) }
            }
            div.buttons { button type="submit" { (words::MAKE_HOOK) } }
        }
    }
}

/// The secret of a hook that was just made, shown this once.
pub fn hook_made(frame: &Frame, secret: &str) -> String {
    let body = html! {
        p { (words::HOOK_SECRET) }
        (command(secret))
        p { a href=(paths::HOOKS) { (words::TO_LIST) } }
    };
    page(frame, Place::Hooks, words::HOOK_MADE, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_neighbourhood_is_no_secret_and_the_rest_may_be() {
        for (url, host) in [
            ("https://chat.example.org/T0/B0/secret", "chat.example.org"),
            ("https://user:secret@chat.example.org:8443?key=secret", "chat.example.org:8443"),
            ("http://chat.example.org#secret", "chat.example.org"),
            ("http://a@b:secret@chat.example.org/", "chat.example.org"),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
