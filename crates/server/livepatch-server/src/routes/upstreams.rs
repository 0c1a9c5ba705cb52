//! Upstreams and bundles.

use super::{
    certificates,
    extract::{Actor, Admin, Archive, Document, Operator, Parameters, Releaser, Segment, Viewer},
};
use crate::{
    clock,
    openapi::{Bundle, File},
    refusal::Refusal,
    site::Site,
    upstream::{Description, HttpFetch, Source, Unpacked, Upstream, sync, upstreams, write_bundle},
};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
};
use futures_util::StreamExt as _;
use livepatch_api::{BundleImported, ErrorCode, SyncReport, UpstreamRequest, UpstreamSummary, paths};
use livepatch_trust::Fetch as _;
use std::{io::Write as _, sync::Arc};
use tower_http::services::ServeFile;

/// An anchor holds roots and certificates, a few KiB each.
const LARGEST_ANCHOR: u64 = 4 << 20;
/// Ten thousand modules of a MiB are below this.
const LARGEST_BUNDLE: u64 = 64 << 30;
/// A bundle may be imported for so many days, if nothing else is said.
const USUAL_DAYS: u32 = 90;

/// Follows a site; its trust anchor is checked against the pinned digest.
pub(super) async fn add(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Document(request): Document<UpstreamRequest>,
) -> Result<Json<UpstreamSummary>, Refusal> {
    Ok(Json(begin_following(&site, &actor, request).await?))
}

/// Follows a site for somebody whose role was looked at.
pub(super) async fn begin_following(
    site: &Arc<Site>,
    actor: &Actor,
    request: UpstreamRequest,
) -> Result<UpstreamSummary, Refusal> {
    if let Some(tier) = &request.into {
        crate::publish::known_tier(&site.tiers().await?, tier)?;
    }
    let anchor = match (&request.anchor_document, &request.url) {
        (Some(document), _) => document.clone(),
        (None, Some(url)) => fetch_anchor(url.clone(), request.anchor.to_string()).await?,
        (None, None) => return Err(Refusal::invalid("give the upstream's URL, or its trust anchor")),
    };
    let upstream = Upstream::new(&request, &anchor)?;
    let store = site.database.store().await?;
    let known = upstreams(store).await?;
    if let Some(other) = known.iter().find(|other| other.id == upstream.id && other.name != upstream.name) {
        return Err(Refusal::conflict(format!("this site is followed already, as {}", other.name)));
    }
    store.save_upstream(&upstream.name, upstream.document(), clock::seconds()).await?;
    record(site, actor, "upstream-add", &upstream.name, upstream.pinned.as_str()).await?;
    // Tokens from now on pin the upstream's keys too.
    certificates::current_anchor(site, store).await?;
    Ok(find(site, &upstream.name).await?.summary())
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<UpstreamSummary>>, Refusal> {
    Ok(Json(followed(&site).await?))
}

/// The sites that are followed, by name.
pub(super) async fn followed(site: &Site) -> Result<Vec<UpstreamSummary>, Refusal> {
    let all = upstreams(site.database.store().await?).await?;
    Ok(all.iter().map(Upstream::summary).collect())
}

/// What came from it stays.
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<UpstreamSummary>>, Refusal> {
    end_following(&site, &actor, &name).await?;
    Ok(Json(followed(&site).await?))
}

/// Follows a site no more, for somebody whose role was looked at.
pub(super) async fn end_following(site: &Site, actor: &Actor, name: &str) -> Result<(), Refusal> {
    if !site.database.store().await?.remove_upstream(name).await? {
        return Err(unknown(name));
    }
    record(site, actor, "upstream-remove", name, "").await
}

pub(super) async fn preview(
    State(site): State<Arc<Site>>,
    _: Operator,
    Segment(name): Segment<String>,
) -> Result<Json<SyncReport>, Refusal> {
    let upstream = find(&site, &name).await?;
    Ok(Json(sync(&site, upstream, Source::Network, true).await?.0))
}

pub(super) async fn run(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment(name): Segment<String>,
) -> Result<Json<SyncReport>, Refusal> {
    Ok(Json(sync_now(&site, &actor, &name).await?))
}

/// Syncs for somebody whose role was looked at.
pub(super) async fn sync_now(site: &Arc<Site>, actor: &Actor, name: &str) -> Result<SyncReport, Refusal> {
    let upstream = find(site, name).await?;
    let (report, _) = sync(site, upstream, Source::Network, false).await?;
    record(site, actor, "upstream-sync", name, &told(&report)).await?;
    Ok(report)
}

/// How a bundle is imported.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(super) struct Preview {
    /// Say what would be taken, and take nothing.
    #[serde(default)]
    preview: bool,
}

/// Takes a bundle in.
pub(super) async fn import(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment(name): Segment<String>,
    Parameters(Preview { preview }): Parameters<Preview>,
    Archive(body): Archive,
) -> Result<Json<BundleImported>, Refusal> {
    let upstream = find(&site, &name).await?;
    let mut archive = receive(&site, body).await?;
    let data = site.settings.data.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        use std::io::Seek as _;
        archive.rewind().map_err(|error| Refusal::internal(&error))?;
        Unpacked::read(&data, archive)
    });
    let Unpacked { directory, description } =
        unpacking.await.map_err(|error| Refusal::internal(&error))??;
    let source = Source::Bundle { directory, description };
    let (report, bundle) = sync(&site, upstream, source, preview).await?;
    let bundle = bundle.ok_or_else(|| Refusal::invalid("this is no bundle"))?;
    if !preview {
        record(&site, &actor, "bundle-import", &name, &told(&report)).await?;
    }
    Ok(Json(BundleImported { made: clock::text(bundle.made), since: bundle.since, report }))
}

/// The body as an unnamed file.
async fn receive(site: &Site, body: Body) -> Result<std::fs::File, Refusal> {
    let failed = |error: std::io::Error| Refusal::internal(&error);
    let mut file = tempfile::tempfile_in(&site.settings.data).map_err(failed)?;
    let mut parts = body.into_data_stream();
    let mut size = 0u64;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Refusal::invalid("the bundle broke off on its way"))?;
        size += part.len() as u64;
        if size > LARGEST_BUNDLE {
            return Err(Refusal::new(ErrorCode::TooLarge, "the bundle is larger than any site's"));
        }
        // A page cache away from memory: short enough for the runtime's own thread.
        file.write_all(&part).map_err(failed)?;
    }
    Ok(file)
}

/// What is exported.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(super) struct Wanted {
    /// Leave out the modules that a bundle of this version of the targets metadata brought.
    since: Option<u64>,
    /// For how many days it may be imported, 90 by default.
    #[schemars(range(min = 1, max = 366))]
    days: Option<u32>,
}

/// This site's state as a bundle.
pub(super) async fn export(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Parameters(Wanted { since, days }): Parameters<Wanted>,
) -> Result<File<Bundle>, Refusal> {
    let days = days.unwrap_or(USUAL_DAYS);
    if !(1..=366).contains(&days) {
        return Err(Refusal::invalid("a bundle may be imported for 1 to 366 days"));
    }
    let bundle = write_bundle(&site, Description { since, days }).await?;
    record(&site, &actor, "bundle-export", "", &format!("since {}", since.unwrap_or_default())).await?;
    // Opened here, and gone from the directory when this function ends: nothing is left behind.
    let mut file = ServeFile::new(bundle.path());
    let opened = file.try_call(Request::new(Body::empty())).await;
    Ok(File::new(opened.map_err(|error| Refusal::internal(&error))?))
}

async fn fetch_anchor(url: String, digest: String) -> Result<String, Refusal> {
    let wrong =
        |error: String| Refusal::invalid(format!("{url} gives no trust anchor with this digest: {error}"));
    let at = format!("{}{}/{digest}", url.trim_end_matches('/'), paths::TRUST);
    let at = at.parse::<url::Url>().map_err(|error| wrong(error.to_string()))?;
    let fetching = tokio::task::spawn_blocking(move || HttpFetch::new().fetch(&at, LARGEST_ANCHOR));
    let bytes = fetching.await.map_err(|error| Refusal::internal(&error))?;
    let bytes = bytes.map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
}

async fn find(site: &Site, name: &str) -> Result<Upstream, Refusal> {
    let all = upstreams(site.database.store().await?).await?;
    all.into_iter().find(|upstream| upstream.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Refusal {
    let message = format!("no upstream is called {name}; livepatch-admin upstream list shows what there is");
    Refusal::new(ErrorCode::NotFound, message)
}

fn told(report: &SyncReport) -> String {
    format!(
        "version {}: {} taken, {} denied",
        report.targets_version,
        report.taken.len(),
        report.denied.len()
    )
}

async fn record(
    site: &Site,
    actor: &Actor,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    tracing::info!(subject, detail, by = actor.name, "{action}");
    Ok(store.record_act(&actor.name, action, subject, detail, clock::seconds()).await?)
}
