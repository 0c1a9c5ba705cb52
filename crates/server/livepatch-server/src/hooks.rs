//! Web-hooks: other programs are told what happened, in signed messages that are tried until they are taken.

use crate::{backoff::wait, clock, refusal::Refusal, site::Site};
use aws_lc_rs::hmac;
use livepatch_api::{HookEvent, HookMessage};
use livepatch_store::{DueDelivery, Seconds};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

/// Messages that are taken from the queue at once.
const BATCH: u32 = 50;
/// How often the queue is looked at when nobody wakes the sender.
const PAUSE: Duration = Duration::from_secs(30);
/// A program that takes longer has not taken the message.
const PATIENCE: Duration = Duration::from_secs(10);
/// With the default first wait, after some two days.
const MOST_ATTEMPTS: u32 = 20;
/// Where the signature stands.
const SIGNATURE: &str = "Livepatch-Signature";

/// Wakes the sender.
#[derive(Debug, Default)]
pub(crate) struct Hooks(Notify);

/// Queues a message for every hook that wants to know. What happened has happened: a database that fails now is logged, and
/// stops nothing.
pub(crate) async fn tell(site: &Site, event: HookEvent, subject: &str, detail: &str) {
    if let Err(refusal) = queue(site, event, subject, detail).await {
        tracing::warn!(?refusal, %event, subject, "hooks are not told");
    }
}

async fn queue(site: &Site, event: HookEvent, subject: &str, detail: &str) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    let now = clock::seconds();
    let message = HookMessage {
        id: uuid::Uuid::now_v7().to_string(),
        event,
        at: clock::text(now),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
    };
    for hook in store.hooks().await?.iter().filter(|hook| hook.events.contains(&event)) {
        store.queue_delivery(&hook.id, &message, now).await?;
        site.hooks.0.notify_one();
    }
    Ok(())
}

/// Sends what is due, at once and whenever there is more, until the task is dropped.
pub(crate) async fn keep_telling(site: Arc<Site>) {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        // Where a message goes was decided by an admin, and by nobody on the way.
        .max_redirects(0)
        .user_agent(concat!("livepatch-server/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build();
    let agent = Agent::from(agent);
    loop {
        // A fault of the database was logged where it arose; the queue waits.
        let busy = site.leader.leads() && send_due(&site, &agent).await.unwrap_or(false);
        if !busy {
            let pause = PAUSE.min(site.settings.hook_retry);
            let _ = tokio::time::timeout(pause, site.hooks.0.notified()).await; // woken, or it is time
        }
    }
}

/// Sends a batch; whether there may be more.
async fn send_due(site: &Arc<Site>, agent: &Agent) -> Result<bool, Refusal> {
    let store = site.database.store().await?;
    let due = store.due_deliveries(clock::seconds(), BATCH).await?;
    let first = site.settings.hook_retry;
    for delivery in &due {
        let (agent, message) = (agent.clone(), delivery.clone());
        let sending = tokio::task::spawn_blocking(move || send(&agent, &message));
        let outcome = sending.await.map_err(|error| Refusal::internal(&error))?;
        let now = clock::seconds();
        let (state, next, detail) = match outcome {
            Ok(()) => ("sent", now, String::new()),
            Err(reason) if delivery.attempts + 1 >= MOST_ATTEMPTS => ("given-up", now, reason),
            Err(reason) => ("queued", now + wait(first, delivery.attempts), reason),
        };
        if state != "sent" {
            tracing::warn!(url = delivery.url, state, detail, "a hook did not take its message");
        }
        store.note_delivery(&delivery.id, state, next, &detail).await?;
    }
    Ok(due.len() >= BATCH as usize)
}

/// Posts a message; the error says why it was not taken.
fn send(agent: &Agent, delivery: &DueDelivery) -> Result<(), String> {
    let signature = sign(&delivery.secret, clock::seconds(), &delivery.body);
    let request = agent.post(&delivery.url).header("content-type", "application/json");
    let answer = request.header(SIGNATURE, signature).send(delivery.body.as_bytes());
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status())),
        Err(error) => Err(error.to_string()),
    }
}

/// The time is signed too, so that a message cannot be played again later.
fn sign(secret: &str, at: Seconds, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        // printf '7.body' | openssl dgst -sha256 -hmac secret
        let tag = "c9fb4393062fc8a8b6c904604b44d36ad9c40320e4bde938922da1c8cf5f7758";
        assert_eq!(sign("secret", 7, "body"), format!("t=7,v1={tag}"));
    }
}
