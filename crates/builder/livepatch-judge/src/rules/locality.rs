//! Who else may hold objects of a type: the question on which it depends how bad a change of its layout is.

use crate::case::{Case, callees, function};
use crate::debug::{DebugInfo, Type, TypeId};
use livepatch_diff::names::source_name;
use std::collections::{BTreeMap, BTreeSet};

/// Where objects of a type can be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Locality {
    /// Nothing rules out that other code, or memory that outlives a call, has some.
    Shared,
    /// On the stacks of changed functions, whose callees get pointers to them.
    Stack,
    /// In variables of changed functions that no pointer leads to.
    Value,
}

/// Functions that hand out memory (include/linux/slab.h, vmalloc.h, percpu.h): what they give may outlive the call.
const ALLOCATORS: [&str; 13] = [
    "__kmalloc",
    "kmalloc",
    "kzalloc",
    "kmem_cache_alloc",
    "kvmalloc",
    "kvzalloc",
    "krealloc",
    "kmemdup",
    "vmalloc",
    "__vmalloc",
    "vzalloc",
    "__alloc_percpu",
    "devm_k",
];

/// What can be proven about a type of the original unit. Anything that a header defines is shared.
pub(crate) fn locality(case: &Case<'_>, of: TypeId, path: &str) -> Locality {
    let info = case.original;
    if path != case.source {
        return Locality::Shared;
    }
    let (values, pointers) = derived(info, of);
    let is_of = |id: TypeId| values.contains(&id) || pointers.contains(&id);
    let in_variable = info.variables.iter().any(|variable| variable.of.is_some_and(is_of));
    let in_structure = info.types().any(|(_, kind)| match kind {
        Type::Composite(composite) => composite.members.iter().any(|member| member.of.is_some_and(is_of)),
        Type::Function(prototype) => prototype.parameters.iter().flatten().any(|&id| is_of(id)),
        _ => false,
    });
    if in_variable || in_structure {
        return Locality::Shared;
    }
    let users = users(case, &values, &pointers);
    let changed: BTreeSet<&str> = case.changed().iter().map(|changed| changed.name).collect();
    let by_value = info.functions.iter().any(|function| function.locals.iter().any(|id| values.contains(id)));
    if !by_value || users.iter().any(|(name, allocates)| *allocates || !changed.contains(name)) {
        return Locality::Shared;
    }
    if pointers.is_empty() { Locality::Value } else { Locality::Stack }
}

/// Source names of the original's functions with code of their own that use a type, whether or not by what is inlined into them.
pub(crate) fn user_names<'i>(case: &Case<'i>, of: TypeId) -> BTreeSet<&'i str> {
    let (values, pointers) = derived(case.original, of);
    users(case, &values, &pointers).into_keys().collect()
}

/// Functions with code of their own, and whether each can get memory from an allocator.
fn users<'i>(
    case: &Case<'i>,
    values: &BTreeSet<TypeId>,
    pointers: &BTreeSet<TypeId>,
) -> BTreeMap<&'i str, bool> {
    let (info, object) = (case.original, case.difference.original);
    let mentions = |index: usize| {
        info.functions[index].mentions.iter().any(|id| values.contains(id) || pointers.contains(id))
    };
    // An instance has the types of what it is an instance of.
    let by_offset: BTreeSet<usize> = (0..info.functions.len())
        .filter(|&index| mentions(index))
        .map(|index| info.functions[index].offset)
        .collect();
    let uses = |offset: usize| by_offset.contains(&offset);
    let mut found = BTreeMap::new();
    for (index, symbol) in object.symbols.iter().enumerate() {
        let Some(id) = function(object, info, index).filter(|_| symbol.size > 0) else { continue };
        let itself = &info.functions[id];
        let used = uses(itself.offset)
            || itself.origin.is_some_and(uses)
            || itself.inlined.iter().any(|call| uses(call.origin));
        if used {
            let allocates = callees(object, index)
                .keys()
                .any(|name| ALLOCATORS.iter().any(|allocator| name.starts_with(allocator)));
            *found.entry(source_name(&symbol.name)).or_default() |= allocates;
        }
    }
    found
}

/// The types that hold one by value (itself, typedefs, arrays), and those that lead to it by pointers.
fn derived(info: &DebugInfo<'_>, of: TypeId) -> (BTreeSet<TypeId>, BTreeSet<TypeId>) {
    let mut values = BTreeSet::from([of]);
    let mut pointers = BTreeSet::new();
    // Types may stand before what they are made of; each round gets one step further, and C needs few.
    for _ in 0..8 {
        let before = values.len() + pointers.len();
        for (id, kind) in info.types() {
            match kind {
                Type::Qualified(_, Some(inner))
                | Type::Typedef(_, Some(inner))
                | Type::Array(Some(inner), _) => {
                    if values.contains(inner) {
                        values.insert(id);
                    } else if pointers.contains(inner) {
                        pointers.insert(id);
                    }
                }
                Type::Pointer(Some(inner)) if values.contains(inner) || pointers.contains(inner) => {
                    pointers.insert(id);
                }
                _ => {}
            }
        }
        if values.len() + pointers.len() == before {
            break;
        }
    }
    (values, pointers)
}
