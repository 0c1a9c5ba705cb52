//! Every CVE fix between two versions of a kernel's source, through the builder and into a real kernel; and the table of
//! what came of it.
//!
//! The road, a module each:
//!
//! 1. [`candidates`] has `livepatch-build extract` find the patches, and leaves out what the kernel does not compile.
//! 2. [`attempt`] builds each distinct patch once, in parallel, and remembers what came of it ([`state`]).
//! 3. [`intent`] compares the functions that the source change touches with those that the module replaces.
//! 4. [`boot`] loads and unloads what was built, many to a virtual machine.
//! 5. [`class`] sorts the outcomes by what stands in the way, [`table`] writes them down.
//!
//! Everything goes through the public commands: what is tested is what a patch author gets.

mod attempt;
mod boot;
mod candidates;
mod class;
mod intent;
mod options;
mod patch;
mod state;
mod table;

pub use class::Class;
pub use options::Options;
pub use table::{Row, Table};

use anyhow::Result;
use livepatch_e2e::Programs;

/// Goes the whole road and answers the table.
///
/// # Errors
/// When something is missing (programs, kernel, packages) or the state cannot be written. What happens to a single fix is
/// no error but a row.
pub fn run(options: &Options) -> Result<Table> {
    let programs = Programs::find()?;
    let plan = candidates::plan(&programs, options)?;
    let builder = state::builder_id(&programs)?;
    attempt::all(&programs, &plan, options, &builder)?;
    if !options.no_boot {
        boot::all(&plan, options)?;
    }
    table::table(&plan, options)
}
