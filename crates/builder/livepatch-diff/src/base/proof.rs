//! Proof that a compiled function is the code that runs: equal bytes, and each relocated field leads to the same place.

use super::Unit;
use super::image::Image;
use super::module::ModuleBase;
use crate::compare::piece;
use crate::names::without_numbers;
use crate::object::{Binding, Object, SectionIndex, SymbolIndex, SymbolKind};
use crate::reference::{Reference, Resolved, references, stretch};
use crate::tables::Tables;
use std::fmt;

/// The outcome for one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The same code; `unchecked` fields lead somewhere that could not be compared.
    Identical {
        /// Fields whose target could not be compared, of all.
        unchecked: usize,
        /// All relocated fields.
        fields: usize,
    },
    /// Something differs, or is missing.
    Differs(Unproven),
}

/// What differs first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The binary has no such function.
    Absent,
    /// The sizes differ: compiled, running.
    Size(u64, u64),
    /// The bytes differ from this offset.
    Bytes(u64),
    /// The field at this offset leads elsewhere than to what the text says.
    Target(u64, String),
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "the running kernel has no such function"),
            Self::Size(compiled, running) => write!(f, "compiled it has {compiled} bytes, running {running}"),
            Self::Bytes(at) => write!(f, "the code differs from byte {at:#x}"),
            Self::Target(at, what) => write!(f, "at byte {at:#x} the running code does not refer to {what}"),
        }
    }
}

/// What a field turned out to be.
enum Verdict {
    Same,
    Unchecked,
    Other,
}

impl From<bool> for Verdict {
    fn from(same: bool) -> Self {
        if same { Self::Same } else { Self::Other }
    }
}

pub(super) fn against_image(
    image: &Image<'_>,
    unit: Unit,
    original: &Object,
    tables: &Tables,
    function: SymbolIndex,
) -> Proof {
    let symbol = &original.symbols[function];
    let Some(running) = image.find(unit, &symbol.name, symbol.binding) else {
        return Proof::Differs(Unproven::Absent);
    };
    if running.size != symbol.size {
        return Proof::Differs(Unproven::Size(symbol.size, running.size));
    }
    let Some(code) = image.bytes_at(running.address, running.size) else {
        return Proof::Differs(Unproven::Absent);
    };
    let check = |resolved: &Resolved| {
        let at = resolved.relocation.offset - symbol.value;
        let length = original.architecture.field_size(resolved.relocation.kind)?;
        let value = field_value(&code, at, length)?;
        let base = if original.architecture.is_relative(resolved.relocation.kind) {
            running.address.wrapping_add(at)
        } else {
            0
        };
        let target = base.wrapping_add(value as u64).wrapping_add(resolved.bias as u64);
        Some(leads_to(image, unit, original, &resolved.reference, target))
    };
    compare(original, tables, function, &code, &[], check)
}

pub(super) fn against_module(
    base: &ModuleBase,
    unit: Unit,
    original: &Object,
    tables: &Tables,
    function: SymbolIndex,
) -> Proof {
    let symbol = &original.symbols[function];
    let module = base.object();
    let found = base
        .find(unit, &symbol.name, symbol.binding)
        .and_then(|index| Some((index, module.section_of(index)?)));
    let Some((index, section)) = found else { return Proof::Differs(Unproven::Absent) };
    let running = &module.symbols[index];
    if running.size != symbol.size {
        return Proof::Differs(Unproven::Size(symbol.size, running.size));
    }
    let code = stretch(&module.sections[section].data, running.value, running.size);
    let fields = references(module, section, running.value, running.size);
    let check = |resolved: &Resolved| {
        let at = resolved.relocation.offset - symbol.value;
        let theirs = match fields.iter().find(|field| field.relocation.offset - running.value == at) {
            Some(field) => field.reference,
            // The assembler resolves calls within a section by itself.
            None => {
                let value =
                    field_value(code, at, original.architecture.field_size(resolved.relocation.kind)?)?;
                let place = running
                    .value
                    .wrapping_add(at)
                    .wrapping_add(value as u64)
                    .wrapping_add(resolved.bias as u64);
                let (target, into) = module.symbol_at(section, place)?;
                Reference::Symbol(target, into as i64)
            }
        };
        Some(same_in_module(original, &resolved.reference, module, &theirs))
    };
    let known: Vec<(u64, usize)> = fields
        .iter()
        .filter_map(|field| {
            Some((
                field.relocation.offset - running.value,
                module.architecture.field_size(field.relocation.kind)?,
            ))
        })
        .collect();
    compare(original, tables, function, code, &known, check)
}

/// Compares code with fields and static branches blanked, then each field by `check` (`None`: the field is not there).
fn compare(
    original: &Object,
    tables: &Tables,
    function: SymbolIndex,
    running: &[u8],
    their_fields: &[(u64, usize)],
    check: impl Fn(&Resolved) -> Option<Verdict>,
) -> Proof {
    let symbol = &original.symbols[function];
    let Some(section) = original.section_of(function) else { return Proof::Differs(Unproven::Absent) };
    let mut ours = stretch(&original.sections[section].data, symbol.value, symbol.size).to_vec();
    let mut theirs = running.to_vec();
    let fields = references(original, section, symbol.value, symbol.size);
    for (at, length) in static_branches(original, tables, function, &ours) {
        if is_branch_or_nop(stretch(&theirs, at, length), stretch(&ours, at, length)) {
            blank(&mut ours, at, length as usize);
            blank(&mut theirs, at, length as usize);
        }
    }
    let our_fields = fields.iter().filter_map(|field| {
        Some((
            field.relocation.offset - symbol.value,
            original.architecture.field_size(field.relocation.kind)?,
        ))
    });
    for (at, length) in our_fields.chain(their_fields.iter().copied()) {
        blank(&mut ours, at, length);
        blank(&mut theirs, at, length);
    }
    if let Some(at) = (0..ours.len().max(theirs.len())).find(|&at| ours.get(at) != theirs.get(at)) {
        return Proof::Differs(Unproven::Bytes(at as u64));
    }
    let mut unchecked = 0;
    for field in &fields {
        match check(field) {
            Some(Verdict::Same) => {}
            Some(Verdict::Unchecked) => unchecked += 1,
            Some(Verdict::Other) | None => {
                let at = field.relocation.offset - symbol.value;
                return Proof::Differs(Unproven::Target(at, describe(original, &field.reference)));
            }
        }
    }
    Proof::Identical { unchecked, fields: fields.len() }
}

fn blank(bytes: &mut [u8], at: u64, length: usize) {
    let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let end = start.saturating_add(length).min(bytes.len());
    bytes[start..end].fill(0);
}

/// Offset and length of each static branch: objtool turns some of gcc's jumps into no-ops (tools/objtool/check.c,
/// `handle_jump_alt`), which the compiled object here has not been through.
fn static_branches(
    original: &Object,
    tables: &Tables,
    function: SymbolIndex,
    code: &[u8],
) -> Vec<(u64, u64)> {
    let entries = tables.of(function).iter();
    entries
        .filter(|entry| original.sections[entry.section].name == "__jump_table")
        .filter_map(|entry| match entry.references.first()?.reference {
            Reference::Symbol(_, into) => u64::try_from(into).ok(),
            _ => None,
        })
        .filter_map(|at| match stretch(code, at, 2) {
            [0xeb, _] | [0x66, 0x90] => Some((at, 2)),
            [0xe9, _] | [0x0f, 0x1f] => Some((at, 5)),
            _ => None,
        })
        .collect()
}

fn is_branch_or_nop(theirs: &[u8], ours: &[u8]) -> bool {
    theirs == ours || theirs == [0x66, 0x90] || theirs == [0x0f, 0x1f, 0x44, 0x00, 0x00]
}

/// The value of a relocated field, sign-extended.
fn field_value(code: &[u8], at: u64, length: usize) -> Option<i64> {
    let at = usize::try_from(at).ok()?;
    let bytes = code.get(at..at.checked_add(length)?)?;
    match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        _ => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
    }
}

/// Whether an address of the image is what a reference of the original means.
fn leads_to(image: &Image<'_>, unit: Unit, original: &Object, reference: &Reference, target: u64) -> Verdict {
    // Per-CPU symbols count from 0, so their fields wrap around: the low half decides, as it does for the processor.
    let is = |address: u64, offset: i64| address.wrapping_add(offset as u64) as u32 == target as u32;
    match *reference {
        Reference::External(index, offset) => {
            let symbol = &original.symbols[index];
            let mut meant = image.meant(unit, &symbol.name).peekable();
            if meant.peek().is_none() {
                return if symbol.binding == Binding::Weak { Verdict::Unchecked } else { Verdict::Other };
            }
            meant.any(|found| is(found.address, offset)).into()
        }
        Reference::Symbol(index, into) => {
            let name = &original.symbols[index].name;
            if image.meant(unit, name).any(|found| is(found.address, into)) {
                return Verdict::Same;
            }
            let start = target.wrapping_sub(into as u64);
            let Some(bytes) = original.bytes_of(index) else { return Verdict::Other };
            let section = original.section_of(index).unwrap_or_default();
            let writable = original.sections[section].is_writable();
            // A constant may have been merged with an equal one; a variable may not.
            (!writable && same_content(original, section, original.symbols[index].value, bytes, image, start))
                .into()
        }
        Reference::Section(section, at) => {
            let Some((start, size)) = u64::try_from(at).ok().and_then(|at| piece(original, section, at))
            else {
                return Verdict::Unchecked;
            };
            let bytes = stretch(&original.sections[section].data, start, size);
            let address = target.wrapping_sub((at as u64).wrapping_sub(start));
            same_content(original, section, start, bytes, image, address).into()
        }
    }
}

/// Whether the image has these bytes at the address, relocated fields aside.
fn same_content(
    original: &Object,
    section: SectionIndex,
    start: u64,
    bytes: &[u8],
    image: &Image<'_>,
    address: u64,
) -> bool {
    let Some(mut theirs) = image.bytes_at(address, bytes.len() as u64) else { return false };
    let mut ours = bytes.to_vec();
    for relocation in original.relocations_in(section, start, bytes.len() as u64) {
        let Some(length) = original.architecture.field_size(relocation.kind) else { return false };
        blank(&mut ours, relocation.offset - start, length);
        blank(&mut theirs, relocation.offset - start, length);
    }
    ours == theirs
}

/// Whether a reference of the original and one of the module mean the same.
fn same_in_module(original: &Object, ours: &Reference, module: &Object, theirs: &Reference) -> Verdict {
    let named = |object: &Object, reference: &Reference| match *reference {
        Reference::Symbol(index, offset) | Reference::External(index, offset) => {
            Some((object.symbols[index].name.clone(), offset))
        }
        Reference::Section(..) => None,
    };
    match (named(original, ours), named(module, theirs)) {
        (Some(one), Some(other)) if one == other => Verdict::Same,
        // Nothing is at such a place (struct lock_class_key without lockdep): the linker gives it another's address.
        _ if is_empty(original, ours) => is_in_data(module, theirs).into(),
        (None, None) => {
            let (Reference::Section(one, at), Reference::Section(other, place)) = (*ours, *theirs) else {
                return Verdict::Other;
            };
            same_pieces(original, (one, at), module, (other, place)).into()
        }
        // The linker may have dropped the name of a constant, or kept one where the compiler had none.
        (Some((one, into)), Some((other, onto))) => {
            (into == onto && without_numbers(&one) == without_numbers(&other) && {
                let (Reference::Symbol(a, _), Reference::Symbol(b, _)) = (*ours, *theirs) else {
                    return Verdict::Other;
                };
                original.bytes_of(a).is_some() && original.bytes_of(a) == module.bytes_of(b)
            })
            .into()
        }
        _ => Verdict::Other,
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

fn same_pieces(one: &Object, ours: (SectionIndex, i64), other: &Object, theirs: (SectionIndex, i64)) -> bool {
    let (Ok(at), Ok(place)) = (u64::try_from(ours.1), u64::try_from(theirs.1)) else { return false };
    let Some((start, size)) = piece(one, ours.0, at) else { return false };
    let Some(begin) = place.checked_sub(at - start) else { return false };
    stretch(&one.sections[ours.0].data, start, size) == stretch(&other.sections[theirs.0].data, begin, size)
}

fn describe(original: &Object, reference: &Reference) -> String {
    match *reference {
        Reference::Symbol(index, offset) | Reference::External(index, offset) => {
            format!("{}{offset:+#x}", original.symbols[index].name)
        }
        Reference::Section(section, at) => {
            match u64::try_from(at).ok().and_then(|at| piece(original, section, at)) {
                Some((start, size)) if original.sections[section].is_strings() => {
                    let text = stretch(&original.sections[section].data, start, size.saturating_sub(1));
                    format!("the string {:?}", String::from_utf8_lossy(text))
                }
                _ => format!("the same bytes as {}{at:+#x}", original.sections[section].name),
            }
        }
    }
}
