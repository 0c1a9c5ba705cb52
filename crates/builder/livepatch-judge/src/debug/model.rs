//! What debug information says, as far as a livepatch cares: types, functions with what is inlined into them, variables.

/// Identifies a type: its offset in `.debug_info`.
pub type TypeId = usize;
/// Index of a function in [`crate::debug::DebugInfo::functions`].
pub type FunctionId = usize;

/// A line of a source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Index in [`crate::debug::DebugInfo::files`], shifted by one; 0 when it is not known.
    pub file: usize,
    /// Line, from 1; 0 when it is not known.
    pub line: u32,
}

/// `struct` or `union`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    /// `struct`.
    Struct,
    /// `union`.
    Union,
}

/// A type.
#[derive(Clone, Debug)]
pub enum Type<'a> {
    /// An integer, character, boolean or floating type.
    Base {
        /// Its name.
        name: &'a str,
        /// Size in bytes.
        size: u64,
        /// Whether values are signed.
        signed: bool,
        /// Whether values are characters.
        character: bool,
    },
    /// A pointer.
    Pointer(Option<TypeId>),
    /// `const`, `volatile`, `restrict` or `_Atomic`, with the word.
    Qualified(&'static str, Option<TypeId>),
    /// A `typedef`.
    Typedef(&'a str, Option<TypeId>),
    /// An array: element, and the number of elements of each dimension (`None`: open).
    Array(Option<TypeId>, Vec<Option<u64>>),
    /// A `struct` or `union`.
    Composite(Composite<'a>),
    /// An `enum`.
    Enumeration(Enumeration<'a>),
    /// A function's type.
    Function(Prototype),
}

/// A `struct` or `union`.
#[derive(Clone, Debug)]
pub struct Composite<'a> {
    /// `struct` or `union`.
    pub shape: Shape,
    /// The tag; `None` when it has none.
    pub tag: Option<&'a str>,
    /// Size in bytes; `None` for a mere declaration.
    pub size: Option<u64>,
    /// Members in order.
    pub members: Vec<Member<'a>>,
    /// Where it is defined.
    pub place: Place,
    /// Whether it stands outside all functions.
    pub at_file_scope: bool,
}

/// A member of a `struct` or `union`.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name; `None` for an anonymous `struct` or `union`.
    pub name: Option<&'a str>,
    /// Its type.
    pub of: Option<TypeId>,
    /// Offset in bits.
    pub offset: u64,
    /// Width of a bit field in bits.
    pub bits: Option<u64>,
    /// Line of its declaration.
    pub line: u32,
}

/// An `enum`.
#[derive(Clone, Debug)]
pub struct Enumeration<'a> {
    /// The tag; `None` when it has none.
    pub tag: Option<&'a str>,
    /// Size in bytes.
    pub size: u64,
    /// Names and values in order.
    pub enumerators: Vec<(&'a str, i64)>,
    /// Where it is defined.
    pub place: Place,
}

/// Result and parameters of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prototype {
    /// Result; `None`: void.
    pub result: Option<TypeId>,
    /// Parameters.
    pub parameters: Vec<Option<TypeId>>,
    /// Whether it ends in `...`.
    pub variadic: bool,
}

/// A function: a definition, or the abstract one that inlined and cloned instances refer to.
#[derive(Clone, Debug, Default)]
pub struct Function<'a> {
    /// Its offset in `.debug_info`.
    pub offset: usize,
    /// Its name in the source; use [`crate::debug::DebugInfo::name_of`] for instances, which have none of their own.
    pub name: Option<&'a str>,
    /// The function that this is an instance of, by offset in `.debug_info`.
    pub origin: Option<usize>,
    /// Visible outside the unit.
    pub external: bool,
    /// Only declared here.
    pub declaration: bool,
    /// Where it is defined.
    pub place: Place,
    /// Section and offset of its code, in the object; `None` when it has none of its own.
    pub code: Option<(usize, u64)>,
    /// Result and parameters.
    pub prototype: Prototype,
    /// What is inlined into it, in order; nested ones name their parent.
    pub inlined: Vec<Inlined>,
    /// Types of its parameters and local variables, by value or not.
    pub mentions: Vec<TypeId>,
    /// Types of its local variables that are no parameters.
    pub locals: Vec<TypeId>,
}

/// A call that was inlined.
#[derive(Clone, Copy, Debug)]
pub struct Inlined {
    /// The function, by offset in `.debug_info`.
    pub origin: usize,
    /// Where it is called.
    pub call: Place,
    /// Index in the same list of the inlined function that calls it; `None`: the function itself does.
    pub parent: Option<usize>,
}

/// A variable with static storage.
#[derive(Clone, Debug)]
pub struct Variable<'a> {
    /// Its name in the source; empty when it is not known.
    pub name: &'a str,
    /// Its type.
    pub of: Option<TypeId>,
    /// Section and offset, in the object; `None` when it is only declared.
    pub data: Option<(usize, u64)>,
    /// Where it is defined.
    pub place: Place,
    /// The function whose static local it is.
    pub function: Option<FunctionId>,
}
