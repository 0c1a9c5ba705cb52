//! CISA's catalogue of known exploited vulnerabilities (`known_exploited_vulnerabilities.json`).

use super::Imported;
use crate::record::{Assertions, Exploited};
use crate::{CveId, Fault, Names, Problem, Statement, problem::shortened};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads the catalogue. A broken entry costs only itself.
pub fn kev(document: &str, bytes: &[u8], _names: &mut Names) -> Imported {
    let catalogue: Catalogue<'_> = match serde_json::from_slice(bytes) {
        Ok(catalogue) => catalogue,
        Err(error) => return Imported::fault(document, error.line(), Fault::Json(error.to_string())),
    };
    let mut imported = Imported::default();
    let mut place = Place { line: 1, upto: 0 };
    for raw in catalogue.vulnerabilities {
        let line = place.line_of(bytes, raw.get());
        match entry(raw.get()) {
            Ok((cve, exploited)) => {
                let assertions = Assertions { exploited: Some(exploited), ..Assertions::default() };
                imported.statements.push(Statement { cve, line, assertions });
            }
            Err(fault) => imported.problems.push(Problem::new(document, line, fault)),
        }
    }
    imported
}

#[derive(Deserialize)]
struct Catalogue<'a> {
    #[serde(borrow)]
    vulnerabilities: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve: String,
    date_added: String,
    due_date: Option<String>,
    #[serde(default)]
    known_ransomware_campaign_use: String,
}

fn entry(text: &str) -> Result<(CveId, Exploited), Fault> {
    let entry: Entry = serde_json::from_str(text).map_err(|error| Fault::Json(error.to_string()))?;
    let cve = entry.cve.parse().map_err(|_| Fault::Identifier(shortened(&entry.cve)))?;
    let date = |text: &str| text.parse::<Date>().map_err(|_| Fault::Date(shortened(text)));
    let exploited = Exploited {
        since: date(&entry.date_added)?,
        due: entry.due_date.as_deref().map(date).transpose()?,
        ransomware: entry.known_ransomware_campaign_use == "Known",
    };
    Ok((cve, exploited))
}

/// Counts lines up to an entry; the entries come in order.
struct Place {
    line: usize,
    upto: usize,
}

impl Place {
    /// `part` is a piece of `whole`: its line, from the distance between their starts.
    fn line_of(&mut self, whole: &[u8], part: &str) -> usize {
        let at = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        let between = whole.get(self.upto..at).unwrap_or_default();
        self.line += between.iter().filter(|byte| **byte == b'\n').count();
        self.upto = at.max(self.upto);
        self.line
    }
}
