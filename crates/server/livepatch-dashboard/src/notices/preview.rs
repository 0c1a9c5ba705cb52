//! A notice as each channel will carry it, before it is published.

use super::NoticeDesk;
use crate::{paths, words};
use livepatch_api::paths as public;
use livepatch_notice::{Feed, Notice, Publisher, atom, csaf, html_fragment, mail, openvex, osv, rss};
use maud::{Markup, PreEscaped, html};

/// A way by which readers get a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the words say it
pub enum Channel {
    #[default]
    Page,
    Mail,
    Rss,
    Atom,
    Json,
    Osv,
    Csaf,
    OpenVex,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Page, Self::Mail, Self::Rss, Self::Atom, Self::Json, Self::Osv, Self::Csaf, Self::OpenVex];

    /// As it stands in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Mail => "mail",
            Self::Rss => "rss",
            Self::Atom => "atom",
            Self::Json => "json",
            Self::Osv => "osv",
            Self::Csaf => "csaf",
            Self::OpenVex => "openvex",
        }
    }

    /// The channel of that name; the page for any other word.
    pub fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word).unwrap_or_default()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Page => "Page",
            Self::Mail => "Mail",
            Self::Rss => "RSS",
            Self::Atom => "Atom",
            Self::Json => "JSON",
            Self::Osv => "OSV",
            Self::Csaf => "CSAF",
            Self::OpenVex => "OpenVEX",
        }
    }
}

pub(super) fn preview(desk: &NoticeDesk, address: &str) -> Markup {
    html! {
        nav.channels aria-label=(words::PREVIEW_CHANNELS) {
            ul {
                @for channel in Channel::ALL {
                    li {
                        a href={ (address) (paths::query(&[("channel", channel.as_str())])) "#preview" }
                            aria-current=[(channel == desk.channel).then_some("true")] { (channel.word()) }
                    }
                }
            }
        }
        (content(desk))
    }
}

fn content(desk: &NoticeDesk) -> Markup {
    let notice = &desk.notice;
    let publisher = Publisher { name: words::PUBLISHER, namespace: &desk.url };
    let document = |value: serde_json::Value| text(&serde_json::to_string_pretty(&value).unwrap_or_default());
    match desk.channel {
        // The one place where markup comes from elsewhere: livepatch-notice escapes every word in it, and readers get
        // the same bytes.
        Channel::Page => html! { div.preview { (PreEscaped(html_fragment(notice))) } },
        Channel::Mail => {
            let mail = mail(notice);
            text(&format!("{}: {}\n\n{}", words::SUBJECT, mail.subject, mail.text))
        }
        Channel::Rss => text(&feed(desk, "rss", rss)),
        Channel::Atom => text(&feed(desk, "atom", atom)),
        Channel::Json => document(serde_json::to_value(notice).unwrap_or_default()),
        Channel::Osv => document(osv(notice)),
        Channel::Csaf => document(csaf(notice, &publisher)),
        Channel::OpenVex => document(openvex(notice, &publisher)),
    }
}

fn feed(desk: &NoticeDesk, ending: &str, write: fn(&Feed<'_>, &[Notice]) -> String) -> String {
    let pages = format!("{}{}", desk.url, public::NOTICE_PAGES);
    let address = format!("{pages}.{ending}");
    let feed =
        Feed { title: words::NOTICE_FEED, pages: &pages, address: &address, updated: desk.notice.published };
    write(&feed, std::slice::from_ref(&desk.notice))
}

fn text(text: &str) -> Markup {
    html! { pre.preview tabindex="0" { (text) } }
}
