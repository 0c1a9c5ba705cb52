//! An exported function changes its signature.

use crate::case::Case;
use crate::debug::{DebugInfo, Function};
use crate::finding::{Finding, Rule, Severity};
use crate::layout::Layouts;
use livepatch_diff::Object;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    code: "exported-contract",
    severity: Severity::Refuse,
    acceptable: true,
    meaning: "an exported function changes its parameters or result, and modules that are not replaced call it as before",
    example: "int nf_register(struct net *) → int nf_register(struct net *, u32 flags): a caller in another module passes \
              rubbish in the second",
    advice: "keep the exported function as it is, and give the new one another name; or accept it when every caller is \
             replaced by this patch",
};

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let layouts = Layouts::new(case.original, case.patched);
    let exported = exported(case.difference.original);
    let one = |name: &&str| -> Option<Finding> {
        let (old, new) = (defined(case.original, name)?, defined(case.patched, name)?);
        if layouts.same_prototype(&old.prototype, &new.prototype) {
            return None;
        }
        let (before, after) =
            (case.original.prototype(&old.prototype, name), case.patched.prototype(&new.prototype, name));
        let message = format!(
            "the exported function '{name}' changes from '{before}' to '{after}'; callers elsewhere use the old form"
        );
        let advice = format!(
            "leave '{name}' as it is and put the new form into a function of another name that it calls"
        );
        Some(Finding::new(&RULE, *name, message, advice).at(case.place_of(name)))
    };
    exported.iter().filter_map(one).collect()
}

fn defined<'i>(info: &'i DebugInfo<'i>, name: &str) -> Option<&'i Function<'i>> {
    info.functions
        .iter()
        .find(|function| function.name == Some(name) && !function.declaration && function.external)
}

/// What an object exports: `__ksymtab_NAME` up to Linux 6.3 (include/linux/export.h), `__export_symbol_NAME` since.
pub(super) fn exported(object: &Object) -> BTreeSet<&str> {
    let names = object.symbols.iter().map(|symbol| symbol.name.as_str());
    names
        .filter_map(|name| name.strip_prefix("__ksymtab_").or(name.strip_prefix("__export_symbol_")))
        .collect()
}
