//! What stands in a fix's way, as one word.

use crate::state::{Outcome, Record};
use std::fmt;

/// The kind of a fix, by what the builder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Function bodies only.
    Bodies,
    /// A structure that exists already changes its layout.
    Layout,
    /// Something is done once, at start or registration, which is past.
    Once,
    /// The initial value of existing data changes.
    Data,
    /// Only code that runs at start.
    Init,
    /// A header that the builder cannot follow.
    Header,
    /// Nothing that could be redirected: assembly, functions without a trace site, contracts with other modules.
    Impossible,
    /// Compiled code is the same with it and without.
    Same,
    /// This kernel does not have the code.
    NotBuilt,
    /// The builder or the kernel failed.
    Unknown,
}

/// Codes in the order in which they decide.
const BY_CODE: [(&str, Class); 19] = [
    ("layout-changed", Class::Layout),
    ("assembly-patch", Class::Impossible),
    ("untraceable", Class::Impossible),
    ("section-moved", Class::Impossible),
    ("exported-contract", Class::Impossible),
    ("static-key-in-module", Class::Impossible),
    ("unnamed-data", Class::Impossible),
    ("ambiguous-static", Class::Impossible),
    ("data-changed", Class::Data),
    ("section-changed", Class::Once),
    ("once-only", Class::Once),
    ("init-code", Class::Init),
    ("header-patch", Class::Header),
    ("wide-header", Class::Header),
    ("new-file", Class::Bodies),
    ("no-such-file", Class::NotBuilt),
    ("not-built", Class::NotBuilt),
    ("not-code", Class::NotBuilt),
    ("no-functional-change", Class::Same),
];

impl Class {
    /// Of what came of a fix. What was built is of the first class whatever was noted beside it.
    pub(crate) fn of(record: &Record) -> Self {
        match record.outcome {
            Outcome::Built => Self::Bodies,
            Outcome::Failed => Self::Unknown,
            Outcome::Refused => {
                let has = |code: &str| record.refused.iter().any(|known| known == code);
                BY_CODE.iter().find(|(code, _)| has(code)).map_or(Self::Unknown, |(_, class)| *class)
            }
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bodies => "bodies",
            Self::Layout => "layout",
            Self::Once => "once",
            Self::Data => "data",
            Self::Init => "init",
            Self::Header => "header",
            Self::Impossible => "impossible",
            Self::Same => "same",
            Self::NotBuilt => "not-built",
            Self::Unknown => "unknown",
        })
    }
}
