//! `cargo xtask demo`: the road of one real fix, in seven steps, from the distribution's source to a running machine.

mod author;
mod fixes;
mod machines;
mod report;
mod reproducer;

use crate::{apt, narrator::Narrator, workspace};
use anyhow::Result;
use clap::Args;
use fixes::Choice;
use livepatch_api::PublishAnswer;
use livepatch_e2e::{Builder, Programs};
use livepatch_manifest::Manifest;
use report::{Crash, FixReport, MachineReport, ModuleReport, Report, TufReport};
use std::{path::PathBuf, time::Instant};

/// Where the livepatch is published, and what the machine's token is bound to.
const TIER: &str = "stable";

/// How to run the demo.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the server running and every file in place
    #[arg(long)]
    keep: bool,
    /// Show this fix instead of the best one that the package index offers
    #[arg(long, value_name = "ID")]
    fix: Option<String>,
}

/// What every step of one run shares.
struct Demo {
    narrator: Narrator,
    /// `target/demo`: logs, builds, consoles, the report.
    directory: PathBuf,
    log: PathBuf,
    choice: Choice,
    programs: Programs,
    /// Seconds spent on downloading kernel packages.
    downloading: f64,
}

/// What the builder made.
struct Built {
    manifest: Manifest,
    directory: PathBuf,
}

/// `cargo xtask demo`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let mut demo = Demo::prepare(options)?;
    let result = demo.walk(options, start);
    if result.is_err() {
        eprintln!("\nlogs and consoles: {}", demo.directory.display());
    }
    result
}

impl Demo {
    /// Steps 1 and 2, and our own programs.
    fn prepare(options: &Options) -> Result<Self> {
        let mut narrator = Narrator::new();
        let directory = workspace::fresh_directory("demo")?;
        let log = directory.join("demo.log");
        narrator.step("1 Debian packages", |step| apt::ensure(&apt::needed(), &log, step))?;
        let choice = narrator.step("2 a real kernel, a real bug and its real fix", |step| {
            apt::ensure_index(&log, step)?;
            let choice = fixes::choose(options.fix.as_deref())?;
            step.note(format!("{}: {}", choice.fix.id, choice.fix.summary));
            step.note(format!("kernel {} ({}); {}", choice.release, choice.version, choice.why));
            Ok(choice)
        })?;
        let programs = narrator.step("  Open Livepatch's own programs (cargo build)", |step| {
            workspace::build_programs(&log, step)
        })?;
        Ok(Self { narrator, directory, log, choice, programs, downloading: 0.0 })
    }

    /// Steps 3 to 7.
    fn walk(&mut self, options: &Options, start: Instant) -> Result<()> {
        let (kernel, downloading) = self.prepare_kernel()?;
        self.downloading = downloading;
        let built = self.build()?;
        let data = tempfile::Builder::new().prefix("livepatch-demo-").tempdir()?;
        let (site, published) = self.publish(&built, data.path())?;
        let unpatched = self.crash(&kernel)?;
        let machine = self.protect(&kernel, &built, &site)?;
        let report = self.report(&built, &published, unpatched, machine, start)?;
        self.table(&report);
        let login = site.dashboard_login()?;
        eprintln!("\ndashboard: {}/dashboard\nsign in once, within ten minutes: {login}", site.url());
        if !options.keep {
            eprintln!("(the server ends with this command; --keep leaves it running)");
        }
        if options.keep {
            eprintln!(
                "\nkept: server {} (pid {}), data {}",
                site.url(),
                site.leave_running(),
                data.keep().display()
            );
        }
        Ok(())
    }

    /// Step 7.
    fn report(
        &mut self,
        built: &Built,
        published: &PublishAnswer,
        unpatched: Crash,
        machine: MachineReport,
        start: Instant,
    ) -> Result<Report> {
        // The manifest knows the signed module only after signing.
        let manifest = Builder::manifest(&built.directory)?;
        let report = Report {
            schema: 1,
            kernel: manifest.kernel.clone(),
            kernel_package_version: self.choice.version.clone(),
            fix: FixReport::of(&self.choice),
            objects: manifest.objects,
            module: ModuleReport {
                name: manifest.name,
                version: manifest.version,
                sha256: manifest.module.sha256,
                size: manifest.module.size,
                signer: manifest.module.signer,
            },
            tuf: TufReport {
                targets: published.targets_version,
                snapshot: published.snapshot_version,
                timestamp: published.timestamp_version,
            },
            build: Builder::report(&built.directory)?,
            unpatched,
            machine,
            steps: self.narrator.records().to_vec(),
            total_seconds: start.elapsed().as_secs_f64(),
            downloading_seconds: self.downloading,
        };
        report.write(&self.directory.join("report.json"))?;
        Ok(report)
    }

    fn table(&self, report: &Report) {
        self.narrator.heading("7 done");
        for record in &report.steps {
            eprintln!("  {:<62} {:>7.1} s", record.name, record.seconds);
        }
        eprintln!("  {:<62} {:>7.1} s", "total", report.total_seconds);
        eprintln!("  {:<62} {:>7.1} s", "of it downloading kernel packages", report.downloading_seconds);
        eprintln!("\nreport: {}", self.directory.join("report.json").display());
    }
}
