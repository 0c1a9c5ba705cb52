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
use livepatch_api::ClockPage;
use livepatch_cve::{
    CveId, Distribution,
    catalogue::{Catalogue, Kernels, Track},
};
use livepatch_dashboard::{self as dashboard, ClockList, SupportedKernel, SupportedSeries, Table, Theme};
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
    let made = knowledge::catalogue(&site).await;
    page(made.map(|catalogue| dashboard::kernels(&supported(&catalogue), &series(&catalogue), today)))
}

pub(super) async fn kernels_csv(State(site): State<Arc<Site>>) -> Result<Response, WebRefusal> {
    Ok(export::csv(&kernel_table(&site).await?))
}

pub(super) async fn kernels_json(State(site): State<Arc<Site>>) -> Result<Response, WebRefusal> {
    Ok(export::json(&kernel_table(&site).await?))
}

async fn kernel_table(site: &Arc<Site>) -> Result<Table, WebRefusal> {
    let catalogue = knowledge::catalogue(site).await;
    let catalogue = catalogue.map_err(|refusal| WebRefusal::Page(Theme::System, refusal))?;
    Ok(dashboard::build_table(&supported(&catalogue), overview::today(clock::seconds())))
}

fn release_name(kernels: &Kernels) -> String {
    let name = match kernels.distribution {
        Distribution::Debian => "Debian",
        Distribution::Ubuntu => "Ubuntu",
    };
    format!("{name} {}", kernels.release)
}

/// Every series of the catalogue; of several matrices that have it, the newest one's word counts.
fn series(catalogue: &Catalogue) -> Vec<SupportedSeries> {
    let mut matrices: Vec<_> = catalogue.matrices.iter().collect();
    matrices.sort_by_key(|matrix| std::cmp::Reverse(matrix.as_of));
    let mut rows: Vec<SupportedSeries> = Vec::new();
    for (matrix, kernels) in
        matrices.iter().flat_map(|matrix| matrix.kernels.iter().map(move |row| (matrix, row)))
    {
        let here = catalogue.windows().filter(|(of, row, ..)| of.name == matrix.name && *row == kernels);
        let row = SupportedSeries {
            release: release_name(kernels),
            series: kernels.series.clone(),
            is_hwe: kernels.track == Track::Hwe,
            architecture: kernels.architecture.clone(),
            flavours: kernels.flavours.iter().cloned().collect(),
            months: kernels.window_months,
            ends: kernels.ends,
            builds: here
                .map(|(_, _, build, last)| (build.version.to_string(), build.released, last))
                .collect(),
        };
        let key = |row: &SupportedSeries| (row.release.clone(), row.series.clone(), row.architecture.clone());
        if !rows.iter().any(|known| key(known) == key(&row)) {
            rows.push(row);
        }
    }
    rows
}

/// Every build of the catalogue, newest first; of several matrices that have it, the newest one's word counts.
fn supported(catalogue: &Catalogue) -> Vec<SupportedKernel> {
    let mut windows: Vec<_> = catalogue.windows().collect();
    windows.sort_by_key(|(matrix, _, build, _)| std::cmp::Reverse((build.released, matrix.as_of)));
    let mut rows: Vec<SupportedKernel> = Vec::new();
    for (_, kernels, build, last) in windows {
        let row = SupportedKernel {
            release: release_name(kernels),
            series: kernels.series.clone(),
            architecture: kernels.architecture.clone(),
            flavours: kernels.flavours.iter().cloned().collect(),
            build: build.version.to_string(),
            released: build.released,
            last_day: last,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_has_each_series_once() {
        let catalogue = Catalogue::read(Catalogue::BUILT_IN.as_bytes()).unwrap();
        let rows = series(&catalogue);
        let mut names: Vec<_> =
            rows.iter().map(|row| (&row.release, &row.series, &row.architecture)).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        let bookworm = rows.iter().find(|row| row.release == "Debian 12" && row.series == "6.1").unwrap();
        assert!(bookworm.builds.len() >= 3 && bookworm.last_day() > Some(bookworm.builds[0].1));
        // Bionic's kernel is in a matrix from 2019 as well, which sets no bound.
        let bionic = rows.iter().find(|row| row.release == "Ubuntu 18.04" && row.series == "4.15").unwrap();
        assert_eq!(bionic.months, Some(13));
    }
}
