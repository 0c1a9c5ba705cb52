//! Which symbol of the patched object is which symbol of the original.
//!
//! Compiler-made numbers (`x.12`, `f.constprop.1`) change with any edit, so they are never trusted: a local symbol is
//! paired by its base name when that is unique on both sides, else by who uses it, else not at all. Not pairing is always
//! safe for code (the function is new then); for writable data the selection refuses what was left open.

use crate::names::{is_never_shared, without_numbers};
use crate::object::{Binding, Definition, Object, SymbolIndex, SymbolKind};
use crate::reference::{Reference, references};
use std::collections::{BTreeMap, BTreeSet};

/// The pairing of two objects' symbols.
#[derive(Debug, Default)]
pub struct Correlation {
    original_of: BTreeMap<SymbolIndex, SymbolIndex>,
    patched_of: BTreeMap<SymbolIndex, SymbolIndex>,
    ambiguous: BTreeSet<SymbolIndex>,
}

impl Correlation {
    /// Pairs the functions and objects of two objects.
    pub fn new(original: &Object, patched: &Object) -> Self {
        let mut correlation = Self::default();
        correlation.pair_globals(original, patched);
        correlation.pair_locals(original, patched);
        correlation
    }

    /// Just these pairs, as (original, patched): everything else is new.
    pub(crate) fn of_pairs(pairs: &[(SymbolIndex, SymbolIndex)]) -> Self {
        let mut correlation = Self::default();
        for &(original, patched) in pairs {
            correlation.pair(original, patched);
        }
        correlation
    }

    /// The original of a patched symbol; `None` when it is new, or may not be paired.
    pub fn original_of(&self, patched: SymbolIndex) -> Option<SymbolIndex> {
        self.original_of.get(&patched).copied()
    }

    /// The patched form of an original symbol; `None` when it is gone.
    pub fn patched_of(&self, original: SymbolIndex) -> Option<SymbolIndex> {
        self.patched_of.get(&original).copied()
    }

    /// Whether a patched symbol has candidates among the originals and none could be preferred.
    pub fn is_ambiguous(&self, patched: SymbolIndex) -> bool {
        self.ambiguous.contains(&patched)
    }

    /// All pairs, as (original, patched).
    pub fn pairs(&self) -> impl Iterator<Item = (SymbolIndex, SymbolIndex)> + '_ {
        self.patched_of.iter().map(|(&original, &patched)| (original, patched))
    }

    fn pair(&mut self, original: SymbolIndex, patched: SymbolIndex) {
        self.original_of.insert(patched, original);
        self.patched_of.insert(original, patched);
    }

    fn pair_globals(&mut self, original: &Object, patched: &Object) {
        let by_name: BTreeMap<&str, SymbolIndex> = candidates(original)
            .filter(|&index| original.symbols[index].binding != Binding::Local)
            .map(|index| (original.symbols[index].name.as_str(), index))
            .collect();
        for index in candidates(patched).filter(|&index| patched.symbols[index].binding != Binding::Local) {
            if let Some(&found) = by_name.get(patched.symbols[index].name.as_str()) {
                self.pair(found, index);
            }
        }
    }

    fn pair_locals(&mut self, original: &Object, patched: &Object) {
        let old_groups = groups(original, |index| self.patched_of.contains_key(&index));
        let new_groups = groups(patched, |index| self.original_of.contains_key(&index));
        for (key, new) in &new_groups {
            let Some(old) = old_groups.get(key) else { continue };
            match (old.as_slice(), new.as_slice()) {
                ([one], [other]) => self.pair(*one, *other),
                _ => self.pair_crowd(original, patched, old, new),
            }
        }
    }

    /// Several symbols share a base name: pair those whose users and shape are unique among them.
    fn pair_crowd(&mut self, original: &Object, patched: &Object, old: &[SymbolIndex], new: &[SymbolIndex]) {
        let old_traits: Vec<_> = old.iter().map(|&index| traits(original, index)).collect();
        let new_traits: Vec<_> = new.iter().map(|&index| traits(patched, index)).collect();
        let mut open = Vec::new();
        for (at, wanted) in new_traits.iter().enumerate() {
            let mut matches = old_traits.iter().enumerate().filter(|(_, found)| *found == wanted);
            let unique_here = new_traits.iter().filter(|found| *found == wanted).count() == 1;
            match (matches.next(), matches.next()) {
                (Some((found, _)), None) if unique_here => self.pair(old[found], new[at]),
                _ => open.push(new[at]),
            }
        }
        // Once every original has found its partner, what is left is new.
        if old.iter().any(|index| !self.patched_of.contains_key(index)) {
            self.ambiguous.extend(open);
        }
    }
}

/// Functions and objects that are defined here and that may be paired.
fn candidates(object: &Object) -> impl Iterator<Item = SymbolIndex> + '_ {
    object.symbols.iter().enumerate().filter_map(|(index, symbol)| {
        let real = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object)
            || (symbol.kind == SymbolKind::Untyped && symbol.size > 0);
        let Definition::Section(section) = symbol.definition else { return None };
        let noted = object.sections[section].name.starts_with(".discard.");
        (real && !noted && !is_never_shared(&symbol.name)).then_some(index)
    })
}

fn groups(object: &Object, done: impl Fn(SymbolIndex) -> bool) -> BTreeMap<(String, bool), Vec<SymbolIndex>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for index in candidates(object).filter(|&index| !done(index)) {
        let symbol = &object.symbols[index];
        let key = (without_numbers(&symbol.name), symbol.kind == SymbolKind::Function);
        groups.entry(key).or_default().push(index);
    }
    groups
}

/// What tells namesakes apart: size, section (without numbers), and the names of the functions that refer to it. A
/// function's own size is no trait, since it may be what changed.
fn traits(object: &Object, wanted: SymbolIndex) -> (u64, String, Vec<String>) {
    let symbol = &object.symbols[wanted];
    let section = object.section_of(wanted).map(|section| without_numbers(&object.sections[section].name));
    let size = if symbol.kind == SymbolKind::Function { 0 } else { symbol.size };
    (size, section.unwrap_or_default(), users(object, wanted))
}

fn users(object: &Object, wanted: SymbolIndex) -> Vec<String> {
    let mut users = BTreeSet::new();
    for index in candidates(object).filter(|&index| index != wanted) {
        let symbol = &object.symbols[index];
        let Some(section) = object.section_of(index) else { continue };
        let refers = references(object, section, symbol.value, symbol.size)
            .iter()
            .any(|resolved| matches!(resolved.reference, Reference::Symbol(found, _) if found == wanted));
        if refers {
            users.insert(crate::names::source_name(&symbol.name).to_owned());
        }
    }
    users.into_iter().collect()
}
