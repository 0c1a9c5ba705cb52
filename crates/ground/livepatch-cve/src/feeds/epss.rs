//! FIRST's exploit prediction scores (`epss_scores-YYYY-MM-DD.csv`): a comment with model and day, a head, a line a CVE.

use super::Imported;
use crate::record::{Assertions, Forecast};
use crate::{CveId, Fault, Names, Problem, Statement, problem::shortened};

/// Reads the scores. Columns are found by the head's names, so that further ones do no harm.
pub fn epss(document: &str, bytes: &[u8], _names: &mut Names) -> Imported {
    let mut imported = Imported::default();
    let mut columns = None;
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let mut fault = |fault| imported.problems.push(Problem::new(document, at + 1, fault));
        let Ok(line) = str::from_utf8(line) else {
            fault(Fault::NotText);
            continue;
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(columns) = columns else {
            columns = Columns::find(line);
            if columns.is_none() {
                fault(Fault::Unreadable(shortened(line)));
                break;
            }
            continue;
        };
        match columns.read(line) {
            Ok((cve, forecast)) => {
                let assertions = Assertions { forecast: Some(forecast), ..Assertions::default() };
                imported.statements.push(Statement { cve, line: at + 1, assertions });
            }
            Err(what) => fault(what),
        }
    }
    imported
}

#[derive(Clone, Copy)]
struct Columns {
    cve: usize,
    chance: usize,
    percentile: usize,
}

impl Columns {
    fn find(head: &str) -> Option<Self> {
        let at = |name: &str| head.split(',').position(|column| column.trim() == name);
        Some(Self { cve: at("cve")?, chance: at("epss")?, percentile: at("percentile")? })
    }

    fn read(self, line: &str) -> Result<(CveId, Forecast), Fault> {
        let cell = |at: usize| line.split(',').nth(at).unwrap_or_default().trim();
        let share = |at: usize| {
            let number = cell(at).parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
            number.ok_or_else(|| Fault::Probability(shortened(cell(at))))
        };
        let cve = cell(self.cve).parse().map_err(|_| Fault::Identifier(shortened(cell(self.cve))))?;
        Ok((cve, Forecast { chance: share(self.chance)?, percentile: share(self.percentile)? }))
    }
}
