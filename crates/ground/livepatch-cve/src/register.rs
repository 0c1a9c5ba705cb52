//! The register: all records, made from documents that can be imported again and again.
//!
//! A document is known by its source and its name. The same bytes again change nothing; other bytes under the same name take
//! back everything that the old ones said before the new ones are heard. So the order and the number of imports do not
//! matter, only the last state of each document does.

use crate::feeds::{Imported, RecordSplitter};
use crate::record::{Assertions, CveRecord, DocumentId, Source};
use crate::{CveId, Fault, Names, Problem};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};

/// All records, and the documents that they come from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub struct Register {
    records: BTreeMap<CveId, CveRecord>,
    documents: Vec<Document>,
    /// Position in `documents` by source and name.
    #[serde(skip)]
    by_name: BTreeMap<(Source, String), DocumentId>,
    /// Position in `documents` by source and content.
    #[serde(skip)]
    by_digest: HashMap<(Source, DocumentDigest), DocumentId>,
    #[serde(skip)]
    names: Names,
}

/// A document that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What kind it is.
    pub source: Source,
    /// Its name: a path or an address.
    pub name: String,
    /// SHA-256 of its bytes.
    digest: DocumentDigest,
    /// The CVEs that it speaks of.
    pub cves: Vec<CveId>,
}

/// What an import did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The document had the same bytes as before, so it was not read again.
    pub unchanged: bool,
    /// CVEs whose records changed or were confirmed.
    pub cves: usize,
    /// What is wrong with the document.
    pub problems: Vec<Problem>,
}

/// SHA-256 of a document.
pub type DocumentDigest = [u8; 32];

impl Register {
    /// The records by CVE.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &CveRecord> + Clone {
        self.records.values()
    }

    /// One record.
    pub fn record(&self, id: CveId) -> Option<&CveRecord> {
        self.records.get(&id)
    }

    /// The document with this number.
    pub fn document(&self, id: DocumentId) -> Option<&Document> {
        self.documents.get(id.0 as usize)
    }

    /// The texts that the records share.
    pub fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Imports a document: `read` is called with its bytes unless they are known already.
    pub fn import(
        &mut self,
        source: Source,
        name: &str,
        bytes: &[u8],
        read: impl FnOnce(&str, &[u8], &mut Names) -> Imported,
    ) -> Outcome {
        let digest = Sha256::digest(bytes).into();
        if self.is_known(source, name, &digest) {
            return Outcome { unchanged: true, ..Outcome::default() };
        }
        let imported = read(name, bytes, &mut self.names);
        self.replace(source, name, digest, imported)
    }

    /// Whether a document with these bytes is already in. For feeds of many records, where each record is a document.
    pub fn is_known(&self, source: Source, name: &str, digest: &DocumentDigest) -> bool {
        let known = self.by_name.get(&(source, name.to_owned())).and_then(|id| self.document(*id));
        known.is_some_and(|document| document.digest == *digest)
    }

    /// Imports a feed about every CVE there is (known exploitation, forecasts), keeping what it says of the CVEs that are in the
    /// register. It is read each time: what it has to say of a new CVE was not kept before.
    pub fn import_about_known(
        &mut self,
        source: Source,
        name: &str,
        bytes: &[u8],
        read: impl FnOnce(&str, &[u8], &mut Names) -> Imported,
    ) -> Outcome {
        let mut imported = read(name, bytes, &mut self.names);
        imported.statements.retain(|statement| {
            let record = self.records.get(&statement.cve);
            record.is_some_and(|record| record.sources().any(|of| of != source))
        });
        self.replace(source, name, Sha256::digest(bytes).into(), imported)
    }

    /// Imports a feed of many records (JSON lines, an array, or records one after the other), each of which is a document of its
    /// own: a record that is the same as before is not read again, a broken one costs only itself.
    ///
    /// Feed the bytes to a [`RecordSplitter`] by pieces when the whole is too large to hold, and give each record to
    /// [`Register::import`].
    pub fn import_feed(
        &mut self,
        source: Source,
        name: &str,
        bytes: &[u8],
        read: impl Fn(&str, &[u8], &mut Names) -> Imported,
    ) -> FeedOutcome {
        let mut outcome = FeedOutcome::default();
        let mut splitter = RecordSplitter::new(name);
        splitter.push(bytes, &mut |line, record| {
            self.import_record(source, name, line, record, &read, &mut outcome)
        });
        outcome.problems.extend(splitter.finish());
        outcome
    }

    /// Imports one record of a feed.
    pub fn import_record(
        &mut self,
        source: Source,
        feed: &str,
        line: usize,
        record: &[u8],
        read: impl Fn(&str, &[u8], &mut Names) -> Imported,
        outcome: &mut FeedOutcome,
    ) {
        let digest: DocumentDigest = Sha256::digest(record).into();
        // The record's own name is in it; until it is read, its digest stands for it.
        if let Some(document) = self.by_digest.get(&(source, digest)) {
            let document = *document;
            if self.document(document).is_some_and(|known| known.digest == digest) {
                outcome.unchanged += 1;
                return;
            }
        }
        let mut imported = read(feed, record, &mut self.names);
        for problem in &mut imported.problems {
            problem.line = problem.line.saturating_add(line).saturating_sub(1);
        }
        outcome.problems.append(&mut imported.problems);
        let Some(key) = imported.key.take() else {
            return;
        };
        let name = format!("{feed}#{key}");
        outcome.problems.extend(self.replace(source, &name, digest, imported).problems);
        outcome.imported += 1;
    }

    /// Puts a document's statements in the place of its earlier ones.
    pub fn replace(
        &mut self,
        source: Source,
        name: &str,
        digest: DocumentDigest,
        imported: Imported,
    ) -> Outcome {
        let id = self.document_id(source, name);
        self.retract(id);
        let Imported { statements, mut problems, .. } = imported;
        let mut seen = HashSet::with_capacity(statements.len());
        for Statement { cve, line, assertions } in statements {
            let record = self.records.entry(cve).or_insert_with(|| CveRecord::new(cve));
            if !seen.insert(cve) {
                record.retract(id);
                problems.push(Problem::new(name, line, Fault::Duplicate(cve)));
            }
            record.assert(assertions, source, id);
        }
        let mut cves: Vec<CveId> = seen.into_iter().collect();
        cves.sort_unstable();
        let count = cves.len();
        self.by_digest.insert((source, digest), id);
        if let Some(document) = self.documents.get_mut(id.0 as usize) {
            (document.digest, document.cves) = (digest, cves);
        }
        Outcome { unchanged: false, cves: count, problems }
    }

    /// Takes back all that a document said, as when it is gone from its feed.
    pub fn withdraw(&mut self, source: Source, name: &str) -> bool {
        let Some(id) = self.by_name.get(&(source, name.to_owned())).copied() else { return false };
        self.retract(id);
        true
    }

    fn retract(&mut self, id: DocumentId) {
        let Some(document) = self.documents.get_mut(id.0 as usize) else { return };
        self.by_digest.remove(&(document.source, document.digest));
        document.digest = DocumentDigest::default();
        for cve in std::mem::take(&mut document.cves) {
            if let Some(record) = self.records.get_mut(&cve) {
                record.retract(id);
                if record.is_empty() {
                    self.records.remove(&cve);
                }
            }
        }
    }

    fn document_id(&mut self, source: Source, name: &str) -> DocumentId {
        let key = (source, name.to_owned());
        if let Some(id) = self.by_name.get(&key) {
            return *id;
        }
        let id = DocumentId(u32::try_from(self.documents.len()).unwrap_or(u32::MAX));
        let digest = DocumentDigest::default();
        self.documents.push(Document { source, name: name.to_owned(), digest, cves: Vec::new() });
        self.by_name.insert(key, id);
        id
    }
}

/// What the import of a feed of records did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FeedOutcome {
    /// Records that were read.
    pub imported: usize,
    /// Records with the same bytes as before.
    pub unchanged: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// What is kept of a register between runs.
#[derive(Deserialize)]
struct Saved {
    records: BTreeMap<CveId, CveRecord>,
    documents: Vec<Document>,
}

impl From<Saved> for Register {
    fn from(Saved { records, documents }: Saved) -> Self {
        let numbered = || documents.iter().zip(0..).map(|(document, number)| (document, DocumentId(number)));
        Self {
            by_name: numbered()
                .map(|(document, id)| ((document.source, document.name.clone()), id))
                .collect(),
            by_digest: numbered().map(|(document, id)| ((document.source, document.digest), id)).collect(),
            records,
            documents,
            names: Names::default(),
        }
    }
}

/// What a document says about one CVE, and where in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The CVE.
    pub cve: CveId,
    /// Line in the document, from 1.
    pub line: usize,
    /// What it says.
    pub assertions: Assertions,
}
