//! Checks a module as a kernel and a client will, and against what lies beside it: manifest, report, provenance.

use crate::inspect::{self, InspectedSignature, Inspection};
use crate::pipeline::{MANIFEST, REPORT};
use crate::provenance::{PROVENANCE, Statement};
use livepatch_manifest::{Digest, Manifest};
use livepatch_module::{
    Certificate, CertificateError, ModuleError, VerifyError, split, verify as verify_signature,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What came of checking a module.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// Always 1.
    pub schema: u32,
    /// The module's name.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// The checks, in order.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// What was checked.
    pub check: String,
    /// What came of it.
    pub result: CheckResult,
    /// One line about it.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It passed.
    Passed,
    /// It did not pass.
    Failed,
    /// There was nothing to check it with.
    Skipped,
}

/// Why a module cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// A file cannot be read.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no module.
    #[error("{} cannot be read as a module", path.display())]
    Module {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ModuleError,
    },
    /// A certificate is unusable.
    #[error("{} is no usable certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CertificateError,
    },
}

impl Verification {
    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.result != CheckResult::Failed)
    }

    fn add(&mut self, check: &str, passed: bool, detail: String) {
        let result = if passed { CheckResult::Passed } else { CheckResult::Failed };
        self.checks.push(Check { check: check.to_owned(), result, detail });
    }

    fn skip(&mut self, check: &str, detail: &str) {
        let detail = detail.to_owned();
        self.checks.push(Check { check: check.to_owned(), result: CheckResult::Skipped, detail });
    }
}

/// Checks a module file with these PEM certificates.
///
/// # Errors
/// [`VerificationError`] when it cannot be checked at all; what is wrong with it is in the result.
pub fn verify(path: &Path, certificates: &[PathBuf]) -> Result<Verification, VerificationError> {
    let bytes = std::fs::read(path).map_err(file_error(path))?;
    let module_error = |source| VerificationError::Module { path: path.to_owned(), source };
    let inspection = inspect::inspect(&bytes).map_err(module_error)?;
    let trusted = certificates.iter().map(|path| read_certificate(path)).collect::<Result<Vec<_>, _>>()?;
    let mut verification = Verification {
        schema: 1,
        name: inspection.name.clone(),
        sha256: inspection.sha256.clone(),
        checks: Vec::new(),
    };
    let words = "declares itself a livepatch, as the kernel asks of a module with livepatch relocations";
    verification.add("livepatch", inspection.livepatch, words.to_owned());
    let signer = check_signature(&mut verification, &bytes, &trusted);
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Some(manifest) = read_beside(folder, MANIFEST)? {
        check_manifest(&mut verification, &inspection, path, signer.as_deref(), &manifest);
    } else {
        verification.skip("manifest", "no manifest beside the module");
    }
    match read_beside(folder, REPORT)? {
        Some(report) => check_report(&mut verification, &bytes, &report),
        None => verification.skip("report", "no report beside the module"),
    }
    match read_beside(folder, PROVENANCE)? {
        Some(statement) => check_provenance(&mut verification, path, &statement),
        None => verification.skip("provenance", "no provenance beside the module"),
    }
    Ok(verification)
}

/// Answers the signer's fingerprint, as a manifest has it, when a certificate vouches for the signature.
fn check_signature(verification: &mut Verification, bytes: &[u8], trusted: &[Certificate]) -> Option<String> {
    match verify_signature(bytes, trusted) {
        Ok(signer) => {
            verification.add("signature", true, format!("signed by {}", signer.subject));
            let certificate = trusted.iter().find(|one| one.fingerprint() == signer.fingerprint);
            return certificate.map(|certificate| Digest::of(certificate.to_der()).to_string());
        }
        Err(VerifyError::UnknownKey { issuer, serial }) if trusted.is_empty() => verification.skip(
            "signature",
            &format!("signed by {issuer}, serial number {serial}; give --certificate to check it"),
        ),
        Err(VerifyError::Unsigned) if trusted.is_empty() => {
            verification.skip("signature", "not signed: a kernel that enforces signatures will not load it");
        }
        Err(error) => verification.add("signature", false, error.to_string()),
    }
    None
}

/// The manifest is what clients decide by: each of its claims must be the module's own.
fn check_manifest(
    verification: &mut Verification,
    inspection: &Inspection,
    path: &Path,
    signer: Option<&str>,
    manifest: &[u8],
) {
    let manifest = match Manifest::parse(manifest) {
        Ok(manifest) => manifest,
        Err(error) => return verification.add("manifest", false, error.to_string()),
    };
    if path.file_name() != Some(manifest.file_name().as_ref()) {
        return verification.skip("manifest", &format!("the manifest is that of {}", manifest.file_name()));
    }
    let same = |what: &str, own: &str, claimed: &str| {
        (own != claimed).then(|| format!("its {what} is {own}, and the manifest says {claimed}"))
    };
    let signed = !matches!(inspection.signature, InspectedSignature::None);
    let claimed_signer = manifest.module.signer.as_ref().map_or("nobody", Digest::as_str);
    let (own, claimed) = (functions_of(inspection), functions_claimed(&manifest));
    let module_vermagic = inspection.modinfo.get("vermagic").and_then(|values| values.first());
    let wrong = [
        same("digest", inspection.sha256.as_str(), manifest.module.sha256.as_str()),
        same("size", &inspection.size.to_string(), &manifest.module.size.to_string()),
        same("name", &inspection.name, &manifest.name),
        same("release", inspection.release.as_deref().unwrap_or("none"), manifest.kernel.release.as_str()),
        same(
            "build id",
            inspection.build_id.as_deref().unwrap_or("none"),
            &manifest.kernel.build_id.to_string(),
        ),
        same("vermagic", module_vermagic.map_or("none", |text| text.trim()), manifest.module.vermagic.trim()),
        same("replaced functions", &own, &claimed),
        (signed != manifest.module.signer.is_some())
            .then(|| format!("the manifest says that {claimed_signer} signed it")),
        signer.and_then(|signer| same("signer", signer, claimed_signer)),
    ];
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    let words = || "digest, size, name, kernel, vermagic and replaced functions agree".to_owned();
    let detail = if wrong.is_empty() { words() } else { wrong.join("; ") };
    verification.add("manifest", wrong.is_empty(), detail);
}

/// The report knows the module as it was before it was signed.
fn check_report(verification: &mut Verification, bytes: &[u8], report: &[u8]) {
    let report: serde_json::Value = match serde_json::from_slice(report) {
        Ok(report) => report,
        Err(error) => return verification.add("report", false, format!("the report is no JSON: {error}")),
    };
    let Some(claimed) = report.get("module_sha256").and_then(|digest| digest.as_str()) else {
        return verification.skip("report", "the report speaks of no module");
    };
    let body = split(bytes).map_or(bytes, |parts| parts.body);
    let own = Digest::of(body);
    let agrees = own.as_str() == claimed;
    let detail = if agrees {
        "the module, without its signature, is the one that the build reported".to_owned()
    } else {
        format!("the module without its signature has the digest {own}, and the report says {claimed}")
    };
    verification.add("report", agrees, detail);
}

fn check_provenance(verification: &mut Verification, path: &Path, statement: &[u8]) {
    let statement: Statement = match serde_json::from_slice(statement) {
        Ok(statement) => statement,
        Err(error) => return verification.add("provenance", false, format!("it is no statement: {error}")),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let agrees = statement.is_about(&name, &verification.sha256);
    let words =
        if agrees { "the statement is about this module" } else { "the statement is about another file" };
    verification.add("provenance", agrees, words.to_owned());
}

/// `OBJECT:FUNCTION,POSITION` each, sorted.
fn functions_of(inspection: &Inspection) -> String {
    let all = inspection.objects.iter().flat_map(|object| {
        object
            .functions
            .iter()
            .map(|function| format!("{}:{},{}", object.name, function.name, function.position))
    });
    sorted(all.collect())
}

fn functions_claimed(manifest: &Manifest) -> String {
    let all = manifest.objects.iter().flat_map(|object| {
        object
            .functions
            .iter()
            .map(|function| format!("{}:{},{}", object.name, function.name, function.sympos))
    });
    sorted(all.collect())
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    names.join(" ")
}

fn read_certificate(path: &Path) -> Result<Certificate, VerificationError> {
    let text = std::fs::read_to_string(path).map_err(file_error(path))?;
    Certificate::from_pem(&text)
        .map_err(|source| VerificationError::Certificate { path: path.to_owned(), source })
}

fn read_beside(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, VerificationError> {
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error(&path)(error)),
    }
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> VerificationError + use<> {
    let path = path.to_owned();
    move |source| VerificationError::File { path, source }
}
