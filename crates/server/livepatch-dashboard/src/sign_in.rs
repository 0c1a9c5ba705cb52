//! Before anybody is signed in.

use crate::{
    Theme,
    frame::{command, document, document_leading_to},
    paths, words,
};
use maud::html;

/// What the page that asks who is there offers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignIn<'a> {
    /// Why it is shown again.
    pub wrong: Option<&'a str>,
    /// The page that was asked for.
    pub back: &'a str,
    /// Whether there are users with passwords.
    pub users: bool,
    /// Whether there is an OpenID provider.
    pub openid: bool,
}

/// The page that asks who is there.
pub fn sign_in(theme: Theme, asked: &SignIn<'_>) -> String {
    let back = html! { input type="hidden" name="back" value=(asked.back); };
    let main = html! {
        main #main.alone {
            h1 { (words::SIGN_IN_TO) }
            @if let Some(wrong) = asked.wrong { p.notice.bad role="alert" { (wrong) } }
            @if asked.openid {
                p { a.button.openid href={ (paths::OPENID) (paths::query(&[("back", asked.back)])) } { (words::OPENID_SIGN_IN) } }
            }
            @if asked.users {
                form action=(paths::LOGIN) method="post" {
                    label for="name" { (words::NAME) }
                    input #name type="text" name="name" required autocomplete="username" spellcheck="false";
                    label for="password" { (words::PASSWORD) }
                    input #password type="password" name="password" required autocomplete="current-password";
                    (back)
                    button type="submit" { (words::SIGN_IN) }
                }
            }
            form action=(paths::LOGIN) method="post" {
                label for="key" { (words::API_KEY) }
                input #key type="password" name="key" required autocomplete="off" spellcheck="false";
                (back)
                button type="submit" { (words::SIGN_IN) }
            }
            // A browser keeps the session's cookie to itself when a link on another site led here (SameSite=Strict).
            @if !asked.back.is_empty() { p { a href=(asked.back) { (words::SIGNED_IN_ALREADY) } } }
            h2 { (words::NO_KEY) }
            p { (words::NO_KEY_ADVICE) }
            (command(words::LOGIN_COMMAND))
        }
    };
    document(words::SIGN_IN, theme, &main)
}

/// The page behind a one-time address. A person presses the button: programs that look at links in messages do not.
pub fn use_login(theme: Theme, code: &str) -> String {
    let main = html! {
        main #main.alone {
            h1 { (words::SIGN_IN_TO) }
            p { (words::ONE_TIME) }
            form action=(paths::LOGIN) method="post" {
                input type="hidden" name="code" value=(code);
                button type="submit" autofocus { (words::SIGN_IN) }
            }
        }
    };
    document(words::SIGN_IN, theme, &main)
}

/// The page between another site that has vouched for somebody and the page that was asked for: it leads there by itself.
pub fn signed_in(theme: Theme, target: &str) -> String {
    let main = html! {
        main #main.alone {
            h1 { (words::SIGNED_IN) }
            p { a href=(target) { (words::GO_ON) } }
        }
    };
    document_leading_to(words::SIGNED_IN, theme, &main, Some(target))
}
