//! Pages for readers, without a session.

use super::{
    WebRefusal,
    cves::{Asked, PAGE, gather},
    export, overview,
};
use crate::{
    clock, cves as knowledge,
    refusal::Refusal,
    routes::cves::{found, identifier, page_of_clocks},
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{Html, IntoResponse as _, Response},
};
use jiff::civil::Date;
use livepatch_api::ClockPage;
use livepatch_cve::{CveId, Distribution, catalogue::Catalogue};
use livepatch_dashboard::{self as dashboard, ClockList, SupportedKernel, Table, Theme};
use std::sync::Arc;

/// Readers may see what was so a minute ago; a proxy in front then answers most of them.
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=60");

fn page(made: Result<String, Refusal>) -> Result<Response, WebRefusal> {
    let text = made.map_err(|refusal| WebRefusal::Page(Theme::System, refusal))?;
    Ok(([(header::CACHE_CONTROL, FRESH)], Html(text)).into_response())
}

pub(super) async fn cves(
    State(site): State<Arc<Site>>,
    Query(asked): Query<Asked>,
) -> Result<Response, WebRefusal> {
    page(gather(&site, &asked, PAGE).await.map(|list| dashboard::public_cves(&list)))
}

pub(super) async fn cve(
    State(site): State<Arc<Site>>,
    Path(cve): Path<String>,
) -> Result<Response, WebRefusal> {
    let made = async { Ok(dashboard::public_cve(&found(&site, identifier(&cve)?).await?)) };
    page(made.await)
}

pub(super) async fn not_livepatchable(State(site): State<Arc<Site>>) -> Result<Response, WebRefusal> {
    let made = async {
        let refusals = site.database.store().await?.cve_refusals().await?;
        Ok(dashboard::not_livepatchable(&refusals))
    };
    page(made.await)
}

/// Where a page of clocks begins.
#[derive(serde::Deserialize)]
pub(super) struct Before {
    before: Option<CveId>,
}

pub(super) async fn clock(
    State(site): State<Arc<Site>>,
    Query(Before { before }): Query<Before>,
) -> Result<Response, WebRefusal> {
    let made = async {
        let all = site.clocks.read(&site).await?;
        let ClockPage { clocks, next } = page_of_clocks(&all, before, PAGE);
        Ok(dashboard::clock(&ClockList { clocks, is_first: before.is_none(), next }))
    };
    page(made.await)
}

pub(super) async fn clock_csv(State(site): State<Arc<Site>>) -> Result<Response, WebRefusal> {
    Ok(export::csv(&clock_table(&site).await?))
}

pub(super) async fn clock_json(State(site): State<Arc<Site>>) -> Result<Response, WebRefusal> {
    Ok(export::json(&clock_table(&site).await?))
}

async fn clock_table(site: &Arc<Site>) -> Result<Table, WebRefusal> {
    let all = site.clocks.read(site).await.map_err(|refusal| WebRefusal::Page(Theme::System, refusal))?;
    Ok(dashboard::clock_table(&all))
}

pub(super) async fn kernels(State(site): State<Arc<Site>>) -> Result<Response, WebRefusal> {
    let today = overview::today(clock::seconds());
    page(knowledge::catalogue(&site).await.map(|catalogue| dashboard::kernels(&supported(&catalogue, today))))
}

/// Every build of the catalogue, newest first; of several matrices that have it, the newest one's word counts.
fn supported(catalogue: &Catalogue, today: Date) -> Vec<SupportedKernel> {
    let mut windows: Vec<_> = catalogue.windows().collect();
    windows.sort_by_key(|(matrix, _, build, _)| std::cmp::Reverse((build.released, matrix.as_of)));
    let mut rows: Vec<SupportedKernel> = Vec::new();
    for (_, kernels, build, last) in windows {
        let name = match kernels.distribution {
            Distribution::Debian => "Debian",
            Distribution::Ubuntu => "Ubuntu",
        };
        let row = SupportedKernel {
            release: format!("{name} {}", kernels.release),
            series: kernels.series.clone(),
            architecture: kernels.architecture.clone(),
            flavours: kernels.flavours.iter().cloned().collect(),
            build: build.version.to_string(),
            released: build.released.to_string(),
            last_day: last.map(|day| day.to_string()),
            is_over: last.is_some_and(|day| day < today),
        };
        let is_known = rows.iter().any(|known| {
            (&known.release, &known.architecture, &known.build)
                == (&row.release, &row.architecture, &row.build)
                && known.flavours == row.flavours
        });
        if !is_known {
            rows.push(row);
        }
    }
    rows
}
