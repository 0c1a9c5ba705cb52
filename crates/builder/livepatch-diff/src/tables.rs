//! The kernel's special sections: tables whose entries belong to functions.
//!
//! One engine for all of them: a table is a run of equally long entries, and an entry belongs to the function that the
//! relocation in its first field (in some tables another) points into. Which tables there are is a matter of the machine
//! (`arch`). Entry sizes are those of the target kernel's own structures, measured
//! with its compiler ([`EntrySizes`]).

use crate::arch::Architecture;
use crate::object::{Object, SectionIndex, SymbolIndex};
use crate::reference::{Reference, Resolved, references, stretch};
use std::collections::BTreeMap;

/// Sizes in bytes of the structures that make up the tables, by C name, such as `struct bug_entry`.
pub type EntrySizes = BTreeMap<String, u64>;

/// How a table's entry size is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    /// The same in every kernel, in bytes.
    Fixed(u64),
    /// That of a C structure.
    Structure(&'static str),
    /// That of the one relocated field which an entry is; it differs between kernels.
    Field,
}

/// A kind of table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    section: &'static str,
    size: Size,
    /// Whether a difference in an entry makes its function a changed one.
    decides: bool,
    /// Where in an entry the field is that points into the function.
    owner: u64,
}

/// A table whose entries begin with the field that points into the function.
pub(crate) const fn table(section: &'static str, size: Size, decides: bool) -> Table {
    Table { section, size, decides, owner: 0 }
}

impl Table {
    /// The same table with the pointer into the function at another offset of the entry.
    pub(crate) const fn owned_at(self, owner: u64) -> Self {
        Self { owner, ..self }
    }

    /// The section's name.
    pub(crate) fn section(&self) -> &'static str {
        self.section
    }

    /// How the size of its entries is known.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The C structure that it consists of.
    #[cfg(test)]
    pub(crate) fn structure(&self) -> Option<&'static str> {
        match self.size {
            Size::Fixed(_) | Size::Field => None,
            Size::Structure(structure) => Some(structure),
        }
    }
}

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

/// Whether a section is one of the tables of a machine's kernels.
pub fn is_table(architecture: Architecture, name: &str) -> bool {
    architecture.tables().iter().any(|table| table.section == name)
}

impl Tables {
    /// Cuts all tables of an object into entries.
    ///
    /// # Errors
    /// [`TableError::UnknownSize`] when the object has a table whose entry size is not given.
    pub fn read(object: &Object, sizes: &EntrySizes) -> Result<Self, TableError> {
        let mut tables = Self::default();
        for (index, section) in object.sections.iter().enumerate() {
            let known = object.architecture.tables();
            let Some(definition) = known.iter().find(|table| table.section == section.name) else {
                continue;
            };
            let size = match definition.size {
                Size::Fixed(size) => size,
                Size::Field => {
                    let first = section.relocations.first();
                    let size = first.and_then(|first| object.architecture.field_size(first.kind));
                    let Some(size) = size else { continue };
                    size as u64
                }
                Size::Structure(structure) => *sizes
                    .get(structure)
                    .filter(|&&size| size > 0)
                    .ok_or(TableError::UnknownSize { structure, section: definition.section })?,
            };
            for offset in (0..section.data.len() as u64).step_by(usize::try_from(size).unwrap_or(usize::MAX))
            {
                tables.add(object, index, offset, size, definition);
            }
        }
        Ok(tables)
    }

    /// The entries that belong to a function.
    pub fn of(&self, function: SymbolIndex) -> &[Entry] {
        self.by_function.get(&function).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, object: &Object, section: SectionIndex, offset: u64, size: u64, table: &Table) {
        let references = references(object, section, offset, size);
        let owner = references
            .iter()
            .find(|resolved| resolved.relocation.offset == offset.saturating_add(table.owner));
        let Some(Resolved { reference: Reference::Symbol(function, _), .. }) = owner else { return };
        let mut bytes = stretch(&object.sections[section].data, offset, size).to_vec();
        bytes.resize(usize::try_from(size).unwrap_or(0), 0);
        let entry = Entry { section, offset, bytes, references: references.clone(), decides: table.decides };
        self.by_function.entry(*function).or_default().push(entry);
    }
}
