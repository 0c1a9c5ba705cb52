//! Something that takes effect once, at start or when a device appears, and that has already happened.

use super::init_code::is_refused;
use crate::case::{Case, list};
use crate::finding::{Finding, Rule, Severity};
use livepatch_diff::names::without_numbers;
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{SymbolIndex, SymbolKind};
use std::collections::BTreeMap;

pub(super) const RULE: Rule = Rule {
    code: "once-only",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "the fix includes something that is done once, at start or when a device or namespace appears: for those that \
              are there already it has been done the old way",
    example: "foo_probe() now clears FOO_FEATURE_BROKEN: devices that were probed before the livepatch keep the bit",
    advice: "do it for what exists in a post-patch callback, and undo it in a pre-unpatch callback; or reboot",
};

/// Members that hold functions which run once in an object's life, by structure where the name alone says too little.
const ONCE: [(Option<&str>, &str, &str); 5] = [
    (None, "probe", "when a device appears"),
    (Some("pernet_operations"), "init", "when a network namespace is made"),
    (None, "bind", "when a device is bound"),
    (None, "attach", "when a device is attached"),
    (Some("file_system_type"), "init_fs_context", "when a file system is mounted"),
];

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = callbacks(case);
    let (init, others): (Vec<&str>, Vec<&str>) =
        case.changed().iter().map(|changed| changed.symbol).partition(|name| is_refused(case, name));
    if let (Some(first), false) = (init.first(), others.is_empty()) {
        let message = format!(
            "the fix changes init code ({}) together with {}: what the init code sets up was set up the old way at start",
            list(init.iter().copied()),
            list(others.iter().copied())
        );
        let advice = "do what the init code does now in a post-patch callback if the rest depends on it; else leave it out \
                      (accept init-code), or reboot";
        let place =
            case.edit_of(first).map(|(file, line)| (file.to_owned(), line)).or_else(|| case.place_of(first));
        findings.push(Finding::new(&RULE, *first, message, advice).at(place));
    }
    findings
}

fn callbacks(case: &Case<'_>) -> Vec<Finding> {
    let registered = registered(case);
    let one = |changed: crate::case::Changed<'_>| {
        let (holder, when) = registered.get(&changed.indices.0)?;
        // What moved without an edit does what it did.
        let (file, line) = case.edit_of(changed.name)?;
        let message = format!(
            "'{}' is {holder}, which runs {when}: for those that are there already it ran the old way",
            changed.name
        );
        let advice = format!(
            "if the fix in '{}' sets up a state that the other changes rely on, do the same for existing ones in a \
             post-patch callback; if it only mends the set-up itself, nothing is needed",
            changed.name
        );
        Some(Finding::new(&RULE, changed.name, message, advice).at(Some((file.to_owned(), line))))
    };
    case.changed().into_iter().filter_map(one).collect()
}

/// Functions of the original that a table has as such a callback: the member, and when it runs.
fn registered(case: &Case<'_>) -> BTreeMap<SymbolIndex, (String, &'static str)> {
    let (object, info) = (case.difference.original, case.original);
    let mut found = BTreeMap::new();
    for symbol in &object.symbols {
        let livepatch_diff::Definition::Section(section) = symbol.definition else { continue };
        if symbol.kind != SymbolKind::Object {
            continue;
        }
        let Some(of) = info.variable_at(section, symbol.value).and_then(|variable| variable.of) else {
            continue;
        };
        let Some((_, crate::debug::Type::Composite(composite))) = info.resolve(of) else { continue };
        for resolved in references(object, section, symbol.value, symbol.size) {
            let Reference::Symbol(target, 0) = resolved.reference else { continue };
            let offset = resolved.relocation.offset.saturating_sub(symbol.value).saturating_mul(8);
            let member = composite
                .members
                .iter()
                .find(|member| member.offset == offset)
                .and_then(|member| member.name);
            let when = ONCE
                .iter()
                .find(|(tag, name, _)| member == Some(*name) && (tag.is_none() || *tag == composite.tag));
            if let Some((_, name, when)) = when {
                found.insert(
                    target,
                    (format!("the {name} callback of '{}'", without_numbers(&symbol.name)), *when),
                );
            }
        }
    }
    found
}
