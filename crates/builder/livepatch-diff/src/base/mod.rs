//! The distribution's own binary (vmlinux or a module): what really runs.
//!
//! It answers two questions. *Is the original object what runs?* Each function's bytes must be those of the binary, and
//! each relocated field must lead to the same symbol or the same content ([`Proof`]). *Which of the namesakes is it?*
//! The kernel looks symbols up by name and position among all symbols of that name (klp_find_object_symbol,
//! kernel/livepatch/core.c), locals and globals alike, so positions are counted here and nowhere else.

mod exports;
mod image;
mod module;
mod proof;
mod symbols;
mod targets;

pub use exports::Exports;
pub use image::Image;
pub use proof::{Proof, Unproven};
pub use symbols::{ImageSymbol, IndexKey};

use crate::arch::Architecture;
use crate::object::{Binding, Object, ObjectError, SymbolIndex, SymbolKind};
use crate::tables::{EntrySizes, TableError, Tables};
use module::ModuleBase;
use std::collections::BTreeSet;

/// Why the binary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// It cannot be read.
    #[error("cannot read the distribution's binary")]
    Object(#[from] ObjectError),
    /// It holds no translation unit like the compiled one.
    #[error("no translation unit named {file} with these local symbols is in {binary}: {detail}")]
    NoUnit {
        /// Source file's base name.
        file: String,
        /// `vmlinux` or the module.
        binary: String,
        /// What came closest.
        detail: String,
    },
    /// Machine code of that machine cannot be compared with a linked binary.
    #[error("{0} objects can be compared with each other, but only those of x86-64 with what runs")]
    Machine(Architecture),
    /// The compiled object's tables cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The binary that a translation unit was linked into.
#[derive(Debug)]
pub enum Base<'a> {
    /// The kernel image.
    Image(&'a Image<'a>),
    /// A module.
    Module(ModuleBase),
}

/// A translation unit within the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// It has no local symbols.
    NoLocals,
    /// The local symbols behind the numbered `STT_FILE` symbol.
    File(usize),
    /// A run of local symbols, by first and last index: for a module that was stripped of its file names.
    Run(usize, usize),
}

impl<'a> Base<'a> {
    /// A module, by its bytes and its name as the kernel knows it (underscores).
    ///
    /// # Errors
    /// [`ObjectError`] when the bytes are no object.
    pub fn module(name: &str, bytes: &[u8]) -> Result<Base<'a>, ObjectError> {
        Ok(Base::Module(ModuleBase::read(name, bytes)?))
    }

    /// `vmlinux` or the module's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Image(_) => "vmlinux",
            Self::Module(module) => module.name(),
        }
    }

    /// Finds the translation unit that `original` was compiled from.
    ///
    /// # Errors
    /// [`BaseError::NoUnit`] when there is none, or when it cannot be told which.
    pub fn unit(&self, original: &Object) -> Result<Unit, BaseError> {
        let file = original.file_name().unwrap_or_default();
        let wanted = local_names(original);
        if let Self::Module(module) = self
            && !module.has_file_names()
        {
            return module.run(original, &wanted).map_err(|detail| BaseError::NoUnit {
                file: file.to_owned(),
                binary: self.name().to_owned(),
                detail,
            });
        }
        let blocks: Vec<(usize, BTreeSet<&str>)> = match self {
            Self::Image(image) => image.blocks_named(file),
            Self::Module(module) => module.blocks_named(file),
        };
        let overlap = |names: &BTreeSet<&str>| wanted.iter().filter(|name| names.contains(*name)).count();
        let best = blocks.iter().map(|(_, names)| overlap(names)).max();
        let none = |detail: String| {
            Err(BaseError::NoUnit { file: file.to_owned(), binary: self.name().to_owned(), detail })
        };
        match best {
            None => none("no file of that name is in it".into()),
            Some(0) if !wanted.is_empty() => none("files of that name have other symbols".into()),
            Some(0) => Ok(Unit::NoLocals),
            Some(best) if best * 2 < wanted.len() => {
                none(format!("the closest has {best} of {} local symbols", wanted.len()))
            }
            Some(best) => {
                let mut equal = blocks.iter().filter(|(_, names)| overlap(names) == best);
                match (equal.next(), equal.next()) {
                    (Some((block, _)), None) => Ok(Unit::File(*block)),
                    _ => none(format!("several have {best} of {} local symbols", wanted.len())),
                }
            }
        }
    }

    /// Compares one function of the original with the binary.
    pub fn prove(&self, unit: Unit, original: &Object, tables: &Tables, function: SymbolIndex) -> Proof {
        match self {
            Self::Image(image) => proof::against_image(image, unit, original, tables, function),
            Self::Module(module) => proof::against_module(module, unit, original, tables, function),
        }
    }

    /// Compares all functions of the original with the binary, in symbol order.
    ///
    /// # Errors
    /// [`BaseError::Machine`] for a machine other than x86-64; [`BaseError::Table`] when the original's special sections
    /// cannot be read.
    pub fn prove_all(
        &self,
        unit: Unit,
        original: &Object,
        sizes: &EntrySizes,
    ) -> Result<Vec<(SymbolIndex, Proof)>, BaseError> {
        if !original.architecture.links_modules() {
            return Err(BaseError::Machine(original.architecture));
        }
        let tables = Tables::read(original, sizes)?;
        let functions = (0..original.symbols.len()).filter(|&index| {
            original.symbols[index].kind == SymbolKind::Function && original.section_of(index).is_some()
        });
        Ok(functions.map(|index| (index, self.prove(unit, original, &tables, index))).collect())
    }

    /// Whether a call of this function through a pointer is fatal in the running kernel, since it tracks indirect branches
    /// (CONFIG_X86_KERNEL_IBT) and the function's entry is no place to land. `image` is vmlinux, which has what this binary
    /// has not; false for what neither has.
    pub fn is_sealed(&self, image: &Image<'_>, unit: Unit, name: &str, binding: Binding) -> bool {
        if !image.tracks_indirect_branches() {
            return false;
        }
        if let Self::Module(module) = self
            && let Some(found) = module.find(unit, name, binding)
        {
            return module.object().symbols[found].kind == SymbolKind::Function && module.is_sealed(found);
        }
        let found = image.find(unit, name, binding);
        found.is_some_and(|found| found.kind == SymbolKind::Function && image.is_sealed(&found))
    }

    /// The position of a symbol of the original among its namesakes in the running kernel: 0 when the name is unique,
    /// else from 1. `None` when the binary does not have it.
    pub fn position(&self, unit: Unit, symbol: &crate::object::Symbol) -> Option<u32> {
        match self {
            Self::Image(image) => image.position(&image.find(unit, &symbol.name, symbol.binding)?),
            Self::Module(module) => module.position(module.find(unit, &symbol.name, symbol.binding)?),
        }
    }

    /// Whether a function has a trace site in what runs, so that the kernel can redirect it; `None` when the binary has no
    /// such function or does not list trace sites.
    pub fn is_traced(&self, unit: Unit, symbol: &crate::object::Symbol) -> Option<bool> {
        match self {
            Self::Image(image) => image.is_traced(image.find(unit, &symbol.name, symbol.binding)?),
            Self::Module(module) => module.is_traced(module.find(unit, &symbol.name, symbol.binding)?),
        }
    }

    /// Symbol namespaces that a module imports; none for vmlinux, which needs no leave.
    pub fn imported_namespaces(&self) -> Vec<String> {
        match self {
            Self::Image(_) => Vec::new(),
            Self::Module(module) => module.imported_namespaces(),
        }
    }

    /// The position of a global symbol by name.
    pub fn position_of_global(&self, name: &str) -> Option<u32> {
        match self {
            Self::Image(image) => image.position(&image.find(Unit::NoLocals, name, Binding::Global)?),
            Self::Module(module) => module.position(module.find(Unit::NoLocals, name, Binding::Global)?),
        }
    }
}

/// Names of local functions and objects: what tells a translation unit from others of the same file name.
fn local_names(object: &Object) -> BTreeSet<&str> {
    object
        .symbols
        .iter()
        .enumerate()
        .filter(|&(index, symbol)| {
            symbol.binding == Binding::Local
                && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object)
                && object.section_of(index).is_some_and(|section| object.sections[section].is_allocated())
                // Kept out of the final link, or merged there.
                && !symbol.name.starts_with("__UNIQUE_ID_")
        })
        .map(|(_, symbol)| symbol.name.as_str())
        .collect()
}
