//! The boot test: a built livepatch in a real kernel, in a virtual machine.
//!
//! One guest goes through everything that a machine may live through with the livepatch: it is loaded before the modules
//! that it patches and after them, undone and removed each time; with an earlier version given, it replaces that one and
//! is replaced by it. After each step the kernel's own account (sysfs) must be right, the author's script must find what
//! it expects, and the log must hold no new warning.

mod log;
mod scenario;

use crate::cache::Cache;
use crate::kernel::{Kernel, KernelError};
use crate::narrate::say;
use crate::pipeline::{MANIFEST, module_path};
use livepatch_kernel::KernelRelease;
use livepatch_manifest::{Digest, Manifest, ManifestError};
use livepatch_vm::{CachedKernel, GuestBuilder, VmError};
use scenario::Scenario;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// File name of the account in a build folder.
pub const TEST: &str = "test.json";
/// Folder within a build folder that keeps the console.
const ARTEFACTS: &str = "test";
/// Where the guest has the livepatch, the earlier one, and the author's script.
const MODULE: &str = "/livepatch/module.ko";
const PREVIOUS: &str = "/livepatch/previous.ko";
const CHECK: &str = "/livepatch/check";

/// What to test.
#[derive(Clone, Debug)]
pub struct BootTest {
    /// The build folder.
    pub folder: PathBuf,
    /// Build folder of an earlier version for the same kernel.
    pub previous: Option<PathBuf>,
    /// The author's script. It is called with `before` where the livepatch must not act, and with `after` where it must,
    /// and fails when what it sees is not so.
    pub check: Option<PathBuf>,
}

/// The account of a boot test, as `test.json` has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BootReport {
    /// Always 1.
    pub schema: u32,
    /// Name of the livepatch.
    pub name: String,
    /// SHA-256 of the module that was tested.
    pub module_sha256: Digest,
    /// The kernel that it was tested in.
    pub release: KernelRelease,
    /// Whether every step passed and nothing is left to complain about.
    pub passed: bool,
    /// The steps, in order; the first that fails is the last.
    pub steps: Vec<BootStep>,
    /// New warnings of the kernel, without their time stamps.
    pub warnings: Vec<String>,
    /// The console, relative to the build folder.
    pub console: String,
}

/// A step of a boot test.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BootStep {
    /// What was done.
    pub step: String,
    /// Whether it went as it must.
    pub passed: bool,
    /// Seconds that it took.
    pub seconds: f64,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a livepatch cannot be tested at all. What goes wrong in the guest is in the account.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The manifest is unusable.
    #[error("{} is no build folder", folder.display())]
    Manifest {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel is not there.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The prepared kernel is another build.
    #[error("the livepatch is for build {wanted} of {release}, and the prepared kernel is build {found}")]
    OtherBuild {
        /// The kernel.
        release: KernelRelease,
        /// Build id in the manifest.
        wanted: String,
        /// Build id of the prepared kernel.
        found: String,
    },
    /// The earlier version is not one that this one could replace.
    #[error("{} is no earlier version for this kernel: {reason}", folder.display())]
    Previous {
        /// Its folder.
        folder: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The guest does not boot: the livepatch has no part in it.
    #[error("the virtual machine does not start")]
    Guest(#[from] VmError),
    /// The account cannot be written.
    #[error("the account cannot be written")]
    Json(#[from] serde_json::Error),
}

/// The build folders that a folder stands for: itself, or those of single kernels in it (see [`crate::matrix`]).
///
/// # Errors
/// [`BootError::File`] when it cannot be read.
pub fn build_folders(folder: &Path) -> Result<Vec<PathBuf>, BootError> {
    if folder.join(MANIFEST).is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let entries = std::fs::read_dir(folder).map_err(file_error(folder))?;
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join(MANIFEST).is_file()).collect();
    found.sort();
    Ok(found)
}

/// Tests a livepatch in a guest and writes the account beside it.
///
/// # Errors
/// [`BootError`] when it cannot be tested; a livepatch that fails is no error, see [`BootReport::passed`].
pub fn test(cache: &Cache, test: &BootTest) -> Result<BootReport, BootError> {
    let manifest = read_manifest(&test.folder)?;
    let previous = test.previous.as_deref().map(|folder| earlier(&manifest, folder)).transpose()?;
    let kernel = Kernel::open(cache, &manifest.kernel.release)?;
    if kernel.identity.build_id != manifest.kernel.build_id {
        return Err(BootError::OtherBuild {
            release: manifest.kernel.release.clone(),
            wanted: manifest.kernel.build_id.to_string(),
            found: kernel.identity.build_id.to_string(),
        });
    }
    let artefacts = test.folder.join(ARTEFACTS);
    let _ = std::fs::remove_dir_all(&artefacts);
    say(format!("boot {} in a virtual machine", manifest.kernel.release));
    let guest = guest(&kernel, test, &manifest, previous.as_ref(), &artefacts)?.boot()?;
    let has_check = test.check.is_some();
    let outcome = Scenario::new(&guest, &manifest, previous.as_ref(), has_check).run();
    let passed = outcome.warnings.is_empty() && outcome.steps.iter().all(|step| step.passed);
    let console = format!("{ARTEFACTS}/console.log");
    let report = BootReport {
        schema: 1,
        name: manifest.name.clone(),
        module_sha256: manifest.module.sha256.clone(),
        release: manifest.kernel.release.clone(),
        passed,
        steps: outcome.steps,
        warnings: outcome.warnings,
        console,
    };
    let path = test.folder.join(TEST);
    crate::sign::replace(&path, &serde_json::to_vec_pretty(&report)?).map_err(file_error(&path))?;
    Ok(report)
}

fn read_manifest(folder: &Path) -> Result<Manifest, BootError> {
    let path = folder.join(MANIFEST);
    let bytes = std::fs::read(&path).map_err(file_error(&path))?;
    Manifest::parse(&bytes).map_err(|source| BootError::Manifest { folder: folder.to_owned(), source })
}

fn earlier(manifest: &Manifest, folder: &Path) -> Result<(Manifest, PathBuf), BootError> {
    let previous = read_manifest(folder)?;
    let wrong = if previous.kernel.build_id != manifest.kernel.build_id {
        Some(format!("it is for {}", previous.kernel.release))
    } else if previous.name == manifest.name || previous.version >= manifest.version {
        Some(format!("it has version {}, and this one {}", previous.version, manifest.version))
    } else {
        None
    };
    match wrong {
        Some(reason) => Err(BootError::Previous { folder: folder.to_owned(), reason }),
        None => Ok((previous, folder.to_owned())),
    }
}

fn guest(
    kernel: &Kernel,
    test: &BootTest,
    manifest: &Manifest,
    previous: Option<&(Manifest, PathBuf)>,
    artefacts: &Path,
) -> Result<GuestBuilder, BootError> {
    let cached =
        CachedKernel { release: kernel.identity.release.to_string(), directory: kernel.folder.clone() };
    let module = module_path(&test.folder, &manifest.name);
    let mut guest = GuestBuilder::for_kernel(&cached).file(module, MODULE, 0o600).artefacts(artefacts);
    if let Some((previous, folder)) = previous {
        guest = guest.file(module_path(folder, &previous.name), PREVIOUS, 0o600);
    }
    if let Some(check) = &test.check {
        // A script's interpreter is the guest's; a program's libraries come along.
        guest = guest.file(check, CHECK, 0o755);
    }
    for module in scenario::patched_modules(manifest, previous.map(|(manifest, _)| manifest)) {
        guest = guest.later_module(&module);
    }
    Ok(guest)
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BootError + use<> {
    let path = path.to_owned();
    move |source| BootError::File { path, source }
}
