//! The static plane out of a bucket, for machines that do not read from the bucket itself.

use super::{away, no_such_file, read};
use crate::{refusal::Refusal, site::Site};
use axum::{
    Router,
    extract::{OriginalUri, Path, State},
    http::header,
    response::{IntoResponse as _, Response},
    routing::get,
};
use livepatch_api::paths;
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route(&format!("{}/{{*name}}", paths::TARGETS), get(file))
        .route(&format!("{}/{{*name}}", paths::ORIGINS), get(file))
}

async fn file(
    State(site): State<Arc<Site>>,
    OriginalUri(uri): OriginalUri,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let folder = if uri.path().starts_with(paths::TARGETS) { "targets" } else { "origins" };
    if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err(no_such_file(uri).await);
    }
    let word = read(&site, format!("{folder}/{name}")).await.map_err(|error| away(&error))?;
    let Some(bytes) = word else { return Err(no_such_file(uri).await) };
    let kind = if uri.path().ends_with(".json") { "application/json" } else { "application/octet-stream" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}
