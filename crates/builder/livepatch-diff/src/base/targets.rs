//! Where the relocated fields of a function lead, and whether the constants there hold what they should.
//!
//! A constant is compared byte by byte, and each relocated field of it in turn; what it leads to is put on a list, so that
//! tables which point to tables need no depth.

use super::Unit;
use super::image::Image;
use super::module::ModuleBase;
use super::proof::{blank, describe, field_value};
use crate::compare::piece;
use crate::names::without_numbers;
use crate::object::{Binding, Object, SectionIndex, SymbolIndex, SymbolKind};
use crate::reference::{Reference, references, stretch};
use std::collections::BTreeSet;

/// Filled in after the link (tools/bpf/resolve_btfids): the compiled one holds nothing.
const FILLED_LATER: &str = ".BTF_ids";

/// What a field turned out to be.
pub(super) enum Verdict {
    Same,
    Unchecked,
    Other,
}

impl From<bool> for Verdict {
    fn from(same: bool) -> Self {
        if same { Self::Same } else { Self::Other }
    }
}

/// A stretch of an original: section, start, size.
type Stretch = (SectionIndex, u64, u64);

/// The stretch of a symbol that holds constant data with an identity of its own; `None` for code, variables, and what is
/// filled in later.
fn constant(object: &Object, index: SymbolIndex) -> Option<Stretch> {
    let (symbol, section) = (&object.symbols[index], object.section_of(index)?);
    let holder = &object.sections[section];
    let is_constant =
        holder.is_allocated() && !holder.is_writable() && !holder.is_code() && holder.name != FILLED_LATER;
    is_constant.then_some((section, symbol.value, symbol.size)).filter(|_| object.bytes_of(index).is_some())
}

/// Targets in a linked image: plain addresses.
pub(super) struct InImage<'a> {
    image: &'a Image<'a>,
    unit: Unit,
    original: &'a Object,
    /// Stretches still to be compared, each with its address in the image and the name to blame.
    pending: Vec<(Stretch, u64, String)>,
    seen: BTreeSet<(Stretch, u64)>,
}

impl<'a> InImage<'a> {
    pub(super) fn new(image: &'a Image<'a>, unit: Unit, original: &'a Object) -> Self {
        Self { image, unit, original, pending: Vec::new(), seen: BTreeSet::new() }
    }

    /// Whether an address of the image is what a reference of the original means, the values of constants aside.
    pub(super) fn lead_to(&mut self, reference: &Reference, target: u64) -> Verdict {
        // Per-CPU symbols count from 0, so their fields wrap around: the low half decides, as it does for the processor.
        let is = |address: u64, offset: i64| address.wrapping_add(offset as u64) as u32 == target as u32;
        match *reference {
            Reference::External(index, offset) => {
                let symbol = &self.original.symbols[index];
                let mut meant = self.image.meant(self.unit, &symbol.name).peekable();
                if meant.peek().is_none() {
                    return if symbol.binding == Binding::Weak { Verdict::Unchecked } else { Verdict::Other };
                }
                meant.any(|found| is(found.address, offset)).into()
            }
            Reference::Symbol(index, into) => {
                let symbol = &self.original.symbols[index];
                let found = self.image.meant(self.unit, &symbol.name).find(|found| is(found.address, into));
                let address = found.map(|found| found.address);
                // A constant may have been merged with an equal one; a variable may not.
                match (constant(self.original, index), address) {
                    (Some(_), Some(_)) if symbol.binding == Binding::Weak => Verdict::Same,
                    (Some(stretch), address) => {
                        let address = address.unwrap_or_else(|| target.wrapping_sub(into as u64));
                        self.is_there(stretch, address, reference).into()
                    }
                    (None, address) => address.is_some().into(),
                }
            }
            Reference::Section(section, at) => {
                if self.original.sections[section].name == FILLED_LATER {
                    return Verdict::Unchecked;
                }
                let found = u64::try_from(at).ok().and_then(|at| piece(self.original, section, at));
                let Some((start, size)) = found else { return Verdict::Unchecked };
                let address = target.wrapping_sub((at as u64).wrapping_sub(start));
                self.is_there((section, start, size), address, reference).into()
            }
        }
    }

    /// Whether the image has these bytes at the address; relocated fields are put off.
    fn is_there(&mut self, stretch: Stretch, address: u64, reference: &Reference) -> bool {
        let (section, start, size) = stretch;
        let ours = self::stretch(&self.original.sections[section].data, start, size);
        let Some(mut theirs) = self.image.bytes_at(address, ours.len() as u64) else { return false };
        let mut ours = ours.to_vec();
        for relocation in self.original.relocations_in(section, start, size) {
            let Some(length) = self.original.architecture.field_size(relocation.kind) else { return false };
            blank(&mut ours, relocation.offset - start, length);
            blank(&mut theirs, relocation.offset - start, length);
        }
        if self.seen.insert((stretch, address)) {
            self.pending.push((stretch, address, describe(self.original, reference)));
        }
        ours == theirs
    }

    /// Follows the relocated fields of all constants that were met; names the first that leads elsewhere.
    pub(super) fn differing_constant(&mut self) -> Option<String> {
        while let Some(((section, start, size), address, name)) = self.pending.pop() {
            for resolved in references(self.original, section, start, size) {
                let same = self.field(address, resolved.relocation.offset - start, resolved.relocation.kind);
                let verdict = same
                    .map(|value| self.lead_to(&resolved.reference, value.wrapping_add(resolved.bias as u64)));
                if !matches!(verdict, Some(Verdict::Same | Verdict::Unchecked)) {
                    return Some(name);
                }
            }
        }
        None
    }

    /// The address that a field of the image holds.
    fn field(&self, address: u64, at: u64, kind: u32) -> Option<u64> {
        let length = self.original.architecture.field_size(kind)?;
        let place = address.wrapping_add(at);
        let value = field_value(&self.image.bytes_at(place, length as u64)?, 0, length)? as u64;
        let base = if self.original.architecture.is_relative(kind) { place } else { 0 };
        Some(base.wrapping_add(value))
    }
}

/// Targets in a relocatable module: references, like those of the original.
pub(super) struct InModule<'a> {
    original: &'a Object,
    base: &'a ModuleBase,
    unit: Unit,
    module: &'a Object,
    /// Stretches still to be compared, each with its place in the module and the name to blame.
    pending: Vec<(Stretch, (SectionIndex, u64), String)>,
    seen: BTreeSet<(Stretch, (SectionIndex, u64))>,
}

impl<'a> InModule<'a> {
    pub(super) fn new(base: &'a ModuleBase, unit: Unit, original: &'a Object) -> Self {
        let module = base.object();
        Self { original, base, unit, module, pending: Vec::new(), seen: BTreeSet::new() }
    }

    /// Whether a reference of the original and one of the module mean the same, the values of constants aside.
    pub(super) fn lead_to(&mut self, ours: &Reference, theirs: &Reference) -> Verdict {
        let named = |object: &Object, reference: &Reference| match *reference {
            Reference::Symbol(index, offset) | Reference::External(index, offset) => {
                Some((object.symbols[index].name.clone(), offset))
            }
            Reference::Section(..) => None,
        };
        match (named(self.original, ours), named(self.module, theirs)) {
            (Some(one), Some(other)) if one == other => match (*ours, *theirs) {
                (Reference::Symbol(a, _), Reference::Symbol(b, _))
                    if self.original.symbols[a].binding != Binding::Weak =>
                {
                    match (constant(self.original, a), constant(self.module, b)) {
                        (Some(stretch), Some((section, start, size))) => {
                            (stretch.2 == size && self.is_there(stretch, (section, start), ours)).into()
                        }
                        _ => Verdict::Same,
                    }
                }
                _ => Verdict::Same,
            },
            // Nothing is at such a place (struct lock_class_key without lockdep): the linker gives it another's address.
            _ if is_empty(self.original, ours) => is_in_data(self.module, theirs).into(),
            (None, None) => {
                let (Reference::Section(one, at), Reference::Section(other, place)) = (*ours, *theirs) else {
                    return Verdict::Other;
                };
                self.same_pieces((one, at), (other, place), ours)
            }
            // One past the end of an object is where another begins.
            (Some(_), _) if self.is_place_of(ours, theirs) => Verdict::Same,
            // The linker may have dropped the name of a constant, or kept one where the compiler had none.
            (Some((one, into)), Some((other, onto))) => {
                let (Reference::Symbol(a, _), Reference::Symbol(b, _)) = (*ours, *theirs) else {
                    return Verdict::Other;
                };
                let alike = into == onto && without_numbers(&one) == without_numbers(&other);
                let bytes = self.original.bytes_of(a);
                (alike && bytes.is_some() && bytes == self.module.bytes_of(b)).into()
            }
            _ => Verdict::Other,
        }
    }

    /// Whether a named reference of the original means the very place that one of the module leads to.
    fn is_place_of(&self, ours: &Reference, theirs: &Reference) -> bool {
        let (Reference::Symbol(index, offset) | Reference::External(index, offset)) = *ours else {
            return false;
        };
        let symbol = &self.original.symbols[index];
        let place = |index: SymbolIndex, offset: i64| {
            let section = self.module.section_of(index)?;
            Some((section, offset.wrapping_add(self.module.symbols[index].value as i64)))
        };
        let meant = self.base.find(self.unit, &symbol.name, symbol.binding);
        let led_to = match *theirs {
            Reference::Symbol(found, onto) => place(found, onto),
            Reference::Section(section, at) => Some((section, at)),
            Reference::External(..) => None,
        };
        led_to.is_some() && meant.and_then(|found| place(found, offset)) == led_to
    }

    fn same_pieces(
        &mut self,
        ours: (SectionIndex, i64),
        theirs: (SectionIndex, i64),
        reference: &Reference,
    ) -> Verdict {
        if self.original.sections[ours.0].name == FILLED_LATER {
            return Verdict::Unchecked;
        }
        let (Ok(at), Ok(place)) = (u64::try_from(ours.1), u64::try_from(theirs.1)) else {
            return Verdict::Other;
        };
        let Some((start, size)) = piece(self.original, ours.0, at) else { return Verdict::Other };
        let Some(begin) = place.checked_sub(at - start) else { return Verdict::Other };
        self.is_there((ours.0, start, size), (theirs.0, begin), reference).into()
    }

    /// Whether the module has these bytes at the place; references are put off. Relocated fields are zero on both sides.
    fn is_there(&mut self, ours: Stretch, theirs: (SectionIndex, u64), reference: &Reference) -> bool {
        let (section, start, size) = ours;
        if self.seen.insert((ours, theirs)) {
            self.pending.push((ours, theirs, describe(self.original, reference)));
        }
        stretch(&self.original.sections[section].data, start, size)
            == stretch(&self.module.sections[theirs.0].data, theirs.1, size)
    }

    /// Follows the references of all constants that were met; names the first that leads elsewhere.
    pub(super) fn differing_constant(&mut self) -> Option<String> {
        while let Some(((section, start, size), (other, begin), name)) = self.pending.pop() {
            let ours = references(self.original, section, start, size);
            let theirs = references(self.module, other, begin, size);
            let same = ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|(one, other)| {
                    let same_place = one.relocation.offset - start == other.relocation.offset - begin;
                    let verdict = self.lead_to(&one.reference, &other.reference);
                    same_place && matches!(verdict, Verdict::Same | Verdict::Unchecked)
                });
            if !same {
                return Some(name);
            }
        }
        None
    }
}

/// Whether a reference leads to the start of a variable without any bytes.
fn is_empty(object: &Object, reference: &Reference) -> bool {
    let Reference::Symbol(index, 0) = *reference else { return false };
    object.symbols[index].size == 0 && object.symbols[index].kind == SymbolKind::Object
}

/// Whether a reference leads into writable data.
fn is_in_data(object: &Object, reference: &Reference) -> bool {
    let section = match *reference {
        Reference::Symbol(index, _) | Reference::External(index, _) => object.section_of(index),
        Reference::Section(section, _) => Some(section),
    };
    section.is_some_and(|section| object.sections[section].is_writable())
}
