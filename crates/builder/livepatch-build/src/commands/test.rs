//! `livepatch-build test`: a built livepatch in a real kernel, in a virtual machine.

use super::{Format, print, print_json};
use anyhow::{Context, Result, bail};
use livepatch_build::boot::{self, BootReport, BootTest};
use livepatch_build::cache::Cache;
use livepatch_build::status::Status;
use livepatch_kernel::KernelRelease;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The build folder, or one with a folder for each kernel.
    folder: PathBuf,
    /// Build folder of the version before: it is replaced by this one, and replaces it.
    #[arg(long, value_name = "FOLDER")]
    previous: Option<PathBuf>,
    /// Your own check, a script or program that runs in the guest: called with 'before' where the livepatch must not act,
    /// with 'after' where it must; ends with another status than 0 when what it sees is not so.
    #[arg(long, value_name = "SCRIPT")]
    check: Option<PathBuf>,
    /// Of a folder with many kernels, test this one only; may be repeated.
    #[arg(long = "kernel", value_name = "RELEASE")]
    kernels: Vec<KernelRelease>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(cache: &Cache, arguments: &Arguments) -> Result<Status> {
    let mut reports = Vec::new();
    for folder in folders(arguments)? {
        // The version before may have a folder for each kernel, too.
        let name = folder.file_name().unwrap_or_default();
        let of_kernel = arguments.previous.as_ref().map(|previous| previous.join(name));
        let previous = of_kernel.filter(|path| path.is_dir()).or_else(|| arguments.previous.clone());
        let test = BootTest { folder: folder.clone(), previous, check: arguments.check.clone() };
        let report = boot::test(cache, &test).with_context(|| format!("cannot test {}", folder.display()))?;
        if arguments.format == Format::Text {
            print(&text(&report))?;
        }
        reports.push(report);
    }
    match (arguments.format, reports.as_slice()) {
        (Format::Json, [report]) => print_json(report)?,
        (Format::Json, reports) => print_json(&reports)?,
        (Format::Text, _) => {}
    }
    Ok(if reports.iter().all(|report| report.passed) { Status::Done } else { Status::Refused })
}

fn folders(arguments: &Arguments) -> Result<Vec<PathBuf>> {
    let mut folders = boot::build_folders(&arguments.folder)?;
    if !arguments.kernels.is_empty() {
        let wanted = |folder: &PathBuf| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            arguments.kernels.iter().any(|release| release.as_str() == name)
        };
        folders.retain(wanted);
    }
    if folders.is_empty() {
        bail!("{} holds no built livepatch to test; build one first", arguments.folder.display());
    }
    Ok(folders)
}

fn text(report: &BootReport) -> String {
    let mut text = String::new();
    for step in report.steps.iter().filter(|step| !step.passed) {
        text += &format!("FAILED   {}: {}\n", step.step, step.detail.as_deref().unwrap_or(""));
    }
    for warning in &report.warnings {
        text += &format!("WARNING  {warning}\n");
    }
    let word = if report.passed { "passed" } else { "FAILED" };
    text + &format!("{word}: {} in {}, {} steps\n", report.name, report.release, report.steps.len())
}
