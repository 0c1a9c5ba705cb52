//! What all pages share: head, navigation, who is signed in, and words about what was just done.

use crate::{Seconds, assets, moment, paths, words};
use livepatch_api::Role;
use maud::{DOCTYPE, Markup, html};

/// Scripts, styles, pictures and requests of our own only; no frames, no plug-ins, nothing inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the browser says.
    #[default]
    System,
    /// Light in any case.
    Light,
    /// Dark in any case.
    Dark,
}

/// What every page of somebody who is signed in shares.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Who, as the audit log names them.
    pub who: String,
    /// What they may do.
    pub role: Role,
    /// Whether they hold `admin.key`: they may be alone on the site.
    pub is_master: bool,
    /// Goes with every form: nobody who does not read our pages knows it.
    pub csrf: String,
    /// The colours.
    pub theme: Theme,
    /// When the page is made.
    pub now: Seconds,
    /// The page's own path with its query.
    pub here: String,
    /// What was just done.
    pub done: Option<Done>,
}

/// What a form did, told on the page that comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the words say it
pub enum Done {
    Halted,
    HaltedBefore,
    Resumed,
    Withdrawn,
    WithdrawnBefore,
    TokenRevoked,
    KeyRevoked,
    MachineRevoked,
    Promoted,
    Rated,
    Refused,
    NoticeBegun,
    NoticeSaved,
    NoticeReviewed,
    NoticePublished,
    UserMade,
    PasswordSet,
    UserRemoved,
    UpstreamAdded,
    UpstreamRemoved,
    HookRemoved,
}

/// The parts of the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Machines,
    Rollouts,
    Livepatches,
    Cves,
    Notices,
    Simulator,
    Tokens,
    Upstreams,
    Hooks,
    Users,
    Keys,
    Audit,
}

const PLACES: [(Place, &str, &str); 13] = [
    (Place::Overview, paths::ROOT, words::OVERVIEW),
    (Place::Machines, paths::MACHINES, words::MACHINES),
    (Place::Rollouts, paths::ROLLOUTS, words::ROLLOUTS),
    (Place::Livepatches, paths::LIVEPATCHES, words::LIVEPATCHES),
    (Place::Cves, paths::CVES, words::CVES),
    (Place::Notices, paths::NOTICES, words::NOTICES),
    (Place::Simulator, paths::SIMULATOR, words::SIMULATOR),
    (Place::Tokens, paths::TOKENS, words::TOKENS),
    (Place::Upstreams, paths::UPSTREAMS, words::UPSTREAMS),
    (Place::Hooks, paths::HOOKS, words::HOOKS),
    (Place::Users, paths::USERS, words::USERS),
    (Place::Keys, paths::KEYS, words::KEYS),
    (Place::Audit, paths::AUDIT, words::AUDIT),
];

impl Theme {
    /// As it is written in the cookie and in the form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of that name; as the browser says for any other word.
    pub fn of(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

impl Done {
    const ALL: [Self; 21] = [
        Self::Halted,
        Self::HaltedBefore,
        Self::Resumed,
        Self::Withdrawn,
        Self::WithdrawnBefore,
        Self::TokenRevoked,
        Self::KeyRevoked,
        Self::MachineRevoked,
        Self::Promoted,
        Self::Rated,
        Self::Refused,
        Self::NoticeBegun,
        Self::NoticeSaved,
        Self::NoticeReviewed,
        Self::NoticePublished,
        Self::UserMade,
        Self::PasswordSet,
        Self::UserRemoved,
        Self::UpstreamAdded,
        Self::UpstreamRemoved,
        Self::HookRemoved,
    ];

    /// As it stands in an address: `?done=WORD`. The words for people stay here, so that an address cannot bring its own.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Halted => "halted",
            Self::HaltedBefore => "halted-before",
            Self::Resumed => "resumed",
            Self::Withdrawn => "withdrawn",
            Self::WithdrawnBefore => "withdrawn-before",
            Self::TokenRevoked => "token-revoked",
            Self::KeyRevoked => "key-revoked",
            Self::MachineRevoked => "machine-revoked",
            Self::Promoted => "promoted",
            Self::Rated => "rated",
            Self::Refused => "refused",
            Self::NoticeBegun => "notice-begun",
            Self::NoticeSaved => "notice-saved",
            Self::NoticeReviewed => "notice-reviewed",
            Self::NoticePublished => "notice-published",
            Self::UserMade => "user-made",
            Self::PasswordSet => "password-set",
            Self::UserRemoved => "user-removed",
            Self::UpstreamAdded => "upstream-added",
            Self::UpstreamRemoved => "upstream-removed",
            Self::HookRemoved => "hook-removed",
        }
    }

    /// What the word means.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.as_str() == word)
    }
}

impl Frame {
    /// Whether the role is enough for a button to be there. The server asks again when it is pressed.
    pub(crate) fn may(&self, needed: Role) -> bool {
        self.role >= needed
    }

    /// The hidden field of every form.
    pub(crate) fn csrf_field(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }
}

/// A whole page.
pub(crate) fn page(frame: &Frame, place: Place, title: &str, body: &Markup) -> String {
    let main = html! {
        header.top {
            a.skip href="#main" { (words::SKIP) }
            a.brand href=(paths::ROOT) { (words::PRODUCT) }
            form.search role="search" action=(paths::MACHINES) method="get" {
                label.hidden for="search" { (words::SEARCH) }
                input #search type="search" name="q" placeholder=(words::SEARCH) aria-keyshortcuts="/" autocomplete="off";
            }
            div.who {
                span { (frame.who) " " span.role { (frame.role.as_str()) } }
                form action=(paths::LOGOUT) method="post" {
                    (frame.csrf_field())
                    button.plain type="submit" { (words::SIGN_OUT) }
                }
            }
        }
        nav.places aria-label=(words::NAVIGATION) {
            ul {
                @for (each, address, word) in PLACES {
                    @if !matches!(each, Place::Users | Place::Keys) || frame.may(Role::Admin) {
                        li { a href=(address) aria-current=[(each == place).then_some("page")] { (word) } }
                    }
                }
            }
        }
        main #main tabindex="-1" {
            @if let Some(done) = frame.done {
                p.notice role="status" { (words::done(done)) }
            }
            h1 { (title) }
            (body)
        }
        (footer(frame))
    };
    document(title, frame.theme, &main)
}

fn footer(frame: &Frame) -> Markup {
    html! {
        footer {
            p #age data-made=(frame.now) data-stale=(words::STALE) data-cut=(words::CUT) {
                (words::AS_OF) " " time datetime=(moment::rfc3339(frame.now)) { (moment::text(frame.now)) } ". "
                a href=(frame.here) { (words::RELOAD) }
            }
            form action=(paths::THEME) method="post" {
                (frame.csrf_field())
                input type="hidden" name="back" value=(frame.here);
                span #colours { (words::COLOURS) } " "
                @for (theme, word) in [(Theme::System, words::AS_SYSTEM), (Theme::Light, words::LIGHT), (Theme::Dark, words::DARK)] {
                    button.plain type="submit" name="theme" value=(theme.as_str()) aria-describedby="colours"
                        aria-pressed=(if theme == frame.theme { "true" } else { "false" }) { (word) }
                }
            }
        }
    }
}

/// The outermost part: also of pages for people who are not signed in.
pub(crate) fn document(title: &str, theme: Theme, main: &Markup) -> String {
    document_leading_to(title, theme, main, None)
}

/// The same; with a target, the browser goes there by itself.
pub(crate) fn document_leading_to(title: &str, theme: Theme, main: &Markup, target: Option<&str>) -> String {
    let forced = (theme != Theme::System).then_some(theme.as_str());
    let whole = html! {
        (DOCTYPE)
        html lang=(words::LANGUAGE) data-theme=[forced] {
            head {
                meta charset="utf-8";
                title { (title) " – " (words::PRODUCT) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(target) = target { meta http-equiv="refresh" content={ "0; url=" (target) }; }
                link rel="icon" href=(*assets::ICON_ADDRESS);
                link rel="stylesheet" href=(*assets::STYLE_ADDRESS);
                script src=(*assets::SCRIPT_ADDRESS) defer {}
            }
            body { (main) }
        }
    };
    whole.into_string()
}

/// The page of a refusal: what is wrong, and what to do next.
pub fn refusal(theme: Theme, title: &str, message: &str) -> String {
    let main = html! {
        main #main.alone {
            h1 { (title) }
            p { (message) }
            p { a href=(paths::ROOT) { (words::TO_OVERVIEW) } }
        }
    };
    document(title, theme, &main)
}

/// A command to copy. The script puts a button beside it.
pub(crate) fn command(text: &str) -> Markup {
    html! { pre.command data-copy=(words::COPY) data-copied=(words::COPIED) tabindex="0" { code { (text) } } }
}

/// A number that leads to the list behind it.
pub(crate) fn figure(number: &str, word: &str, address: &str, class: &str) -> Markup {
    html! { a class={ "figure " (class) } href=(address) { span.value { (number) } " " span.label { (word) } } }
}
