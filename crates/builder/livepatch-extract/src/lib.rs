//! Which lines of a distribution's source update belong to which entry of its changelog.
//!
//! A distribution ships a kernel update as two source trees and a changelog; nothing says which lines are which fix. The
//! road from there to a patch for one CVE:
//!
//! 1. [`changelog`] reads the entries: a subject line each, with the CVEs that it mends.
//! 2. [`change`] takes the difference of the two trees apart into changes: runs of lines, with the function around them.
//! 3. [`terms`] turns subjects and changes into comparable words: subsystem, function names, other words.
//! 4. [`assign`] weighs every entry against every change and settles who owns what.
//! 5. [`links`] finds, by what lines do with [`names`], which changes cannot stand without which others (a new function and its callers).
//! 6. [`candidate`] puts the changes of one entry together as a patch, with the confidence that it is the fix and no more.
//!
//! Pure: texts in, texts out.

mod assign;
mod candidate;
mod change;
mod changelog;
mod groups;
mod links;
mod names;
mod terms;

pub use candidate::{Candidate, Confidence, Update};
pub use change::{Change, FileChange, Scope};
pub use changelog::{ChangelogError, Entry, Origin, range};
