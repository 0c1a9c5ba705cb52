//! Source text: patches, and what of a C program a change reaches. Pure: bytes in, answers out.
//!
//! * [`patch`] reads unified diffs in their usual wrappings, [`apply`] puts them on a text, [`lines`] keeps the line numbers
//!   that the compiler sees.
//! * [`lex`] cuts C text into tokens and [`items`] cuts preprocessed text into top-level declarations; [`reach`] leaves out
//!   those that the compiler makes nothing of.
//! * [`includes`] finds what a file may include; [`narrow`] tells from the text alone which names a change to a header
//!   can reach.

pub mod apply;
pub mod includes;
pub mod items;
pub mod lex;
pub mod lines;
pub mod narrow;
pub mod patch;
pub mod reach;

pub use apply::{Applied, HunkFailure, apply};
pub use lines::keep_lines;
pub use patch::{FilePatch, Hunk, Line, PatchError, Series};
