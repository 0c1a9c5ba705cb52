//! The initial value of existing data changes.

use crate::case::{Case, list};
use crate::finding::{Finding, Rule, Severity};
use crate::value::{Datum, ValueChange, changes};
use livepatch_diff::names::{cold_parent, source_name, without_numbers};
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{Object, Refusal, SymbolIndex, SymbolKind};
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    code: "data-changed",
    severity: Severity::Refuse,
    acceptable: true,
    meaning: "the initial value of existing data changes, but the running kernel's copy has been in use since it started",
    example: "virtio_bus.shutdown: NULL → virtio_dev_shutdown: the bus is registered with the old table",
    advice: "set the member at patch time in a callback, and set it back when the patch is undone; or reboot into the fixed \
             kernel. Accepting it builds the rest and leaves the data alone, for a patch that brings such a callback",
};

/// How many changed values a message names.
const SHOWN: usize = 3;

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let wanted: BTreeSet<(&str, &str)> = case
        .difference
        .refusals
        .iter()
        .filter_map(|refusal| match refusal {
            Refusal::DataChanged { object, section } => Some((object.as_str(), section.as_str())),
            _ => None,
        })
        .collect();
    wanted.into_iter().map(|(object, section)| one(case, object, section)).collect()
}

fn one(case: &Case<'_>, name: &str, section: &str) -> Finding {
    let original = case.difference.original;
    let index = (0..original.symbols.len()).find(|&index| original.symbols[index].name == name);
    let other = index.and_then(|index| case.difference.correlation.patched_of(index));
    let source = without_numbers(name);
    let datum = |patched: bool, symbol: Option<SymbolIndex>| {
        let (object, info) =
            if patched { (case.difference.patched, case.patched) } else { (original, case.original) };
        let symbol = symbol?;
        let variable = info.variable_at(object.section_of(symbol)?, object.symbols[symbol].value)?;
        Some((Datum { object, info, symbol, name: &source, of: variable.of? }, variable))
    };
    let (old, new) = (datum(false, index), datum(true, other));
    let values = match (&old, &new) {
        (Some((old, _)), Some((new, _))) => changes(old, new),
        _ => Vec::new(),
    };
    let is_static_local = new.as_ref().is_some_and(|(_, variable)| variable.function.is_some());
    let place = new.and_then(|(_, variable)| case.place(case.patched, variable.place));
    let users = index.map(|index| users(original, index)).unwrap_or_default();
    if other.is_some_and(|other| holds_labels(case.difference.patched, other)) {
        return labels(name, &source, &users).at(place);
    }
    let read_only = is_read_only(section);
    let message = format!("the initial value of '{name}' changes ({section}): {}", describe(&values));
    let advice = advise(&source, &values, read_only, is_static_local, &users);
    let mut finding = Finding::new(&RULE, name, message, advice);
    if !is_static_local && !values.is_empty() {
        finding.code_to_use = Some(callback(&source, &values, read_only));
    }
    finding.values = values;
    finding.at(place)
}

/// A table of labels leads into the middle of functions: with the old one, the new code would jump back into the old. That
/// cannot be accepted.
fn labels(name: &str, source: &str, users: &BTreeSet<&str>) -> Finding {
    let users = list(users.iter().copied());
    let message =
        format!("'{name}' is a table of labels, and the running kernel's leads into the old code of {users}");
    let advice = format!(
        "use a switch in place of the labels of '{source}', or give the table another name in the source"
    );
    let mut finding = Finding::new(&RULE, name, message, advice);
    finding.acceptable = false;
    finding
}

fn holds_labels(object: &Object, index: SymbolIndex) -> bool {
    let symbol = &object.symbols[index];
    let Some(section) = object.section_of(index) else { return false };
    references(object, section, symbol.value, symbol.size).iter().any(|resolved| match resolved.reference {
        Reference::Symbol(target, into) => into != 0 && object.symbols[target].kind == SymbolKind::Function,
        _ => false,
    })
}

/// Memory that the kernel maps without write access once it runs (include/asm-generic/vmlinux.lds.h, RO_DATA).
fn is_read_only(section: &str) -> bool {
    section.starts_with(".rodata")
        || section.starts_with(".data..ro_after_init")
        || section.starts_with(".data.rel.ro")
}

fn describe(values: &[ValueChange]) -> String {
    let absent = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not there)".into());
    let shown: Vec<String> = values
        .iter()
        .take(SHOWN)
        .map(|value| format!("{}: {} → {}", value.path, absent(&value.old), absent(&value.new)))
        .collect();
    match (values.len(), values.len().saturating_sub(SHOWN)) {
        (0, _) => "the running kernel holds the old one".into(),
        (_, 0) => shown.join(", "),
        (_, more) => format!("{}, and {more} more", shown.join(", ")),
    }
}

fn advise(
    name: &str,
    values: &[ValueChange],
    read_only: bool,
    is_static_local: bool,
    users: &BTreeSet<&str>,
) -> String {
    let grows = values.iter().any(|value| value.old.is_none());
    let mut advice = if grows {
        format!("'{name}' grows, and the running kernel's has no room: ")
    } else if is_static_local {
        format!("'{name}' belongs to a function, so that no callback can name it: ")
    } else {
        let members = list(values.iter().map(|value| value.path.as_str()));
        let members = if members.is_empty() { name.to_owned() } else { members };
        format!(
            "set {members} in a pre-patch callback and put it back in a post-unpatch callback (skeleton attached)"
        )
    };
    if read_only && !grows && !is_static_local {
        advice += "; it lies in memory that is read-only, so the callback must write through a mapping of its own (vmap)";
    }
    // A constant table has no state: a fixed copy serves as well. What is registered or written to must stay the one there is.
    let copyable = (read_only || is_static_local) && !users.is_empty();
    match (copyable, grows || is_static_local) {
        (true, alone) => {
            advice += if alone { "" } else { "; or " };
            advice += "give the fixed copy another name in the source, so that its users";
            advice += &format!(" ({}) change with it", list(users.iter().copied()));
        }
        (false, true) => advice += "reboot into the fixed kernel",
        (false, false) => {}
    }
    advice
}

/// Functions that refer to the variable.
fn users(object: &Object, wanted: SymbolIndex) -> BTreeSet<&str> {
    let refers = |index: usize| {
        let symbol = &object.symbols[index];
        let found = object.section_of(index).is_some_and(|section| {
            references(object, section, symbol.value, symbol.size).iter().any(
                |resolved| matches!(resolved.reference, Reference::Symbol(target, _) if target == wanted),
            )
        });
        (symbol.kind == SymbolKind::Function && found)
            .then(|| source_name(cold_parent(&symbol.name).unwrap_or(&symbol.name)))
    };
    (0..object.symbols.len()).filter_map(refers).collect()
}

/// Callbacks to start from, in the upstream spelling (include/linux/livepatch.h, struct klp_callbacks).
fn callback(name: &str, values: &[ValueChange], read_only: bool) -> String {
    let set = |value: &ValueChange, to: &Option<String>| match to {
        Some(text) => format!("\t{} = {text};\n", value.path),
        None => format!("\t/* {} is not there */\n", value.path),
    };
    let identifier: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let forth: String = values.iter().map(|value| set(value, &value.new)).collect();
    let back: String = values.iter().rev().map(|value| set(value, &value.old)).collect();
    let note = if read_only {
        format!("/* '{name}' is read-only: write through vmap() of its pages instead of assigning. */\n")
    } else {
        String::new()
    };
    format!(
        "{note}static int set_{identifier}(struct klp_object *obj)\n{{\n{forth}\treturn 0;\n}}\n\n\
         static void reset_{identifier}(struct klp_object *obj)\n{{\n{back}}}\n\n\
         KLP_PRE_PATCH_CALLBACK(set_{identifier});\nKLP_POST_UNPATCH_CALLBACK(reset_{identifier});\n"
    )
}
