//! What a relocation refers to: a symbol and an offset into it, a piece of anonymous data, or another object's symbol.
//!
//! The assembler turns references to local symbols into section plus offset, and on some machines it subtracts what the
//! processor adds; the machine's own part of this is in `arch`.

use crate::arch::{Field, FieldUse};
use crate::object::{Definition, Object, Relocation, SectionIndex, SymbolIndex, SymbolKind};

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A byte of a function or object of this file: how far into it.
    Symbol(SymbolIndex, i64),
    /// A byte of a section of this file that no symbol covers, such as a string.
    Section(SectionIndex, i64),
    /// A symbol of another object, with what is added to its address.
    External(SymbolIndex, i64),
}

/// A relocation and what it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The relocation as it stands in the file.
    pub relocation: Relocation,
    /// What it refers to.
    pub reference: Reference,
    /// What the addend must be lowered by when it is written again: for x86-64 the distance to the end of the instruction
    /// for a PC-relative field in code, else 0.
    pub bias: i64,
    /// Whether it is the target of a call or jump.
    pub branch: bool,
    /// Whether the field is in code, as opposed to a table or data.
    pub in_code: bool,
}

/// The references of one stretch of a section (a function, an object, a table entry), by offset.
pub fn references(object: &Object, section: SectionIndex, start: u64, size: u64) -> Vec<Resolved> {
    let relocations = object.relocations_in(section, start, size);
    let holder = &object.sections[section];
    let uses = if holder.is_code() {
        let field =
            |relocation: &Relocation| Field { offset: relocation.offset - start, kind: relocation.kind };
        let fields: Vec<Field> = relocations.iter().map(field).collect();
        object.architecture.uses(stretch(&holder.data, start, size), &fields)
    } else {
        vec![FieldUse::default(); relocations.len()]
    };
    let resolve = |(relocation, used): (&Relocation, FieldUse)| Resolved {
        relocation: *relocation,
        reference: reference(object, relocation, used.bias),
        bias: used.bias,
        branch: used.branch,
        in_code: holder.is_code(),
    };
    relocations.iter().zip(uses).map(resolve).collect()
}

/// A range of bytes, cut to what is there.
pub fn stretch(data: &[u8], start: u64, size: u64) -> &[u8] {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(data.len());
    &data[clamp(start)..clamp(start.saturating_add(size))]
}

/// What a relocation refers to, given what the processor adds to its addend.
fn reference(object: &Object, relocation: &Relocation, bias: i64) -> Reference {
    let symbol = &object.symbols[relocation.symbol];
    let offset = relocation.addend.wrapping_add(bias);
    let Definition::Section(section) = symbol.definition else {
        return Reference::External(relocation.symbol, offset);
    };
    if symbol.kind != SymbolKind::Section && symbol.size > 0 {
        return Reference::Symbol(object.first_alias(relocation.symbol), offset);
    }
    let place = offset.wrapping_add(symbol.value as i64);
    let within = u64::try_from(place).ok().filter(|&place| place <= object.sections[section].size);
    let Some(within) = within else { return outside(object, section, place) };
    if let Some((index, into)) = object.symbol_at(section, within) {
        return Reference::Symbol(index, into as i64);
    }
    match object.symbols_in(section).last() {
        // One past the end of an object is C's end pointer.
        Some(&last) if object.symbols[last].value.checked_add(object.symbols[last].size) == Some(within) => {
            Reference::Symbol(last, object.symbols[last].size as i64)
        }
        _ => Reference::Section(section, place),
    }
}

/// A place before or behind a section. Compilers let loops begin and end beside an array; where the section has but one
/// object (`-fdata-sections`), that is the array.
fn outside(object: &Object, section: SectionIndex, place: i64) -> Reference {
    match object.symbols_in(section) {
        &[only] if object.symbols[only].kind == SymbolKind::Object => {
            Reference::Symbol(only, place.wrapping_sub(object.symbols[only].value as i64))
        }
        _ => Reference::Section(section, place),
    }
}
