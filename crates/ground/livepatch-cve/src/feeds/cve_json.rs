//! CVE JSON 5 records (CVE record format 5.x; `CVE_Record_Format.json` of CVEProject/cve-schema).

use super::Imported;
use crate::record::{Assertions, RecordState};
use crate::upstream::{Span, SpanEnd, UpstreamRanges, UpstreamVersion};
use crate::{CveId, Fault, Names, Statement, problem::shortened};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use std::borrow::Cow;

/// Reads one record.
pub fn cve_json(document: &str, bytes: &[u8], _names: &mut Names) -> Imported {
    let record: Record<'_> = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => return Imported::fault(document, error.line().max(1), Fault::Json(error.to_string())),
    };
    let Ok(cve) = record.cve_metadata.cve_id.parse::<CveId>() else {
        return Imported::fault(document, 1, Fault::Identifier(shortened(&record.cve_metadata.cve_id)));
    };
    let mut imported = Imported { key: Some(cve.to_string()), ..Imported::default() };
    let published = record.cve_metadata.date_published.as_deref();
    if let Some(date) = published.filter(|date| timestamp(date).is_none()) {
        imported.problems.push(crate::Problem::new(document, 1, Fault::Date(shortened(date))));
    }
    imported.statements.push(Statement { cve, line: 1, assertions: record.assertions() });
    imported
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow)]
    cve_metadata: Metadata<'a>,
    #[serde(borrow)]
    containers: Containers<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    cve_id: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    date_published: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Containers<'a> {
    #[serde(borrow)]
    cna: Container<'a>,
    #[serde(borrow, default)]
    adp: Vec<Container<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container<'a> {
    #[serde(borrow)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow)]
    descriptions: Vec<Text<'a>>,
    #[serde(borrow)]
    rejected_reasons: Vec<Text<'a>>,
    #[serde(borrow)]
    affected: Vec<Affected<'a>>,
    #[serde(borrow)]
    references: Vec<Reference<'a>>,
    #[serde(borrow)]
    metrics: Vec<Metric<'a>>,
    #[serde(borrow)]
    credits: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    lang: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow, rename = "cvssV4_0")]
    v4: Option<Cvss<'a>>,
    #[serde(borrow, rename = "cvssV3_1")]
    v31: Option<Cvss<'a>>,
    #[serde(borrow, rename = "cvssV3_0")]
    v30: Option<Cvss<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cvss<'a> {
    #[serde(borrow)]
    vector_string: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Affected<'a> {
    #[serde(borrow)]
    product: Cow<'a, str>,
    #[serde(borrow)]
    default_status: Cow<'a, str>,
    #[serde(borrow)]
    program_files: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    versions: Vec<Version<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    less_than: Option<Cow<'a, str>>,
    #[serde(borrow)]
    less_than_or_equal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    version_type: Cow<'a, str>,
}

impl Record<'_> {
    fn assertions(&self) -> Assertions {
        let cna = &self.containers.cna;
        let all = || std::iter::once(cna).chain(&self.containers.adp);
        let state = match self.cve_metadata.state.as_ref() {
            "REJECTED" => RecordState::Rejected,
            _ => RecordState::Published,
        };
        let description = english(&cna.descriptions).or_else(|| english(&cna.rejected_reasons));
        let severities: Vec<String> =
            all().flat_map(|container| &container.metrics).flat_map(Metric::vectors).collect();
        let references: Vec<String> =
            cna.references.iter().map(|reference| reference.url.to_string()).collect();
        let credits: Vec<&str> = cna.credits.iter().map(|credit| credit.value.as_ref()).collect();
        let kernel = || cna.affected.iter().filter(|affected| is_kernel(&affected.product));
        let mut files: Vec<String> =
            kernel().flat_map(|of| &of.program_files).map(|file| file.to_string()).collect();
        files.sort_unstable();
        files.dedup();
        Assertions {
            state: Some(state),
            title: cna.title.as_ref().map(|title| title.to_string()),
            description,
            published: self.cve_metadata.date_published.as_deref().and_then(timestamp),
            severities: some(severities),
            references: some(references),
            discovered_by: Some(credits.join(", ")).filter(|credits| !credits.is_empty()),
            files: some(files),
            upstream: kernel().find_map(Affected::ranges),
            ..Assertions::default()
        }
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// `Linux` (the kernel's own CNA), `Linux kernel`, `kernel`, `linux_kernel`.
fn is_kernel(product: &str) -> bool {
    let product = product.to_ascii_lowercase();
    product == "linux"
        || product == "kernel"
        || product.contains("linux kernel")
        || product.contains("linux_kernel")
}

fn english(texts: &[Text<'_>]) -> Option<String> {
    let found = texts.iter().find(|text| text.lang.starts_with("en")).or(texts.first())?;
    Some(found.value.to_string())
}

/// RFC 3339; old records leave the offset out, and mean UTC.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let bare = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(bare)
}

impl Metric<'_> {
    fn vectors(&self) -> impl Iterator<Item = String> + '_ {
        let scores = [&self.v4, &self.v31, &self.v30].into_iter().flatten();
        scores.map(|score| score.vector_string.to_string())
    }
}

impl Affected<'_> {
    /// The ranges of released versions; those of commits say the same in another form.
    fn ranges(&self) -> Option<UpstreamRanges> {
        let spans: Vec<Span> = self.versions.iter().filter_map(Version::span).collect();
        let otherwise_affected = self.default_status == "affected";
        (!spans.is_empty()).then_some(UpstreamRanges { otherwise_affected, spans })
    }
}

impl Version<'_> {
    fn span(&self) -> Option<Span> {
        if self.version_type == "git" {
            return None;
        }
        let affected = match self.status.as_ref() {
            "affected" => true,
            "unaffected" => false,
            _ => return None,
        };
        let from = self.version.parse().ok()?;
        let end = match (self.less_than.as_deref(), self.less_than_or_equal.as_deref()) {
            (Some("*"), _) | (None, Some("*")) => SpanEnd::Open,
            (Some(end), _) => SpanEnd::Before(end.parse().ok()?),
            (None, Some(end)) if end.ends_with(".*") => {
                let series: UpstreamVersion = end.trim_end_matches(".*").parse().ok()?;
                if series.same_series(from) { SpanEnd::Series } else { return None }
            }
            (None, Some(end)) => SpanEnd::Through(end.parse().ok()?),
            (None, None) => SpanEnd::Alone,
        };
        Some(Span { from, end, affected })
    }
}
