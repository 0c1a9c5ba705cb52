//! OSV records (Open Source Vulnerability format, ossf/osv-schema, 1.x).

use super::{Imported, cve_json::timestamp};
use crate::record::{Assertions, PackageState, PackageStatus, RecordState};
use crate::upstream::{Span, SpanEnd, UpstreamRanges, UpstreamVersion};
use crate::{CveId, Distribution, Family, Fault, Names, Problem, Statement, problem::shortened};
use serde::Deserialize;
use std::borrow::Cow;

/// Reads one record. Its statements are about every CVE that it names as itself, as another name of itself, or as what it is
/// derived from (`UBUNTU-CVE-2024-1` and the `upstream` list of distributions).
pub fn osv(document: &str, bytes: &[u8], names: &mut Names) -> Imported {
    let record: Record<'_> = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => return Imported::fault(document, error.line().max(1), Fault::Json(error.to_string())),
    };
    let mut imported = Imported { key: Some(shortened(&record.id)), ..Imported::default() };
    let cves = record.cves();
    if cves.is_empty() {
        imported.problems.push(Problem::new(document, 1, Fault::NoIdentifier));
    }
    let assertions = record.assertions(document, names, &mut imported.problems);
    let statements = cves.into_iter().map(|cve| Statement { cve, line: 1, assertions: assertions.clone() });
    imported.statements = statements.collect();
    imported
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    aliases: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    upstream: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    published: Option<Cow<'a, str>>,
    #[serde(borrow)]
    withdrawn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    summary: Option<Cow<'a, str>>,
    #[serde(borrow)]
    details: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    severity: Vec<Severity<'a>>,
    #[serde(borrow, default)]
    affected: Vec<Affected<'a>>,
    #[serde(borrow, default)]
    references: Vec<Reference<'a>>,
}

#[derive(Deserialize)]
struct Severity<'a> {
    #[serde(borrow)]
    score: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Affected<'a> {
    #[serde(borrow)]
    package: Option<Package<'a>>,
    #[serde(borrow, default)]
    ranges: Vec<Range<'a>>,
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    ecosystem: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Range<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    introduced: Option<Cow<'a, str>>,
    #[serde(borrow)]
    fixed: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_affected: Option<Cow<'a, str>>,
}

impl Record<'_> {
    fn cves(&self) -> Vec<CveId> {
        let names = std::iter::once(&self.id).chain(&self.aliases).chain(&self.upstream);
        let mut found: Vec<CveId> = names.flat_map(|name| CveId::find_all(name)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn assertions(&self, document: &str, names: &mut Names, problems: &mut Vec<Problem>) -> Assertions {
        let text = |value: &Option<Cow<'_, str>>| value.as_ref().map(|text| text.to_string());
        let list = |items: Vec<String>| Some(items).filter(|items| !items.is_empty());
        let published = self.published.as_deref();
        if let Some(date) = published.filter(|date| timestamp(date).is_none()) {
            problems.push(Problem::new(document, 1, Fault::Date(shortened(date))));
        }
        let mut assertions = Assertions {
            state: self.withdrawn.as_ref().map(|_| RecordState::Withdrawn),
            title: text(&self.summary),
            description: text(&self.details),
            published: published.and_then(timestamp),
            severities: list(self.severity.iter().map(|severity| severity.score.to_string()).collect()),
            references: list(self.references.iter().map(|reference| reference.url.to_string()).collect()),
            ..Assertions::default()
        };
        for affected in &self.affected {
            let Some(package) = &affected.package else { continue };
            match family(package, names) {
                Some(family) => {
                    let state = affected.state(document, problems);
                    assertions.packages.push((family, state));
                }
                None if package.ecosystem == "Linux" => assertions.upstream = affected.upstream(),
                None => {}
            }
        }
        assertions
    }
}

/// `Ubuntu:22.04:LTS`, `Ubuntu:Pro:18.04:LTS`, `Debian:12`. A release that we do not know keeps its number as its name.
fn family(package: &Package<'_>, names: &mut Names) -> Option<Family> {
    let mut parts = package.ecosystem.split(':');
    let distribution = match parts.next()? {
        "Debian" => Distribution::Debian,
        "Ubuntu" => Distribution::Ubuntu,
        _ => return None,
    };
    let number = parts.find(|part| part.starts_with(|c: char| c.is_ascii_digit()))?;
    let release = distribution.code_name(number).unwrap_or(number);
    Some(Family { distribution, release: names.intern(release), package: names.intern(&package.name) })
}

impl Affected<'_> {
    fn events(&self) -> impl Iterator<Item = &Event<'_>> {
        self.ranges.iter().filter(|range| range.kind != "GIT").flat_map(|range| &range.events)
    }

    /// Fixed in the last version that a range ends with; needed when it has no end.
    fn state(&self, document: &str, problems: &mut Vec<Problem>) -> PackageState {
        let mut state = PackageState { status: PackageStatus::Needed, version: None, note: None };
        for fixed in self.events().filter_map(|event| event.fixed.as_deref()) {
            match fixed.parse() {
                Ok(version) => {
                    state.status = PackageStatus::Released;
                    state.version = state.version.max(Some(version));
                }
                Err(_) => problems.push(Problem::new(document, 1, Fault::Version(shortened(fixed)))),
            }
        }
        state
    }

    fn upstream(&self) -> Option<UpstreamRanges> {
        let mut spans = Vec::new();
        let mut from = None;
        for event in self.events() {
            if let Some(introduced) = event.introduced.as_deref() {
                from = if introduced == "0" { Some(UpstreamVersion::ZERO) } else { introduced.parse().ok() };
            }
            let fixed = event.fixed.as_deref().and_then(|version| version.parse().ok()).map(SpanEnd::Before);
            let last =
                event.last_affected.as_deref().and_then(|version| version.parse().ok()).map(SpanEnd::Through);
            if let (Some(end), Some(start)) = (fixed.or(last), from) {
                spans.push(Span { from: start, end, affected: true });
                from = None;
            }
        }
        spans.extend(from.map(|from| Span { from, end: SpanEnd::Open, affected: true }));
        (!spans.is_empty()).then_some(UpstreamRanges { otherwise_affected: false, spans })
    }
}
