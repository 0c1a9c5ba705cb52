//! Whether two functions or objects are the same, compiler noise aside.

use crate::correlate::Correlation;
use crate::names::{is_never_shared, without_numbers};
use crate::object::{Object, Section, SectionIndex, SymbolIndex, SymbolKind};
use crate::reference::{Reference, Resolved, references, stretch};
use crate::tables::{Entry, Tables};
use std::collections::BTreeSet;

/// How deep anonymous data may refer to anonymous data before the comparison gives up (and says: different).
const DEEPEST: u32 = 64;

/// Section and offset.
type Place = (SectionIndex, u64);

/// The stretches that a comparison has come by: two stretches are the same unless something in them differs, and what
/// differs ends the whole comparison, so that none needs to be looked at twice.
#[derive(Default)]
struct Walk {
    depth: u32,
    /// Original, patched, size.
    seen: BTreeSet<(Place, Place, u64)>,
}

/// The two sides of a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    /// The original object and its tables.
    pub(crate) original: (&'a Object, &'a Tables),
    /// The patched object and its tables.
    pub(crate) patched: (&'a Object, &'a Tables),
    /// Which symbol is which.
    pub(crate) correlation: &'a Correlation,
}

impl Sides<'_> {
    /// Whether a function is the same in both objects: bytes, references, and the table entries that decide.
    pub(crate) fn same_function(&self, original: SymbolIndex, patched: SymbolIndex) -> bool {
        self.same_symbol(original, patched, &mut Walk::default()) && self.same_entries(original, patched)
    }

    /// Whether an object (data) is the same in both.
    pub(crate) fn same_data(&self, original: SymbolIndex, patched: SymbolIndex) -> bool {
        self.same_symbol(original, patched, &mut Walk::default())
    }

    /// Whether two whole sections are the same.
    pub(crate) fn same_section(&self, original: SectionIndex, patched: SectionIndex) -> bool {
        let (old, new) = (&self.original.0.sections[original], &self.patched.0.sections[patched]);
        old.size == new.size && self.same_stretch((original, 0), (patched, 0), old.size, &mut Walk::default())
    }

    fn same_symbol(&self, original: SymbolIndex, patched: SymbolIndex, walk: &mut Walk) -> bool {
        let (old, new) = (&self.original.0.symbols[original], &self.patched.0.symbols[patched]);
        let (Some(old_section), Some(new_section)) =
            (self.original.0.section_of(original), self.patched.0.section_of(patched))
        else {
            return false;
        };
        let alike = |section: &Section| (section.flags, section.sh_type);
        alike(&self.original.0.sections[old_section]) == alike(&self.patched.0.sections[new_section])
            && old.size == new.size
            && old.kind == new.kind
            && self.same_stretch((old_section, old.value), (new_section, new.value), old.size, walk)
    }

    fn same_stretch(&self, old: Place, new: Place, size: u64, walk: &mut Walk) -> bool {
        if !walk.seen.insert((old, new, size)) {
            return true;
        }
        if walk.depth == DEEPEST {
            return false;
        }
        walk.depth += 1;
        let old_bytes = stretch(&self.original.0.sections[old.0].data, old.1, size);
        let new_bytes = stretch(&self.patched.0.sections[new.0].data, new.1, size);
        let old_references = references(self.original.0, old.0, old.1, size);
        let new_references = references(self.patched.0, new.0, new.1, size);
        // A field's own bytes are zero in a RELA object, so no masking is needed.
        let same = old_bytes == new_bytes
            && old_references.len() == new_references.len()
            && old_references.iter().zip(&new_references).all(|(one, other)| {
                one.relocation.offset - old.1 == other.relocation.offset - new.1
                    && self.same_reference(one, other, walk)
            });
        walk.depth -= 1;
        same
    }

    fn same_reference(&self, old: &Resolved, new: &Resolved, walk: &mut Walk) -> bool {
        if old.relocation.kind != new.relocation.kind {
            return false;
        }
        match (old.reference, new.reference) {
            (Reference::Symbol(one, into), Reference::Symbol(other, onto)) => {
                into == onto && self.same_target(one, other, walk)
            }
            (Reference::External(one, add), Reference::External(other, plus)) => {
                let (one, other) = (&self.original.0.symbols[one].name, &self.patched.0.symbols[other].name);
                add == plus && one == other
            }
            (Reference::Section(one, at), Reference::Section(other, place)) => {
                self.same_anonymous((one, at), (other, place), walk)
            }
            _ => false,
        }
    }

    fn same_target(&self, original: SymbolIndex, patched: SymbolIndex, walk: &mut Walk) -> bool {
        if self.correlation.original_of(patched) == Some(original) {
            return true;
        }
        let (old, new) = (&self.original.0.symbols[original].name, &self.patched.0.symbols[patched].name);
        // Statics without identity, and constants that cannot be told apart by name, are the same when they say the same.
        (is_never_shared(old) || self.is_loose_constant(original, patched))
            && without_numbers(old) == without_numbers(new)
            && self.same_symbol(original, patched, walk)
    }

    /// Read-only on both sides, and paired with nothing.
    fn is_loose_constant(&self, original: SymbolIndex, patched: SymbolIndex) -> bool {
        let constant = |object: &Object, index: SymbolIndex| {
            object.symbols[index].kind == SymbolKind::Object
                && object.section_of(index).is_some_and(|section| !object.sections[section].is_writable())
        };
        self.correlation.original_of(patched).is_none()
            && self.correlation.patched_of(original).is_none()
            && constant(self.original.0, original)
            && constant(self.patched.0, patched)
    }

    fn same_anonymous(&self, old: (SectionIndex, i64), new: (SectionIndex, i64), walk: &mut Walk) -> bool {
        let (Ok(at), Ok(place)) = (u64::try_from(old.1), u64::try_from(new.1)) else { return false };
        let (one, other) = (&self.original.0.sections[old.0], &self.patched.0.sections[new.0]);
        if one.flags != other.flags {
            return false;
        }
        match (piece(self.original.0, old.0, at), piece(self.patched.0, new.0, place)) {
            (Some((start, size)), Some((begin, length))) => {
                at - start == place - begin
                    && size == length
                    && self.same_stretch((old.0, start), (new.0, begin), size, walk)
            }
            _ => false,
        }
    }

    fn same_entries(&self, original: SymbolIndex, patched: SymbolIndex) -> bool {
        let decides = |entry: &&Entry| entry.decides;
        let mut old = self.original.1.of(original).iter().filter(decides);
        let mut new = self.patched.1.of(patched).iter().filter(decides);
        loop {
            match (old.next(), new.next()) {
                (None, None) => return true,
                (Some(one), Some(other)) if self.same_entry(one, other) => {}
                _ => return false,
            }
        }
    }

    fn same_entry(&self, old: &Entry, new: &Entry) -> bool {
        let name = |object: &Object, entry: &Entry| object.sections[entry.section].name.clone();
        name(self.original.0, old) == name(self.patched.0, new)
            && old.bytes == new.bytes
            && old.references.len() == new.references.len()
            && old.references.iter().zip(&new.references).all(|(one, other)| {
                one.relocation.offset - old.offset == other.relocation.offset - new.offset
                    && self.same_reference(one, other, &mut Walk::default())
            })
    }
}

/// The piece of anonymous data that an offset lies in, as (start, size): a string to its final zero, one constant of a
/// mergeable section, or the whole of any other section. `None` when the offset is past the end.
pub(crate) fn piece(object: &Object, section: SectionIndex, at: u64) -> Option<(u64, u64)> {
    let holder = &object.sections[section];
    if at >= holder.size {
        return None;
    }
    if holder.is_strings() {
        let tail = stretch(&holder.data, at, holder.size - at);
        let length = tail.iter().position(|&byte| byte == 0)? as u64 + 1;
        return Some((at, length));
    }
    if holder.is_constants() {
        let start = at - at % holder.entsize;
        return Some((start, holder.entsize.min(holder.size - start)));
    }
    if let Some(entry) = object.architecture.address_pool(&holder.name) {
        let start = at - at % entry;
        return Some((start, entry.min(holder.size - start)));
    }
    if holder.is_code() {
        return code_piece(object, section, at);
    }
    Some((0, holder.size))
}

/// Anonymous code (`.altinstr_replacement`, `.altinstr_aux`) is cut where references from elsewhere enter it.
fn code_piece(object: &Object, section: SectionIndex, at: u64) -> Option<(u64, u64)> {
    let size = object.sections[section].size;
    let mut starts: Vec<u64> = entries_into(object, section);
    starts.push(0);
    starts.sort_unstable();
    let after = starts.partition_point(|&start| start <= at);
    let start = *starts.get(after.checked_sub(1)?)?;
    let end = starts.get(after).copied().unwrap_or(size).min(size);
    Some((start, end.saturating_sub(start)))
}

fn entries_into(object: &Object, wanted: SectionIndex) -> Vec<u64> {
    let mut entries = Vec::new();
    for (index, section) in object.sections.iter().enumerate() {
        let refers =
            section.relocations.iter().any(|relocation| object.section_of(relocation.symbol) == Some(wanted));
        if index == wanted || !refers {
            continue;
        }
        for &symbol in object.symbols_in(index) {
            let holder = &object.symbols[symbol];
            entries.extend(into(&references(object, index, holder.value, holder.size), wanted));
        }
        if object.symbols_in(index).is_empty() {
            entries.extend(into(&references(object, index, 0, section.size), wanted));
        }
    }
    entries
}

fn into(resolved: &[Resolved], wanted: SectionIndex) -> impl Iterator<Item = u64> + '_ {
    resolved.iter().filter_map(move |resolved| match resolved.reference {
        Reference::Section(section, at) if section == wanted => u64::try_from(at).ok(),
        _ => None,
    })
}
