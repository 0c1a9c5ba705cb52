//! What `cargo xtask corpus` takes.

use clap::Args;
use std::path::PathBuf;

/// Which fixes, and how.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Version of the source package without the fixes; the kernel of this version must be prepared
    #[arg(long)]
    pub from: String,
    /// Version with the fixes
    #[arg(long)]
    pub to: String,
    /// Source package
    #[arg(long, default_value = "linux-source-6.1")]
    pub package: String,
    /// Flavour of the kernel
    #[arg(long, default_value = "cloud-amd64")]
    pub flavour: String,
    /// Only these CVEs
    #[arg(long, value_name = "CVE-ID", num_args = 1..)]
    pub only: Vec<String>,
    /// No more than this many patches, in the changelog's order
    #[arg(long)]
    pub first: Option<usize>,
    /// Builds side by side
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub jobs: u8,
    /// Keep what an earlier builder has built; build again only what it refused or failed at
    #[arg(long)]
    pub keep_built: bool,
    /// Take the programs as they are; else they are built first
    #[arg(long)]
    pub no_build: bool,
    /// Do not boot what was built
    #[arg(long)]
    pub no_boot: bool,
    /// Write the table of what is known already; build and boot nothing
    #[arg(long)]
    pub known: bool,
    /// The table
    #[arg(long, default_value = "docs/corpus.tsv")]
    pub output: PathBuf,
}
