//! The register in memory, made from the documents in the database and kept up with them. Several servers on one database
//! see each other's imports the next time they look.

use crate::refusal::Refusal;
use livepatch_cve::{
    Fault, Names, Outcome, Problem, Rating, Register, Statement,
    feeds::{self, Imported},
    record::{Assertions, Source},
};
use livepatch_store::{CveDocument, Store};
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// Documents that are read from the database at once.
const BATCH: u32 = 500;

/// The register.
#[derive(Debug, Default)]
pub(crate) struct Registers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The greatest change that is in.
    change: i64,
    register: Register,
    /// Feeds about every CVE there is: what they say of a new CVE must be read again when it comes.
    about_known: BTreeMap<(Source, String), String>,
}

impl Registers {
    /// Runs `work` on the register as it is now. Gives what is wrong with the documents that are new to it, too.
    pub(crate) async fn with<T>(
        &self,
        store: &Store,
        work: impl FnOnce(&Register) -> T,
    ) -> Result<(T, Vec<Problem>), Refusal> {
        let mut inner = self.inner.lock().await;
        let mut problems = Vec::new();
        let mut is_new = false;
        loop {
            let documents = store.cve_documents_after(inner.change, BATCH).await?;
            if documents.is_empty() {
                break;
            }
            is_new = true;
            tokio::task::block_in_place(|| {
                for (change, document) in documents {
                    problems.extend(inner.take_in(document));
                    inner.change = change;
                }
            });
        }
        Ok(tokio::task::block_in_place(|| {
            if is_new {
                inner.read_about_known();
            }
            (work(&inner.register), problems)
        }))
    }
}

impl Inner {
    fn take_in(&mut self, document: CveDocument) -> Vec<Problem> {
        let CveDocument { source: word, name, family, body } = document;
        let Some(source) = source(&word) else {
            return vec![Problem { document: name, line: 0, fault: Fault::Unreadable(word) }];
        };
        if body.is_empty() {
            self.register.withdraw(source, &name);
            self.about_known.remove(&(source, name));
            return Vec::new();
        }
        if matches!(source, Source::Kev | Source::Epss) {
            let outcome = self.read(source, &name, &body, &family);
            self.about_known.insert((source, name), body);
            return outcome.problems;
        }
        self.read(source, &name, &body, &family).problems
    }

    fn read_about_known(&mut self) {
        for ((source, name), body) in std::mem::take(&mut self.about_known) {
            // What is wrong with it was told when it came.
            let _ = self.read(source, &name, &body, "");
            self.about_known.insert((source, name), body);
        }
    }

    fn read(&mut self, source: Source, name: &str, body: &str, family: &str) -> Outcome {
        let bytes = body.as_bytes();
        match source {
            Source::UbuntuTracker => self.register.import(source, name, bytes, feeds::ubuntu_tracker),
            Source::CveRecord => self.register.import(source, name, bytes, feeds::cve_json),
            Source::Osv => self.register.import(source, name, bytes, feeds::osv),
            Source::Reviewer => self.register.import(source, name, bytes, rating),
            Source::Kev => self.register.import_about_known(source, name, bytes, feeds::kev),
            Source::Epss => self.register.import_about_known(source, name, bytes, feeds::epss),
            Source::Changelog => match family.parse() {
                Ok(family) => self.register.import(source, name, bytes, |name, bytes, names| {
                    feeds::changelog(name, bytes, names, &family)
                }),
                Err(_) => {
                    let fault = Fault::Unreadable(family.to_owned());
                    let problem = Problem { document: name.to_owned(), line: 0, fault };
                    Outcome { problems: vec![problem], ..Outcome::default() }
                }
            },
        }
    }
}

/// The kind of document that a word stands for.
pub(crate) fn source(word: &str) -> Option<Source> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// A person's decision as a document: its name is the CVE, its text the rating.
pub(crate) fn rating_document(cve: livepatch_cve::CveId, rating: &Rating) -> serde_json::Result<CveDocument> {
    let (name, body) = (cve.to_string(), serde_json::to_string(rating)?);
    Ok(CveDocument { source: "reviewer".to_owned(), name, family: String::new(), body })
}

fn rating(name: &str, bytes: &[u8], _names: &mut Names) -> Imported {
    let fault = |fault| Imported {
        problems: vec![Problem { document: name.to_owned(), line: 1, fault }],
        ..Imported::default()
    };
    let Ok(cve) = name.parse() else { return fault(Fault::Identifier(name.to_owned())) };
    match serde_json::from_slice::<Rating>(bytes) {
        Ok(rating) => {
            let assertions = Assertions { rating: Some(rating), ..Assertions::default() };
            Imported { statements: vec![Statement { cve, line: 1, assertions }], ..Imported::default() }
        }
        Err(error) => fault(Fault::Json(error.to_string())),
    }
}
