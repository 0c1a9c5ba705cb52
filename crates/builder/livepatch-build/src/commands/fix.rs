//! `livepatch-build fix`: takes fixes out of source packages.

use super::print;
use anyhow::Result;
use clap::Subcommand;
use livepatch_build::cache::Cache;
use livepatch_build::fix::{self, FixRequest};
use livepatch_build::status::Status;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Print the difference between two versions of a source package, for some files.
    Extract {
        /// Source package, such as linux-source-6.1.
        #[arg(long)]
        package: String,
        /// Version without the fix.
        #[arg(long)]
        from: String,
        /// Version with the fix.
        #[arg(long)]
        to: String,
        /// Files within the kernel tree.
        #[arg(required = true)]
        files: Vec<String>,
    },
}

pub(super) fn run(cache: &Cache, action: Action) -> Result<Status> {
    let Action::Extract { package, from, to, files } = action;
    print(&fix::extract(cache, &FixRequest { package, from, to, files })?)?;
    Ok(Status::Done)
}
