//! `cargo xtask test`: everything that must pass before a change goes in, quick checks first.

use crate::{apt, kernels, narrator::Narrator, tidy, workspace};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use livepatch_e2e::{Builder, KERNEL_VARIABLE, Prepared, client_package};
use livepatch_vm::RootFileSystem;
use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the tests that boot kernels, and all that only they need
    #[arg(long)]
    no_vm: bool,
    /// Run the long tests too, which boot a whole system again and again
    #[arg(long, conflicts_with = "no_vm")]
    long: bool,
}

/// `cargo xtask test`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut narrator = Narrator::new();
    let log = workspace::fresh_directory("xtask-test")?.join("test.log");
    if !options.no_vm {
        narrator.step("Debian packages", |step| apt::ensure(&apt::needed_by_tests(), &log, step))?;
    }
    check(&mut narrator)?;
    narrator.step("build the programs", |step| workspace::build_programs(&log, step))?;
    let runner = Runner::find();
    narrator.open_step("unit and integration tests", || runner.quick())?;
    if !options.no_vm {
        let release = prepare(&mut narrator, &log)?;
        narrator.open_step(&format!("tests in virtual machines, kernel {release}"), || {
            runner.in_machines(&release, options.long)
        })?;
    }
    narrator.heading("cargo xtask test: all passed");
    Ok(())
}

/// Format, rules, lints, licences.
fn check(narrator: &mut Narrator) -> Result<()> {
    narrator
        .open_step("cargo fmt --check", || visible(workspace::cargo().args(["fmt", "--all", "--check"])))?;
    narrator.open_step("cargo xtask tidy", tidy::run)?;
    let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    narrator.open_step("cargo clippy", || visible(workspace::cargo().args(lints)))?;
    if !has_subcommand("deny") {
        narrator.heading(
            "note: licences and sources are not checked; to do so, cargo install cargo-deny --locked",
        );
        return Ok(());
    }
    // Without 'advisories', which changes with the day and wants the network.
    let deny = ["deny", "--log-level", "error", "check", "bans", "licenses", "sources"];
    narrator.open_step("cargo deny", || visible(workspace::cargo().args(deny)))
}

/// The kernel of the tests in virtual machines, and the livepatch that they share: prepared ones if there are any.
fn prepare(narrator: &mut Narrator, log: &Path) -> Result<String> {
    let programs = livepatch_e2e::Programs::find()?;
    let named = env::var(KERNEL_VARIABLE).ok().filter(|value| !value.is_empty());
    let release = match named.or_else(|| Some(kernels::newest_prepared()?.release)) {
        Some(release) => release,
        None => narrator.step("choose a kernel", |step| {
            apt::ensure_index(log, step)?;
            let offered = kernels::newest_offered()?;
            let offered = offered.context(
                "Debian's package index offers no 6.1 cloud kernel with image, headers, dbg and source",
            )?;
            step.note(format!("{} ({}), the newest that is offered whole", offered.release, offered.version));
            Ok(offered.release)
        })?,
    };
    narrator.step(&format!("prepare the kernel {release}"), |step| {
        let hear = |line: &str| step.progress(line);
        Builder::new(&programs, log, &hear).add_kernel(&release)
    })?;
    narrator.step("build the example livepatch", |_| Prepared::for_kernel(&programs, Some(&release)))?;
    narrator.step("pack the client", |_| {
        let scratch = tempfile::tempdir()?;
        client_package(&programs.path(""), scratch.path(), log)
    })?;
    narrator.step("install Debian for the guests", |_| Ok(RootFileSystem::get()?))?;
    Ok(release)
}

/// What runs the tests: nextest, or cargo's own when nextest is not installed.
enum Runner {
    Nextest,
    Cargo,
}

impl Runner {
    fn find() -> Self {
        if has_subcommand("nextest") {
            return Self::Nextest;
        }
        eprintln!(
            "note: cargo-nextest is not installed (cargo install cargo-nextest --locked); using cargo test"
        );
        Self::Cargo
    }

    /// Everything but the tests that boot kernels; the configuration is `.config/nextest.toml`.
    fn quick(&self) -> Result<()> {
        let mut command = workspace::cargo();
        match self {
            Self::Nextest => command.args(["nextest", "run", "--workspace", "--profile", quick_profile()]),
            Self::Cargo => command.args([
                "test",
                "--workspace",
                "--exclude",
                "livepatch-vm",
                "--exclude",
                "livepatch-e2e",
                "--exclude",
                "livepatch-corpus",
            ]),
        };
        // The whole workspace's programs are there; tests that run another crate's need not build it again by itself.
        visible(command.env("LIVEPATCH_PROGRAMS", workspace::target_directory().join("debug")))
    }

    /// The tests that boot kernels, one at a time.
    fn in_machines(&self, release: &str, long: bool) -> Result<()> {
        let mut command = workspace::cargo();
        match self {
            Self::Nextest => command.args([
                "nextest",
                "run",
                "--profile",
                "vm",
                "--package",
                "livepatch-vm",
                "--package",
                "livepatch-e2e",
                "--package",
                "livepatch-corpus",
            ]),
            Self::Cargo => command.args([
                "test",
                "--package",
                "livepatch-vm",
                "--package",
                "livepatch-e2e",
                "--package",
                "livepatch-corpus",
                "--",
                "--test-threads",
                "1",
            ]),
        };
        if long {
            command.args(match self {
                Self::Nextest => ["--run-ignored", "all"].as_slice(),
                Self::Cargo => ["--include-ignored"].as_slice(),
            });
        }
        visible(command.env(KERNEL_VARIABLE, release))
    }
}

fn quick_profile() -> &'static str {
    if env::var_os("CI").is_some_and(|value| !value.is_empty()) { "ci" } else { "default" }
}

fn has_subcommand(name: &str) -> bool {
    Command::new(format!("cargo-{name}"))
        .args([name, "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command whose words people want to see as they come.
fn visible(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{} ended with {status}", format!("{command:?}").replace('"', ""));
    }
    Ok(())
}
