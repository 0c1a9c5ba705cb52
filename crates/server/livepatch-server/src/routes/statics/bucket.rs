//! The static plane out of a bucket, for machines that do not read from the bucket itself.
//!
//! A poll asks for `timestamp.json` and for a next root that is seldom there: what the bucket said to these is kept for a
//! moment, so that a million polls are not a million requests there; and when the bucket does not answer, the last word of
//! it goes on being served, as a mirror's would. Its signature and its expiry protect machines from an old one.

use super::no_such_file;
use crate::{refusal::Refusal, site::Site};
use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::{Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use livepatch_api::paths;
use livepatch_trust::LARGEST_MODULE;
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For how long the bucket's word on what may change holds: publications are visible within a second.
const FRESH: Duration = Duration::from_millis(500);
/// Metadata files that are kept; a machine asks for four or five.
const MOST_KEPT: usize = 128;
/// Larger metadata are fetched each time.
const LARGEST_KEPT: usize = 1 << 20;

/// What the bucket said of a metadata file; none: it is not there.
type Word = Option<Bytes>;

/// What is remembered of polls.
#[derive(Debug, Default)]
pub(crate) struct Polls(Mutex<HashMap<String, Arc<Poll>>>);

/// One file; whoever asks the bucket holds the lock, and the others wait for the answer.
#[derive(Debug, Default)]
struct Poll(tokio::sync::Mutex<Option<(Instant, Word)>>);

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route(&format!("{}/{{name}}", paths::METADATA), get(metadata))
        .route(&format!("{}/{{*name}}", paths::TARGETS), get(other))
        .route(&format!("{}/{{*name}}", paths::ORIGINS), get(other))
}

async fn metadata(
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
    let word = match &*kept {
        Some((_, Some(bytes))) if lasts => Some(bytes.clone()),
        Some((asked, word)) if asked.elapsed() < FRESH => word.clone(),
        _ => {
            let before = kept.take();
            match read(&site, format!("metadata/{name}")).await {
                Ok(word) => {
                    if word.as_ref().is_none_or(|bytes| bytes.len() <= LARGEST_KEPT) {
                        *kept = Some((Instant::now(), word.clone()));
                    }
                    word
                }
                Err(error) => match before {
                    Some((_, word)) => {
                        tracing::warn!(%error, name, "served from memory: the bucket does not answer");
                        *kept = Some((Instant::now(), word.clone()));
                        word
                    }
                    None => return Err(away(&error)),
                },
            }
        }
    };
    drop(kept);
    answer(word, uri).await
}

async fn other(
    State(site): State<Arc<Site>>,
    OriginalUri(uri): OriginalUri,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let folder = if uri.path().starts_with(paths::TARGETS) { "targets" } else { "origins" };
    if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err(no_such_file(uri).await);
    }
    let word = read(&site, format!("{folder}/{name}")).await.map_err(|error| away(&error))?;
    answer(word, uri).await
}

async fn read(site: &Arc<Site>, name: String) -> io::Result<Word> {
    let site = Arc::clone(site);
    let reading = tokio::task::spawn_blocking(move || site.files.read(&name, LARGEST_MODULE));
    match reading.await.map_err(io::Error::other)? {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn answer(word: Word, uri: Uri) -> Result<Response, Refusal> {
    let Some(bytes) = word else { return Err(no_such_file(uri).await) };
    let kind = if uri.path().ends_with(".json") { "application/json" } else { "application/octet-stream" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

fn away(error: &io::Error) -> Refusal {
    tracing::error!(%error, "the bucket cannot be read");
    Refusal::new(
        livepatch_api::ErrorCode::Unavailable,
        "the server's object store does not answer; try again later",
    )
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
    fn of(&self, name: &str) -> Arc<Poll> {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        assert!(polls.0.lock().is_ok_and(|polls| polls.len() <= MOST_KEPT));
    }
}
