//! What is new in the repository, for machines that wait to be told. The timestamp metadata say it, so replicas and other
//! programs that publish are noticed as well; metadata that were merely signed again are no news.

use crate::site::Site;
use livepatch_api::News;
use livepatch_manifest::Digest;
use livepatch_trust::Files;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Publish to visible within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The timestamp metadata, with the steering of every rollout, stay far below.
const LARGEST: u64 = 1 << 20;
/// How many machines a second are asked to come.
const COME_PER_SECOND: u64 = 100;

/// Tells those who wait.
#[derive(Debug)]
pub(crate) struct Announcer {
    latest: watch::Sender<Latest>,
    room: Semaphore,
    places: usize,
}

/// The timestamp metadata that brought the last news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Latest {
    version: u64,
    content: Option<Digest>,
}

impl Announcer {
    /// With room for so many who wait.
    pub(crate) fn new(places: u32) -> Self {
        let places = usize::try_from(places).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { latest: watch::Sender::default(), room: Semaphore::new(places), places }
    }

    /// A place to wait in; none when too many wait.
    pub(crate) fn seat(&self) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire().ok()
    }

    /// Ready when there is something that those who have this version do not know.
    pub(crate) async fn newer_than(&self, version: u64) -> News {
        let mut latest = self.latest.subscribe();
        // The sender lives as long as this.
        let timestamp = latest.wait_for(|latest| latest.version > version).await.map_or(0, |now| now.version);
        let waiting = u64::try_from(self.places - self.room.available_permits()).unwrap_or(u64::MAX);
        News { timestamp, within_seconds: waiting / COME_PER_SECOND }
    }

    fn note(&self, found: Latest) {
        self.latest.send_if_modified(|latest| {
            let news = found.content != latest.content;
            if news {
                *latest = found;
            }
            news
        });
    }
}

/// Reads the timestamp metadata again and again, until the task is dropped.
pub(crate) async fn keep_announcing(site: Arc<Site>) {
    let mut turns = tokio::time::interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let files = Arc::clone(&site.files);
        let reading = tokio::task::spawn_blocking(move || read(&*files));
        if let Ok(Some(found)) = reading.await {
            site.announcer.note(found);
        }
    }
}

/// None while they cannot be read: what is served then is another's concern.
fn read(files: &dyn Files) -> Option<Latest> {
    let timestamp = files.read("metadata/timestamp.json", LARGEST).ok()?;
    let mut document: Value = serde_json::from_slice(&timestamp).ok()?;
    let signed = document.get_mut("signed")?.as_object_mut()?;
    let version = signed.remove("version")?.as_u64()?;
    signed.remove("expires");
    Some(Latest { version, content: Some(Digest::of(serde_json::to_string(signed).ok()?.as_bytes())) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn latest(version: u64, content: &str) -> Latest {
        Latest { version, content: Some(Digest::of(content.as_bytes())) }
    }

    #[tokio::test]
    async fn who_waits_hears_of_content_and_not_of_signatures() {
        let announcer = Announcer::new(9);
        announcer.note(latest(3, "a"));
        assert_eq!(announcer.newer_than(2).await.timestamp, 3, "at once, since it is there already");
        announcer.note(latest(4, "a"));
        let mut waiting = Box::pin(announcer.newer_than(3));
        assert!(futures_util::poll!(&mut waiting).is_pending(), "signed again");
        announcer.note(latest(5, "b"));
        assert_eq!(waiting.await, News { timestamp: 5, within_seconds: 0 });
    }

    #[tokio::test]
    async fn the_more_wait_the_longer_they_take_to_come() {
        let announcer = Announcer::new(4000);
        announcer.note(latest(1, "a"));
        let seats: Vec<_> = std::iter::from_fn(|| announcer.seat()).collect();
        assert_eq!(seats.len(), 4000);
        assert_eq!(announcer.newer_than(0).await.within_seconds, 40);
    }
}
