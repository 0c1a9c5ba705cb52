//! `livepatch-build kernel`: prepares kernels, lists and removes them.

use super::{Format, print, print_json};
use anyhow::{Context as _, Result};
use clap::{ArgGroup, Args, Subcommand};
use livepatch_build::cache::Cache;
use livepatch_build::kernel::{Kernel, Source};
use livepatch_build::status::Status;
use livepatch_build::units::Units;
use livepatch_kernel::KernelRelease;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Prepare a kernel to build for (once; some minutes): from Debian's package index, from package files, or from a
    /// build tree.
    Add(Origin),
    /// List prepared kernels.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// List the source files that a prepared kernel was built from, each with what it is part of: vmlinux or modules.
    Units {
        /// As `kernel list` prints it.
        release: KernelRelease,
    },
    /// Remove a prepared kernel from the cache. Downloaded packages and build trees stay.
    Remove {
        /// As `kernel list` prints it.
        release: KernelRelease,
    },
}

/// Where the kernel is to be had: one of three.
#[derive(Args)]
#[group(skip)]
#[command(group = ArgGroup::new("origin").args(["release", "deb", "tree"]).required(true))]
pub(super) struct Origin {
    /// Debian's packages of this release, from the package index; as `uname -r` prints it, such as
    /// 6.1.0-55-cloud-amd64.
    release: Option<KernelRelease>,
    /// Version of the packages, such as 6.1.192-1; the newest that the index offers when it is left out.
    #[arg(long, requires = "release")]
    version: Option<String>,
    /// Package files of one kernel. Debian: image, headers, dbg, source. Ubuntu: image, modules, headers, the
    /// image's dbgsym (.ddeb), source; modules-extra if there is one.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    deb: Vec<PathBuf>,
    /// A folder in which the kernel was built, with vmlinux and its debug information, .config and Module.symvers. It is
    /// used where it stands, so keep it.
    #[arg(long, value_name = "FOLDER")]
    tree: Option<PathBuf>,
    /// How to print the kernel that is ready.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Origin {
    fn source(self) -> Option<Source> {
        match self {
            Self { tree: Some(folder), .. } => Some(Source::Tree(folder)),
            Self { release: Some(release), version, .. } => Some(Source::Index { release, version }),
            Self { deb, .. } => (!deb.is_empty()).then_some(Source::Archives(deb)),
        }
    }
}

pub(super) fn run(cache: &Cache, action: Action) -> Result<Status> {
    match action {
        Action::Add(origin) => {
            let format = origin.format;
            let source = origin.source().context("name a release, --deb or --tree")?;
            let kernel = Kernel::add_from(cache, &source)?;
            match format {
                Format::Json => print_json(&[kernel])?,
                Format::Text => print(&line(&kernel))?,
            }
        }
        Action::List { format } => list(cache, format)?,
        Action::Units { release } => units(&Kernel::open(cache, &release)?)?,
        Action::Remove { release } => Kernel::remove(cache, &release)?,
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

fn units(kernel: &Kernel) -> Result<()> {
    let units = Units::of(kernel)?;
    let lines = units.sources().map(|source| format!("{source}\t{}\n", units.owners(source).join(",")));
    print(&lines.collect::<String>())
}

fn line(kernel: &Kernel) -> String {
    format!("{}  {}  {}\n", kernel.identity.release, kernel.version, kernel.identity.build_id)
}
