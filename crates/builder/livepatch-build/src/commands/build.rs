//! `livepatch-build build`: from source patches to a module, for one kernel or for many.

use super::{Format, print, print_json};
use anyhow::{Context, Result, bail};
use livepatch_build::cache::Cache;
use livepatch_build::kernel::Kernel;
use livepatch_build::matrix::{self, KernelEntry, KernelOutcome, Summary};
use livepatch_build::narrate;
use livepatch_build::pipeline::{self, Request, Source};
use livepatch_build::report::{Outcome, Report};
use livepatch_build::series::Series;
use livepatch_build::status::Status;
use livepatch_judge::Acceptance;
use livepatch_kernel::KernelRelease;
use livepatch_manifest::{Fix, FixSource};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The kernel to build for; prepare it with `kernel add`. Given several times, each kernel has a folder of its own
    /// below the output folder, and one report and table tell what came of all.
    #[arg(long = "kernel", value_name = "RELEASE", required_unless_present = "all_kernels")]
    kernels: Vec<KernelRelease>,
    /// Build for every prepared kernel.
    #[arg(long, conflicts_with = "kernels")]
    all_kernels: bool,
    /// How many kernels to build for at the same time; as many as there are processors, unless told.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// The patch, a unified diff to apply with -p1; several apply in the order given.
    #[arg(long = "patch", value_name = "PATCH", required_unless_present_any = ["series", "sources"])]
    patches: Vec<PathBuf>,
    /// A C file that becomes part of the livepatch as it is: for callbacks and for functions that replace existing ones
    /// (`#include "livepatch_notes.h"` explains the macros). It stands in the place of UNIT, a source path of the kernel,
    /// and may use that unit's static variables and functions; without UNIT it belongs to vmlinux.
    #[arg(long = "source", value_name = "FILE.c[=UNIT.c]")]
    sources: Vec<Source>,
    /// A directory of fixes with a file `series` (see `series check --help`): fixes, patches and version come from it.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["patches", "fixes", "fix_source"])]
    series: Option<PathBuf>,
    /// What the patch mends: an id such as a CVE, and a line about it.
    #[arg(long = "fix", value_name = "ID=SUMMARY", value_parser = parse_fix)]
    fixes: Vec<Fix>,
    /// Where the fix comes from.
    #[arg(long, value_name = "PACKAGE:FROM:TO", value_parser = parse_source)]
    fix_source: Option<FixSource>,
    /// Cumulative version of the livepatch: 1, or what the series says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    livepatch_version: Option<u32>,
    /// Accept what a finding refuses: its code, and perhaps what it is about, such as layout-changed:inode; may be repeated.
    #[arg(long, value_name = "CODE[:SUBJECT]")]
    accept: Vec<Acceptance>,
    /// Translation units that a change to a header may touch before it is refused.
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    most_units: usize,
    /// Folder for module, manifest and report.
    #[arg(long)]
    output: PathBuf,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(cache: &Cache, arguments: Arguments) -> Result<Status> {
    let (kernels, format) = (kernels(cache, &arguments)?, arguments.format);
    let jobs = arguments.jobs.map_or_else(processors, usize::from);
    let many = arguments.all_kernels || kernels.len() > 1;
    let request = request(arguments)?;
    match kernels.as_slice() {
        [release] if !many => build_one(cache, release, &request, format),
        _ => build_many(cache, &kernels, &request, jobs, format),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Each kernel once, in the order given.
fn kernels(cache: &Cache, arguments: &Arguments) -> Result<Vec<KernelRelease>> {
    if arguments.all_kernels {
        let all: Vec<_> = Kernel::list(cache).into_iter().map(|kernel| kernel.identity.release).collect();
        if all.is_empty() {
            bail!("no kernel is prepared; run: livepatch-build kernel add RELEASE");
        }
        return Ok(all);
    }
    let mut kernels: Vec<KernelRelease> = Vec::new();
    for release in &arguments.kernels {
        if !kernels.contains(release) {
            kernels.push(release.clone());
        }
    }
    Ok(kernels)
}

fn request(arguments: Arguments) -> Result<Request> {
    let (version, output, mut accept) = (arguments.livepatch_version, arguments.output, arguments.accept);
    let most_units = arguments.most_units;
    if let Some(folder) = arguments.series {
        let series = Series::read(&folder)?;
        let (patches, fixes) = (series.patches(), series.fixes());
        accept.extend(series.accepted());
        let (sources, version) = (arguments.sources, version.unwrap_or(series.version));
        return Ok(Request { patches, sources, fixes, version, accept, most_units, output });
    }
    let source = arguments.fix_source;
    let fixes = arguments.fixes.into_iter().map(|fix| Fix { source: source.clone(), ..fix }).collect();
    let (patches, sources) = (arguments.patches, arguments.sources);
    Ok(Request { patches, sources, fixes, version: version.unwrap_or(1), accept, most_units, output })
}

fn build_one(cache: &Cache, release: &KernelRelease, request: &Request, format: Format) -> Result<Status> {
    let kernel = Kernel::open(cache, release)?;
    let report = pipeline::build(&kernel, request).with_context(|| format!("cannot build for {release}"))?;
    match format {
        Format::Json => print_json(&report)?,
        Format::Text => print(&text(&report))?,
    }
    Ok(Status::of_report(&report))
}

fn build_many(
    cache: &Cache,
    kernels: &[KernelRelease],
    request: &Request,
    jobs: usize,
    format: Format,
) -> Result<Status> {
    let summary = matrix::build(cache, kernels, request, jobs)?;
    match format {
        Format::Json => print_json(&summary)?,
        Format::Text => print(&table(&summary))?,
    }
    Ok(summary.status())
}

fn parse_fix(text: &str) -> Result<Fix, String> {
    match text.split_once('=') {
        Some((id, summary)) if !id.is_empty() => Ok(Fix::new(id, summary)),
        _ => Err("ID=SUMMARY expected, such as CVE-2026-93146=\"time namespace offsets\"".into()),
    }
}

fn parse_source(text: &str) -> Result<FixSource, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [package, from, to] = parts.as_slice() else {
        return Err("PACKAGE:FROM:TO expected, such as linux-source-6.1:6.1.192-1:6.1.192-2".into());
    };
    Ok(FixSource { package: (*package).into(), from: (*from).into(), to: (*to).into() })
}

/// A line a kernel, then the reasons in full.
fn table(summary: &Summary) -> String {
    let row = |entry: &KernelEntry| {
        let built = entry.report.as_ref().filter(|_| entry.outcome == KernelOutcome::Built);
        vec![
            entry.release.to_string(),
            word(entry.outcome).to_owned(),
            built.map_or_else(|| "-".into(), |report| format!("{}/{}.ko", entry.folder, report.name)),
            if built.is_some() { entry.functions().join(", ") } else { "-".into() },
            format!("{:.1}", entry.seconds),
        ]
    };
    let rows = summary.kernels.iter().map(row).collect();
    let lines = super::table(&["KERNEL", "OUTCOME", "MODULE", "FUNCTIONS", "SECONDS"], rows);
    let reasons = summary.kernels.iter().filter_map(reason).collect::<String>();
    let built = summary.kernels.iter().filter(|entry| entry.outcome == KernelOutcome::Built).count();
    format!("{lines}{reasons}built for {built} of {} kernels\n", summary.kernels.len())
}

fn reason(entry: &KernelEntry) -> Option<String> {
    Some(format!("{}: {}: {}\n", entry.release, word(entry.outcome), entry.reason()?))
}

fn word(outcome: KernelOutcome) -> &'static str {
    match outcome {
        KernelOutcome::Built => "built",
        KernelOutcome::Refused => "refused",
        KernelOutcome::Failed => "failed",
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for unit in &report.units {
        text += &format!("{} ({}): ", unit.source, unit.object);
        text += &format!("changed {}; ", list(&unit.changed));
        text += &format!(
            "new {}; gone {}; carries {}\n",
            list(&unit.added),
            list(&unit.removed),
            list(&unit.data)
        );
        for why in &unit.why {
            text += &format!("  {}: {}\n", why.function, why.why);
        }
        let proof = &unit.proof;
        text += &format!(
            "  base: {} of {} functions are the code that runs, {} of {} references compared\n",
            proof.identical,
            proof.functions,
            proof.fields - proof.unchecked,
            proof.fields
        );
        for (function, difference) in &proof.differs {
            text += &format!("  not replaced, and different: {function}: {difference}\n");
        }
    }
    text += &report.notes.iter().map(|note| format!("note: {note}\n")).collect::<String>();
    text += &super::findings::text(report);
    match report.outcome {
        Outcome::Built => text += &format!("built {}.ko, not signed yet\n", report.name),
        Outcome::Refused => narrate::say("this patch cannot be livepatched as it is"),
    }
    let timings = &report.timings;
    text += &format!(
        "time: commands {:.1} s, compile {:.1} + {:.1} s ({:.1} s side by side), proof {:.2} s, difference {:.2} s, judgement {:.2} s, \
         kbuild {:.1} s; \
         total {:.1} s, {:.2} × (both compilations + kbuild)\n",
        timings.commands,
        timings.compile_original,
        timings.compile_patched,
        timings.compile_wall,
        timings.proof,
        timings.difference,
        timings.judgement,
        timings.kbuild,
        timings.total,
        timings.ratio
    );
    text
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
