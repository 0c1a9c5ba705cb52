//! Feeds of notices: RSS 2.0 and Atom (RFC 4287).

use crate::{Notice, escape::markup, html_fragment};
use jiff::Timestamp;
use std::fmt::Write as _;

/// What a feed says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed<'a> {
    /// Its title.
    pub title: &'a str,
    /// The address of the notices' pages; a notice's own is this, a slash, and its number.
    pub pages: &'a str,
    /// The feed's own address.
    pub address: &'a str,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Feed<'_> {
    fn page(&self, notice: &Notice) -> String {
        format!("{}/{}", self.pages.trim_end_matches('/'), notice.number)
    }
}

/// RSS 2.0, with the notices in the given order. An item's identifier is the address of its page, and so changes with the revision.
pub fn rss(feed: &Feed<'_>, notices: &[Notice]) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\">\n<channel>\n\
         <title>{0}</title>\n<link>{1}</link>\n<description>{0}</description>\n<lastBuildDate>{2}</lastBuildDate>\n\
         <atom:link href=\"{3}\" rel=\"self\" type=\"application/rss+xml\"/>\n",
        markup(feed.title),
        markup(feed.pages),
        rfc2822(feed.updated),
        markup(feed.address),
    );
    for notice in notices {
        let page = markup(&feed.page(notice));
        let _ = write!(
            xml,
            "<item>\n<title>{}: {}</title>\n<link>{page}</link>\n<guid isPermaLink=\"true\">{page}</guid>\n<pubDate>{}</pubDate>\n\
             <description>{}</description>\n</item>\n",
            notice.number,
            markup(&notice.title),
            rfc2822(notice.published),
            markup(&html_fragment(notice)),
        );
    }
    xml.push_str("</channel>\n</rss>\n");
    xml
}

/// Atom, with the notices in the given order. An entry's identifier is that of its notice without the revision, so that a revision
/// replaces it in readers.
pub fn atom(feed: &Feed<'_>, notices: &[Notice]) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n<title>{}</title>\n<id>{1}</id>\n\
         <link rel=\"self\" href=\"{1}\"/>\n<link href=\"{2}\"/>\n<updated>{3}</updated>\n<author><name>{0}</name></author>\n",
        markup(feed.title),
        markup(feed.address),
        markup(feed.pages),
        feed.updated,
    );
    for notice in notices {
        let page = markup(&feed.page(notice));
        let _ = write!(
            xml,
            "<entry>\n<title>{}: {}</title>\n<id>{}/LSN-{:04}</id>\n<link href=\"{page}\"/>\n<published>{}</published>\n\
             <updated>{}T00:00:00Z</updated>\n<summary>{}</summary>\n<content type=\"html\">{}</content>\n</entry>\n",
            notice.number,
            markup(&notice.title),
            markup(feed.pages.trim_end_matches('/')),
            notice.number.number,
            notice.published,
            notice.updated(),
            markup(&notice.summary),
            markup(&html_fragment(notice)),
        );
    }
    xml.push_str("</feed>\n");
    xml
}

fn rfc2822(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
