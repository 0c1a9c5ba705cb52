//! What the rules judge: one translation unit, original and patched, from all sides.

use crate::debug::{DebugInfo, FunctionId, Place};
use crate::source::SourceFile;
use livepatch_diff::names::{cold_parent, source_name};
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{Difference, Object, SymbolIndex, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// A translation unit.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// Path of its source within the kernel's tree.
    pub source: &'a str,
    /// What changed in its object.
    pub difference: &'a Difference<'a>,
    /// Debug information of the original object.
    pub original: &'a DebugInfo<'a>,
    /// Debug information of the patched object.
    pub patched: &'a DebugInfo<'a>,
    /// The files that the patch touches.
    pub files: &'a [SourceFile],
}

/// A changed function.
pub(crate) struct Changed<'a> {
    /// The symbol's name, such as `f.constprop.0`.
    pub(crate) symbol: &'a str,
    /// The name in the source.
    pub(crate) name: &'a str,
    pub(crate) indices: (SymbolIndex, SymbolIndex),
    pub(crate) old: Option<FunctionId>,
    pub(crate) new: Option<FunctionId>,
}

impl<'a> Case<'a> {
    /// Existing functions that change, in the difference's order.
    pub(crate) fn changed(&self) -> Vec<Changed<'a>> {
        let changed = |&(original, patched): &(SymbolIndex, SymbolIndex)| {
            let symbol = self.difference.original.symbols[original].name.as_str();
            Changed {
                symbol,
                name: source_name(symbol),
                indices: (original, patched),
                old: function(self.difference.original, self.original, original),
                new: function(self.difference.patched, self.patched, patched),
            }
        };
        self.difference.changed.iter().map(changed).collect()
    }

    /// Where something stands in the patched source, by the compiler's numbers.
    pub(crate) fn place(&self, info: &DebugInfo<'_>, place: Place) -> Option<(String, u32)> {
        let path = info.path(place);
        let line = match self.files.iter().find(|file| file.path == path) {
            Some(file) => file.line_of(place.line, None),
            None => place.line,
        };
        (!path.is_empty()).then(|| (path.to_owned(), line))
    }

    /// Where the definition of a function stands: in the patched source when it is touched.
    pub(crate) fn place_of(&self, name: &str) -> Option<(String, u32)> {
        for file in self.files {
            if let Some(extent) = file.function(name) {
                return Some((file.path.clone(), u32::try_from(extent.first + 1).unwrap_or(0)));
            }
        }
        let of = |info: &DebugInfo<'_>| {
            let found =
                info.functions.iter().find(|function| function.name == Some(name) && !function.declaration);
            found.and_then(|function| self.place(info, function.place))
        };
        of(self.patched).or_else(|| of(self.original))
    }

    /// The file that has the definition of a function, with it.
    pub(crate) fn text_of(&self, name: &str) -> Option<(&'a SourceFile, &'a crate::source::Extent)> {
        self.files.iter().find_map(|file| Some((file, file.function(name)?)))
    }

    /// Where a function's text is edited.
    pub(crate) fn edit_of(&self, name: &str) -> Option<(&'a str, u32)> {
        self.files.iter().find_map(|file| Some((file.path.as_str(), file.edit_of(name)?)))
    }

    /// Source names of the functions that are inlined into one, with the number of times.
    pub(crate) fn inlined_names<'i>(
        info: &DebugInfo<'i>,
        function: Option<FunctionId>,
    ) -> BTreeMap<&'i str, usize> {
        let mut names = BTreeMap::new();
        for call in function.map_or(&[][..], |function| &info.functions[function].inlined) {
            *names.entry(info.name_at(call.origin)).or_default() += 1;
        }
        names
    }
}

/// The debug information of a function's code.
pub(crate) fn function(object: &Object, info: &DebugInfo<'_>, index: SymbolIndex) -> Option<FunctionId> {
    info.function_at(object.section_of(index)?, object.symbols[index].value)
}

/// Source names of the functions that a function calls or takes the address of, its cold part included; with whether
/// each is only ever called.
pub(crate) fn callees(object: &Object, index: SymbolIndex) -> BTreeMap<&str, bool> {
    let mut found = BTreeMap::new();
    for part in parts(object, index) {
        let Some(section) = object.section_of(part) else { continue };
        let symbol = &object.symbols[part];
        for resolved in references(object, section, symbol.value, symbol.size) {
            let target = match resolved.reference {
                Reference::Symbol(target, _) if object.symbols[target].kind == SymbolKind::Function => target,
                Reference::External(target, _) => target,
                _ => continue,
            };
            let name = object.symbols[target].name.as_str();
            *found.entry(name).or_insert(true) &= resolved.branch;
        }
    }
    found
}

/// A function and its cold part.
fn parts(object: &Object, index: SymbolIndex) -> impl Iterator<Item = SymbolIndex> + '_ {
    let name = &object.symbols[index].name;
    let cold = (0..object.symbols.len()).filter(move |&other| {
        let symbol = &object.symbols[other];
        symbol.kind == SymbolKind::Function
            && symbol.name.len() > name.len()
            && symbol.name.starts_with(name.as_str())
            && cold_parent(&symbol.name).is_some_and(|parent| parent == name)
    });
    std::iter::once(index).chain(cold)
}

/// Names as a sentence has them, the first few.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().copied().take(4).collect();
    let more = names.len().saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
