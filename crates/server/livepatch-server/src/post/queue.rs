//! The queue: each mail is tried until the mail server takes it, refuses it for good, or days have passed.

use super::message::{Mailbox, message};
use crate::{backoff::wait, clock, notices, refusal::Refusal, site::Site};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor, transport::smtp::Error as SmtpError};
use livepatch_store::{DueMail, Store};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Mails that are taken from the queue at once.
const BATCH: u32 = 100;
/// How often the queue is looked at when nobody wakes the sender.
const PAUSE: Duration = Duration::from_secs(30);
/// Attempts after which a mail that is deferred again and again is given up: with the default wait, after some four days.
const MOST_ATTEMPTS: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(60);

/// Wakes the sender.
#[derive(Debug, Default)]
pub(crate) struct Post(Notify);

impl Post {
    /// There is something to send.
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }
}

/// What became of an attempt.
enum Outcome {
    Sent(String),
    /// For good: the address does not exist, the content is not wanted.
    Refused(String),
    Deferred(String),
}

/// Sends what is due, at once and whenever there is more, until the task is dropped; without a relay it sends nothing.
pub(crate) async fn keep_sending(site: Arc<Site>) {
    let (Some(relay), Some(from)) = (&site.settings.smtp, &site.settings.mail_from) else {
        return std::future::pending().await;
    };
    let transport = match AsyncSmtpTransport::<Tokio1Executor>::from_url(relay) {
        Ok(builder) => builder.timeout(Some(PATIENCE)).build(),
        Err(error) => {
            tracing::error!(%error, "no mail is sent: the URL of the mail server cannot be used");
            return std::future::pending().await;
        }
    };
    loop {
        // A fault of the database was logged where it arose; the queue waits.
        let busy = site.leader.leads() && send_due(&site, &transport, from).await.unwrap_or(false);
        if !busy {
            let pause = PAUSE.min(site.settings.mail_retry);
            let _ = tokio::time::timeout(pause, site.post.0.notified()).await; // woken, or it is time
        }
    }
}

/// Sends a batch; whether there may be more.
async fn send_due(
    site: &Arc<Site>,
    transport: &AsyncSmtpTransport<Tokio1Executor>,
    from: &Mailbox,
) -> Result<bool, Refusal> {
    let store = site.database.store().await?;
    let due = store.due_mails(clock::seconds(), BATCH).await?;
    let first = site.settings.mail_retry;
    let mut known = BTreeMap::new();
    for mail in &due {
        let key = (mail.number, mail.revision);
        if let std::collections::btree_map::Entry::Vacant(place) = known.entry(key) {
            let stored = store.notice(mail.number, mail.revision).await?;
            place.insert(stored.as_ref().map(notices::read).transpose()?);
        }
        let way_off = format!("{}/unsubscribe/{}", site.settings.public_url(), mail.token);
        let outcome = match known.get(&key).and_then(Option::as_ref) {
            None => Outcome::Refused("the notice is gone".to_owned()),
            Some(notice) => match message(notice, from, &mail.address, &way_off) {
                Err(error) => Outcome::Refused(error.to_string()),
                Ok(message) => match transport.send(message).await {
                    Ok(answer) => Outcome::Sent(answer.message().collect::<Vec<_>>().join(" ")),
                    Err(error) => judge(&error),
                },
            },
        };
        note(store, mail, outcome, first).await?;
    }
    Ok(due.len() >= BATCH as usize)
}

fn judge(error: &SmtpError) -> Outcome {
    let text = crate::refusal::chain(error);
    if error.is_permanent() { Outcome::Refused(text) } else { Outcome::Deferred(text) }
}

async fn note(store: &Store, mail: &DueMail, outcome: Outcome, first: Duration) -> Result<(), Refusal> {
    let now = clock::seconds();
    let short = |text: String| text.chars().filter(|c| !c.is_control()).take(500).collect::<String>();
    let (state, next, detail) = match outcome {
        Outcome::Sent(detail) => ("sent", now, detail),
        Outcome::Refused(detail) => ("refused", now, detail),
        Outcome::Deferred(detail) if mail.attempts + 1 >= MOST_ATTEMPTS => {
            ("refused", now, format!("given up after {MOST_ATTEMPTS} attempts: {detail}"))
        }
        Outcome::Deferred(detail) => ("queued", now + wait(first, mail.attempts), detail),
    };
    let detail = short(detail);
    if state != "sent" {
        tracing::warn!(address = mail.address, state, detail, "a mail was not taken");
    }
    Ok(store.note_mail(mail, state, next, &detail).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepatch_store::Seconds;

    #[test]
    fn the_waits_cover_days() {
        let whole: Seconds = (0..MOST_ATTEMPTS).map(|attempt| wait(Duration::from_secs(60), attempt)).sum();
        assert!((3..8).contains(&(whole / 86_400)), "{whole}");
    }
}
