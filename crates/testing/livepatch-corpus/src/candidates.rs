//! The patches: what `livepatch-build extract` finds, less what the kernel does not compile.

use crate::{intent::Symbols, options::Options, patch, state::State};
use anyhow::{Context as _, Result, bail};
use livepatch_e2e::{Programs, run_logged};
use livepatch_manifest::Digest;
use livepatch_vm::{CachedKernel, cache_directory};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kernel: CachedKernel,
    pub(crate) state: State,
    pub(crate) symbols: Symbols,
    pub(crate) compiled: Compiled,
    /// Distinct patches, in the changelog's order.
    pub(crate) jobs: Vec<Job>,
    /// CVEs that touch nothing that this kernel compiles.
    pub(crate) not_compiled: usize,
    /// CVEs for which no changed line was found.
    pub(crate) not_found: usize,
}

/// A patch, with all CVEs that it is the fix of.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: String,
    pub(crate) text: String,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) files: Vec<String>,
    /// Functions that the source change lies in, by file.
    pub(crate) functions: BTreeMap<String, BTreeSet<String>>,
}

impl Job {
    /// Whether it changes a header.
    pub(crate) fn has_header(&self) -> bool {
        self.files.iter().any(|file| file.ends_with(".h"))
    }

    /// How unsure its surest candidate is.
    pub(crate) fn rank(&self) -> usize {
        let rank =
            |candidate: &Candidate| ["clean", "split"].iter().position(|word| *word == candidate.confidence);
        self.candidates.iter().map(|candidate| rank(candidate).unwrap_or(2)).min().unwrap_or(2)
    }
}

/// A candidate as `livepatch-build extract --list --format json` has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Candidate {
    pub(crate) cve: String,
    pub(crate) subjects: Vec<String>,
    pub(crate) confidence: String,
    pub(crate) files: Vec<String>,
    touches: BTreeMap<String, Vec<Scope>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Scope {
    name: String,
    is_function: bool,
}

#[derive(Deserialize)]
struct List {
    candidates: Vec<Candidate>,
}

/// Extracts all patches and sorts them out.
///
/// # Errors
/// When the kernel is not prepared or a package cannot be had.
pub(crate) fn plan(programs: &Programs, options: &Options) -> Result<Plan> {
    let kernel = kernel(options)?;
    let state = State::open(&kernel.release)?;
    let patches = state.folder().join(format!("patches-{}-{}", options.from, options.to));
    let list = extract(programs, options, &patches, &state.log())?;
    let compiled = Compiled::of(programs, &kernel, &state.log())?;
    let mut plan = Plan {
        kernel,
        state,
        symbols: Symbols::default(),
        compiled: Compiled::default(),
        jobs: Vec::new(),
        not_compiled: 0,
        not_found: 0,
    };
    let wanted = |cve: &String| options.only.is_empty() || options.only.contains(cve);
    for candidate in list.candidates.into_iter().filter(|candidate| wanted(&candidate.cve)) {
        if candidate.files.is_empty() {
            plan.not_found += 1;
            continue;
        }
        let path = patches.join(format!("{}.patch", candidate.cve));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        match job(&compiled, candidate, &text) {
            Some(job) => add(&mut plan.jobs, job),
            None => plan.not_compiled += 1,
        }
    }
    plan.compiled = compiled;
    plan.jobs.truncate(options.first.unwrap_or(usize::MAX));
    Ok(plan)
}

/// The prepared kernel of the older version.
fn kernel(options: &Options) -> Result<CachedKernel> {
    #[derive(Deserialize)]
    struct Record {
        version: String,
    }
    let flavour = format!("-{}", options.flavour);
    let found = CachedKernel::all(&cache_directory()).into_iter().find(|kernel| {
        let record = fs::read(kernel.directory.join("kernel.json")).ok();
        let record: Option<Record> = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        kernel.release.ends_with(&flavour) && record.is_some_and(|record| record.version == options.from)
    });
    match found {
        Some(kernel) => Ok(kernel),
        None => bail!(
            "no {} kernel of version {} is prepared: find its release with 'apt-cache search linux-image', then run 'livepatch-build kernel add RELEASE'",
            options.flavour,
            options.from
        ),
    }
}

fn extract(programs: &Programs, options: &Options, patches: &Path, log: &Path) -> Result<List> {
    let mut command = programs.command("livepatch-build");
    command.args(["extract", "--package", &options.package, "--from", &options.from, "--to", &options.to]);
    command.args(["--list", "--format", "json", "--output"]).arg(patches);
    let text = run_logged(&mut command, log, &|line| eprintln!("{line}"))?;
    serde_json::from_str(&text).context("livepatch-build extract --list --format json")
}

/// The part of a candidate that this kernel compiles; `None` when there is none.
fn job(compiled: &Compiled, candidate: Candidate, text: &str) -> Option<Job> {
    let parts: Vec<(String, String)> =
        patch::parts(text).into_iter().filter(|(path, _)| compiled.has(path)).collect();
    // A header alone is a fix only when the fix has nothing else.
    let is_source = |path: &str| path.ends_with(".c") || path.ends_with(".S");
    let has_source = candidate.files.iter().any(|path| is_source(path));
    if parts.is_empty() || has_source && !parts.iter().any(|(path, _)| is_source(path)) {
        return None;
    }
    let files: Vec<String> = parts.iter().map(|(path, _)| path.clone()).collect();
    let text: String = parts.into_iter().map(|(_, text)| text).collect();
    let mut functions = BTreeMap::new();
    for (file, scopes) in candidate.touches.iter().filter(|(file, _)| files.contains(file)) {
        let names = scopes.iter().filter(|scope| scope.is_function).map(|scope| scope.name.clone());
        functions.insert(file.clone(), names.collect());
    }
    let key = Digest::of(text.as_bytes()).short().to_owned();
    Some(Job { key, text, candidates: vec![candidate], files, functions })
}

fn add(jobs: &mut Vec<Job>, job: Job) {
    match jobs.iter_mut().find(|known| known.key == job.key) {
        Some(known) => known.candidates.extend(job.candidates),
        None => jobs.push(job),
    }
}

/// What a kernel is compiled from.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    units: BTreeSet<String>,
    folders: BTreeSet<String>,
    tree: PathBuf,
}

impl Compiled {
    /// What the builder knows of a kernel.
    fn of(programs: &Programs, kernel: &CachedKernel, log: &Path) -> Result<Self> {
        let mut command = programs.command("livepatch-build");
        command.args(["kernel", "units", &kernel.release]);
        let text = run_logged(&mut command, log, &|line| eprintln!("{line}"))?;
        let units: BTreeSet<String> =
            text.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect();
        if units.is_empty() {
            bail!("livepatch-build does not know what {} was built from", kernel.release);
        }
        let folders =
            units.iter().filter_map(|unit| unit.rsplit_once('/')).map(|(folder, _)| folder.to_owned());
        Ok(Self { folders: folders.collect(), units, tree: kernel.directory.join("source") })
    }

    /// Whether a file is a unit.
    pub(crate) fn is_unit(&self, path: &str) -> bool {
        self.units.contains(path)
    }

    /// Whether a file may go into this kernel: a unit, or a header that one may include.
    pub(crate) fn has(&self, path: &str) -> bool {
        match path.rsplit_once('.') {
            Some((_, "c" | "S")) => self.units.contains(path) || self.is_included(path),
            Some((_, "h")) => {
                let other_architecture = path.starts_with("arch/") && !path.starts_with("arch/x86/");
                let is_tool = ["tools/", "samples/", "scripts/", "Documentation/"]
                    .iter()
                    .any(|top| path.starts_with(top));
                !other_architecture && !is_tool && (path.contains("include/") || self.is_near(path))
            }
            _ => false,
        }
    }

    /// Whether a unit beside it includes the file as text, as `kernel/sched/build_policy.c` does with its neighbours.
    fn is_included(&self, path: &str) -> bool {
        let Some((folder, name)) = path.rsplit_once('/') else { return false };
        let inclusion = format!("#include \"{name}\"");
        let is_beside = |unit: &&String| unit.rsplit_once('/').is_some_and(|(place, _)| place == folder);
        self.units.iter().filter(is_beside).any(|unit| {
            fs::read(self.tree.join(unit))
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&inclusion))
        })
    }

    /// Whether units lie in the file's folder or below it.
    fn is_near(&self, path: &str) -> bool {
        let Some((folder, _)) = path.rsplit_once('/') else { return false };
        self.folders.contains(folder)
            || self.folders.iter().any(|unit| unit.starts_with(&format!("{folder}/")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_not_compile_is_left_out() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("kernel/sched")).unwrap();
        fs::write(tree.path().join("kernel/sched/build_policy.c"), "#include \"rt.c\"\n").unwrap();
        let units: BTreeSet<String> =
            ["kernel/sched/build_policy.c", "net/core/dst.c"].map(str::to_owned).into();
        let folders = ["kernel/sched", "net/core"].map(str::to_owned).into();
        let compiled = Compiled { units, folders, tree: tree.path().to_owned() };
        for path in
            ["net/core/dst.c", "kernel/sched/rt.c", "kernel/sched/sched.h", "include/net/dst.h", "net/net.h"]
        {
            assert!(compiled.has(path), "{path}");
        }
        for path in [
            "net/core/dev.c",
            "drivers/gpu/x.h",
            "arch/arm64/include/asm/x.h",
            "tools/include/x.h",
            "net/Makefile",
        ] {
            assert!(!compiled.has(path), "{path}");
        }
    }
}
