//! Draft, review, publication, revision: who may do what when.

use super::{Names, draft};
use crate::{clock, cves, refusal::Refusal, routes::Actor, site::Site};
use jiff::{Timestamp, tz::TimeZone};
use livepatch_api::{ErrorCode, NoticeDraft, NoticeState, NoticeView};
use livepatch_cve::CveId;
use livepatch_manifest::Digest;
use livepatch_notice::{LsnNumber, Notice, Revision};
use livepatch_store::{Store, StoredNotice};
use std::{collections::BTreeSet, sync::Arc};

/// Vulnerabilities of one notice.
const MOST_CVES: usize = 500;

/// Where notices are written.
pub(crate) struct Desk<'a> {
    pub(crate) site: &'a Arc<Site>,
    pub(crate) store: &'a Store,
    pub(crate) actor: &'a Actor,
    /// What the person had before the eyes, if they say so ([`seen`]): another text by now is not touched.
    pub(crate) seen: Option<Digest>,
}

impl Desk<'_> {
    /// A new notice, or the next revision of a published one.
    pub(crate) async fn begin(&self, request: &NoticeDraft) -> Result<StoredNotice, Refusal> {
        let notice = match &request.revise {
            Some(number) => self.revision(number, request.note.as_deref()).await?,
            None => self.new_notice(request).await?,
        };
        let stored = self.stored(&notice, NoticeState::Draft)?;
        if !self.store.add_notice(&stored).await? {
            return Err(Refusal::conflict(format!("{} was begun by somebody else just now", notice.number)));
        }
        self.note("notice-draft", notice.number, "").await?;
        Ok(stored)
    }

    async fn new_notice(&self, request: &NoticeDraft) -> Result<Notice, Refusal> {
        if !(1..=MOST_CVES).contains(&request.cves.len()) {
            return Err(Refusal::invalid(format!("a notice needs from 1 to {MOST_CVES} vulnerabilities")));
        }
        let cves: BTreeSet<CveId> = request
            .cves
            .iter()
            .map(|cve| cve.parse())
            .collect::<Result<_, _>>()
            .map_err(|error: livepatch_cve::CveIdError| Refusal::invalid(error.to_string()))?;
        let knowledge = cves::knowledge(self.site, self.store, None).await?;
        let names = Names { number: self.store.next_notice_number().await?, now: now() };
        self.site.cves.with(self.store, |register| draft(names, &cves, register, &knowledge)).await?.0
    }

    async fn revision(&self, number: &str, note: Option<&str>) -> Result<Notice, Refusal> {
        let newest = self.newest(number).await?;
        if newest.state != NoticeState::Published {
            return Err(Refusal::conflict(format!(
                "{} is not published yet: edit it instead",
                LsnNumber { number: newest.number, revision: newest.revision }
            )));
        }
        let note = note
            .filter(|note| !note.trim().is_empty())
            .ok_or_else(|| Refusal::invalid("a revision needs a note: readers are told what it changes"))?;
        let mut notice = read(&newest)?;
        notice.number.revision = notice.number.revision.saturating_add(1);
        notice.revisions.push(Revision {
            revision: notice.number.revision,
            date: TimeZone::UTC.to_datetime(now()).date(),
            note: note.to_owned(),
        });
        Ok(notice)
    }

    /// Another text for a notice that is not published; what was reviewed must be reviewed again.
    pub(crate) async fn edit(&self, number: &str, text: &serde_json::Value) -> Result<StoredNotice, Refusal> {
        let before = self.newest(number).await?;
        let notice: Notice = serde_json::from_value(text.clone())
            .map_err(|error| Refusal::invalid(format!("this is no notice: {error}")))?;
        let own = LsnNumber { number: before.number, revision: before.revision };
        if notice.number != own {
            return Err(Refusal::invalid(format!("this is {}, not {own}; the number stays", notice.number)));
        }
        let stored = self.stored(&notice, NoticeState::Draft)?;
        self.change(&before, stored, "notice-edit").await
    }

    /// Somebody else than the author has read it. The holder of `admin.key` may be alone on the site, and may do both.
    pub(crate) async fn review(&self, number: &str) -> Result<StoredNotice, Refusal> {
        let before = self.newest(number).await?;
        read(&before)?.check().map_err(|error| Refusal::conflict(error.to_string()))?;
        if before.author == self.actor.name && !self.actor.is_master() {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                format!("{} wrote it: somebody else must review it", before.author),
            ));
        }
        let reviewer = Some(self.actor.name.clone());
        let after = StoredNotice {
            state: NoticeState::Reviewed,
            reviewer,
            changed: clock::seconds(),
            ..before.clone()
        };
        self.change(&before, after, "notice-review").await
    }

    /// Brings a reviewed notice out, and queues its mails.
    pub(crate) async fn publish(&self, number: &str) -> Result<StoredNotice, Refusal> {
        let before = self.newest(number).await?;
        if before.state == NoticeState::Draft {
            return Err(Refusal::conflict("it was not reviewed as it is; livepatch-admin notice review"));
        }
        let mut notice = read(&before)?;
        let moment = now();
        if let Some(last) = notice.revisions.last_mut() {
            last.date = TimeZone::UTC.to_datetime(moment).date();
        }
        if notice.number.revision == 1 {
            notice.published = moment;
        }
        notice.check().map_err(|error| Refusal::conflict(error.to_string()))?;
        let seconds = clock::seconds();
        let after = StoredNotice {
            state: NoticeState::Published,
            document: text(&notice)?,
            changed: seconds,
            published: Some(seconds),
            ..before.clone()
        };
        let stored = self.change(&before, after, "notice-publish").await?;
        self.store.queue_mails(stored.number, stored.revision, seconds).await?;
        self.site.post.wake();
        Ok(stored)
    }

    /// The newest revision, as it was seen.
    async fn newest(&self, number: &str) -> Result<StoredNotice, Refusal> {
        let newest = newest(self.store, number).await?;
        match &self.seen {
            Some(before) if *before != seen(&newest) => Err(Refusal::conflict(
                "somebody changed it since this page was made: go back, reload the page, and read it again",
            )),
            _ => Ok(newest),
        }
    }

    async fn change(
        &self,
        before: &StoredNotice,
        after: StoredNotice,
        action: &str,
    ) -> Result<StoredNotice, Refusal> {
        let number = LsnNumber { number: before.number, revision: before.revision };
        if before.state == NoticeState::Published {
            return Err(Refusal::conflict(format!(
                "{number} is published and never changes; livepatch-admin notice draft --revise corrects it"
            )));
        }
        if !self.store.change_notice(before, &after).await? {
            return Err(Refusal::conflict(format!(
                "{number} was changed by somebody else just now: look again"
            )));
        }
        self.note(action, number, "").await?;
        Ok(after)
    }

    fn stored(&self, notice: &Notice, state: NoticeState) -> Result<StoredNotice, Refusal> {
        Ok(StoredNotice {
            number: notice.number.number,
            revision: notice.number.revision,
            state,
            document: text(notice)?,
            author: self.actor.name.clone(),
            reviewer: None,
            changed: clock::seconds(),
            published: None,
        })
    }

    async fn note(&self, action: &str, number: LsnNumber, detail: &str) -> Result<(), Refusal> {
        let (name, number) = (&self.actor.name, number.to_string());
        Ok(self.store.record_act(name, action, &number, detail, clock::seconds()).await?)
    }

    /// As operators see it.
    pub(crate) async fn view(&self, stored: &StoredNotice) -> Result<NoticeView, Refusal> {
        let notice = read(stored)?;
        Ok(NoticeView {
            number: notice.number.to_string(),
            state: stored.state,
            author: stored.author.clone(),
            reviewer: stored.reviewer.clone(),
            published: stored.published.map(clock::text),
            problem: notice.check().err().map(|error| error.to_string()),
            notice: serde_json::to_value(&notice).map_err(|error| Refusal::internal(&error))?,
            mails: self.store.mail_reports(stored.number).await?,
        })
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(clock::seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn text(notice: &Notice) -> Result<String, Refusal> {
    serde_json::to_string(notice).map_err(|error| Refusal::internal(&error))
}

/// What stands for a revision's text and state, to tell later whether they are the same.
pub(crate) fn seen(stored: &StoredNotice) -> Digest {
    let StoredNotice { revision, state, document, .. } = stored;
    Digest::of(format!("{revision} {state:?} {document}").as_bytes())
}

/// The notice of a stored revision.
pub(crate) fn read(stored: &StoredNotice) -> Result<Notice, Refusal> {
    serde_json::from_str(&stored.document).map_err(|error| Refusal::internal(&error))
}

/// The newest revision of `LSN-0123` or `LSN-0123-2`; of the latter only when that is the newest.
async fn newest(store: &Store, text: &str) -> Result<StoredNotice, Refusal> {
    let (number, revision) = parse_number(text)?;
    let newest = store.newest_revision(number).await?.ok_or_else(|| unknown(text))?;
    match revision {
        Some(revision) if revision != newest.revision => Err(Refusal::conflict(format!(
            "the newest revision is {}",
            LsnNumber { number, revision: newest.revision }
        ))),
        _ => Ok(newest),
    }
}

pub(crate) fn unknown(text: &str) -> Refusal {
    let text: String = text.chars().take(40).collect();
    Refusal::new(ErrorCode::NotFound, format!("there is no notice {text}"))
}

/// `LSN-0123-1`, or `LSN-0123` for the newest revision.
pub(crate) fn parse_number(text: &str) -> Result<(u32, Option<u32>), Refusal> {
    if let Ok(number) = text.parse::<LsnNumber>() {
        return Ok((number.number, Some(number.revision)));
    }
    match format!("{text}-1").parse::<LsnNumber>() {
        Ok(number) => Ok((number.number, None)),
        Err(_) => Err(unknown(text)),
    }
}
