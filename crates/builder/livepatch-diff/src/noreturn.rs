//! Functions that never return, as far as their own code tells.
//!
//! objtool follows calls within a translation unit to find these (tools/objtool/check.c, `dead_end_function`). In an
//! extracted object they are somebody else's, and it would look for code behind a call of one; a note in
//! `.discard.unreachable` (include/linux/compiler.h, `annotate_unreachable`) tells it what the whole unit told it.

use crate::names::cold_parent;
use crate::object::{Object, SymbolIndex, SymbolKind};
use crate::reference::{Reference, Resolved, references};

/// Section of the notes: a field each, relative to itself, that leads to the place behind the call.
pub(crate) const UNREACHABLE: &str = ".discard.unreachable";

/// Whether a function has neither a return nor a jump that leaves it.
pub(crate) fn never_returns(object: &Object, function: SymbolIndex) -> bool {
    let symbol = &object.symbols[function];
    if symbol.kind != SymbolKind::Function || object.bytes_of(function).is_none() {
        return false;
    }
    parts(object, &symbol.name).all(|part| !leaves(object, part, &symbol.name))
}

/// The function and its cold part.
fn parts<'a>(object: &'a Object, name: &'a str) -> impl Iterator<Item = SymbolIndex> + 'a {
    let is_part = |index: &SymbolIndex| {
        let symbol = &object.symbols[*index];
        symbol.kind == SymbolKind::Function && family(&symbol.name) == family(name)
    };
    (0..object.symbols.len()).filter(move |index| is_part(index))
}

fn family(name: &str) -> &str {
    cold_parent(name).unwrap_or(name)
}

fn leaves(object: &Object, part: SymbolIndex, name: &str) -> bool {
    let (Some(code), Some(section)) = (object.bytes_of(part), object.section_of(part)) else { return true };
    let symbol = &object.symbols[part];
    let fields = references(object, section, symbol.value, symbol.size);
    let offset = |resolved: &Resolved| resolved.relocation.offset - symbol.value;
    let jumps_away = |reference: &Reference| match *reference {
        Reference::Symbol(target, _) => family(&object.symbols[target].name) != family(name),
        Reference::Section(..) | Reference::External(..) => true,
    };
    let offsets: Vec<u64> = fields.iter().map(offset).collect();
    object.architecture.leaves(code, &offsets)
        || fields.iter().any(|resolved| {
            let is_call = object.architecture.is_call(code, offset(resolved));
            resolved.branch && !is_call && jumps_away(&resolved.reference)
        })
}
