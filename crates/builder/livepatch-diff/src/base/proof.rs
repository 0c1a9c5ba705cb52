//! Proof that a compiled function is the code that runs: equal bytes, and each relocated field leads to the same place.

use super::Unit;
use super::image::Image;
use super::module::ModuleBase;
use super::targets::{InImage, InModule, Verdict};
use crate::compare::piece;
use crate::object::{Binding, Object, SymbolIndex};
use crate::reference::{Reference, Resolved, references, stretch};
use crate::refusal::Refusal;
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
    /// The function's code refers to a constant of that name which holds something else.
    Constant(String),
    /// It is the weak definition, and the binary has another one that is not.
    Overridden,
}

impl Unproven {
    /// The refusal when a function of which this is found is to be replaced.
    pub fn refusal(&self, function: String) -> Refusal {
        match self {
            Self::Overridden => Refusal::WeakOverridden { function },
            _ => Refusal::BaseMismatch { function, difference: self.to_string() },
        }
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "the running kernel has no such function"),
            Self::Size(compiled, running) => write!(f, "compiled it has {compiled} bytes, running {running}"),
            Self::Bytes(at) => write!(f, "the code differs from byte {at:#x}"),
            Self::Target(at, what) => write!(f, "at byte {at:#x} the running code does not refer to {what}"),
            Self::Constant(name) => write!(f, "the constant {name} that it uses holds other values"),
            Self::Overridden => write!(f, "another definition takes its place, since this one is weak"),
        }
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
    if is_overridden(symbol.binding, running.binding) {
        return Proof::Differs(Unproven::Overridden);
    }
    if running.size != symbol.size {
        return Proof::Differs(Unproven::Size(symbol.size, running.size));
    }
    let Some(code) = image.bytes_at(running.address, running.size) else {
        return Proof::Differs(Unproven::Absent);
    };
    let mut targets = InImage::new(image, unit, original);
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
        Some(targets.lead_to(&resolved.reference, target))
    };
    let proof = compare(original, tables, function, &code, &[], check);
    with_constants(proof, || targets.differing_constant())
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
    if is_overridden(symbol.binding, running.binding) {
        return Proof::Differs(Unproven::Overridden);
    }
    if running.size != symbol.size {
        return Proof::Differs(Unproven::Size(symbol.size, running.size));
    }
    let code = stretch(&module.sections[section].data, running.value, running.size);
    let fields = references(module, section, running.value, running.size);
    let mut targets = InModule::new(base, unit, original);
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
        Some(targets.lead_to(&resolved.reference, &theirs))
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
    let proof = compare(original, tables, function, code, &known, check);
    with_constants(proof, || targets.differing_constant())
}

/// A weak definition stays weak in the binary unless another one took its place.
fn is_overridden(compiled: Binding, running: Binding) -> bool {
    compiled == Binding::Weak && running == Binding::Global
}

/// A function is proven once the constants that it uses are, too.
fn with_constants(proof: Proof, differing: impl FnOnce() -> Option<String>) -> Proof {
    match proof {
        Proof::Identical { .. } => differing().map_or(proof, |name| Proof::Differs(Unproven::Constant(name))),
        differs => differs,
    }
}

/// Compares code with fields and static branches blanked, then each field by `check` (`None`: the field is not there).
fn compare(
    original: &Object,
    tables: &Tables,
    function: SymbolIndex,
    running: &[u8],
    their_fields: &[(u64, usize)],
    mut check: impl FnMut(&Resolved) -> Option<Verdict>,
) -> Proof {
    let symbol = &original.symbols[function];
    let Some(section) = original.section_of(function) else { return Proof::Differs(Unproven::Absent) };
    let mut ours = stretch(&original.sections[section].data, symbol.value, symbol.size).to_vec();
    let mut theirs = running.to_vec();
    let fields = references(original, section, symbol.value, symbol.size);
    // Branches that are no-ops over there: their fields lead nowhere.
    let mut no_ops: Vec<(u64, u64)> = Vec::new();
    for (at, length) in static_branches(original, tables, function, &ours) {
        let (one, other) = (stretch(&ours, at, length), stretch(&theirs, at, length));
        if is_branch_or_nop(other, one) {
            if is_nop(other) {
                no_ops.push((at, length));
            }
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
        let at = field.relocation.offset - symbol.value;
        if no_ops.iter().any(|(start, length)| (*start..start + length).contains(&at)) {
            unchecked += 1;
            continue;
        }
        match check(field) {
            Some(Verdict::Same) => {}
            Some(Verdict::Unchecked) => unchecked += 1,
            Some(Verdict::Other) | None => {
                return Proof::Differs(Unproven::Target(at, describe(original, &field.reference)));
            }
        }
    }
    Proof::Identical { unchecked, fields: fields.len() }
}

pub(super) fn blank(bytes: &mut [u8], at: u64, length: usize) {
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
    theirs == ours || is_nop(theirs)
}

fn is_nop(code: &[u8]) -> bool {
    code == [0x66, 0x90] || code == [0x0f, 0x1f, 0x44, 0x00, 0x00]
}

/// The value of a relocated field, sign-extended.
pub(super) fn field_value(code: &[u8], at: u64, length: usize) -> Option<i64> {
    let at = usize::try_from(at).ok()?;
    let bytes = code.get(at..at.checked_add(length)?)?;
    match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        _ => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
    }
}

pub(super) fn describe(original: &Object, reference: &Reference) -> String {
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
