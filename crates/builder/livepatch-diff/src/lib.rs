//! Two objects in, changed functions and data out; then the object that holds just those, and its livepatch relocations.
//!
//! Pure: bytes in, bytes out. Objects of every [`Architecture`] can be read and compared; what is made is for x86-64. The road through the crate:
//!
//! 1. [`Object`] reads a relocatable object; [`reference`] says what a relocation refers to, [`names`] what compiler-made
//!    names mean, [`tables`] which special-section entries belong to which function.
//! 2. [`Difference`] pairs the symbols of original and patched object ([`Correlation`]), compares them, and collects what a
//!    livepatch must carry, or the [`Refusal`]s that forbid one.
//! 3. [`Base`] is the distribution's own binary: it proves that the original is what runs, and knows each symbol's position.
//! 4. [`extract`](extract()) writes the selected parts as an object; after objtool, [`name_symbols`] gives references to the running kernel
//!    their livepatch names; after kbuild, [`finish_module`] turns them into livepatch relocations.

mod annotations;
pub mod arch;
mod base;
mod compare;
mod correlate;
mod difference;
mod extract;
mod klp;
mod late;
pub mod names;
mod newly_taken;
mod noreturn;
mod notice;
mod object;
mod padding;
mod redirect;
pub mod reference;
mod refusal;
mod replace;
mod seal;
mod sections;
mod sizes;
pub mod tables;

pub use annotations::{Annotations, CallbackKind};
pub use arch::Architecture;
pub use base::{Base, BaseError, Exports, Image, ImageSymbol, IndexKey, Proof, Unit, Unproven};
pub use correlate::Correlation;
pub use difference::{Difference, DifferenceError, Piece, Role};
pub use extract::{ExtractError, Extracted, extract, function_alias};
pub use klp::{KlpError, Owner, finish_module, name_symbols};
pub use late::drop_late_entries;
pub use newly_taken::refuse_sealed;
pub use notice::Notice;
pub use object::{
    Binding, Definition, Object, ObjectError, Relocation, Section, SectionIndex, SectionKind, Symbol,
    SymbolIndex, SymbolKind,
};
pub use redirect::Facts;
pub use refusal::Refusal;
pub use sizes::entry_sizes_of;
pub use tables::{EntrySizes, TableError};
