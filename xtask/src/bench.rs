//! `cargo xtask bench`: measures against the budgets of the design, as ratios within one run.

mod client;
mod cve;
mod fleet;
mod server;
mod web;

use crate::{narrator::Narrator, workspace};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use livepatch_e2e::{BuildRequest, Builder, workspace_root};
use livepatch_vm::CachedKernel;
use serde::Serialize;
use serde_json::Value;
use std::{fs, io::ErrorKind};

/// What to measure and how to print it.
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure; everything when nothing is named
    what: Vec<Subject>,
    /// How to print the results
    #[arg(long, default_value = "text")]
    format: Format,
    /// How many machines the server has
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    machines: u32,
}

/// Something with a budget.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Building a livepatch from a one-file patch
    Build,
    /// The client on an idle machine
    Client,
    /// Importing CVE data, and verdicts
    Cve,
    /// The server under load, against nginx
    Server,
    /// The dashboard's pages
    Web,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One measurement against its budget.
#[derive(Debug, Serialize)]
struct Measurement {
    name: String,
    value: f64,
    unit: &'static str,
    /// Measured in the same run; what the value is compared with.
    reference: f64,
    ratio: f64,
    /// The bound on the ratio.
    budget: f64,
    ok: bool,
}

/// `cargo xtask bench`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let all = options.what.is_empty();
    let mut results = Vec::new();
    if all || options.what.contains(&Subject::Build) {
        results.extend(build()?);
    }
    if all || options.what.contains(&Subject::Client) {
        results.extend(client::measure()?);
    }
    if all || options.what.contains(&Subject::Cve) {
        results.extend(cve::measure()?);
    }
    let machines = usize::try_from(options.machines)?;
    if all || options.what.contains(&Subject::Server) {
        results.extend(server::measure(machines)?);
    }
    if all || options.what.contains(&Subject::Web) {
        results.extend(web::measure(machines)?);
    }
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&results)?),
        Format::Text => print(&results),
    }
    if results.iter().any(|result| !result.ok) {
        bail!("a budget is exceeded");
    }
    Ok(())
}

fn print(results: &[Measurement]) {
    println!("{:<36} {:>10} {:>10} {:>7} {:>7}", "what", "value", "reference", "ratio", "budget");
    for result in results {
        println!(
            "{:<36} {:>8.2} {} {:>8.2} {} {:>7.2} {:>7.2} {}",
            result.name,
            result.value,
            result.unit,
            result.reference,
            result.unit,
            result.ratio,
            result.budget,
            if result.ok { "ok" } else { "EXCEEDED" }
        );
    }
}

/// Of `livepatch-build build` against the work that nothing can spare it: both compilations of the file, and kbuild.
const BUILD_BUDGET: f64 = 1.5;
const BUILD_PATCH: &str = "examples/patches/proc-cmdline.patch";
/// What kbuild keeps of the patched unit; without it the builder starts as on the first day.
const BUILD_TRACES: [&str; 2] = ["fs/proc/cmdline.o", "fs/proc/.cmdline.o.cmd"];

/// Of loading vmlinux's symbols from their index, against reading them out of the ELF file.
const SYMBOLS_BUDGET: f64 = 0.5;
/// The index, beside vmlinux.
const SYMBOLS_INDEX: &str = "debug/vmlinux.symbols";

/// The whole of a build of a one-file patch for the newest prepared kernel, with nothing of that file compiled before and
/// no index of symbols; then again with both, for the time that the index takes.
fn build() -> Result<Vec<Measurement>> {
    let directory = workspace::fresh_directory("bench")?;
    let log = directory.join("bench.log");
    let mut narrator = Narrator::new();
    let programs = narrator.step("build the programs", |step| workspace::build_programs(&log, step))?;
    let kernel = CachedKernel::find(None)?;
    for trace in
        BUILD_TRACES.map(|trace| format!("source/{trace}")).iter().map(String::as_str).chain([SYMBOLS_INDEX])
    {
        match fs::remove_file(kernel.directory.join(trace)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context(trace.to_owned());
            }
            _ => {}
        }
    }
    let mut report = |name: &str| -> Result<Value> {
        let output = directory.join(name);
        narrator.step(&format!("build a livepatch for {} ({name})", kernel.release), |_| {
            let patch = workspace_root().join(BUILD_PATCH);
            let request = BuildRequest {
                release: &kernel.release,
                patch: &patch,
                fix: "bench=bench",
                source: None,
                version: 1,
            };
            Builder::new(&programs, &log, &|_| {}).build(&request, &output)
        })?;
        Builder::report(&output)
    };
    let (cold, warm) = (report("cold")?, report("warm")?);
    let seconds = |report: &Value, name: &str| {
        report
            .pointer(&format!("/timings/{name}"))
            .and_then(Value::as_f64)
            .with_context(|| format!("report.json lacks timings.{name}"))
    };
    let compilers = seconds(&cold, "compile_original")? + seconds(&cold, "compile_patched")?;
    let reference = compilers + seconds(&cold, "kbuild")?;
    let (index, elf) = (seconds(&warm, "symbols")?, seconds(&cold, "symbols")?);
    Ok(vec![
        Measurement::new("build-one-file", seconds(&cold, "total")?, "s", reference, BUILD_BUDGET),
        Measurement::new("load vmlinux symbols: index vs ELF", index, "s", elf, SYMBOLS_BUDGET),
    ])
}

impl Measurement {
    fn new(name: &str, value: f64, unit: &'static str, reference: f64, budget: f64) -> Self {
        let ratio = value / reference;
        Self { name: name.to_owned(), value, unit, reference, ratio, budget, ok: ratio <= budget }
    }

    /// A bound on the value itself, where there is nothing to compare with.
    fn absolute(name: &str, value: f64, unit: &'static str, budget: f64) -> Self {
        Self::new(name, value, unit, 1.0, budget)
    }
}
