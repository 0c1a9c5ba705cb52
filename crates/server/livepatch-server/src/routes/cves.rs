//! Vulnerabilities and verdicts.

use super::extract::{Actor, Document, Operator, Parameters, Releaser, Segment, Viewer, text};
use crate::{clock, cves, refusal::Refusal, site::Site};
use axum::{Json, extract::State};
use jiff::{Timestamp, tz::TimeZone};
use livepatch_api::{
    ClockPage, CveClock, CveDetail, CveImport, CveImported, CvePage, CveRating, CveRefusal,
    CveRefusalRequest, ErrorCode, VerdictRequest, VerdictsPublished,
};
use livepatch_cve::{CveId, Family, LivepatchPolicy, Priority, Rating};
use livepatch_store::CveDocument;
use std::sync::Arc;

/// Vulnerabilities on a page.
const PAGE: usize = 500;
/// Clocks on a page, if nobody asks for another number.
const CLOCKS: usize = 100;
/// Problems that an answer holds; the documents of a broken folder have thousands.
const MOST_PROBLEMS: usize = 200;
/// Kinds of documents that can be imported; a rating has a call of its own.
const SOURCES: [&str; 6] = ["ubuntu-tracker", "changelog", "osv", "cve-record", "kev", "epss"];

/// Takes documents in.
pub(crate) async fn import(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Document(request): Document<CveImport>,
) -> Result<Json<CveImported>, Refusal> {
    if !SOURCES.contains(&request.source.as_str()) {
        return Err(Refusal::invalid(format!("source must be one of {}", SOURCES.join(", "))));
    }
    let family = request.family.as_deref().map(str::parse::<Family>).transpose();
    let family = family.map_err(|error| Refusal::invalid(error.to_string()))?;
    if (request.source == "changelog") != family.is_some() {
        return Err(Refusal::invalid(
            "a changelog needs its family, such as debian/bookworm/linux; other documents have none",
        ));
    }
    let family = family.map(|family| family.to_string()).unwrap_or_default();
    let mut documents = Vec::with_capacity(request.documents.len());
    for document in request.documents {
        text("a document's name", &document.name, 512)?;
        documents.push(CveDocument {
            source: request.source.clone(),
            name: document.name,
            family: family.clone(),
            // The database holds no text with a zero byte; no format here has one.
            body: document.text.replace('\0', "\u{fffd}"),
        });
    }
    let store = site.database.store().await?;
    // First what others imported, so that the problems below are those of these documents.
    site.cves.with(store, |_| ()).await?;
    let now = clock::seconds();
    let imported = store.keep_cve_documents(&documents, now).await?;
    let ((), problems) = site.cves.with(store, |_| ()).await?;
    if imported > 0 {
        let detail = format!("{imported} documents");
        store.record_act(&actor.name, "cve-import", &request.source, &detail, now).await?;
    }
    let unchanged = u32::try_from(documents.len()).unwrap_or(u32::MAX).saturating_sub(imported);
    let problems = problems.iter().take(MOST_PROBLEMS).map(ToString::to_string).collect();
    Ok(Json(CveImported { imported, unchanged, problems }))
}

/// Where a page begins.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct After {
    /// The last vulnerability of the page before.
    #[schemars(with = "Option<String>")]
    after: Option<CveId>,
}

/// A page of vulnerabilities.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Parameters(After { after }): Parameters<After>,
) -> Result<Json<CvePage>, Refusal> {
    let store = site.database.store().await?;
    let policy = LivepatchPolicy::default();
    let (page, _) = site
        .cves
        .with(store, |register| {
            let mut rest = register.records().filter(|record| after.is_none_or(|after| record.id > after));
            let cves: Vec<_> =
                rest.by_ref().take(PAGE).map(|record| cves::summary(record, &policy)).collect();
            let more = rest.next().is_some();
            CvePage { next: cves.last().filter(|_| more).map(|last| last.id.clone()), cves }
        })
        .await?;
    Ok(Json(page))
}

/// One vulnerability.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    _: Viewer,
    Segment(cve): Segment<String>,
) -> Result<Json<CveDetail>, Refusal> {
    Ok(Json(found(&site, identifier(&cve)?).await?))
}

/// A person decides a priority.
pub(crate) async fn rate(
    State(site): State<Arc<Site>>,
    Operator(actor): Operator,
    Segment(cve): Segment<String>,
    Document(request): Document<CveRating>,
) -> Result<Json<CveDetail>, Refusal> {
    Ok(Json(decide(&site, &actor, &cve, &request).await?))
}

/// A priority by somebody whose role was looked at.
pub(super) async fn decide(
    site: &Arc<Site>,
    actor: &Actor,
    cve: &str,
    request: &CveRating,
) -> Result<CveDetail, Refusal> {
    let cve = identifier(cve)?;
    text("reason", &request.reason, 2000)?;
    let invalid = |error: String| Refusal::invalid(error);
    let priority: Priority =
        request.priority.parse().map_err(|error| invalid(format!("priority: {error}")))?;
    let before = found(site, cve).await?;
    let now = clock::seconds();
    let day = TimeZone::UTC.to_datetime(Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH)).date();
    // The rule is kept when the person followed it.
    let followed = before.proposal.as_ref().filter(|proposal| proposal.priority == request.priority);
    let rule = followed.and_then(|proposal| serde_json::from_value(proposal.rule.clone().into()).ok());
    let rating = Rating::decided(priority, &request.reason, &actor.name, day, rule);
    let rating = rating.map_err(|error| invalid(error.to_string()))?;
    let document = cves::rating_document(cve, &rating).map_err(|error| Refusal::internal(&error))?;
    let store = site.database.store().await?;
    store.keep_cve_documents(&[document], now).await?;
    store.record_act(&actor.name, "cve-rate", &cve.to_string(), priority.word(), now).await?;
    found(site, cve).await
}

/// A vulnerability cannot be livepatched in a family.
pub(crate) async fn refuse(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment(cve): Segment<String>,
    Document(request): Document<CveRefusalRequest>,
) -> Result<Json<CveDetail>, Refusal> {
    Ok(Json(give_up(&site, &actor, &cve, request).await?))
}

/// That it cannot be livepatched, by somebody whose role was looked at.
pub(super) async fn give_up(
    site: &Arc<Site>,
    actor: &Actor,
    cve: &str,
    request: CveRefusalRequest,
) -> Result<CveDetail, Refusal> {
    let cve = identifier(cve)?;
    let family: Family = request
        .family
        .parse()
        .map_err(|error: livepatch_cve::FamilyError| Refusal::invalid(error.to_string()))?;
    let mitigation = request.mitigation.filter(|text| !text.trim().is_empty());
    for (what, value) in [("code", &request.code), ("reason", &request.reason)] {
        text(what, value, 1000)?;
        if value.trim().is_empty() {
            return Err(Refusal::invalid(format!("a {what} is needed: readers of notices are told it")));
        }
    }
    text("mitigation", mitigation.as_deref().unwrap_or_default(), 1000)?;
    let now = clock::seconds();
    let refusal = CveRefusal {
        cve: cve.to_string(),
        family: family.to_string(),
        code: request.code,
        reason: request.reason,
        mitigation,
        decided_by: actor.name.clone(),
        decided_at: now,
    };
    let _ = found(site, cve).await?; // only whether it is known
    let store = site.database.store().await?;
    store.refuse_cve(&refusal).await?;
    let how = format!("{} {}", refusal.family, refusal.code);
    store.record_act(&actor.name, "cve-refuse", &refusal.cve, &how, now).await?;
    found(site, cve).await
}

/// Every vulnerability that cannot be livepatched: for everybody.
pub(crate) async fn not_livepatchable(
    State(site): State<Arc<Site>>,
) -> Result<Json<Vec<CveRefusal>>, Refusal> {
    Ok(Json(site.database.store().await?.cve_refusals().await?))
}

/// Which clocks.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct ClockQuery {
    /// The last vulnerability of the page before.
    #[schemars(with = "Option<String>")]
    before: Option<CveId>,
    /// Clocks on the page, 100 by default and at most 500.
    limit: Option<usize>,
}

/// A page of clocks: for everybody.
pub(crate) async fn clock(
    State(site): State<Arc<Site>>,
    Parameters(ClockQuery { before, limit }): Parameters<ClockQuery>,
) -> Result<Json<ClockPage>, Refusal> {
    let all = site.clocks.read(&site).await?;
    Ok(Json(page_of_clocks(&all, before, limit.unwrap_or(CLOCKS).clamp(1, PAGE))))
}

/// Clocks of vulnerabilities before this one, newest first.
pub(super) fn page_of_clocks(all: &[CveClock], before: Option<CveId>, limit: usize) -> ClockPage {
    let is_before = |clock: &&CveClock| {
        before.is_none_or(|before| clock.cve.parse().is_ok_and(|cve: CveId| cve < before))
    };
    let mut clocks: Vec<CveClock> = all.iter().filter(is_before).take(limit + 1).cloned().collect();
    let more = clocks.len() > limit;
    clocks.truncate(limit);
    ClockPage { next: clocks.last().filter(|_| more).map(|last| last.cve.clone()), clocks }
}

/// Signs the verdicts of now.
pub(crate) async fn publish_verdicts(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(request): Document<VerdictRequest>,
) -> Result<Json<VerdictsPublished>, Refusal> {
    let catalogue = request.catalogue.map(|value| serde_json::to_vec_pretty(&value)).transpose();
    let catalogue = catalogue.map_err(|error| Refusal::internal(&error))?;
    let published = cves::publish(&site, catalogue).await?;
    if published.changed {
        let families: Vec<&str> = published.families.iter().map(|one| one.family.as_str()).collect();
        let store = site.database.store().await?;
        let detail = format!("targets version {}", published.targets_version);
        let now = clock::seconds();
        store.record_act(&actor.name, "verdicts-publish", &families.join(", "), &detail, now).await?;
    }
    Ok(Json(published))
}

pub(super) fn identifier(text: &str) -> Result<CveId, Refusal> {
    text.parse().map_err(|error: livepatch_cve::CveIdError| Refusal::invalid(error.to_string()))
}

/// All about a vulnerability.
pub(super) async fn found(site: &Arc<Site>, cve: CveId) -> Result<CveDetail, Refusal> {
    let store = site.database.store().await?;
    let knowledge = cves::knowledge(site, store, None).await?;
    let (detail, _) = site
        .cves
        .with(store, |register| register.record(cve).map(|record| cves::detail(register, record, &knowledge)))
        .await?;
    match detail {
        Some(detail) => Ok(detail.map_err(|error| Refusal::internal(&error))?),
        None => Err(Refusal::new(
            ErrorCode::NotFound,
            format!("nothing is known of {cve}; livepatch-admin cve import takes documents in"),
        )),
    }
}
