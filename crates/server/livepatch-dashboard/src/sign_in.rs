//! Before anybody is signed in.

use crate::{
    Theme,
    frame::{command, document},
    paths, words,
};
use maud::html;

/// The page that asks for a key; `wrong` says why it is shown again, `back` is the page that was asked for.
pub fn sign_in(theme: Theme, wrong: Option<&str>, back: &str) -> String {
    let main = html! {
        main #main.alone {
            h1 { (words::SIGN_IN_TO) }
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
            form action=(paths::LOGIN) method="post" {
                label for="key" { (words::API_KEY) }
                input #key type="password" name="key" required autocomplete="current-password" spellcheck="false";
                input type="hidden" name="back" value=(back);
                button type="submit" { (words::SIGN_IN) }
            }
            // A browser keeps the session's cookie to itself when a link on another site led here (SameSite=Strict).
            @if !back.is_empty() { p { a href=(back) { (words::SIGNED_IN_ALREADY) } } }
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
