//! Notices: the operator's desk, and what everybody reads, on every channel.

use super::extract::{Document, Operator, Parameters, Releaser, Segment, Viewer};
use crate::{
    clock, cves,
    notices::{self, Desk},
    openapi::{Atom, Calendar, Created, File, Html, Rss},
    post,
    refusal::Refusal,
    secret::Secret,
    site::Site,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
};
use jiff::Timestamp;
use livepatch_api::{NoticeDraft, NoticePage, NoticeState, NoticeView, SubscriberRequest};
use livepatch_cve::catalogue::Matrix;
use livepatch_notice::{Feed, Notice, Publisher, atom, csaf, openvex, osv, rss};
use livepatch_store::Store;
use std::sync::Arc;

/// Notices on a page and in a feed.
const PAGE: u32 = 50;
const MOST: u32 = 500;

/// Begins a notice or a revision.
pub(crate) async fn draft(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Document(request): Document<NoticeDraft>,
) -> Result<Created<NoticeView>, Refusal> {
    let store = site.database.store().await?;
    let desk = Desk { site: &site, store, actor: &actor, seen: None };
    let stored = desk.begin(&request).await?;
    Ok(Created(desk.view(&stored).await?))
}

/// Every notice's newest revision, newest notice first.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Viewer(actor): Viewer,
) -> Result<Json<Vec<NoticeView>>, Refusal> {
    let store = site.database.store().await?;
    let desk = Desk { site: &site, store, actor: &actor, seen: None };
    let mut views = Vec::new();
    for stored in store.notices(false, u32::MAX, MOST).await? {
        views.push(desk.view(&stored).await?);
    }
    Ok(Json(views))
}

/// One notice as operators see it.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Viewer(actor): Viewer,
    Segment(number): Segment<String>,
) -> Result<Json<NoticeView>, Refusal> {
    let store = site.database.store().await?;
    let (number, revision) = notices::parse_number(&number)?;
    let stored = match revision {
        Some(revision) => store.notice(number, revision).await?,
        None => store.newest_revision(number).await?,
    };
    let stored = stored.ok_or_else(|| notices::unknown(&format!("LSN-{number:04}")))?;
    Ok(Json(Desk { site: &site, store, actor: &actor, seen: None }.view(&stored).await?))
}

/// Another text.
pub(crate) async fn edit(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(number): Segment<String>,
    Document(text): Document<serde_json::Value>,
) -> Result<Json<NoticeView>, Refusal> {
    let store = site.database.store().await?;
    let desk = Desk { site: &site, store, actor: &actor, seen: None };
    Ok(Json(desk.view(&desk.edit(&number, &text).await?).await?))
}

/// Somebody has read it.
pub(crate) async fn review(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(number): Segment<String>,
) -> Result<Json<NoticeView>, Refusal> {
    let store = site.database.store().await?;
    let desk = Desk { site: &site, store, actor: &actor, seen: None };
    Ok(Json(desk.view(&desk.review(&number).await?).await?))
}

/// Everybody may read it.
pub(crate) async fn publish(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment(number): Segment<String>,
) -> Result<Json<NoticeView>, Refusal> {
    let store = site.database.store().await?;
    let desk = Desk { site: &site, store, actor: &actor, seen: None };
    Ok(Json(desk.view(&desk.publish(&number).await?).await?))
}

/// Puts an address on the mailing list. The operator vouches that its owner wants that.
pub(crate) async fn subscribe(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Document(request): Document<SubscriberRequest>,
) -> Result<Json<Vec<String>>, Refusal> {
    if !post::is_address(&request.address) {
        return Err(Refusal::invalid("this is no mail address, such as reader@example.org"));
    }
    let store = site.database.store().await?;
    let token = Secret::generate()?;
    let now = clock::seconds();
    store.subscribe(&request.address, token.reveal(), now).await?;
    store.record_act(&actor.name, "subscribe", &request.address, "", now).await?;
    Ok(Json(store.subscribers().await?))
}

/// Who is on the list.
pub(crate) async fn subscribers(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<String>>, Refusal> {
    Ok(Json(site.database.store().await?.subscribers().await?))
}

/// The page behind the link in a mail: a button, since mail filters open links by themselves (RFC 8058, 1).
pub(crate) async fn unsubscribe_page(Segment(_token): Segment<String>) -> File<Html> {
    let body = "<h1>No more notices</h1>\n<form method=\"post\">\n\
        <p>Press the button, and no more notices are sent to your address.</p>\n\
        <p><button type=\"submit\">Take me off the list</button></p>\n</form>\n";
    html(&notices::whole("No more notices", body))
}

/// Takes the holder of the token off the list: the button, or a mail program's one click.
pub(crate) async fn unsubscribe(
    State(site): State<Arc<Site>>,
    Segment(token): Segment<String>,
) -> Result<File<Html>, Refusal> {
    if !site.database.store().await?.unsubscribe(&token, clock::seconds()).await? {
        return Err(notices::unknown("subscription"));
    }
    let body = "<h1>Done</h1>\n<p>No more notices are sent to your address.</p>\n";
    Ok(html(&notices::whole("Done", body)))
}

/// Where a page begins: notices with numbers below.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Cursor {
    /// What the page before named as `next`.
    cursor: Option<u32>,
    /// Notices on the page, 50 by default.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

/// Published notices, newest first.
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    Parameters(query): Parameters<Cursor>,
) -> Result<Json<NoticePage>, Refusal> {
    let (found, next) = published(&site, &query).await?;
    let notices = found.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    let notices = notices.map_err(|error| Refusal::internal(&error))?;
    Ok(Json(NoticePage { notices, next: next.map(|next| next.to_string()) }))
}

/// The list for people.
pub(crate) async fn index(
    State(site): State<Arc<Site>>,
    Parameters(query): Parameters<Cursor>,
) -> Result<File<Html>, Refusal> {
    let (found, next) = published(&site, &query).await?;
    Ok(html(&notices::index(&found, next)))
}

/// One notice for people.
pub(crate) async fn html_page(
    State(site): State<Arc<Site>>,
    Segment(number): Segment<String>,
) -> Result<File<Html>, Refusal> {
    Ok(html(&notices::page(&one(site.database.store().await?, &number).await?)))
}

/// One notice as JSON.
pub(crate) async fn json(
    State(site): State<Arc<Site>>,
    Segment(number): Segment<String>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let notice = one(site.database.store().await?, &number).await?;
    Ok(Json(serde_json::to_value(notice).map_err(|error| Refusal::internal(&error))?))
}

/// One notice in a form that scanners read.
pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    Segment((number, form)): Segment<(String, String)>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let notice = one(site.database.store().await?, &number).await?;
    let url = site.settings.public_url();
    let publisher = Publisher { name: "Livepatch service", namespace: &url };
    Ok(Json(match form.as_str() {
        "osv" => osv(&notice),
        "csaf" => csaf(&notice, &publisher),
        "openvex" => openvex(&notice, &publisher),
        _ => {
            return Err(Refusal::new(
                livepatch_api::ErrorCode::NotFound,
                "a notice has the forms osv, csaf and openvex",
            ));
        }
    }))
}

/// RSS 2.0.
pub(crate) async fn rss_feed(State(site): State<Arc<Site>>) -> Result<File<Rss>, Refusal> {
    Ok(File::new(feed(&site, "rss", rss).await?))
}

/// Atom.
pub(crate) async fn atom_feed(State(site): State<Arc<Site>>) -> Result<File<Atom>, Refusal> {
    Ok(File::new(feed(&site, "atom", atom).await?))
}

async fn feed(
    site: &Arc<Site>,
    ending: &str,
    write: fn(&Feed<'_>, &[Notice]) -> String,
) -> Result<String, Refusal> {
    let found = site.database.store().await?.notices(true, u32::MAX, PAGE).await?;
    let changed = found.iter().filter_map(|stored| stored.published).max().unwrap_or_default();
    let list: Vec<Notice> = found.iter().map(notices::read).collect::<Result<_, _>>()?;
    let url = site.settings.public_url();
    let feed = Feed {
        title: "Livepatch Security Notices",
        pages: &format!("{url}/notices"),
        address: &format!("{url}/notices.{ending}"),
        updated: Timestamp::from_second(changed).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    Ok(write(&feed, &list))
}

/// The last days of kernels, of every matrix of the catalogue, as a calendar.
pub(crate) async fn calendar(
    State(site): State<Arc<Site>>,
    Parameters(wish): Parameters<CalendarWish>,
) -> Result<File<Calendar>, Refusal> {
    let catalogue = cves::catalogue(&site).await?;
    let newest = || {
        catalogue.matrices.iter().rev().find(|one| catalogue.windows().any(|(of, ..)| of.name == one.name))
    };
    let matrix = match &wish.matrix {
        Some(name) => catalogue.matrix(name),
        None => newest(),
    };
    let name = matrix.map(|matrix: &Matrix| matrix.name.clone()).ok_or_else(|| {
        Refusal::new(
            livepatch_api::ErrorCode::NotFound,
            "the kernel catalogue has no such matrix with builds",
        )
    })?;
    let now = Timestamp::from_second(clock::seconds()).unwrap_or(Timestamp::UNIX_EPOCH);
    let url = site.settings.public_url();
    let host = url.split("://").last().unwrap_or_default();
    Ok(File::new(catalogue.calendar(&name, now, host)))
}

/// Which matrix.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct CalendarWish {
    /// A matrix of the kernel catalogue; the newest by default.
    matrix: Option<String>,
}

async fn published(site: &Arc<Site>, query: &Cursor) -> Result<(Vec<Notice>, Option<u32>), Refusal> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MOST).contains(&limit) {
        return Err(Refusal::invalid(format!("limit must be from 1 to {MOST}")));
    }
    let before = query.cursor.unwrap_or(u32::MAX);
    let mut found = site.database.store().await?.notices(true, before, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.number);
    Ok((found.iter().map(notices::read).collect::<Result<_, _>>()?, next))
}

/// A published notice: this revision, or the newest published one.
async fn one(store: &Store, text: &str) -> Result<Notice, Refusal> {
    let (number, revision) = notices::parse_number(text)?;
    let stored = match revision {
        Some(revision) => store.notice(number, revision).await?,
        None => {
            store.notices(true, number.saturating_add(1), 1).await?.pop().filter(|one| one.number == number)
        }
    };
    let stored = stored.filter(|stored| stored.state == NoticeState::Published);
    notices::read(&stored.ok_or_else(|| notices::unknown(text))?)
}

/// A page that may load nothing and run nothing.
fn html(text: &str) -> File<Html> {
    const POLICY: HeaderValue = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    File::new(text.to_owned()).with([
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ])
}
