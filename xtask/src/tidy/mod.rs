//! The workspace's own rules, which no other tool checks. Each rule is a function from what is there to what is wrong.

mod crates;
mod hard_cases;
mod server_features;
mod sources;

use anyhow::{Result, bail};
use livepatch_e2e::workspace_root;

/// Checks everything and prints every violation.
///
/// # Errors
/// When there is one.
pub(crate) fn run() -> Result<()> {
    let members = crates::members()?;
    let files = sources::files(&workspace_root(), &members)?;
    let mut wrong = crates::check(&members);
    wrong.extend(sources::check(&files, &sources::listed_exceptions(&workspace_root())));
    wrong.extend(hard_cases::check(&workspace_root(), files.iter().map(sources::Source::text)));
    wrong.extend(server_features::check(&workspace_root(), files.iter().map(sources::Source::text)));
    for violation in &wrong {
        eprintln!("tidy: {violation}");
    }
    if !wrong.is_empty() {
        bail!("{} violation(s) of the workspace's rules; xtask/src/tidy says what they are for", wrong.len());
    }
    eprintln!("tidy: {} crates and {} source files keep the rules", members.len(), files.len());
    Ok(())
}
