//! Which functions a livepatch redirects: the changed ones that have a trace site, and for the others their nearest
//! callers that have one.
//!
//! A function without a trace site (notrace, noinstr, a system call's body inlined nowhere) cannot be redirected itself.
//! When all its callers are known, because it is static and nobody takes its address, the livepatch carries the new
//! function as a local one and redirects the callers instead, and theirs where they have no trace site either.

use crate::arch::Architecture;
use crate::correlate::Correlation;
use crate::names::cold_parent;
use crate::notice::Notice;
use crate::object::{Binding, Object, SectionIndex, SymbolIndex, SymbolKind};
use crate::reference::{Reference, Resolved, references};
use crate::refusal::Refusal;
use crate::tables::{Entry, Tables, is_table};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the kernel that the original object is part of, beyond the object itself.
#[derive(Clone, Copy, Default)]
pub struct Facts<'f> {
    /// Whether a function of the original has a trace site in what runs; `None` where that is not known, and the compiled
    /// object's own list decides.
    pub traced: Option<&'f dyn Fn(SymbolIndex) -> Option<bool>>,
    /// Whether the unit is part of a module; `None` when that is not known.
    pub in_module: Option<bool>,
}

/// A function of both objects: original and patched symbol.
type Pair = (SymbolIndex, SymbolIndex);

/// What becomes of the changed functions.
#[derive(Debug, Default)]
pub(crate) struct Redirection {
    pub(crate) redirected: Vec<Pair>,
    pub(crate) carried: Vec<Pair>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) notices: Vec<Notice>,
}

/// Sorts the changed functions; `traced` are the functions of the original with a trace site.
pub(crate) fn redirect(
    original: &Object,
    correlation: &Correlation,
    changed: &[Pair],
    traced: &BTreeSet<SymbolIndex>,
    in_module: Option<bool>,
) -> Redirection {
    let mut all = Redirection::default();
    let mut users: Option<Users> = None;
    let mut seen = BTreeSet::new();
    let mut queue: Vec<Pair> = changed.to_vec();
    while let Some((old, new)) = queue.pop() {
        let section = section_name(original, old);
        if !seen.insert(old) || is_init(section) {
            continue;
        }
        if is_exit(section) && in_module == Some(false) {
            all.notices.push(Notice::NeverRuns { function: original.symbols[old].name.clone() });
            continue;
        }
        if traced.contains(&old) {
            all.redirected.push((old, new));
            continue;
        }
        let users = users.get_or_insert_with(|| Users::of(original));
        match users.callers(original, old) {
            Ok(callers) => {
                all.carried.push((old, new));
                all.notices.push(Notice::ThroughCallers {
                    function: original.symbols[old].name.clone(),
                    callers: list(callers.iter().map(|&caller| original.symbols[caller].name.as_str())),
                });
                let paired =
                    callers.iter().filter_map(|&caller| Some((caller, correlation.patched_of(caller)?)));
                queue.extend(paired);
            }
            Err(why) => all.refusals.push(Refusal::Untraceable {
                function: original.symbols[old].name.clone(),
                section: section.to_owned(),
                why,
            }),
        }
    }
    all.redirected.sort_unstable();
    all.carried.sort_unstable();
    all
}

/// `.init.text`, `.init.data`, `.ref` and their kin: gone after start.
pub(crate) fn is_init(section: &str) -> bool {
    section.starts_with(".init.") || section.starts_with(".meminit.")
}

/// `.exit.text`: only a module is ever taken out (include/linux/init.h).
pub(crate) fn is_exit(section: &str) -> bool {
    section.starts_with(".exit.") || section.starts_with(".memexit.")
}

fn section_name(object: &Object, index: SymbolIndex) -> &str {
    object.section_of(index).map_or("", |section| object.sections[section].name.as_str())
}

/// Functions with a trace site: as the running kernel lists them, else as the compiled object does.
pub(crate) fn traced_functions(
    original: &Object,
    tables: &Tables,
    facts: Facts<'_>,
) -> BTreeSet<SymbolIndex> {
    let is_function = |index: &SymbolIndex| {
        original.symbols[*index].kind == SymbolKind::Function && original.section_of(*index).is_some()
    };
    let traced = |index: &SymbolIndex| {
        let running = facts.traced.and_then(|traced| traced(*index));
        running.unwrap_or_else(|| is_traced(original, tables, *index))
    };
    (0..original.symbols.len()).filter(is_function).filter(traced).collect()
}

/// Whether a function has a trace site, so that it can be redirected.
fn is_traced(object: &Object, tables: &Tables, function: SymbolIndex) -> bool {
    let machine = object.architecture;
    let symbol = &object.symbols[function];
    let listed = |entry: &Entry| machine.lists_trace_sites(&object.sections[entry.section].name);
    let calls = |resolved: &Resolved| match resolved.reference {
        Reference::External(target, _) => machine.is_trace_call(&object.symbols[target].name),
        _ => false,
    };
    let Some(section) = object.section_of(function) else { return false };
    tables.of(function).iter().any(listed)
        || references(object, section, symbol.value, symbol.size).iter().any(calls)
}

/// Who refers to the functions of an object.
#[derive(Default)]
struct Users {
    callers: BTreeMap<SymbolIndex, BTreeSet<SymbolIndex>>,
    /// Who holds a function's address.
    holders: BTreeMap<SymbolIndex, BTreeSet<String>>,
    /// Functions under a name that other objects can use.
    open: BTreeSet<SymbolIndex>,
}

impl Users {
    fn of(object: &Object) -> Self {
        let mut users = Self::default();
        for (index, symbol) in object.symbols.iter().enumerate() {
            if symbol.kind == SymbolKind::Function && symbol.binding != Binding::Local {
                users.open.insert(object.first_alias(index));
            }
        }
        for section in 0..object.sections.len() {
            if !is_note(object.architecture, &object.sections[section].name) {
                users.read(object, section);
            }
        }
        users
    }

    fn read(&mut self, object: &Object, section: SectionIndex) {
        let symbols = object.symbols_in(section);
        for &symbol in symbols {
            let holder = &object.symbols[symbol];
            for resolved in references(object, section, holder.value, holder.size) {
                self.note(object, Some(symbol), section, &resolved);
            }
        }
        if symbols.is_empty() {
            for resolved in references(object, section, 0, object.sections[section].size) {
                self.note(object, None, section, &resolved);
            }
        }
    }

    fn note(
        &mut self,
        object: &Object,
        from: Option<SymbolIndex>,
        section: SectionIndex,
        resolved: &Resolved,
    ) {
        let Reference::Symbol(target, into) = resolved.reference else { return };
        let of_function = object.symbols[target].kind == SymbolKind::Function;
        // An address within a function is a label, which its own tables hold.
        if !of_function || (into != 0 && !resolved.branch) {
            return;
        }
        let target = owner(object, target);
        match from {
            Some(from) if owner(object, from) == target => {}
            Some(from) if resolved.branch && object.symbols[from].kind == SymbolKind::Function => {
                self.callers.entry(target).or_default().insert(owner(object, from));
            }
            _ => {
                let name = from.map_or(&object.sections[section].name, |from| &object.symbols[from].name);
                self.holders.entry(target).or_default().insert(name.clone());
            }
        }
    }

    /// All callers of a function, or why they cannot all be known.
    fn callers(&self, object: &Object, function: SymbolIndex) -> Result<Vec<SymbolIndex>, String> {
        let function = owner(object, function);
        let none = BTreeSet::new();
        let callers = self.callers.get(&function).unwrap_or(&none);
        let called = match list(callers.iter().map(|&caller| object.symbols[caller].name.as_str())) {
            names if names.is_empty() => String::new(),
            names => format!("; it is called by {names}"),
        };
        if let Some(holders) = self.holders.get(&function) {
            let holders = list(holders.iter().map(String::as_str));
            return Err(format!(
                "and its address is held by {holders}, so not all callers are known{called}"
            ));
        }
        if self.open.contains(&function) {
            return Err(format!("and other units may call it{called}"));
        }
        if callers.is_empty() {
            return Err("and nothing in its unit calls it".into());
        }
        Ok(callers.iter().copied().collect())
    }
}

/// The function that stands for an alias or a cold part.
fn owner(object: &Object, index: SymbolIndex) -> SymbolIndex {
    let parent = cold_parent(&object.symbols[index].name);
    let parent = parent.and_then(|name| {
        object.symbols.iter().position(|symbol| symbol.name == name && symbol.kind == SymbolKind::Function)
    });
    object.first_alias(parent.unwrap_or(index))
}

/// Sections that refer to functions without calling them: tables, and lists for probes and tools.
fn is_note(architecture: Architecture, section: &str) -> bool {
    is_table(architecture, section)
        || section.starts_with(".discard.")
        || section.starts_with(".debug_")
        || [".eh_frame", "_kprobe_blacklist", "_error_injection_whitelist", "__patchable_function_entries"]
            .contains(&section)
}

/// Names as a sentence has them, the first few.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let all: Vec<&str> = names.collect();
    let shown = all[..all.len().min(8)].join(", ");
    if all.len() > 8 { format!("{shown} and {} more", all.len() - 8) } else { shown }
}
