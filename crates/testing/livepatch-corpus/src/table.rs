//! The table: a row a CVE, tab-separated; and the shares.

use crate::{
    attempt,
    candidates::{Candidate, Job, Plan},
    class::Class,
    options::Options,
    patch,
    state::{Outcome, Record},
};
use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// The heading line, without its end.
const COLUMNS: &str = "from\tto\tcve\tfiles\tclass\toutcome\treason\tfunctions\tbuild_cpu_s";

/// What came of one CVE.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// CVE id.
    pub cve: String,
    /// Files that the patch changes, as far as this kernel compiles them.
    pub files: Vec<String>,
    /// What stands in the way.
    pub class: Class,
    /// `built`, `refused`, or `failed`.
    pub outcome: &'static str,
    /// Codes, and for people the first message.
    pub reason: String,
    /// Functions that the module replaces.
    pub functions: Vec<String>,
    /// CPU seconds of the build, user and system; shared by the CVEs of one patch.
    pub build_cpu_s: f64,
}

/// All rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Version without the fixes.
    pub from: String,
    /// Version with them.
    pub to: String,
    /// By CVE in the changelog's order.
    pub rows: Vec<Row>,
    /// CVEs that are left out: they touch nothing that this kernel compiles.
    pub not_compiled: usize,
    /// CVEs for which no changed line was found.
    pub not_found: usize,
    /// CVEs whose patch was not tried yet: they have no row.
    pub not_tried: usize,
}

/// Puts together what is known.
pub(crate) fn table(plan: &Plan, options: &Options) -> Table {
    let (mut rows, mut not_tried) = (Vec::new(), 0);
    for job in &plan.jobs {
        let Some(record) = plan.state.record(&job.key) else {
            not_tried += job.candidates.len();
            continue;
        };
        let files = files(plan, job, &record);
        let row = |candidate: &Candidate| row(&files, &candidate.cve, &candidate.confidence, &record);
        rows.extend(job.candidates.iter().map(row));
    }
    let (from, to) = (options.from.clone(), options.to.clone());
    Table { from, to, rows, not_compiled: plan.not_compiled, not_found: plan.not_found, not_tried }
}

/// Files of the patch that was built: more than the fix's own where it had to be completed.
fn files(plan: &Plan, job: &Job, record: &Record) -> Vec<String> {
    let whole = plan.state.folder().join(&job.key).join(attempt::WHOLE);
    match fs::read_to_string(whole) {
        Ok(text) if record.whole_files => {
            let files = patch::parts(&text).into_iter().map(|(path, _)| path);
            files.filter(|path| plan.compiled.has(path)).collect()
        }
        _ => job.files.clone(),
    }
}

fn row(files: &[String], cve: &str, confidence: &str, record: &Record) -> Row {
    let boot_failure = record.boot.as_ref().and_then(|boot| boot.failure.as_ref());
    let outcome = match (record.outcome, boot_failure) {
        (Outcome::Built, None) => "built",
        (Outcome::Refused, _) => "refused",
        _ => "failed",
    };
    let class = if outcome == "failed" { Class::Unknown } else { Class::of(record) };
    Row {
        cve: cve.to_owned(),
        files: files.to_vec(),
        class,
        outcome,
        reason: reason(confidence, record),
        functions: record.functions.clone(),
        build_cpu_s: record.cpu_seconds,
    }
}

fn reason(confidence: &str, record: &Record) -> String {
    let mut parts = Vec::new();
    match (record.outcome, &record.boot) {
        (Outcome::Built, Some(boot)) => {
            parts.push(boot.failure.clone().unwrap_or_else(|| "loaded and unloaded".into()));
            parts.extend(boot.notes.iter().cloned());
        }
        (Outcome::Built, None) => parts.push("not booted".into()),
        _ => {
            parts.push(record.codes.join(","));
            parts.extend(record.messages.first().cloned());
        }
    }
    if !record.same.is_empty() {
        parts.push(format!("compiles to the same code: {}", record.same.join(" ")));
    }
    if record.whole_files {
        parts.push("with all changes of these files: a part alone does not compile".into());
    } else if confidence != "clean" {
        parts.push(format!("patch: {confidence}"));
    }
    parts.join("; ").replace(['\t', '\n', '\r'], " ")
}

impl Table {
    /// As text, with a heading line.
    pub fn to_tsv(&self) -> String {
        let mut text = format!("{COLUMNS}\n");
        for row in &self.rows {
            let (files, functions) = (row.files.join(" "), row.functions.join(" "));
            let Row { cve, class, outcome, reason, build_cpu_s, .. } = row;
            let Self { from, to, .. } = self;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{from}\t{to}\t{cve}\t{files}\t{class}\t{outcome}\t{reason}\t{functions}\t{build_cpu_s:.1}"
            );
        }
        text
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.to_tsv()).with_context(|| path.display().to_string())
    }

    fn count_of(&self, classes: &[Class]) -> usize {
        self.rows.iter().filter(|row| classes.contains(&row.class)).count()
    }

    /// Shares per class and over all, for people.
    pub fn shares(&self) -> String {
        let mut by_class: BTreeMap<Class, BTreeMap<&str, usize>> = BTreeMap::new();
        for row in &self.rows {
            *by_class.entry(row.class).or_default().entry(row.outcome).or_default() += 1;
        }
        let all = self.rows.len().max(1);
        let percent = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
        let mut text = String::new();
        for (class, outcomes) in &by_class {
            let sum: usize = outcomes.values().sum();
            let count = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
            let _ = writeln!(
                text,
                "{class:11} {sum:4} ({:5.1} %)  built {:4}  refused {:4}  failed {:4}",
                percent(sum, all),
                count("built"),
                count("refused"),
                count("failed")
            );
        }
        let count = |outcome: &str| self.rows.iter().filter(|row| row.outcome == outcome).count();
        let (built, refused, failed) = (count("built"), count("refused"), count("failed"));
        let _ = writeln!(
            text,
            "{:11} {:4}            built {built:4} ({:.1} %)  refused {refused:4} ({:.1} %)  failed {failed:4} ({:.1} %)",
            "all",
            self.rows.len(),
            percent(built, all),
            percent(refused, all),
            percent(failed, all)
        );
        // The class follows from the outcome. What only the builder stands in the way of counts as a body that it should have
        // built; and, at the strictest, what the kernel itself rules out (no trace site, above all) too.
        let short = self.count_of(&[Class::Bodies, Class::Header, Class::Unknown]);
        let strictest = short + self.count_of(&[Class::Impossible]);
        let _ = writeln!(
            text,
            "bodies with 'header' and 'unknown' counted as such: {built} of {short} built ({:.1} %); with 'impossible' too: {built} of {strictest} ({:.1} %)",
            percent(built, short),
            percent(built, strictest)
        );
        let cpu: f64 = self.rows.iter().map(|row| row.build_cpu_s).sum();
        let _ = writeln!(
            text,
            "{:.1} CPU seconds a fix; left out: {} CVEs that touch nothing that this kernel compiles, {} without a changed line",
            cpu / all as f64,
            self.not_compiled,
            self.not_found
        );
        if self.not_tried > 0 {
            let _ = writeln!(text, "not tried yet: {} CVEs, which have no row", self.not_tried);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cve: &str, class: Class, outcome: &'static str) -> Row {
        Row {
            cve: cve.into(),
            files: vec!["fs/a.c".into(), "fs/b.c".into()],
            class,
            outcome,
            reason: "r".into(),
            functions: vec!["f".into()],
            build_cpu_s: 1.25,
        }
    }

    #[test]
    fn each_row_has_as_many_columns_as_the_heading() {
        let rows = vec![
            row("CVE-2026-1111", Class::Bodies, "built"),
            row("CVE-2026-2222", Class::Layout, "refused"),
            row("CVE-2026-3333", Class::Impossible, "refused"),
        ];
        let table =
            Table { from: "1".into(), to: "2".into(), rows, not_compiled: 3, not_found: 4, not_tried: 5 };
        let tsv = table.to_tsv();
        assert!(tsv.lines().all(|line| line.split('\t').count() == 9), "{tsv}");
        assert!(tsv.contains("1\t2\tCVE-2026-1111\tfs/a.c fs/b.c\tbodies\tbuilt\tr\tf\t1.2\n"), "{tsv}");
        let shares = table.shares();
        assert!(
            shares.contains("1 of 1 built (100.0 %); with 'impossible' too: 1 of 2 (50.0 %)"),
            "{shares}"
        );
        assert!(shares.contains("built    1 (33.3 %)") && shares.contains("left out: 3 CVEs"), "{shares}");
        assert!(shares.contains("not tried yet: 5 CVEs"), "{shares}");
    }
}
