//! The metadata that polls ask for, out of memory.
//!
//! A poll asks for `timestamp.json` and for a next root that is seldom there: what the store of the files (a directory, or a bucket) said
//! to these is kept for a moment, so that a million polls are not a million requests there; and when it does not answer, the last word of
//! it goes on being served, as a mirror's would. Its signature and its expiry protect machines from an old one.

use super::{away, no_such_file, read};
use crate::{refusal::Refusal, site::Site};
use axum::{
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// For how long the store's word on what may change holds, when others publish: it is visible within a second.
const FRESH: Duration = Duration::from_millis(500);
/// Metadata files that are kept; a machine asks for four or five.
const MOST_KEPT: usize = 128;
/// Larger metadata are fetched each time.
const LARGEST_KEPT: usize = 1 << 20;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the store said of a metadata file; none: it is not there.
type Word = Option<Bytes>;

/// What is remembered of polls.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    files: Mutex<HashMap<String, Arc<Poll>>>,
    /// How often this program has published.
    publications: AtomicU64,
}

/// One file; whoever asks the store holds the lock, and the others wait for the answer.
#[derive(Debug, Default)]
struct Poll(tokio::sync::Mutex<Option<Kept>>);

/// What the store said, and when.
#[derive(Clone, Debug)]
struct Kept {
    word: Word,
    asked: Instant,
    /// After so many publications.
    publications: u64,
}

pub(super) async fn metadata(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Refusal> {
    if !is_metadata(&name) {
        return Err(no_such_file(uri).await);
    }
    let poll = site.polls.of(&name);
    let mut kept = poll.0.lock().await;
    let lasts = name != "timestamp.json";
    let publications = site.polls.publications.load(Ordering::Acquire);
    let is_fresh = |kept: &Kept| {
        (lasts && kept.word.is_some()) || (kept.publications == publications && kept.asked.elapsed() < FRESH)
    };
    let word = match &*kept {
        Some(kept) if is_fresh(kept) => kept.word.clone(),
        before => {
            let word = match (read(&site, format!("metadata/{name}")).await, before) {
                (Ok(word), _) => word,
                (Err(error), Some(before)) => {
                    tracing::warn!(%error, name, "served from memory: the store of the files does not answer");
                    before.word.clone()
                }
                (Err(error), None) => return Err(away(&error)),
            };
            if word.as_ref().is_none_or(|bytes| bytes.len() <= LARGEST_KEPT) {
                *kept = Some(Kept { word: word.clone(), asked: Instant::now(), publications });
            }
            word
        }
    };
    drop(kept);
    match word {
        Some(bytes) => Ok(([(header::CONTENT_TYPE, JSON)], bytes).into_response()),
        None => Err(no_such_file(uri).await),
    }
}

/// `timestamp.json`, or `N.ROLE.json`: nothing else is there, and nothing else may fill the memory.
fn is_metadata(name: &str) -> bool {
    let Some(rest) = name.strip_suffix(".json") else { return false };
    rest == "timestamp"
        || rest.split_once('.').is_some_and(|(version, role)| {
            version.parse::<u64>().is_ok() && ["root", "targets", "snapshot"].contains(&role)
        })
}

impl Polls {
    /// This program has published: what may have changed is asked for anew.
    pub(crate) fn published(&self) {
        self.publications.fetch_add(1, Ordering::AcqRel);
    }

    fn of(&self, name: &str) -> Arc<Poll> {
        let mut polls = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if polls.len() >= MOST_KEPT && !polls.contains_key(name) {
            // What machines poll comes back at once.
            polls.clear();
        }
        Arc::clone(polls.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metadata_are_remembered() {
        for name in ["timestamp.json", "1.root.json", "12.targets.json", "3.snapshot.json"] {
            assert!(is_metadata(name), "{name}");
        }
        for name in ["x.json", "1.timestamp.json", "..json", "1.root", "../1.root.json", "-1.root.json"] {
            assert!(!is_metadata(name), "{name}");
        }
        let polls = Polls::default();
        for number in 0..1000 {
            polls.of(&format!("{number}.root.json"));
        }
        assert!(polls.files.lock().is_ok_and(|polls| polls.len() <= MOST_KEPT));
    }
}
