//! The kernel's special sections: tables whose entries belong to functions.
//!
//! One engine for all of them: a table is a run of equally long entries, and an entry belongs to the function that the
//! relocation in its first field points into. Entry sizes are those of the target kernel's own structures, measured
//! with its compiler ([`EntrySizes`]).

use crate::object::{Object, SectionIndex, SymbolIndex};
use crate::reference::{Reference, Resolved, references, stretch};
use std::collections::BTreeMap;

/// Sizes in bytes of the structures that make up the tables, by C name, such as `struct bug_entry`.
pub type EntrySizes = BTreeMap<String, u64>;

/// How a table's entry size is known.
enum Size {
    Fixed(u64),
    Structure(&'static str),
}

struct Definition {
    section: &'static str,
    size: Size,
    /// Whether a difference in an entry makes its function a changed one.
    decides: bool,
}

const fn table(section: &'static str, size: Size, decides: bool) -> Definition {
    Definition { section, size, decides }
}

/// The tables of x86-64 kernels (include/asm-generic/vmlinux.lds.h; arch/x86/kernel/vmlinux.lds.S). Those that objtool
/// makes (`.orc_unwind*`, `.return_sites`, `.retpoline_sites`, `.static_call_sites`, `.call_sites`) are not here: it makes
/// them afresh for the livepatch module.
const TABLES: [Definition; 16] = [
    table("__bug_table", Size::Structure("bug_entry"), true),
    table("__ex_table", Size::Structure("exception_table_entry"), true),
    table("__jump_table", Size::Structure("jump_entry"), true),
    table(".altinstructions", Size::Structure("alt_instr"), true),
    table(".parainstructions", Size::Structure("paravirt_patch_site"), true),
    table(".smp_locks", Size::Fixed(4), true),
    table("__mcount_loc", Size::Fixed(8), false),
    // Notes for objtool (include/linux/objtool.h, include/linux/compiler.h); they do not reach the running kernel.
    table(".discard.reachable", Size::Fixed(4), false),
    table(".discard.unreachable", Size::Fixed(4), false),
    table(".discard.retpoline_safe", Size::Fixed(8), false),
    table(".discard.ignore_alts", Size::Fixed(8), false),
    table(".discard.instr_begin", Size::Fixed(4), false),
    table(".discard.instr_end", Size::Fixed(4), false),
    table(".discard.unwind_hints", Size::Structure("unwind_hint"), false),
    table(".discard.func_stack_frame_non_standard", Size::Fixed(8), false),
    table(".discard.intra_function_calls", Size::Fixed(8), false),
];

/// An entry of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The table's section.
    pub section: SectionIndex,
    /// Where the entry starts.
    pub offset: u64,
    /// Its bytes: padded with zeros where the last entry of a table is cut.
    pub bytes: Vec<u8>,
    /// Its references.
    pub references: Vec<Resolved>,
    /// Whether a difference in it makes its function a changed one.
    pub decides: bool,
}

/// The entries of all tables of an object, by the function that they belong to, in table order.
#[derive(Debug, Default)]
pub struct Tables {
    by_function: BTreeMap<SymbolIndex, Vec<Entry>>,
}

/// Why the tables cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The size of a structure is needed and not known.
    #[error("the size of struct {structure}, of which {section} consists, is not known for this kernel")]
    UnknownSize {
        /// C name of the structure.
        structure: &'static str,
        /// Section name.
        section: &'static str,
    },
}

/// Whether a section is one of the tables.
pub fn is_table(name: &str) -> bool {
    TABLES.iter().any(|table| table.section == name)
}

impl Tables {
    /// Cuts all tables of an object into entries.
    ///
    /// # Errors
    /// [`TableError::UnknownSize`] when the object has a table whose entry size is not given.
    pub fn read(object: &Object, sizes: &EntrySizes) -> Result<Self, TableError> {
        let mut tables = Self::default();
        for (index, section) in object.sections.iter().enumerate() {
            let Some(definition) = TABLES.iter().find(|table| table.section == section.name) else {
                continue;
            };
            let size = match definition.size {
                Size::Fixed(size) => size,
                Size::Structure(structure) => *sizes
                    .get(structure)
                    .filter(|&&size| size > 0)
                    .ok_or(TableError::UnknownSize { structure, section: definition.section })?,
            };
            for offset in (0..section.data.len() as u64).step_by(usize::try_from(size).unwrap_or(usize::MAX))
            {
                tables.add(object, index, offset, size, definition.decides);
            }
        }
        Ok(tables)
    }

    /// The entries that belong to a function.
    pub fn of(&self, function: SymbolIndex) -> &[Entry] {
        self.by_function.get(&function).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, object: &Object, section: SectionIndex, offset: u64, size: u64, decides: bool) {
        let references = references(object, section, offset, size);
        let owner = references.iter().find(|resolved| resolved.relocation.offset == offset);
        let Some(Resolved { reference: Reference::Symbol(function, _), .. }) = owner else { return };
        let mut bytes = stretch(&object.sections[section].data, offset, size).to_vec();
        bytes.resize(usize::try_from(size).unwrap_or(0), 0);
        let entry = Entry { section, offset, bytes, references: references.clone(), decides };
        self.by_function.entry(*function).or_default().push(entry);
    }
}
