//! The report of a build: what changed, why it may be trusted, how long it took.

use livepatch_diff::Refusal;
use livepatch_judge::{Finding, FunctionWhy};
use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, Fix};
use schemars::JsonSchema;
use serde::Serialize;

/// The report, as `report.json` has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Always 1.
    pub schema: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// Name of the livepatch module.
    pub name: String,
    /// Cumulative version.
    pub version: u32,
    /// The kernel.
    pub kernel: KernelIdentity,
    /// What the patch mends.
    pub fixes: Vec<Fix>,
    /// Translation units that the patch touches.
    pub units: Vec<UnitReport>,
    /// Why no livepatch can be made; empty when one was.
    pub refusals: Vec<RefusalReport>,
    /// What the author must know, refusals among them.
    pub findings: Vec<Finding>,
    /// What else is to be said: parts of the patch that are left out, hunks that moved, how far a header reaches.
    pub notes: Vec<String>,
    /// SHA-256 of the module, not signed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_sha256: Option<Digest>,
    /// How long each step took.
    pub timings: Timings,
}

/// What came of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A module was built.
    Built,
    /// No livepatch can be made.
    Refused,
}

/// What happened to a translation unit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnitReport {
    /// Source file.
    pub source: String,
    /// `vmlinux` or the module that it belongs to.
    pub object: String,
    /// Existing functions that change.
    pub changed: Vec<String>,
    /// Existing functions that the livepatch redirects: those changed, and callers of changed ones that cannot be traced.
    pub redirected: Vec<String>,
    /// Why each of them changed.
    pub why: Vec<FunctionWhy>,
    /// New functions.
    pub added: Vec<String>,
    /// Functions that are gone in the patched source.
    pub removed: Vec<String>,
    /// Data that the livepatch carries.
    pub data: Vec<String>,
    /// Proof that the original is what runs.
    pub proof: ProofReport,
}

/// The comparison of a translation unit with the distribution's binary.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ProofReport {
    /// Functions compiled.
    pub functions: usize,
    /// Functions that are the code that runs.
    pub identical: usize,
    /// Relocated fields compared.
    pub fields: usize,
    /// Relocated fields whose target could not be compared.
    pub unchecked: usize,
    /// Functions that differ, none of which is replaced: name and what differs.
    pub differs: Vec<(String, String)>,
}

/// A refusal with its code and advice.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RefusalReport {
    /// Stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do instead.
    pub advice: String,
}

impl RefusalReport {
    /// A refusal that is found outside the comparison of objects: its advice stands in the list of all codes.
    pub fn new(code: &str, message: String) -> Self {
        let advice = crate::explain::all().into_iter().find(|entry| entry.code == code);
        let advice = advice.map_or("", |entry| entry.advice).into();
        Self { code: code.into(), message, advice }
    }
}

impl From<&Refusal> for RefusalReport {
    fn from(refusal: &Refusal) -> Self {
        Self { code: refusal.code().into(), message: refusal.to_string(), advice: refusal.advice().into() }
    }
}

impl From<&Finding> for RefusalReport {
    fn from(finding: &Finding) -> Self {
        Self { code: finding.code.into(), message: finding.message.clone(), advice: finding.advice.clone() }
    }
}

/// Seconds that each step took.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Timings {
    /// Finding the compiler commands; make compiles a unit that it has never compiled, which is the object that proves the
    /// base when section flags alone change the code.
    pub commands: f64,
    /// Compiling the originals, summed over units.
    pub compile_original: f64,
    /// Compiling the patched units, summed.
    pub compile_patched: f64,
    /// Wall time of both.
    pub compile_wall: f64,
    /// Reading vmlinux's symbols, beside the compilers.
    pub symbols: f64,
    /// Proving the base.
    pub proof: f64,
    /// Taking the difference and writing the objects, objtool included.
    pub difference: f64,
    /// Reading debug information and judging.
    pub judgement: f64,
    /// kbuild of the module.
    pub kbuild: f64,
    /// Everything.
    pub total: f64,
    /// `total / (compile_original + compile_patched + kbuild)`.
    pub ratio: f64,
}

impl Timings {
    /// Computes the ratio once everything else is known.
    pub fn close(&mut self, total: f64) {
        self.total = total;
        let needed = self.compile_original + self.compile_patched + self.kbuild;
        self.ratio = if needed > 0.0 { total / needed } else { 0.0 };
    }
}
