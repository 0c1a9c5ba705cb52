//! The static plane: files, and how long caches may keep them. No database, no lock.

mod bucket;
mod memory;

pub(crate) use memory::Polls;

use super::extract::Segment;
use crate::{openapi::Verbatim, refusal::Refusal, site::Site};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    handler::HandlerWithoutStateExt as _,
    http::{HeaderValue, Uri, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use livepatch_api::{ErrorCode, TrustAnchor, paths};
use livepatch_manifest::Digest;
use livepatch_trust::LARGEST_MODULE;
use std::{io, sync::Arc};
use tower_http::services::ServeDir;

/// For files whose name holds their version or digest.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For `timestamp.json`: a cache that answers from memory would hold news back.
const ASK_EVERY_TIME: HeaderValue = HeaderValue::from_static("no-cache");

pub(crate) fn router(site: &Site) -> Router<Arc<Site>> {
    let files = match &site.settings.objects {
        Some(_) => bucket::router(),
        None => directories(site),
    };
    files
        .route(&format!("{}/{{name}}", paths::METADATA), get(memory::metadata))
        .layer(middleware::from_fn(set_cache_policy))
}

fn directories(site: &Site) -> Router<Arc<Site>> {
    let directory = |name: &str| {
        let directory = site.settings.repository().join(name);
        ServeDir::new(directory).not_found_service(no_such_file.into_service())
    };
    Router::new()
        .nest_service(paths::ORIGINS, directory("origins"))
        .nest_service(paths::TARGETS, directory("targets"))
}

/// The trust anchor with this digest.
pub(super) async fn anchor(
    State(site): State<Arc<Site>>,
    Segment(digest): Segment<String>,
) -> Result<Verbatim<TrustAnchor>, Refusal> {
    // Parsed before it becomes part of a path.
    let missing = || Refusal::new(ErrorCode::NotFound, "there is no such trust anchor");
    let digest: Digest = digest.parse().map_err(|_| missing())?;
    let reading = tokio::task::spawn_blocking(move || site.anchors.read(&digest));
    match reading.await.map_err(|error| Refusal::internal(&error))? {
        Ok(bytes) => Ok(Verbatim::new(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(Refusal::internal(&error)),
    }
}

/// A file of the repository; none: it is not there.
async fn read(site: &Arc<Site>, name: String) -> io::Result<Option<Bytes>> {
    let site = Arc::clone(site);
    let reading = tokio::task::spawn_blocking(move || site.files.read(&name, LARGEST_MODULE));
    match reading.await.map_err(io::Error::other)? {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn away(error: &io::Error) -> Refusal {
    tracing::error!(%error, "the repository's files cannot be read");
    Refusal::new(ErrorCode::Unavailable, "the server's store of files does not answer; try again later")
}

async fn no_such_file(uri: Uri) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no file {}", uri.path()))
}

pub(super) async fn set_cache_policy(request: axum::extract::Request, next: Next) -> Response {
    let changes = request.uri().path().ends_with("/timestamp.json");
    let mut response = next.run(request).await;
    let policy = if changes || !response.status().is_success() { ASK_EVERY_TIME } else { FOR_EVER };
    response.headers_mut().insert(header::CACHE_CONTROL, policy);
    response
}
