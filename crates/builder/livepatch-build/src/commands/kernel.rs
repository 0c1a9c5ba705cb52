//! `livepatch-build kernel`: prepares kernels and lists them.

use super::{Format, print, print_json};
use anyhow::Result;
use clap::Subcommand;
use livepatch_build::cache::Cache;
use livepatch_build::kernel::Kernel;
use livepatch_build::status::Status;
use livepatch_kernel::KernelRelease;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Fetch a distribution's kernel and prepare it (once; some minutes).
    Add {
        /// As `uname -r` prints it, such as 6.1.0-55-cloud-amd64.
        release: KernelRelease,
    },
    /// List prepared kernels.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

pub(super) fn run(cache: &Cache, action: Action) -> Result<Status> {
    match action {
        Action::Add { release } => {
            let kernel = Kernel::add(cache, &release)?;
            print(&line(&kernel))?;
        }
        Action::List { format } => list(cache, format)?,
    }
    Ok(Status::Done)
}

fn list(cache: &Cache, format: Format) -> Result<()> {
    let kernels = Kernel::list(cache);
    match format {
        Format::Json => print_json(&kernels),
        Format::Text if kernels.is_empty() => {
            print("no kernel is prepared; run: livepatch-build kernel add RELEASE\n")
        }
        Format::Text => kernels.iter().try_for_each(|kernel| print(&line(kernel))),
    }
}

fn line(kernel: &Kernel) -> String {
    format!("{}  {}  {}\n", kernel.identity.release, kernel.version, kernel.identity.build_id)
}
