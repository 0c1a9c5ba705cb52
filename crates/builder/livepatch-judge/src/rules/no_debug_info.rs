//! A unit that cannot be judged by its types.

use crate::debug::DebugError;
use crate::finding::{Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "no-debug-info",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "the compiled unit has no debug information that can be read, so that changed layouts, values and locks are not \
              looked for, and changed functions are not explained",
    example: "a kernel tree whose flags switch debug information off behind the builder's own",
    advice: "look at the kernel's flags for debug information; until then, look for changed structures by eye",
};

/// The finding for a unit without.
pub fn without_debug_info(source: &str, error: &DebugError) -> Finding {
    let message = format!("{source} is not judged: {error}");
    Finding::new(&RULE, source, message, RULE.advice)
}
