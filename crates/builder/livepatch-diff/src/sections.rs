//! Sections whose content registers something when the kernel or a module starts, which is long past.

use crate::annotations::{Annotations, is_note_section};
use crate::arch::Architecture;
use crate::compare::Sides;
use crate::names::without_numbers;
use crate::notice::Notice;
use crate::object::{Object, SectionIndex, SectionKind};
use crate::reference::{Reference, references};
use crate::refusal::Refusal;
use crate::tables::is_table;
use std::collections::{BTreeMap, BTreeSet};

/// Sections whose content is compared symbol by symbol, piece by piece or entry by entry.
fn is_ordinary(architecture: Architecture, name: &str) -> bool {
    let prefixed =
        [".text", ".data", ".bss", ".rodata", ".init.text", ".init.data", ".init.rodata", ".altinstr_"];
    // Unwind tables of the compiler's own (`.eh_frame`) go with their code; kernels that unwind make others.
    // A list of functions in which faults may be injected says nothing about what they do.
    let exact = [
        ".eh_frame",
        "__dyndbg",
        ".exit.text",
        ".exit.data",
        ".static_call.text",
        "_error_injection_whitelist",
    ];
    is_table(architecture, name)
        || architecture.address_pool(name).is_some()
        || name.starts_with(".discard.")
        || name.ends_with(".text")
        || is_note_section(name)
        || exact.contains(&name)
        || prefixed.iter().any(|prefix| name.starts_with(prefix))
}

/// All other allocated sections register something when the kernel or module starts: a change is refused, or noted where
/// the livepatch does without it.
pub(crate) fn compare_sections(sides: &Sides<'_>, annotations: &Annotations) -> (Vec<Refusal>, Vec<Notice>) {
    let (old, new) = (special(sides.original.0), special(sides.patched.0));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let same = |name: &String| match (old.get(name), new.get(name)) {
        (Some(one), Some(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(&one, &other)| sides.same_section(one, other))
        }
        _ => false,
    };
    let (mut refusals, mut notices) = (Vec::new(), Vec::new());
    for name in names.into_iter().filter(|name| !same(name)) {
        let exports = export_notices(sides, name);
        if annotations.ignored_sections.contains(name) {
            notices.push(Notice::PassedOver { name: name.clone() });
        } else if !exports.is_empty() {
            notices.extend(exports);
        } else if !(is_syscall_list(name) && events(sides.original.0, name) == events(sides.patched.0, name))
        {
            refusals.push(Refusal::SectionChanged { section: name.clone() });
        }
    }
    (refusals, notices)
}

/// Special sections by name.
fn special(object: &Object) -> BTreeMap<String, Vec<SectionIndex>> {
    let mut by_name: BTreeMap<String, Vec<SectionIndex>> = BTreeMap::new();
    for (index, section) in object.sections.iter().enumerate() {
        let content = section.is_allocated() && section.kind != SectionKind::Structure && section.size > 0;
        if content
            && !is_ordinary(object.architecture, &section.name)
            && !section.is_strings()
            && !section.is_constants()
        {
            by_name.entry(without_numbers(&section.name)).or_default().push(index);
        }
    }
    by_name
}

/// What becomes exported and what does no longer, as far as a section lists exports.
fn export_notices(sides: &Sides<'_>, name: &str) -> Vec<Notice> {
    let (old, new) = (exports(sides.original.0, name), exports(sides.patched.0, name));
    let added = new.difference(&old).map(|symbol| Notice::ExportAdded { symbol: symbol.clone() });
    let removed = old.difference(&new).map(|symbol| Notice::ExportRemoved { symbol: symbol.clone() });
    added.chain(removed).collect()
}

/// Lists of the trace events of system calls, among others (include/linux/syscalls.h, `SYSCALL_METADATA`).
fn is_syscall_list(section: &str) -> bool {
    section == "__syscalls_metadata" || section == "_ftrace_events"
}

/// Names of what a list refers to, those of system calls aside: they describe arguments to tracers and nothing else.
fn events(object: &Object, section: &str) -> BTreeSet<String> {
    let sections = (0..object.sections.len()).filter(|&index| object.sections[index].name == section);
    let found = sections.flat_map(|index| references(object, index, 0, object.sections[index].size));
    let name = found.filter_map(|resolved| match resolved.reference {
        Reference::Symbol(symbol, _) | Reference::External(symbol, _) => {
            Some(object.symbols[symbol].name.clone())
        }
        Reference::Section(..) => None,
    });
    name.filter(|name| !is_syscall_metadata(name)).collect()
}

/// Whether data describes a system call to tracers (`SYSCALL_METADATA`).
pub(crate) fn is_syscall_metadata(name: &str) -> bool {
    ["__syscall_meta_", "event_enter_", "event_exit_", "types__", "args__"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Symbols that a section of exports lists: `___ksymtab+NAME` or `___ksymtab_gpl+NAME` with a label `__ksymtab_NAME`
/// (include/linux/export.h), since Linux 6.4 `.export_symbol` with labels `__export_symbol_NAME`. None for other sections.
fn exports(object: &Object, section: &str) -> BTreeSet<String> {
    let listed = object.symbols.iter().enumerate().filter_map(|(index, symbol)| {
        let label = match object.section_of(index).map(|holder| object.sections[holder].name.as_str())? {
            ".export_symbol" => "__export_symbol_",
            holder if holder.starts_with("___ksymtab") => "__ksymtab_",
            _ => return None,
        };
        let holder = &object.sections[object.section_of(index)?].name;
        let name = symbol.name.strip_prefix(label)?;
        (without_numbers(holder) == section).then(|| name.to_owned())
    });
    listed.collect()
}
