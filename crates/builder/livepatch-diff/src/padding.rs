//! No-ops in front of functions (gcc's `-fpatchable-function-entry=N,N`; CONFIG_CALL_PADDING, arch/x86/Makefile).
//!
//! The kernel writes call thunks there when it starts or when it loads a module, so that they go where their function
//! goes. The compiler notes where each padding begins in `__patchable_function_entries`.

use crate::object::{Definition, Object, SectionIndex, SymbolIndex, SymbolKind};
use std::collections::BTreeMap;

/// Where the compiler notes the beginnings (GCC manual, "Common Function Attributes", `patchable_function_entry`).
const NOTES: &str = "__patchable_function_entries";

/// Where the paddings of an object begin, by section, in order.
#[derive(Debug, Default)]
pub(crate) struct Paddings {
    starts: BTreeMap<SectionIndex, Vec<u64>>,
}

impl Paddings {
    pub(crate) fn read(object: &Object) -> Self {
        let mut paddings = Self::default();
        let noted = object.sections.iter().filter(|section| section.name == NOTES);
        for relocation in noted.flat_map(|section| &section.relocations) {
            let symbol = &object.symbols[relocation.symbol];
            if let Definition::Section(section) = symbol.definition {
                let start = symbol.value.wrapping_add(relocation.addend as u64);
                paddings.starts.entry(section).or_default().push(start);
            }
        }
        paddings.starts.values_mut().for_each(|starts| starts.sort_unstable());
        paddings
    }

    /// Length in bytes of the padding right in front of a function: 0 when it has none.
    pub(crate) fn of(&self, object: &Object, function: SymbolIndex) -> u64 {
        let symbol = &object.symbols[function];
        let Some(section) = object.section_of(function).filter(|_| symbol.kind == SymbolKind::Function)
        else {
            return 0;
        };
        let starts = self.starts.get(&section).map(Vec::as_slice).unwrap_or_default();
        let after = starts.partition_point(|&start| start <= symbol.value);
        let Some(&start) = after.checked_sub(1).and_then(|last| starts.get(last)) else { return 0 };
        // Only no-ops lie between a padding's beginning and its function: another symbol's end or beginning means that
        // the padding is that one's.
        let is_between = |&other: &SymbolIndex| {
            let other = &object.symbols[other];
            let end = other.value.saturating_add(other.size);
            other.value < symbol.value && end > start
        };
        if object.symbols_in(section).iter().any(is_between) { 0 } else { symbol.value - start }
    }
}
