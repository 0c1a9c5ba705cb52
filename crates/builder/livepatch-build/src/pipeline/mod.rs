//! A build from patch to module, step by step, each with its timing.

mod compare;
mod compile;
mod finish;
mod judge;
mod late_keys;
mod notices;
mod source;
mod versions;

use crate::cache::lock_folder_with_children;
use crate::compile::CompileError;
use crate::explain::NO_FUNCTIONAL_CHANGE;
use crate::kernel::{Kernel, KernelError, Vmlinux};
use crate::overlay::Overlay;
use crate::provenance::PROVENANCE;
use crate::report::{Outcome, RefusalReport, Report, Timings};
use crate::run::RunError;
use crate::scope::{self, Scope, ScopeError, Touched};
use crate::units::Units;
use compare::Parts;
pub(crate) use compile::Compiled;
use livepatch_diff::{DifferenceError, Exports, ExtractError, Image, KlpError, ObjectError, TableError};
use livepatch_judge::Acceptance;
use livepatch_manifest::{Digest, Fix, ManifestError};
pub(crate) use notices::RULES;
pub use source::Source;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// File name of the manifest in a build folder.
pub const MANIFEST: &str = "manifest.json";
/// File name of the report in a build folder.
pub const REPORT: &str = "report.json";

/// What to build.
#[derive(Clone, Debug)]
pub struct Request {
    /// The patches, in the order in which they apply.
    pub patches: Vec<PathBuf>,
    /// Livepatch sources.
    pub sources: Vec<Source>,
    /// What it mends.
    pub fixes: Vec<Fix>,
    /// Cumulative version.
    pub version: u32,
    /// Findings that the author accepts.
    pub accept: Vec<Acceptance>,
    /// The most translation units that a header's change may touch.
    pub most_units: usize,
    /// Folder for module, manifest and report.
    pub output: PathBuf,
}

/// Why a build broke off. A patch that cannot be livepatched is no error but an outcome.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each variant passes on an error that says all
pub enum BuildError {
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("a compiled object cannot be read")]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Difference(#[from] DifferenceError),
    #[error(transparent)]
    Extract(#[from] ExtractError),
    #[error("the livepatch relocations cannot be made")]
    Klp(#[from] KlpError),
    #[error("the manifest cannot be written")]
    Manifest(#[from] ManifestError),
    #[error("the report cannot be written")]
    Report(#[from] serde_json::Error),
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("this kernel's source has no {0}, in whose place a livepatch source is to stand")]
    NoSuchUnit(String),
    #[error("the built module has no vermagic")]
    NoVermagic,
}

/// The module's file in a build folder.
pub fn module_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.ko"))
}

/// Builds a livepatch for a prepared kernel. Writes report and, when one was made, module and manifest.
///
/// # Errors
/// [`BuildError`] when something is missing or fails; see [`Report::outcome`] for patches that cannot be livepatched.
pub fn build(kernel: &Kernel, request: &Request) -> Result<Report, BuildError> {
    let output = std::path::absolute(&request.output).map_err(file_error(&request.output))?;
    std::fs::create_dir_all(&output).map_err(file_error(&output))?;
    let _lock = lock_folder_with_children(&output).map_err(file_error(&output))?;
    let work = output.join("work");
    remove_tree(&work)?;
    std::fs::create_dir_all(&work).map_err(file_error(&work))?;
    let report =
        Build { kernel, request, log: output.join("build.log"), work: work.clone(), output }.run()?;
    remove_tree(&work)?;
    Ok(report)
}

struct Build<'a> {
    kernel: &'a Kernel,
    request: &'a Request,
    output: PathBuf,
    work: PathBuf,
    log: PathBuf,
}

impl Build<'_> {
    fn run(&self) -> Result<Report, BuildError> {
        let start = Instant::now();
        let mut timings = Timings::default();
        self.forget_earlier()?;
        let (units, scope) = match self.scope() {
            Err(BuildError::Scope(ScopeError::File(refusal))) => {
                let refusal = RefusalReport::new(refusal.code, refusal.to_string());
                return self.refused_at_once(refusal, Vec::new(), start);
            }
            other => other?,
        };
        if scope.touched.is_empty() && self.request.sources.is_empty() {
            let message = "no unit of this kernel compiles to anything else with the patch".to_owned();
            let refusal = RefusalReport::new(NO_FUNCTIONAL_CHANGE, message);
            return self.refused_at_once(refusal, scope.notes, start);
        }
        let vmlinux = Vmlinux::open(&self.kernel.vmlinux())?;
        // vmlinux is read while make and the compiler are at work: nothing in it depends on the patch.
        let (compiled, binary) = rayon::join(
            || self.compile(&scope.touched, &scope.overlay, &units, &mut timings),
            || self.binary(&vmlinux),
        );
        let (mut compiled, (image, exports, symbols)) = (compiled?, binary?);
        timings.symbols = symbols;

        let mut parts = self.compare((&image, &exports), &mut compiled, &scope.overlay, &mut timings)?;
        parts.notes.splice(0..0, scope.notes);
        self.compare_versions(&compiled, &scope.overlay, &exports, &mut parts)?;
        let mut refusals = parts.all_refusals();
        if refusals.is_empty() && parts.objects.is_empty() {
            let message = "the compiled code is the same with the patch and without".to_owned();
            refusals.push(RefusalReport::new(NO_FUNCTIONAL_CHANGE, message));
        }
        let (outcome, module_sha256) = match refusals.is_empty() {
            true => (Outcome::Built, Some(self.link(&image, &parts, &mut timings)?)),
            false => (Outcome::Refused, None),
        };
        timings.close(start.elapsed().as_secs_f64());
        self.report(outcome, parts, refusals, module_sha256, timings)
    }

    /// What the distribution built: vmlinux, and who exports what. And the seconds that vmlinux's symbols took.
    fn binary<'b>(&self, vmlinux: &'b Vmlinux) -> Result<(Image<'b>, Exports, f64), BuildError> {
        let start = Instant::now();
        let image = vmlinux.image()?;
        let symbols = start.elapsed().as_secs_f64();
        let path = self.kernel.source().join("Module.symvers");
        let exports = Exports::parse(&std::fs::read_to_string(&path).map_err(file_error(&path))?);
        Ok((image, exports, symbols))
    }

    /// What an earlier build left must not be taken for what this one made.
    fn forget_earlier(&self) -> Result<(), BuildError> {
        let module = module_path(&self.output, &self.name());
        for path in [
            module,
            self.output.join(MANIFEST),
            self.output.join(PROVENANCE),
            self.output.join(crate::boot::TEST),
            self.output.join(REPORT),
            self.log.clone(),
        ] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(file_error(&path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The units of the kernel, and those of them that the patch touches.
    fn scope(&self) -> Result<(Units, Scope), BuildError> {
        let patched = scope::apply(&self.kernel.source(), &self.request.patches)?;
        let units = Units::of(self.kernel).map_err(ScopeError::from)?;
        let is_refused = |touched: &[Touched], overlay: &Overlay| self.is_refused(touched, overlay, &units);
        let scope = scope::find(
            self.kernel,
            &units,
            patched,
            self.request.most_units,
            (&self.work, &self.log),
            is_refused,
        )?;
        Ok((units, scope))
    }

    /// Whether some of the units that a patch may touch speak against a livepatch, whatever the others are.
    fn is_refused(&self, touched: &[Touched], overlay: &Overlay, units: &Units) -> Result<bool, BuildError> {
        let mut timings = Timings::default();
        let vmlinux = Vmlinux::open(&self.kernel.vmlinux())?;
        let mut compiled = self.compile(touched, overlay, units, &mut timings)?;
        let (image, exports, _) = self.binary(&vmlinux)?;
        Ok(self.compare((&image, &exports), &mut compiled, overlay, &mut timings)?.is_refused())
    }

    /// Nothing needs to be compiled to say that it cannot, or need not, be livepatched.
    fn refused_at_once(
        &self,
        refusal: RefusalReport,
        notes: Vec<String>,
        start: Instant,
    ) -> Result<Report, BuildError> {
        let mut timings = Timings::default();
        timings.close(start.elapsed().as_secs_f64());
        let parts = Parts { notes, ..Parts::default() };
        self.report(Outcome::Refused, parts, vec![refusal], None, timings)
    }

    fn report(
        &self,
        outcome: Outcome,
        parts: Parts,
        refusals: Vec<RefusalReport>,
        module_sha256: Option<Digest>,
        timings: Timings,
    ) -> Result<Report, BuildError> {
        let report = Report {
            schema: 1,
            outcome,
            name: self.name(),
            version: self.request.version,
            kernel: self.kernel.identity.clone(),
            fixes: self.request.fixes.clone(),
            units: parts.reports,
            refusals,
            findings: parts.findings,
            notes: parts.notes,
            module_sha256,
            timings,
        };
        self.write(REPORT, &serde_json::to_vec_pretty(&report)?)?;
        Ok(report)
    }

    fn name(&self) -> String {
        format!("livepatch_{}_{}", self.kernel.identity.release.as_identifier(), self.request.version)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BuildError> {
        let path = self.output.join(name);
        crate::sign::replace(&path, bytes).map_err(file_error(&path))
    }
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::File { path, source }
}

fn remove_tree(path: &Path) -> Result<(), BuildError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(path)(error)),
        _ => Ok(()),
    }
}
