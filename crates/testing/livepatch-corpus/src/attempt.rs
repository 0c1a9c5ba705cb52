//! Building: each patch once, several side by side, and what the builder said of it.

use crate::{
    candidates::{Job, Plan},
    complete::Update,
    intent,
    options::Options,
    state::{Outcome, Record},
};
use anyhow::{Context as _, Result};
use livepatch_e2e::{Builder, Programs};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// Runs a command and writes what it and its children used: `times` of POSIX's shell, its second line is the children's.
const TIMED: &str = r#"out=$1; shift; "$@"; code=$?; times > "$out"; exit $code"#;
/// livepatch-build's exit status for 'toolchain': the patched source may not compile.
const TOOLCHAIN: i32 = 5;

/// File name of a patch that had to be completed, beside the part that it was made from.
pub(crate) const WHOLE: &str = "whole.patch";
/// How often a patch is completed by what the compiler asks for.
const MOST_ROUNDS: usize = 8;

/// Builds whatever is not known yet.
pub(crate) fn all(
    programs: &Programs,
    plan: &Plan,
    jobs: &[&Job],
    options: &Options,
    builder: &str,
) -> Result<()> {
    let open: Vec<&Job> = jobs.iter().copied().filter(|job| is_open(plan, job, options, builder)).collect();
    if open.is_empty() {
        return Ok(());
    }
    eprintln!("{} to build", open.len());
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let work = || -> Result<()> {
        while let Some(job) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            let record = Attempt { programs, plan, options, builder, job }.run()?;
            plan.state.remember(&job.key, &record)?;
            let cves: Vec<&str> = job.candidates.iter().map(|candidate| candidate.cve.as_str()).collect();
            let code = record.codes.first().map_or("", String::as_str);
            let minutes = start.elapsed().as_secs_f64() / 60.0;
            let done = next.load(Ordering::Relaxed).min(open.len());
            eprintln!(
                "[{done}/{} {minutes:.1} min] {} {:?} {code} {:.1} s  {}",
                open.len(),
                cves.join(" "),
                record.outcome,
                record.cpu_seconds,
                job.files.join(" ")
            );
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread died")?)
    })
}

fn is_open(plan: &Plan, job: &Job, options: &Options, builder: &str) -> bool {
    let Some(record) = plan.state.record(&job.key) else { return true };
    record.builder != builder && !(options.keep_built && record.outcome == Outcome::Built)
}

struct Attempt<'a> {
    programs: &'a Programs,
    plan: &'a Plan,
    options: &'a Options,
    builder: &'a str,
    job: &'a Job,
}

impl Attempt<'_> {
    fn run(&self) -> Result<Record> {
        let folder = self.plan.state.of(&self.job.key)?;
        let patch = folder.join("fix.patch");
        fs::write(&patch, &self.job.text).with_context(|| patch.display().to_string())?;
        let mut build = self.build(&patch, &folder)?;
        // A part of an update that does not compile is no fix: take its files as a whole, and what the compiler asks for.
        let mut files: BTreeSet<String> = self.job.files.iter().cloned().collect();
        let update = Update::of(self.options);
        let mut is_whole = false;
        for _ in 0..MOST_ROUNDS {
            let unknown = build.unknown_symbols();
            if build.status != TOOLCHAIN && unknown.is_empty() {
                break;
            }
            let whole = folder.join(WHOLE);
            let errors = compiler_errors(&build)?;
            let is_other = self.whole_files(&files, &whole)?;
            if is_whole || !is_other {
                let lacking = match unknown.is_empty() {
                    true => update.lacking(&errors, &files),
                    false => update.naming(&unknown, &files),
                };
                if lacking.is_empty() {
                    break;
                }
                files.extend(lacking);
                self.whole_files(&files, &whole)?;
            }
            is_whole = true;
            let seconds = build.cpu_seconds;
            build = self.build(&whole, &folder)?;
            build.cpu_seconds += seconds;
        }
        self.record(&build, is_whole)
    }

    /// Writes the whole difference of the files; whether that is another patch than the part.
    fn whole_files(&self, files: &BTreeSet<String>, target: &Path) -> Result<bool> {
        let Options { package, from, to, .. } = self.options;
        let mut command = self.programs.command("livepatch-build");
        command.args(["extract", "--package", package, "--from", from, "--to", to]).args(files);
        let answer = command.stdin(Stdio::null()).output().context("livepatch-build extract")?;
        fs::write(target, &answer.stdout).with_context(|| target.display().to_string())?;
        Ok(answer.status.success() && answer.stdout != self.job.text.as_bytes())
    }

    fn build(&self, patch: &Path, folder: &Path) -> Result<Build> {
        let output = folder.join("build");
        if output.exists() {
            fs::remove_dir_all(&output).with_context(|| output.display().to_string())?;
        }
        let (log, times) = (folder.join("build.log"), folder.join("times"));
        let sink = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new("bash");
        command.args(["-c", TIMED, "bash"]).arg(&times).arg(self.programs.path("livepatch-build"));
        command.args(["build", "--kernel", &self.plan.kernel.release, "--patch"]).arg(patch);
        for candidate in &self.job.candidates {
            command.arg("--fix").arg(format!("{}={}", candidate.cve, candidate.subjects.join("; ")));
        }
        let Options { package, from, to, .. } = self.options;
        command.arg("--fix-source").arg(format!("{package}:{from}:{to}"));
        command.args(["--format", "json", "--output"]).arg(&output);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(sink);
        let status = command.status().context("cannot run bash")?;
        let cpu_seconds = cpu_seconds(&fs::read_to_string(&times).unwrap_or_default());
        Ok(Build { status: status.code().unwrap_or(-1), cpu_seconds, output, log })
    }

    fn record(&self, build: &Build, whole_files: bool) -> Result<Record> {
        let mut record = Record {
            builder: self.builder.to_owned(),
            outcome: Outcome::Failed,
            codes: Vec::new(),
            refused: Vec::new(),
            messages: Vec::new(),
            functions: Vec::new(),
            modules: Vec::new(),
            cpu_seconds: build.cpu_seconds,
            whole_files,
            same: Vec::new(),
            boot: None,
        };
        let report = Builder::report(&build.output).ok();
        match (build.status, &report) {
            (0, Some(report)) => {
                record.outcome = Outcome::Built;
                take_manifest(&mut record, &build.output)?;
                take_codes(&mut record, report);
                let account = intent::account(self.plan, self.job, report)?;
                record.same = account.same;
                if !account.lost.is_empty() {
                    record.outcome = Outcome::Failed;
                    record.codes.insert(0, "not-as-intended".into());
                    let lost = account.lost.join(", ");
                    record.messages =
                        vec![format!("the source changes {lost}, but the builder says nothing of it")];
                }
            }
            (3, Some(report)) => {
                record.outcome = Outcome::Refused;
                take_codes(&mut record, report);
            }
            _ => {
                report.iter().for_each(|report| take_codes(&mut record, report));
                record.messages.push(last_words(&build.log));
                record.codes.insert(0, format!("exit-{}", build.status));
            }
        }
        Ok(record)
    }
}

struct Build {
    status: i32,
    cpu_seconds: f64,
    output: PathBuf,
    log: PathBuf,
}

impl Build {
    /// What the patched code refers to and neither the kernel nor the patch has.
    fn unknown_symbols(&self) -> Vec<String> {
        let report = Builder::report(&self.output).unwrap_or_default();
        let refusals = report["refusals"].as_array().cloned().unwrap_or_default();
        let unknown = refusals.iter().filter(|refusal| refusal["code"] == "unknown-symbol");
        let named = unknown.filter_map(|refusal| refusal["message"].as_str()?.split('\'').nth(1));
        named.map(str::to_owned).collect()
    }
}

/// What the compiler said, unit by unit.
fn compiler_errors(build: &Build) -> Result<String> {
    let mut errors = fs::read_to_string(&build.log).unwrap_or_default();
    for entry in fs::read_dir(build.output.join("work")).into_iter().flatten() {
        let path = entry.context("the build's folder")?.path();
        if path.extension().is_some_and(|end| end == "log") {
            errors.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
    Ok(errors)
}

fn take_manifest(record: &mut Record, output: &Path) -> Result<()> {
    for object in Builder::manifest(output)?.objects {
        record.functions.extend(object.functions.into_iter().map(|function| function.name));
        if object.name != "vmlinux" {
            record.modules.push(object.name);
        }
    }
    Ok(())
}

fn take_codes(record: &mut Record, report: &Value) {
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    for item in list("refusals").iter().chain(&list("findings")) {
        let code = item["code"].as_str().unwrap_or("?").to_owned();
        if !record.codes.contains(&code) {
            record.codes.push(code);
        }
    }
    for refusal in list("refusals") {
        record.refused.extend(refusal["code"].as_str().map(str::to_owned));
        let text = |key: &str| refusal[key].as_str().unwrap_or_default().to_owned();
        record.messages.push(format!("{}; advice: {}", text("message"), text("advice")));
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_telling = |line: &&&str| line.contains("error:") || line.contains("livepatch-build:");
    lines.iter().filter(is_telling).take(3).copied().collect::<Vec<_>>().join(" | ")
}

/// User and system time of the children, in seconds.
fn cpu_seconds(times: &str) -> f64 {
    let seconds = |word: &str| -> Option<f64> {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    times.lines().nth(1).into_iter().flat_map(str::split_whitespace).filter_map(seconds).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_s_time_is_summed() {
        assert!((cpu_seconds("0m0.010s 0m0.020s\n1m2.500s 0m1.250s\n") - 63.75).abs() < 1e-9);
        assert!(cpu_seconds("nonsense").abs() < 1e-9);
    }
}
