//! Vulnerabilities: the list, one of them, and what is decided about it.

use super::{
    WebRefusal, export, redirect,
    session::{Person, Posted},
};
use crate::{
    cves as knowledge,
    refusal::Refusal,
    routes::cves::{decide, found, give_up, identifier},
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    response::{Html, Response},
};
use livepatch_api::{CveRating, CveRefusalRequest, CveSummary, Role};
use livepatch_cve::{CveId, LivepatchPolicy, record::CveRecord};
use livepatch_dashboard::{self as dashboard, CveFilter, CveList, CveView, Done, paths};
use std::{collections::BTreeSet, sync::Arc};

/// Vulnerabilities on a page: with their markup, some 50 KiB.
pub(super) const PAGE: usize = 100;

/// What the list's address says.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    priority: String,
    only: String,
    before: String,
}

impl Asked {
    fn filter(&self) -> CveFilter {
        CveFilter { q: self.q.trim().to_owned(), priority: self.priority.clone(), only: self.only.clone() }
    }
}

/// Whether a record is asked for. Of many thousand records only those on the page are put into words.
fn is_asked_for(record: &CveRecord, filter: &CveFilter, policy: &LivepatchPolicy) -> bool {
    let priority = record.rating.value().map(|rating| rating.priority);
    let is_prioritised = match filter.priority.as_str() {
        "" => true,
        "unrated" => priority.is_none(),
        word => priority.is_some_and(|priority| priority.word() == word),
    };
    let is_kind = match filter.only.as_str() {
        "livepatch" => !record.is_void() && policy.covers(record.id, priority),
        "exploited" => record.exploited.value().is_some(),
        _ => true,
    };
    is_prioritised && is_kind && has_words(record, &filter.q)
}

fn has_words(record: &CveRecord, words: &str) -> bool {
    if words.is_empty() {
        return true;
    }
    let words = words.to_lowercase();
    let texts = [record.title.value(), record.summary.value()];
    record.id.to_string().to_lowercase().contains(&words)
        || texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&words))
}

pub(super) async fn gather(site: &Site, asked: &Asked, limit: usize) -> Result<CveList, Refusal> {
    let (filter, policy) = (asked.filter(), LivepatchPolicy::default());
    let before: Option<CveId> = asked.before.parse().ok();
    let store = site.database.store().await?;
    let ((cves, total), _) = site
        .cves
        .with(store, |register| {
            let wanted: Vec<&CveRecord> =
                register.records().filter(|record| is_asked_for(record, &filter, &policy)).collect();
            // Newest first.
            let rest = wanted.iter().rev().filter(|record| before.is_none_or(|before| record.id < before));
            let cves: Vec<CveSummary> =
                rest.take(limit + 1).map(|record| knowledge::summary(record, &policy)).collect();
            (cves, wanted.len())
        })
        .await?;
    let mut list = CveList { is_first: before.is_none(), cves, total, filter, next: None };
    if list.cves.len() > limit {
        list.cves.truncate(limit);
        list.next = list.cves.last().map(|last| last.id.clone());
    }
    Ok(list)
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, WebRefusal> {
    let list = gather(&site, &asked, PAGE).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::cves(&person.frame(), &list)))
}

pub(super) async fn csv(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, WebRefusal> {
    let list = whole(&site, asked).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::cve_table(&list.cves, &list.filter)))
}

pub(super) async fn json(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, WebRefusal> {
    let list = whole(&site, asked).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::cve_table(&list.cves, &list.filter)))
}

async fn whole(site: &Site, asked: Asked) -> Result<CveList, Refusal> {
    gather(site, &Asked { before: String::new(), ..asked }, usize::MAX - 1).await
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(cve): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let gathered = async {
        let detail = found(&site, identifier(&cve)?).await?;
        Ok::<_, Refusal>(CveView { detail, families: families(&site).await? })
    };
    let view = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::cve(&person.frame(), &view)))
}

/// The kernel families of the catalogue.
async fn families(site: &Arc<Site>) -> Result<Vec<String>, Refusal> {
    let catalogue = knowledge::catalogue(site).await?;
    let families: BTreeSet<String> = catalogue
        .windows()
        .flat_map(|(_, kernels, ..)| {
            let of = |flavour: &String| knowledge::family(kernels, flavour).to_string();
            kernels.flavours.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    Ok(families.into_iter().collect())
}

pub(super) async fn rate(
    State(site): State<Arc<Site>>,
    Path(cve): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Operator)?;
    let request = CveRating {
        priority: posted.field("priority").to_owned(),
        reason: posted.field("reason").trim().to_owned(),
    };
    decide(&site, &person.actor, &cve, &request).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::one(paths::CVES, &cve), Done::Rated.as_str())))
}

pub(super) async fn refuse(
    State(site): State<Arc<Site>>,
    Path(cve): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Releaser)?;
    let field = |name: &str| posted.field(name).trim().to_owned();
    let request = CveRefusalRequest {
        family: field("family"),
        code: field("code"),
        reason: field("reason"),
        mitigation: Some(field("mitigation")).filter(|text| !text.is_empty()),
    };
    give_up(&site, &person.actor, &cve, request).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::one(paths::CVES, &cve), Done::Refused.as_str())))
}
