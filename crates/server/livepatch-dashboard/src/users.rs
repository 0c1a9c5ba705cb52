//! Users with passwords.

use crate::{
    Cell, Column, Frame, Seconds, Table, Tone,
    administration::name_and_role,
    frame::{Place, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::UserSummary;
use maud::{Markup, html};

/// Users.
pub fn users(frame: &Frame, all: &[UserSummary]) -> String {
    let body = html! {
        p { (words::USERS_MEANING) }
        @if all.is_empty() {
            p.empty { (words::NO_USERS) }
        } @else {
            (user_table(all, frame.now, true).to_html())
        }
        section {
            h2 { (words::NEW_USER) }
            form.stacked action=(paths::USERS) method="post" {
                (frame.csrf_field())
                (name_and_role())
                (password())
                div.buttons { button type="submit" { (words::MAKE_USER) } }
            }
        }
    };
    page(frame, Place::Users, words::USERS, &body)
}

/// The users as a table.
pub fn user_table(all: &[UserSummary], now: Seconds, may_act: bool) -> Table {
    let rows = all.iter().map(|user| {
        let used = match &user.used {
            Some(used) => Cell::shown(used.clone(), moment::moment_of(used, now)),
            None => Cell::none(),
        };
        let locked = match &user.locked_until {
            Some(until) => Cell::shown(
                until.clone(),
                html! { (badge(words::LOCKED, Tone::Warn)) " " (moment::moment_of(until, now)) },
            ),
            None => Cell::none(),
        };
        let address = paths::one(paths::USERS, &user.name);
        let acts = html! {
            a.button href={ (address) "/password" } { (words::PASSWORD) } " "
            a.button href={ (address) "/remove" } { (words::REMOVE) }
        };
        vec![
            Cell::text(&user.name),
            Cell::text(user.role.as_str()),
            used,
            locked,
            if may_act { Cell::shown(serde_json::Value::Null, acts) } else { Cell::none() },
        ]
    });
    Table {
        caption: words::USERS.to_owned(),
        columns: vec![
            Column::text("name", words::NAME),
            Column::text("role", words::ROLE),
            Column::text("used", words::LAST_SIGNED_IN),
            Column::text("locked_until", words::LOCKED_OUT),
            Column::text("act", words::ACT),
        ],
        rows: rows.collect(),
        export: Some((paths::USERS.to_owned(), String::new())),
    }
}

/// Asks for another password of a user.
pub fn set_password(frame: &Frame, name: &str) -> String {
    let body = html! {
        p { (words::SET_PASSWORD_MEANING) }
        form.stacked action={ (paths::one(paths::USERS, name)) "/password" } method="post" {
            (frame.csrf_field())
            (password())
            div.buttons {
                button type="submit" { (words::SET_PASSWORD) }
                a.button href=(paths::USERS) { (words::NO) }
            }
        }
    };
    page(frame, Place::Users, &words::password_of(name), &body)
}

fn password() -> Markup {
    html! {
        label for="password" { (words::PASSWORD) }
        input #password type="password" name="password" required minlength="12" maxlength="256" autocomplete="new-password" aria-describedby="password-hint";
        p #password-hint.hint { (words::PASSWORD_HINT) }
    }
}
