//! `livepatch-build build`: from a source patch to a module.

use super::{Format, print, print_json};
use anyhow::{Context, Result};
use livepatch_build::cache::Cache;
use livepatch_build::kernel::Kernel;
use livepatch_build::narrate;
use livepatch_build::pipeline::{self, Request};
use livepatch_build::report::{Outcome, Report};
use livepatch_build::status::Status;
use livepatch_judge::{Acceptance, Finding, Severity};
use livepatch_kernel::KernelRelease;
use livepatch_manifest::{Fix, FixSource};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The kernel to build for; prepare it with `kernel add`.
    #[arg(long)]
    kernel: KernelRelease,
    /// The patch, a unified diff to apply with -p1.
    #[arg(long)]
    patch: PathBuf,
    /// What the patch mends: an id such as a CVE, and a line about it.
    #[arg(long = "fix", value_name = "ID=SUMMARY", value_parser = parse_fix)]
    fixes: Vec<Fix>,
    /// Where the fix comes from.
    #[arg(long, value_name = "PACKAGE:FROM:TO", value_parser = parse_source)]
    fix_source: Option<FixSource>,
    /// Cumulative version for this kernel.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    livepatch_version: u32,
    /// Accept what a finding refuses: its code, and perhaps what it is about, such as layout-changed:inode; may be repeated.
    #[arg(long, value_name = "CODE[:SUBJECT]")]
    accept: Vec<Acceptance>,
    /// Folder for module, manifest and report.
    #[arg(long)]
    output: PathBuf,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(cache: &Cache, arguments: Arguments) -> Result<Status> {
    let source = &arguments.fix_source;
    let fixes = arguments.fixes.into_iter().map(|fix| Fix { source: source.clone(), ..fix });
    let kernel = Kernel::open(cache, &arguments.kernel)?;
    let request = Request {
        patch: arguments.patch,
        fixes: fixes.collect(),
        version: arguments.livepatch_version,
        accept: arguments.accept,
        output: arguments.output,
    };
    let report = pipeline::build(&kernel, &request)
        .with_context(|| format!("cannot build {} for {}", request.patch.display(), arguments.kernel))?;
    match arguments.format {
        Format::Json => print_json(&report)?,
        Format::Text => print(&summary(&report))?,
    }
    Ok(Status::of_report(&report))
}

fn parse_fix(text: &str) -> Result<Fix, String> {
    let Some((id, summary)) = text.split_once('=').filter(|(id, _)| !id.is_empty()) else {
        return Err("ID=SUMMARY expected, such as CVE-2026-93146=\"time namespace offsets\"".into());
    };
    Ok(Fix { id: id.into(), summary: summary.into(), source: None })
}

fn parse_source(text: &str) -> Result<FixSource, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [package, from, to] = parts.as_slice() else {
        return Err("PACKAGE:FROM:TO expected, such as linux-source-6.1:6.1.192-1:6.1.192-2".into());
    };
    Ok(FixSource { package: (*package).into(), from: (*from).into(), to: (*to).into() })
}

fn summary(report: &Report) -> String {
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
    for refusal in &report.refusals {
        text += &format!("refused [{}]: {}\n  advice: {}\n", refusal.code, refusal.message, refusal.advice);
    }
    for finding in report.findings.iter().filter(|finding| finding.severity != Severity::Refuse) {
        text += &finding_line(finding);
    }
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

fn finding_line(finding: &Finding) -> String {
    let word = match (finding.accepted, finding.severity) {
        (true, _) => "accepted",
        (false, Severity::Note) => "note",
        (false, _) => "warning",
    };
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        _ => String::new(),
    };
    format!("{word} [{}]: {place}{}\n  advice: {}\n", finding.code, finding.message, finding.advice)
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
