//! One livepatch for many kernels: each is built by itself, side by side, and one summary tells what came of all.
//!
//! A patch that does not apply to one kernel, or a compiler that is missing for it, is that kernel's outcome; the others
//! go on.

use crate::cache::Cache;
use crate::kernel::Kernel;
use crate::narrate;
use crate::pipeline::{self, BuildError, REPORT, Request};
use crate::report::Report;
use crate::status::Status;
use livepatch_kernel::KernelRelease;
use livepatch_manifest::Fix;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What came of a livepatch for many kernels, as the `report.json` above their folders has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// Always 1.
    pub schema: u32,
    /// Cumulative version.
    pub version: u32,
    /// What the patches mend.
    pub fixes: Vec<Fix>,
    /// One entry a kernel, in the order in which they were asked for.
    pub kernels: Vec<KernelEntry>,
}

/// What came of one kernel.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KernelEntry {
    /// The kernel.
    pub release: KernelRelease,
    /// What came of it.
    pub outcome: KernelOutcome,
    /// Exit status that a build for this kernel alone would have had.
    pub status: u8,
    /// Folder of its module, manifest and report, within the output folder.
    pub folder: String,
    /// Seconds that it took.
    pub seconds: f64,
    /// What went wrong, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kernel's own report, unless it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// What came of one kernel, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KernelOutcome {
    /// A module was built.
    Built,
    /// No livepatch can be made for it.
    Refused,
    /// The build broke off.
    Failed,
}

impl Summary {
    /// The worst of the kernels' ends.
    pub fn status(&self) -> Status {
        Status::worst(self.kernels.iter().map(KernelEntry::ended))
    }
}

impl KernelEntry {
    /// How a build for this kernel alone would have ended.
    pub fn ended(&self) -> Status {
        Status::from_code(self.status)
    }

    /// The functions that are replaced.
    pub fn functions(&self) -> Vec<&str> {
        let units = self.report.iter().flat_map(|report| &report.units);
        units.flat_map(|unit| &unit.changed).map(String::as_str).collect()
    }

    /// Why there is no module, in one line; `None` when there is one.
    pub fn reason(&self) -> Option<String> {
        let refusals = self.report.iter().flat_map(|report| &report.refusals);
        let refused: Vec<String> =
            refusals.map(|refusal| format!("[{}] {}", refusal.code, refusal.message)).collect();
        let failed = self.error.as_ref().map(|error| error.lines().next().unwrap_or_default().to_owned());
        failed.or_else(|| (!refused.is_empty()).then(|| refused.join("; ")))
    }
}

/// Builds for each kernel into a folder of its own below `request.output`, `jobs` at a time, and writes the summary.
///
/// # Errors
/// [`BuildError`] when the summary cannot be written. What goes wrong for a kernel is in its entry.
pub fn build(
    cache: &Cache,
    releases: &[KernelRelease],
    request: &Request,
    jobs: usize,
) -> Result<Summary, BuildError> {
    std::fs::create_dir_all(&request.output).map_err(pipeline::file_error(&request.output))?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, releases.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(release) = releases.get(index) else { break };
                    let entry = build_one(cache, release, request);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, entry));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    let kernels = done.into_iter().map(|(_, entry)| entry).collect();
    let summary = Summary { schema: 1, version: request.version, fixes: request.fixes.clone(), kernels };
    let path = request.output.join(REPORT);
    crate::sign::replace(&path, &serde_json::to_vec_pretty(&summary)?)
        .map_err(pipeline::file_error(&path))?;
    Ok(summary)
}

fn build_one(cache: &Cache, release: &KernelRelease, request: &Request) -> KernelEntry {
    let start = Instant::now();
    let folder = release.as_str().to_owned();
    let request = Request { output: request.output.join(&folder), ..request.clone() };
    let built = in_pool_of_its_own(release, || attempt(cache, release, &request));
    let seconds = start.elapsed().as_secs_f64();
    let entry = |outcome, status: Status, error, report| KernelEntry {
        release: release.clone(),
        outcome,
        status: status.code(),
        folder,
        seconds,
        error,
        report,
    };
    match built {
        Ok(report) => {
            let status = Status::of_report(&report);
            let outcome = if status == Status::Done { KernelOutcome::Built } else { KernelOutcome::Refused };
            entry(outcome, status, None, Some(report))
        }
        Err(error) => {
            let (status, text) = (Status::of_error(&error), with_causes(&error));
            forget_report(&request.output);
            entry(KernelOutcome::Failed, status, Some(text), None)
        }
    }
}

fn attempt(cache: &Cache, release: &KernelRelease, request: &Request) -> Result<Report, BuildError> {
    pipeline::build(&Kernel::open(cache, release)?, request)
}

/// Threads of its own, so that each line that they say names the kernel.
fn in_pool_of_its_own<T: Send>(release: &KernelRelease, work: impl FnOnce() -> T + Send) -> T {
    let name = release.as_str().to_owned();
    let pool = rayon::ThreadPoolBuilder::new().start_handler(move |_| narrate::speak_of(&name)).build();
    match pool {
        Ok(pool) => pool.install(work),
        // Without threads it still works, only its lines do not say for which kernel.
        Err(_) => work(),
    }
}

/// A report of an earlier build must not be taken for this one's.
fn forget_report(folder: &Path) {
    // The build itself removes it first; when even that failed, it is not ours to mend.
    let _ = std::fs::remove_file(folder.join(REPORT));
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
