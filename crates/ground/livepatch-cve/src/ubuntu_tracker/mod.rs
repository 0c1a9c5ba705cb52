//! Files of the Ubuntu CVE tracker: one file a CVE, read and written without loss.
//!
//! The format (README and `load_cve()` of the tracker): lines `Key: value`, continued by lines that start with a blank;
//! `Patches_PACKAGE:` with the commits of upstream; `RELEASE_PACKAGE: state (version or note)`; lines that start with `#`
//! are comments. What is written is in **normal form**, and so is everything that is written again:
//!
//! 1. lines end with a line feed alone, and no line ends with blanks; a line of blanks is an empty line;
//! 2. empty lines: none at the start or the end, never two in a row;
//! 3. one blank between `Key:` and its value, and none when there is no value;
//! 4. a continuation line starts with one blank (a tab becomes one); further blanks after it stay, they are indentation;
//! 5. an empty note, `()`, is no note.
//!
//! Nothing else changes: order, comments, unknown fields and lines that mean nothing stay as they are.

mod assertions;
mod model;
mod read;
mod write;

pub use model::{BreakFix, Commit, Entry, PatchLine, StateLine, TrackerFile, TrackerState};
pub use write::normal_form;
