//! What is wrong with an imported document, and where: an import never stops at the first fault.

use crate::CveId;
use serde::Serialize;
use std::fmt;

/// One fault. The rest of the document, or the rest of the feed, is imported all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The document's name, as the caller gave it: a path or an address.
    pub document: String,
    /// Line in the document, from 1; 0 when the fault is of the whole.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// A kind of fault, with the text that has it (shortened).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Bytes that are no UTF-8; the line is skipped.
    #[error("the line is not UTF-8 text")]
    NotText,
    /// A line of no known form; it is kept for export, and means nothing.
    #[error("cannot be understood: '{0}'")]
    Unreadable(String),
    /// A field that the format has only once; the first one counts.
    #[error("'{0}' is here a second time; the first one counts")]
    Repeated(String),
    /// A state that the format does not know; kept for export, and means nothing.
    #[error("'{0}' is no state of a package")]
    State(String),
    /// A priority outside the scale.
    #[error("'{0}' is no priority: negligible, low, medium, high or critical expected")]
    Priority(String),
    /// A version that no package can have.
    #[error("'{0}' is no version of a package; the state is imported without it")]
    Version(String),
    /// A date that is none.
    #[error("'{0}' is no date")]
    Date(String),
    /// An identifier that is none.
    #[error("'{0}' is no CVE identifier")]
    Identifier(String),
    /// The document names no CVE.
    #[error("names no CVE")]
    NoIdentifier,
    /// Broken JSON, or JSON of another shape.
    #[error("{0}")]
    Json(String),
    /// A record over the size limit; it is skipped.
    #[error("a record of more than {0} bytes; it is skipped")]
    TooLarge(usize),
    /// The input ends within a record.
    #[error("the input ends within a record")]
    CutOff,
    /// The same CVE twice in one document; the later record counts.
    #[error("{0} is here a second time; the later record counts")]
    Duplicate(CveId),
    /// A number outside its range.
    #[error("'{0}' is not a number between 0 and 1")]
    Probability(String),
}

impl Problem {
    /// A fault at a line of a document.
    pub fn new(document: &str, line: usize, fault: Fault) -> Self {
        Self { document: document.to_owned(), line, fault }
    }
}

/// `active/CVE-2019-1: line 12: '…' is no state of a package`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.document, self.fault),
            line => write!(f, "{}:{line}: {}", self.document, self.fault),
        }
    }
}

/// The start of a text from outside, for a message.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
