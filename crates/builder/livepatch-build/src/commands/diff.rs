//! `livepatch-build diff`: what differs between two objects of one translation unit.

use super::{Format, print, print_json};
use anyhow::{Context, Result};
use livepatch_build::cache::Cache;
use livepatch_build::diff::{self, DiffReport};
use livepatch_build::kernel::Kernel;
use livepatch_build::status::Status;
use livepatch_kernel::KernelRelease;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The object compiled without the patch, with -ffunction-sections -fdata-sections.
    original: PathBuf,
    /// The object compiled with it.
    patched: PathBuf,
    /// The kernel whose symbols count, and against which the original is proven; without it, the original object is the
    /// symbol table.
    #[arg(long, value_name = "RELEASE")]
    kernel: Option<KernelRelease>,
    /// What the unit is linked into: vmlinux, or the name of a module.
    #[arg(long, value_name = "NAME", default_value = "vmlinux")]
    object: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(cache: &Cache, arguments: &Arguments) -> Result<Status> {
    let kernel = arguments.kernel.as_ref().map(|release| Kernel::open(cache, release)).transpose()?;
    let (original, patched) = (&arguments.original, &arguments.patched);
    let report = diff::of_files(kernel.as_ref(), original, patched, &arguments.object)
        .with_context(|| format!("cannot compare {} and {}", original.display(), patched.display()))?;
    match arguments.format {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report))?,
    }
    Ok(Status::of_refusals(&report.refusals))
}

fn text(report: &DiffReport) -> String {
    let mut text = String::new();
    for (word, names) in [
        ("changed", &report.changed),
        ("added", &report.added),
        ("removed", &report.removed),
        ("data", &report.data),
        ("external", &report.externals),
    ] {
        for name in names {
            text += &format!("{word:8} {name}\n");
        }
    }
    for needed in &report.klp_relocations {
        text += &format!("needs    {} (by {}+{:#x})\n", needed.symbol, needed.from, needed.offset);
    }
    for refusal in &report.refusals {
        text += &format!("refused [{}]: {}\n  advice: {}\n", refusal.code, refusal.message, refusal.advice);
    }
    if text.is_empty() { "no functional change\n".into() } else { text }
}
