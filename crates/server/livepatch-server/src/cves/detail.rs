//! A vulnerability as operators see it. Pure.

use super::{Knowledge, engine};
use livepatch_api::{CveDetail, CveProposal, CveSummary, CveVerdict};
use livepatch_cve::{
    LivepatchPolicy, Register, Signals, propose,
    record::{CveRecord, DocumentId},
    verdict::{Exposure, KernelBuild},
};

/// Characters of a title made out of a description.
const TITLE: usize = 120;

/// As in a list.
pub(crate) fn summary(record: &CveRecord, policy: &LivepatchPolicy) -> CveSummary {
    let rating = record.rating.value();
    CveSummary {
        id: record.id.to_string(),
        title: title(record),
        priority: rating.map(|rating| rating.priority.word().to_owned()),
        decided: rating.is_some_and(livepatch_cve::Rating::is_decided),
        livepatch: policy.covers(record.id, rating.map(|rating| rating.priority)),
        exploited: record.exploited.value().is_some(),
        rejected: record.is_void(),
    }
}

/// A line about it.
pub(super) fn title(record: &CveRecord) -> String {
    let texts = [record.title.value(), record.summary.value(), record.description.value()];
    let title = texts.into_iter().flatten().find(|text| !text.trim().is_empty());
    title.map(|text| first_words(text)).unwrap_or_default()
}

fn first_words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// All about it.
pub(crate) fn detail(
    register: &Register,
    record: &CveRecord,
    knowledge: &Knowledge,
) -> serde_json::Result<CveDetail> {
    let value = serde_json::to_value(record)?;
    let numbers = document_numbers(&value);
    let documents = numbers.into_iter().filter_map(|number| {
        let document = register.document(DocumentId(number))?;
        Some((number, word(&document.source), document.name.clone()))
    });
    Ok(CveDetail {
        summary: summary(record, &LivepatchPolicy::default()),
        documents: documents.collect(),
        contested: record.contested(),
        proposal: proposal(record),
        verdicts: verdicts(record, knowledge),
        record: value,
    })
}

/// The numbers of the documents that a record's claims name.
fn document_numbers(value: &serde_json::Value) -> std::collections::BTreeSet<u32> {
    match value {
        serde_json::Value::Array(items) => items.iter().flat_map(document_numbers).collect(),
        serde_json::Value::Object(fields) => {
            let own = fields.get("document").and_then(serde_json::Value::as_u64);
            let own = own.and_then(|number| u32::try_from(number).ok());
            fields.values().flat_map(document_numbers).chain(own).collect()
        }
        _ => std::collections::BTreeSet::new(),
    }
}

fn proposal(record: &CveRecord) -> Option<CveProposal> {
    let severities = record.severities.value();
    let signals = Signals {
        cvss: severities.and_then(|vectors| vectors.first()).map(String::as_str),
        exploited: record.exploited.value().is_some(),
        epss: record.forecast.value().map(|forecast| forecast.chance),
    };
    propose(signals).map(|found| CveProposal {
        priority: found.priority.word().to_owned(),
        rule: word(&found.rule),
        reason: found.reason.to_owned(),
    })
}

/// Neighbouring builds with one verdict are one line.
fn verdicts(record: &CveRecord, knowledge: &Knowledge) -> Vec<CveVerdict> {
    let engine = engine(knowledge, vec![Exposure::from_record(record)]);
    let verdicts = engine.verdicts();
    let name = |build: &KernelBuild| {
        [build.version.as_str(), &build.flavour, &build.architecture]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut found: Vec<CveVerdict> = Vec::new();
    for (family, range) in engine.families() {
        let mut start = range.start;
        for (end, verdict) in verdicts.runs(record.id, range) {
            let builds = engine.builds().get(start..end).unwrap_or_default();
            start = end;
            let (Some(verdict), Some(first), Some(last)) = (verdict, builds.first(), builds.last()) else {
                continue;
            };
            found.push(CveVerdict {
                family: family.to_string(),
                first: name(first),
                last: name(last),
                sentence: verdict.to_string(),
                verdict: serde_json::to_value(verdict).unwrap_or_default(),
            });
        }
    }
    found
}

/// A value that is written as one word, as that word.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
