//! Judges a source fix: what it means for a kernel that runs already, as findings with reason, place and advice.
//!
//! Pure: objects, their debug information and the texts of the touched files in; findings out. The road through the crate:
//!
//! 1. [`DebugSections`] takes the debug sections out of an object and applies their relocations; [`DebugInfo`] reads types,
//!    functions with what is inlined into them, and variables.
//! 2. [`SourceFile`] knows which functions and macros of a file the patch edits, and on which lines.
//! 3. [`judge`] puts the rules (`rules/`, one a file) to one translation unit, a [`Case`]; [`half_fix`] to the patch as a whole.
//! 4. A [`Finding`] of severity [`Severity::Refuse`] forbids the livepatch, unless the author's [`Acceptance`] covers it.

mod case;
pub mod debug;
mod finding;
mod layout;
mod rules;
pub mod source;
mod value;
mod why;

pub use case::Case;
pub use debug::{DebugError, DebugInfo, DebugSections, unit_names};
pub use finding::{Acceptance, AcceptanceError, Finding, Rule, Severity};
pub use layout::Change;
pub use rules::{all as rules, half_fix, without_debug_info};
pub use source::SourceFile;
pub use value::ValueChange;
pub use why::FunctionWhy;

/// What is to be said of one translation unit.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Findings, by rule.
    pub findings: Vec<Finding>,
    /// Why each changed function changed.
    pub whys: Vec<FunctionWhy>,
}

/// Judges a translation unit.
pub fn judge(case: &Case<'_>) -> Judgement {
    let findings = rules::judge(case);
    let layouts: Vec<&str> = findings
        .iter()
        .filter(|finding| !finding.layout.is_empty())
        .map(|finding| finding.subject.as_str())
        .collect();
    let whys = why::explain(case, &layouts);
    Judgement { findings, whys }
}
