//! Every CVE fix between two versions of a kernel's source, through the builder and into a real kernel; and the table of
//! what came of it.
//!
//! The road, a module each:
//!
//! 1. [`candidates`] has `livepatch-build extract` find the patches, and leaves out what the kernel does not compile.
//! 2. [`attempt`] builds each distinct patch once, in parallel, and remembers what came of it ([`state`]); what does not
//!    compile by itself is completed by what the compiler asks for ([`complete`]).
//! 3. [`intent`] compares the functions that the source change touches with those that the module replaces.
//! 4. [`boot`] loads and unloads what was built, many to a virtual machine.
//! 5. [`class`] sorts the outcomes by what stands in the way, [`table`] writes them down.
//!
//! Everything goes through the public commands: what is tested is what a patch author gets.

mod attempt;
mod boot;
mod candidates;
mod class;
mod complete;
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

/// Patches that are built before the next machine boots.
const PART: usize = 72;

/// Goes the whole road and answers the table.
///
/// # Errors
/// When something is missing (programs, kernel, packages) or the state cannot be written. What happens to a single fix is
/// no error but a row.
pub fn run(options: &Options) -> Result<Table> {
    let programs = Programs::find()?;
    let plan = candidates::plan(&programs, options)?;
    if options.known {
        return Ok(table::table(&plan, options));
    }
    let builder = state::builder_id(&programs)?;
    // Patches to headers last, which may reach many units, and the surest first: a run that is cut short has done what tells
    // most.
    let mut jobs: Vec<&candidates::Job> = plan.jobs.iter().collect();
    jobs.sort_by_key(|job| (job.has_header(), job.rank()));
    for (at, part) in jobs.chunks(PART).enumerate() {
        eprintln!("patches {} to {} of {}", at * PART + 1, at * PART + part.len(), jobs.len());
        attempt::all(&programs, &plan, part, options, &builder)?;
        if !options.no_boot {
            boot::all(&plan, part)?;
        }
    }
    Ok(table::table(&plan, options))
}
