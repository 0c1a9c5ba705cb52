//! Documents of the builds that livepatches came from.

use super::extract::{Actor, Releaser, Viewer};
use crate::{build_documents::check, clock, refusal::Refusal, site::Site};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use livepatch_api::{
    BuildDocumentKind, BuildDocumentSummary, ErrorCode, LARGEST_BUILD_DOCUMENT, UnknownBuildDocumentKind,
    paths,
};
use livepatch_trust::{LARGEST_MODULE, Published};
use std::sync::Arc;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

pub(super) fn router() -> Router<Arc<Site>> {
    let of_livepatch = format!("{}/{{name}}/documents", paths::ADMIN_LIVEPATCHES);
    Router::new()
        .route(&of_livepatch, get(list))
        .route(&format!("{of_livepatch}/{{kind}}"), post(add).get(show))
        .layer(DefaultBodyLimit::max(LARGEST_BUILD_DOCUMENT))
}

/// Takes a document in, in the place of another one of its kind.
async fn add(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Path((name, kind)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Vec<BuildDocumentSummary>>, Refusal> {
    let kind = kind_of(&kind)?;
    let body = Bytes::from_request(request, &()).await?;
    // The database holds no text with a zero byte.
    let text = std::str::from_utf8(&body).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| Refusal::invalid(format!("the {} is no UTF-8 text", kind.as_str())))?;
    let entry = published(&site, &name).await?;
    let (files, location) = (Arc::clone(&site.files), format!("targets/{}", entry.location()));
    let reading = tokio::task::spawn_blocking(move || files.read(&location, LARGEST_MODULE));
    let module = reading.await.map_err(|error| Refusal::internal(&error))?;
    let module = module.map_err(|error| Refusal::internal(&error))?;
    check(kind, text, &module, &entry.manifest)?;
    keep(&site, &actor, &entry, kind, text).await?;
    Ok(Json(site.database.store().await?.build_documents(&entry.sha256).await?))
}

async fn keep(
    site: &Site,
    actor: &Actor,
    entry: &Published,
    kind: BuildDocumentKind,
    text: &str,
) -> Result<(), Refusal> {
    let (store, now) = (site.database.store().await?, clock::seconds());
    if store.keep_build_document(&entry.sha256, kind, text, &actor.name, now).await? {
        store.record_act(&actor.name, "build-document", &entry.manifest.name, kind.as_str(), now).await?;
    }
    Ok(())
}

/// What is kept of a livepatch.
async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Path(name): Path<String>,
) -> Result<Json<Vec<BuildDocumentSummary>>, Refusal> {
    let entry = published(&site, &name).await?;
    Ok(Json(site.database.store().await?.build_documents(&entry.sha256).await?))
}

/// A document as it was handed in.
async fn show(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Path((name, kind)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    text_of(&site, &name, &kind).await
}

/// A document as text, for whoever may see it.
pub(super) async fn text_of(site: &Site, name: &str, kind: &str) -> Result<Response, Refusal> {
    let (kind, entry) = (kind_of(kind)?, published(site, name).await?);
    let text = site.database.store().await?.build_document(&entry.sha256, kind).await?;
    let missing = || {
        let message = format!("no {} was handed in; livepatch-admin publish --{0} does", kind.as_str());
        Refusal::new(ErrorCode::NotFound, message)
    };
    Ok(([(header::CONTENT_TYPE, TEXT)], text.ok_or_else(missing)?).into_response())
}

fn kind_of(word: &str) -> Result<BuildDocumentKind, Refusal> {
    word.parse().map_err(|error: UnknownBuildDocumentKind| Refusal::invalid(error.to_string()))
}

async fn published(site: &Site, name: &str) -> Result<Published, Refusal> {
    let wanted = name.to_owned();
    let found = site.with_publisher(move |publisher| {
        Ok(publisher.published().find(|entry| entry.manifest.name == wanted).cloned())
    });
    let missing = || Refusal::new(ErrorCode::NotFound, format!("No livepatch called {name} is published."));
    found.await?.ok_or_else(missing)
}
