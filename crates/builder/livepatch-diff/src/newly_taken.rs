//! Addresses of functions that a patch takes and nobody took before: in a kernel that tracks indirect branches, not every
//! function may be called through a pointer (`seal`).

use crate::base::{Base, Image, Unit};
use crate::difference::{Difference, Role};
use crate::object::{Binding, Object, SymbolIndex, SymbolKind};
use crate::reference::{Reference, Resolved, references};
use crate::refusal::Refusal;
use crate::tables::is_table;
use std::collections::BTreeSet;

/// Refuses each newly taken address of a function of the running kernel that must not be called through a pointer.
pub fn refuse_sealed(
    image: &Image<'_>,
    base: &Base<'_>,
    unit: Unit,
    difference: &Difference<'_>,
) -> Vec<Refusal> {
    let mut known: Option<BTreeSet<&str>> = None;
    let mut refusals = Vec::new();
    for (from, resolved) in carried_references(difference) {
        let Some((function, binding)) = running_function(difference, from, &resolved) else { continue };
        if !base.is_sealed(image, unit, function, binding) {
            continue;
        }
        let known = known.get_or_insert_with(|| taken_addresses(difference.original));
        if !known.contains(function) {
            let from = from.map_or("unnamed data", |from| &difference.patched.symbols[from].name).to_owned();
            refusals.push(Refusal::SealedFunction { function: function.to_owned(), from });
        }
    }
    refusals
}

/// All references of what is carried, table entries aside: those are about places in the code.
fn carried_references(difference: &Difference<'_>) -> Vec<(Option<SymbolIndex>, Resolved)> {
    let patched = difference.patched;
    let mut all = Vec::new();
    for &index in &difference.included {
        let Some(section) = patched.section_of(index) else { continue };
        let symbol = &patched.symbols[index];
        let found = references(patched, section, symbol.value, symbol.size);
        all.extend(found.into_iter().map(|resolved| (Some(index), resolved)));
    }
    for &(section, start, size) in &difference.pieces {
        all.extend(references(patched, section, start, size).into_iter().map(|resolved| (None, resolved)));
    }
    all
}

/// The function of the running kernel whose address a reference takes.
fn running_function<'a>(
    difference: &'a Difference<'_>,
    from: Option<SymbolIndex>,
    resolved: &Resolved,
) -> Option<(&'a str, Binding)> {
    match resolved.reference {
        _ if resolved.branch => None,
        Reference::Symbol(target, 0) if difference.patched.symbols[target].kind == SymbolKind::Function => {
            match difference.role(from, resolved, target) {
                Role::Original(original) => {
                    let symbol = &difference.original.symbols[original];
                    Some((&symbol.name, symbol.binding))
                }
                Role::Copy(_) => None,
            }
        }
        Reference::External(target, 0) => Some((&difference.patched.symbols[target].name, Binding::Global)),
        _ => None,
    }
}

/// Names whose address the original takes somewhere: what the kernel lets it do with them it may go on doing.
fn taken_addresses(original: &Object) -> BTreeSet<&str> {
    // Notes about places in the code are no pointers to call.
    let is_note = |name: &str| name.starts_with(".discard") || is_table(original.architecture, name);
    let sections = original.sections.iter().enumerate();
    let sections = sections.filter(|(_, section)| section.is_allocated() && !is_note(&section.name));
    let found = sections.flat_map(|(index, section)| references(original, index, 0, section.size));
    let named = found.filter(|resolved| !resolved.branch).filter_map(|resolved| match resolved.reference {
        Reference::Symbol(index, 0) | Reference::External(index, 0) => {
            Some(original.symbols[index].name.as_str())
        }
        _ => None,
    });
    named.collect()
}
