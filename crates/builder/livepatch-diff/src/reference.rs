//! What a relocation refers to: a symbol and an offset into it, a piece of anonymous data, or another object's symbol.
//!
//! The assembler turns references to local symbols into section plus offset, and for instructions it subtracts the
//! distance from the relocated field to the end of the instruction (x86-64 psABI 4.4: PC-relative forms count from the
//! field, the processor from the next instruction). Only decoding the instruction tells how much, so we do.

use crate::object::{Definition, Object, Relocation, SectionIndex, SymbolIndex, SymbolKind};
use iced_x86::{Decoder, DecoderOptions};
use std::collections::HashMap;

/// `R_X86_64_64`: 64-bit absolute.
pub const R_64: u32 = 1;
/// `R_X86_64_PC32`: 32-bit relative to the field.
pub const R_PC32: u32 = 2;
/// `R_X86_64_PLT32`: the same, used by gcc and gas for calls and jumps.
pub const R_PLT32: u32 = 4;
/// `R_X86_64_32`: 32-bit absolute, zero-extended.
pub const R_32: u32 = 10;
/// `R_X86_64_32S`: 32-bit absolute, sign-extended.
pub const R_32S: u32 = 11;
/// `R_X86_64_PC64`: 64-bit relative to the field.
pub const R_PC64: u32 = 24;

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

/// Whether the relocated field is relative to its own address.
pub fn is_relative(kind: u32) -> bool {
    matches!(kind, R_PC32 | R_PLT32 | R_PC64)
}

/// Size of the relocated field in bytes; `None` for a kind that kernel objects do not use.
pub fn field_size(kind: u32) -> Option<usize> {
    match kind {
        R_64 | R_PC64 => Some(8),
        R_PC32 | R_PLT32 | R_32 | R_32S => Some(4),
        _ => None,
    }
}

/// How an instruction uses a relocated field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldUse {
    /// Bytes from the start of the field to the end of the instruction.
    pub distance: i64,
    /// The field is the target of a call or jump, as opposed to an address that is taken or dereferenced.
    pub branch: bool,
}

/// A relocation and what it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The relocation as it stands in the file.
    pub relocation: Relocation,
    /// What it refers to.
    pub reference: Reference,
    /// What the addend must be lowered by when it is written again: the distance to the end of the instruction for a
    /// PC-relative field in code, else 0.
    pub bias: i64,
    /// Whether it is the target of a call or jump.
    pub branch: bool,
    /// Whether the field is in code, as opposed to a table or data.
    pub in_code: bool,
}

/// How each relocated field of a piece of code is used.
///
/// Keys are offsets of fields from the start of `code`; a field that lies in no instruction (data in code) is absent.
pub fn field_uses(code: &[u8], fields: &[u64]) -> HashMap<u64, FieldUse> {
    let mut found = HashMap::with_capacity(fields.len());
    let mut next = fields.iter().copied().peekable();
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    while decoder.can_decode() && next.peek().is_some() {
        let start = decoder.position() as u64;
        let instruction = decoder.decode();
        let end = decoder.position() as u64;
        let branch = instruction.is_call_near()
            || instruction.is_jmp_short_or_near()
            || instruction.is_jcc_short_or_near();
        while let Some(&field) = next.peek() {
            if field >= end {
                break;
            }
            if field >= start && !instruction.is_invalid() {
                found.insert(field, FieldUse { distance: (end - field) as i64, branch });
            }
            next.next();
        }
    }
    found
}

/// The references of one stretch of a section (a function, an object, a table entry), by offset.
pub fn references(object: &Object, section: SectionIndex, start: u64, size: u64) -> Vec<Resolved> {
    let relocations = object.relocations_in(section, start, size);
    let holder = &object.sections[section];
    let uses = if holder.is_code() {
        let fields: Vec<u64> = relocations.iter().map(|relocation| relocation.offset - start).collect();
        field_uses(stretch(&holder.data, start, size), &fields)
    } else {
        HashMap::new()
    };
    let resolve = |relocation: &Relocation| {
        let used = uses.get(&(relocation.offset - start)).copied();
        let relative = is_relative(relocation.kind) && holder.is_code();
        let bias = if relative { used.map_or(4, |used| used.distance) } else { 0 };
        Resolved {
            relocation: *relocation,
            reference: reference(object, relocation, bias),
            bias,
            branch: used.is_some_and(|used| used.branch),
            in_code: holder.is_code(),
        }
    };
    relocations.iter().map(resolve).collect()
}

/// A range of bytes, cut to what is there.
pub fn stretch(data: &[u8], start: u64, size: u64) -> &[u8] {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(data.len());
    &data[clamp(start)..clamp(start.saturating_add(size))]
}

/// What a relocation refers to, given the distance from its field to the end of the instruction (0 for data).
fn reference(object: &Object, relocation: &Relocation, bias: i64) -> Reference {
    let symbol = &object.symbols[relocation.symbol];
    let offset = relocation.addend.wrapping_add(bias);
    let Definition::Section(section) = symbol.definition else {
        return Reference::External(relocation.symbol, offset);
    };
    if symbol.kind != SymbolKind::Section && symbol.size > 0 {
        return Reference::Symbol(relocation.symbol, offset);
    }
    let place = offset.wrapping_add(symbol.value as i64);
    let Ok(unsigned) = u64::try_from(place) else { return Reference::Section(section, place) };
    if let Some((index, into)) = object.symbol_at(section, unsigned) {
        return Reference::Symbol(index, into as i64);
    }
    match object.symbols_in(section).last() {
        // One past the end of an object is C's end pointer.
        Some(&last)
            if object.symbols[last].value.checked_add(object.symbols[last].size) == Some(unsigned) =>
        {
            Reference::Symbol(last, object.symbols[last].size as i64)
        }
        _ => Reference::Section(section, place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_trailing_immediate() {
        // cmpl $7, x(%rip): field at 2, one byte of immediate behind it.
        let compare = [0x83, 0x3d, 0, 0, 0, 0, 7];
        // call f: field at 1, nothing behind it.
        let call = [0xe8, 0, 0, 0, 0];
        let code = [&compare[..], &call[..]].concat();
        let found = field_uses(&code, &[2, 8]);
        assert_eq!(found.get(&2), Some(&FieldUse { distance: 5, branch: false }));
        assert_eq!(found.get(&8), Some(&FieldUse { distance: 4, branch: true }));
    }

    #[test]
    fn bytes_that_are_no_code_have_no_distance() {
        assert!(field_uses(&[0x06, 0x06, 0x06], &[1]).is_empty());
    }
}
