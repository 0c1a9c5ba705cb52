//! The pages that everybody reads: a list, and a page a notice. No script; nothing from another host.

use livepatch_notice::{Kind, Notice, html_fragment, markup};

/// Readable in light and dark, on paper and on a telephone; contrasts are those of WCAG AA or better.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--line:#8a8a8a;--link:#0645ad;--alert:#7a1500;--head:#f2f2f2}\
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#161616;--line:#8a8a8a;--link:#8ab4f8;--alert:#ffb4a0;--head:#262626}}\
*{box-sizing:border-box}body{margin:0 auto;padding:1rem;max-width:60rem;font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}\
a{color:var(--link)}a:focus-visible{outline:3px solid var(--link);outline-offset:2px}\
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}caption{text-align:left;padding:.25rem 0}\
th,td{border:1px solid var(--line);padding:.35rem .6rem;text-align:left;vertical-align:top;overflow-wrap:break-word}thead{background:var(--head)}\
td>a,time{white-space:nowrap}\
@media(max-width:40rem){table,caption,tbody,tr,td{display:block}thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}\
tr{border:1px solid var(--line);margin-bottom:1rem;padding:.35rem 0}td{display:flex;border:0;overflow-wrap:anywhere}\
td::before{content:attr(data-column);flex:0 0 9rem;font-weight:600}}\
dt{font-weight:600;margin-top:1rem}dd{margin:0 0 0 1rem}.alert{border-left:.35rem solid var(--alert);padding-left:1rem}.alert h2{color:var(--alert)}\
.priority{font-weight:400;border:1px solid var(--line);border-radius:.3rem;padding:0 .4rem}code{overflow-wrap:anywhere}";

/// The other pages for readers.
const PLACES: &str = "\
<nav aria-label=\"Pages\"><a href=\"/notices\">Notices</a> · <a href=\"/cves\">CVEs</a> · \
<a href=\"/not-livepatchable\">Not livepatchable</a> · <a href=\"/clock\">Clock</a> · <a href=\"/kernels\">Kernels</a></nav>\n";

/// A notice's page.
pub(crate) fn page(notice: &Notice) -> String {
    let number = notice.number;
    let links = format!(
        "<p>As data: <a href=\"/v1/notices/{number}\">JSON</a>, <a href=\"/v1/notices/{number}/osv\">OSV</a>, \
         <a href=\"/v1/notices/{number}/csaf\">CSAF</a>, <a href=\"/v1/notices/{number}/openvex\">OpenVEX</a>. \
         <a href=\"/notices\">All notices</a></p>\n"
    );
    whole(&format!("{number}: {}", notice.title), &format!("{}{links}", html_fragment(notice)))
}

/// The list of notices; `older`: the cursor of the next page.
pub(crate) fn index(notices: &[Notice], older: Option<u32>) -> String {
    let mut body = "<h1>Livepatch Security Notices</h1>\n\
        <p>Also as <a href=\"/notices.atom\">Atom</a> and <a href=\"/notices.rss\">RSS</a> feed, and as \
        <a href=\"/v1/notices\">JSON</a>; <a href=\"/kernels.ics\">the last days of kernels</a> as a calendar.</p>\n"
        .to_owned();
    if notices.is_empty() {
        body.push_str("<p>No notice was published yet.</p>\n");
    } else {
        body.push_str(
            "<table>\n<caption>Newest first</caption>\n<thead><tr><th scope=\"col\">Notice</th>\
             <th scope=\"col\">Date</th><th scope=\"col\">What</th></tr></thead>\n<tbody>\n",
        );
        for notice in notices {
            let kind = match &notice.kind {
                Kind::Alert(alert) => format!("{}. ", alert.headline()),
                Kind::Livepatch => String::new(),
            };
            body.push_str(&format!(
                "<tr><td data-column=\"Notice\"><a href=\"/notices/{0}\">{0}</a></td>\
                 <td data-column=\"Date\"><time>{1}</time></td><td data-column=\"What\">{kind}{2}</td></tr>\n",
                notice.number,
                notice.updated(),
                markup(&notice.summary)
            ));
        }
        body.push_str("</tbody>\n</table>\n");
    }
    if let Some(cursor) = older {
        body.push_str(&format!("<p><a href=\"/notices?cursor={cursor}\">Older notices</a></p>\n"));
    }
    whole("Livepatch Security Notices", &body)
}

/// A page of its own around a body that is safe already.
pub(crate) fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <link rel=\"alternate\" type=\"application/atom+xml\" title=\"Notices\" href=\"/notices.atom\">\n\
         <link rel=\"alternate\" type=\"application/rss+xml\" title=\"Notices\" href=\"/notices.rss\">\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{PLACES}<main>\n{body}</main>\n</body>\n</html>\n",
        markup(title)
    )
}
