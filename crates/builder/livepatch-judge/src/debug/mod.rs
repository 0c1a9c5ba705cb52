//! Debug information (DWARF 2 to 5) of one object, read once, in one pass.
//!
//! Foreign bytes: the work is linear in the size of the sections, and whoever follows references from type to type counts
//! his steps ([`DEEPEST`]).

mod attributes;
mod model;
mod read;
mod sections;
mod spell;
mod units;

pub use model::{
    Composite, Enumeration, Function, FunctionId, Inlined, Member, Place, Prototype, Shape, Type, TypeId,
    Variable,
};
pub use sections::{DebugError, DebugSections};
pub use units::unit_names;

use std::collections::HashMap;

/// How far references from type to type are followed: `const` and typedefs upon each other, structures within each other.
pub const DEEPEST: u32 = 48;

/// What an object's debug information says.
#[derive(Debug, Default)]
pub struct DebugInfo<'a> {
    /// Source files, as paths within the kernel tree where they lie in it.
    pub files: Vec<String>,
    /// Functions, in the order of their offsets.
    pub functions: Vec<Function<'a>>,
    /// Variables with static storage.
    pub variables: Vec<Variable<'a>>,
    /// Types in the order of their offsets.
    types: Vec<(TypeId, Type<'a>)>,
    by_code: HashMap<(usize, u64), FunctionId>,
    by_data: HashMap<(usize, u64), usize>,
}

impl<'a> DebugInfo<'a> {
    /// Reads debug information.
    ///
    /// # Errors
    /// [`DebugError`] when it is damaged; never a panic.
    pub fn read(sections: &'a DebugSections) -> Result<Self, DebugError> {
        let mut info = read::read(sections)?;
        for (index, function) in info.functions.iter().enumerate() {
            if let Some(code) = function.code {
                info.by_code.insert(code, index);
            }
        }
        for (index, variable) in info.variables.iter().enumerate() {
            if let Some(data) = variable.data {
                info.by_data.insert(data, index);
            }
        }
        Ok(info)
    }

    /// A type.
    pub fn get(&self, id: TypeId) -> Option<&Type<'a>> {
        let at = self.types.binary_search_by_key(&id, |(offset, _)| *offset).ok()?;
        Some(&self.types[at].1)
    }

    /// All types.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &Type<'a>)> {
        self.types.iter().map(|(id, kind)| (*id, kind))
    }

    /// The type behind typedefs and qualifiers, with its id.
    pub fn resolve(&self, mut id: TypeId) -> Option<(TypeId, &Type<'a>)> {
        for _ in 0..DEEPEST {
            match self.get(id)? {
                Type::Typedef(_, Some(next)) | Type::Qualified(_, Some(next)) => id = *next,
                Type::Typedef(_, None) | Type::Qualified(_, None) => return None,
                other => return Some((id, other)),
            }
        }
        None
    }

    /// The type that arrays upon arrays are made of, behind typedefs and qualifiers.
    pub fn element(&self, mut id: TypeId) -> Option<(TypeId, &Type<'a>)> {
        for _ in 0..DEEPEST {
            match self.resolve(id)? {
                (_, Type::Array(Some(next), _)) => id = *next,
                other => return Some(other),
            }
        }
        None
    }

    /// Size in bytes; `None` when it is open or not known.
    pub fn size_of(&self, id: TypeId, address_size: u64) -> Option<u64> {
        let mut factor = 1u64;
        let mut id = id;
        for _ in 0..DEEPEST {
            let (_, kind) = self.resolve(id)?;
            match kind {
                Type::Array(Some(element), dimensions) => {
                    for count in dimensions {
                        factor = factor.checked_mul((*count)?)?;
                    }
                    id = *element;
                }
                Type::Base { size, .. } => return factor.checked_mul(*size),
                Type::Pointer(_) => return factor.checked_mul(address_size),
                Type::Composite(composite) => return factor.checked_mul(composite.size?),
                Type::Enumeration(enumeration) => return factor.checked_mul(enumeration.size),
                _ => return None,
            }
        }
        None
    }

    /// The function whose code starts there.
    pub fn function_at(&self, section: usize, offset: u64) -> Option<FunctionId> {
        self.by_code.get(&(section, offset)).copied()
    }

    /// The variable that lies there.
    pub fn variable_at(&self, section: usize, offset: u64) -> Option<&Variable<'a>> {
        self.by_data.get(&(section, offset)).map(|&index| &self.variables[index])
    }

    /// The function at an offset of `.debug_info`.
    pub fn function_of(&self, offset: usize) -> Option<FunctionId> {
        self.functions.binary_search_by_key(&offset, |function| function.offset).ok()
    }

    /// The function with name, place and prototype: an instance leads to what it is an instance of.
    pub fn abstract_of(&self, function: FunctionId) -> &Function<'a> {
        let mut found = &self.functions[function];
        for _ in 0..4 {
            match found.origin.and_then(|origin| self.function_of(origin)) {
                Some(origin) => found = &self.functions[origin],
                None => break,
            }
        }
        found
    }

    /// The name of a function in the source; empty when it is not known.
    pub fn name_of(&self, function: FunctionId) -> &'a str {
        self.functions[function].name.or(self.abstract_of(function).name).unwrap_or("")
    }

    /// The name of the function at an offset of `.debug_info`, such as [`Inlined::origin`].
    pub fn name_at(&self, offset: usize) -> &'a str {
        self.function_of(offset).map_or("", |function| self.name_of(function))
    }

    /// The path of a source file; empty when it is not known.
    pub fn path(&self, place: Place) -> &str {
        place.file.checked_sub(1).and_then(|index| self.files.get(index)).map_or("", String::as_str)
    }
}
