//! What other people publish about CVEs, read into one form.
//!
//! Each reader takes a document's name and bytes, and never fails as a whole: it returns what it could read and what is wrong
//! with the rest. Numbers of lines in the problems are those of the document.

mod changelog;
mod cve_json;
mod epss;
mod kev;
mod osv;
mod split;

pub use changelog::{Changelog, ChangelogEntry, ChangelogItem, changelog};
pub use cve_json::cve_json;
pub use epss::epss;
pub use kev::kev;
pub use osv::osv;
pub use split::{LARGEST_RECORD, RecordSplitter};

use crate::ubuntu_tracker::TrackerFile;
use crate::{Fault, Names, Problem, Statement};

/// What a document says, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Imported {
    /// The document's statements.
    pub statements: Vec<Statement>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// The record's own identifier, for a record of a feed; none when it cannot be told.
    pub key: Option<String>,
}

impl Imported {
    fn fault(document: &str, line: usize, fault: Fault) -> Self {
        Self { problems: vec![Problem::new(document, line, fault)], ..Self::default() }
    }
}

/// A file of the Ubuntu CVE tracker. A file without a candidate, such as the tracker's template, is a problem and no statement.
pub fn ubuntu_tracker(document: &str, bytes: &[u8], names: &mut Names) -> Imported {
    let (file, mut problems) = TrackerFile::read(document, bytes);
    let Some(cve) = file.candidate() else {
        let fault = match file.value("Candidate") {
            None | Some("") => Fault::NoIdentifier,
            Some(other) => Fault::Identifier(other.chars().take(40).collect()),
        };
        problems.push(Problem::new(document, 0, fault));
        return Imported { problems, ..Imported::default() };
    };
    let statements = vec![Statement { cve, line: 1, assertions: file.assertions(names) }];
    Imported { statements, problems, key: Some(cve.to_string()) }
}
