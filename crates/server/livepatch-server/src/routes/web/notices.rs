//! The desk where notices are written.

use super::{
    WebRefusal, export, redirect,
    session::{Person, Posted},
};
use crate::{
    clock,
    notices::{Desk, parse_number, read, seen, unknown},
    refusal::Refusal,
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    response::{Html, Response},
};
use livepatch_api::{NoticeDraft, Role};
use livepatch_dashboard::{self as dashboard, Channel, Done, NoticeDesk, NoticeList, NoticeRow, paths};
use livepatch_manifest::Digest;
use livepatch_store::StoredNotice;
use std::sync::Arc;

/// Notices in the list and in a file.
const MOST: u32 = 200;

/// What the list's address says.
#[derive(serde::Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    cves: String,
}

async fn rows(site: &Site) -> Result<Vec<NoticeRow>, Refusal> {
    let stored = site.database.store().await?.notices(false, u32::MAX, MOST).await?;
    let row = |one: &StoredNotice| {
        let notice = read(one)?;
        Ok(NoticeRow {
            number: notice.number.to_string(),
            is_alert: notice.is_alert(),
            title: notice.title,
            state: one.state,
            author: one.author.clone(),
            reviewer: one.reviewer.clone(),
            published: one.published.map(clock::text),
        })
    };
    stored.iter().map(row).collect()
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(Wanted { cves }): Query<Wanted>,
) -> Result<Html<String>, WebRefusal> {
    let notices = rows(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::notices(&person.frame(), &NoticeList { notices, cves })))
}

pub(super) async fn csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = rows(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::notice_table(&all, clock::seconds())))
}

pub(super) async fn json(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = rows(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::notice_table(&all, clock::seconds())))
}

/// What a notice's address says.
#[derive(serde::Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    channel: String,
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(number): Path<String>,
    Query(Shown { channel }): Query<Shown>,
) -> Result<Html<String>, WebRefusal> {
    let gathered = async {
        let store = site.database.store().await?;
        let stored = stored(&site, &number).await?;
        let desk = Desk { site: &site, store, actor: &person.actor, seen: None };
        Ok::<_, Refusal>(NoticeDesk {
            view: desk.view(&stored).await?,
            notice: read(&stored)?,
            seen: seen(&stored).to_string(),
            channel: Channel::of(&channel),
            url: site.settings.public_url(),
        })
    };
    let desk = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::notice(&person.frame(), &desk)))
}

/// The revision that is named, or the newest one.
async fn stored(site: &Site, text: &str) -> Result<StoredNotice, Refusal> {
    let store = site.database.store().await?;
    let (number, revision) = parse_number(text)?;
    let stored = match revision {
        Some(revision) => store.notice(number, revision).await?,
        None => store.newest_revision(number).await?,
    };
    stored.ok_or_else(|| unknown(text))
}

pub(super) async fn begin(State(site): State<Arc<Site>>, posted: Posted) -> Result<Response, WebRefusal> {
    let between = |c: char| c.is_whitespace() || c == ',';
    let cves = posted.field("cves").split(between).filter(|word| !word.is_empty());
    let request = NoticeDraft { cves: cves.map(str::to_owned).collect(), ..NoticeDraft::default() };
    act(&site, &posted, Role::Operator, Done::NoticeBegun, async |desk| desk.begin(&request).await).await
}

pub(super) async fn revise(
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let (number, _) = parse_number(&number).map_err(|refusal| posted.person.refuse(refusal))?;
    let request = NoticeDraft {
        revise: Some(format!("LSN-{number:04}")),
        note: Some(posted.field("note").to_owned()),
        ..NoticeDraft::default()
    };
    act(&site, &posted, Role::Operator, Done::NoticeBegun, async |desk| desk.begin(&request).await).await
}

pub(super) async fn edit(
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let work = async |desk: &Desk<'_>| {
        let before = read(&stored(&site, &number).await?)?;
        let after = dashboard::edited(&before, |name| posted.field(name).to_owned());
        let text = serde_json::to_value(&after).map_err(|error| Refusal::internal(&error))?;
        desk.edit(&number, &text).await
    };
    act(&site, &posted, Role::Operator, Done::NoticeSaved, work).await
}

pub(super) async fn review(
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    act(&site, &posted, Role::Operator, Done::NoticeReviewed, async |desk| desk.review(&number).await).await
}

pub(super) async fn publish(
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    act(&site, &posted, Role::Releaser, Done::NoticePublished, async |desk| desk.publish(&number).await).await
}

/// Does something at the desk for somebody of the role, who saw the text that the form names; then shows the notice.
async fn act(
    site: &Arc<Site>,
    posted: &Posted,
    needed: Role,
    done: Done,
    work: impl AsyncFnOnce(&Desk<'_>) -> Result<StoredNotice, Refusal>,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(needed)?;
    let worked = async {
        let seen = Some(posted.field("seen")).filter(|seen| !seen.is_empty()).map(str::parse::<Digest>);
        let seen = seen.transpose().map_err(|_| Refusal::invalid("'seen' is not of one of our pages"))?;
        let store = site.database.store().await?;
        let after = work(&Desk { site, store, actor: &person.actor, seen }).await?;
        Ok::<_, Refusal>(read(&after)?.number.to_string())
    };
    let number = worked.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::one(paths::NOTICES, &number), done.as_str())))
}
