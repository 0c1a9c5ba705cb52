//! Documents of the builds that livepatches came from.

use super::extract::{Actor, PlainText, Releaser, Segment, Viewer};
use crate::{
    build_documents::check,
    clock,
    openapi::{File, Text},
    refusal::Refusal,
    site::Site,
};
use axum::{Json, extract::State};
use livepatch_api::{BuildDocumentKind, BuildDocumentSummary, ErrorCode};
use livepatch_trust::{LARGEST_MODULE, Published};
use std::sync::Arc;

/// Takes a document in, in the place of another one of its kind.
pub(super) async fn add(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment((name, kind)): Segment<(String, BuildDocumentKind)>,
    PlainText(text): PlainText,
) -> Result<Json<Vec<BuildDocumentSummary>>, Refusal> {
    let entry = published(&site, &name).await?;
    let (files, location) = (Arc::clone(&site.files), format!("targets/{}", entry.location()));
    let reading = tokio::task::spawn_blocking(move || files.read(&location, LARGEST_MODULE));
    let module = reading.await.map_err(|error| Refusal::internal(&error))?;
    let module = module.map_err(|error| Refusal::internal(&error))?;
    check(kind, &text, &module, &entry.manifest)?;
    keep(&site, &actor, &entry, kind, &text).await?;
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
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<BuildDocumentSummary>>, Refusal> {
    let entry = published(&site, &name).await?;
    Ok(Json(site.database.store().await?.build_documents(&entry.sha256).await?))
}

/// A document as it was handed in.
pub(super) async fn show(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Segment((name, kind)): Segment<(String, BuildDocumentKind)>,
) -> Result<File<Text>, Refusal> {
    text_of(&site, &name, kind).await
}

/// A document as text, for whoever may see it.
pub(super) async fn text_of(site: &Site, name: &str, kind: BuildDocumentKind) -> Result<File<Text>, Refusal> {
    let entry = published(site, name).await?;
    let text = site.database.store().await?.build_document(&entry.sha256, kind).await?;
    let missing = || {
        let message = format!("no {} was handed in; livepatch-admin publish --{0} does", kind.as_str());
        Refusal::new(ErrorCode::NotFound, message)
    };
    Ok(File::new(text.ok_or_else(missing)?))
}

async fn published(site: &Site, name: &str) -> Result<Published, Refusal> {
    let wanted = name.to_owned();
    let found = site.with_publisher(move |publisher| {
        Ok(publisher.published().find(|entry| entry.manifest.name == wanted).cloned())
    });
    let missing = || Refusal::new(ErrorCode::NotFound, format!("No livepatch called {name} is published."));
    found.await?.ok_or_else(missing)
}
