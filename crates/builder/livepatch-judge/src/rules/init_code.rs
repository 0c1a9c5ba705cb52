//! Code or data changes that is gone once the kernel or module runs.

use crate::case::Case;
use crate::finding::{Finding, Rule, Severity};
use livepatch_diff::Refusal;
use livepatch_diff::names::source_name;

pub(super) const RULE: Rule = Rule {
    code: "init-code",
    severity: Severity::Refuse,
    acceptable: true,
    meaning: "code or data changes that is only used while the kernel or a module starts, and then freed",
    example: "efi_mokvar_table_init() in .init.text: it ran at boot, and its memory is long given away",
    advice: "reboot into the fixed kernel. If the rest of the fix stands alone, accept it: the init code is then left out",
};

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let of_refusal = |refusal: &Refusal| match refusal {
        Refusal::InitCode { name, section } => Some(one(case, name, section)),
        _ => None,
    };
    case.difference.refusals.iter().filter_map(of_refusal).collect()
}

fn one(case: &Case<'_>, name: &str, section: &str) -> Finding {
    let source = source_name(name);
    let variable = case.patched.variables.iter().find(|variable| variable.name == source);
    let place = case
        .edit_of(source)
        .map(|(file, line)| (file.to_owned(), line))
        .or_else(|| case.place_of(source))
        .or_else(|| variable.and_then(|variable| case.place(case.patched, variable.place)));
    let others = case
        .difference
        .changed
        .iter()
        .map(|&(index, _)| case.difference.original.symbols[index].name.as_str())
        .any(|changed| !is_refused(case, changed));
    let advice = if others {
        "reboot into the fixed kernel; or, if the other changes mend what matters without it, accept it: it is then left out"
    } else {
        "reboot into the fixed kernel: nothing else in this file changes"
    };
    let message =
        format!("'{name}' is only used while the kernel or module starts ({section}), which is long past");
    Finding::new(&RULE, name, message, advice).at(place)
}

/// Whether a function is init code that the patch changes.
pub(super) fn is_refused(case: &Case<'_>, function: &str) -> bool {
    case.difference
        .refusals
        .iter()
        .any(|refusal| matches!(refusal, Refusal::InitCode { name, .. } if name == function))
}
