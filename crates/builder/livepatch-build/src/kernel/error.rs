//! Why a kernel cannot be prepared or used, and what to do about it.

use crate::packages::PackageError;
use crate::run::RunError;
use livepatch_diff::ObjectError;
use livepatch_kernel::{BuildIdError, KernelRelease};
use std::path::PathBuf;

/// Why a kernel cannot be prepared or used.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// It is not in the cache.
    #[error("kernel {0} is not prepared; run: livepatch-build kernel add {0}")]
    NotPrepared(KernelRelease),
    /// Another build of the same release is in the cache.
    #[error(
        "kernel {release} is prepared from version {prepared}, not {wanted}; run: livepatch-build kernel remove {release}"
    )]
    OtherVersion {
        /// Release.
        release: KernelRelease,
        /// What is in the cache.
        prepared: String,
        /// What was asked for.
        wanted: String,
    },
    /// The build tree that the kernel was taken from is not what it was.
    #[error(
        "the kernel in {} was built again since it was added; run: livepatch-build kernel remove {release}, then kernel add --tree",
        tree.display()
    )]
    TreeChanged {
        /// Release.
        release: KernelRelease,
        /// The build tree.
        tree: PathBuf,
    },
    /// The build tree lacks what a build leaves behind.
    #[error("{} is no prepared build tree: it has no {lacks}; {remedy}", tree.display())]
    Tree {
        /// The folder.
        tree: PathBuf,
        /// File.
        lacks: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A package cannot be had.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A package file that is of no use here.
    #[error("{} ({name}) is no package of a kernel", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Package name.
        name: String,
    },
    /// Package files of more than one kernel.
    #[error("the package files are of several kernels ({}): add one after the other", .0.join(", "))]
    Mixed(Vec<String>),
    /// Some of a kernel's packages are not among the files.
    #[error("of kernel {release} {} missing; {remedy}", are(missing))]
    Incomplete {
        /// Release.
        release: KernelRelease,
        /// Names of packages.
        missing: Vec<String>,
        /// Where to get them.
        remedy: String,
    },
    /// Package files that do not belong together.
    #[error("{name} is of version {found}, but the kernel's image of version {image}: both must be the same")]
    Versions {
        /// Package name.
        name: String,
        /// Its version.
        found: String,
        /// Version of the image.
        image: String,
    },
    /// The kernel says that it was built from something else.
    #[error("the kernel was built from '{wanted}', but {package} holds '{found}'")]
    Signature {
        /// From the kernel's configuration.
        wanted: String,
        /// The package that does not fit.
        package: String,
        /// What it holds.
        found: String,
    },
    /// vmlinux has no debug information.
    #[error("{} has no {lacks}; {remedy}", vmlinux.display())]
    NoDebugInformation {
        /// The file.
        vmlinux: PathBuf,
        /// What it has not.
        lacks: &'static str,
        /// What to do.
        remedy: String,
    },
    /// vmlinux is another kernel's.
    #[error("{} calls itself {found}, not {wanted}: the packages do not belong together", vmlinux.display())]
    OtherKernel {
        /// The file.
        vmlinux: PathBuf,
        /// What its banner says.
        found: KernelRelease,
        /// What was to be added.
        wanted: KernelRelease,
    },
    /// It cannot be told what the kernel was built from.
    #[error(transparent)]
    Units(#[from] crate::units::UnitsError),
    /// A program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's configuration rules livepatching or this builder out.
    #[error("kernel {release} cannot be livepatched by this builder: {reason}")]
    Unsupported {
        /// Release.
        release: KernelRelease,
        /// Why.
        reason: String,
    },
    /// The compiler is not the one that built the kernel.
    #[error(
        "the kernel was built by '{wanted}', but {program} {found}: install the distribution's compiler of that version"
    )]
    Compiler {
        /// Program.
        program: String,
        /// From the kernel's configuration.
        wanted: String,
        /// From the program.
        found: String,
    },
    /// The tools here change the configuration that the kernel was built with.
    #[error(
        "the configuration of {release} does not survive here: '{option}' changes; install the tools that the distribution builds with (pahole, the compiler)"
    )]
    Configuration {
        /// Release.
        release: KernelRelease,
        /// The first line that is lost or new.
        option: String,
    },
    /// vmlinux cannot be read.
    #[error("cannot read the kernel image")]
    Image(#[from] ObjectError),
    /// vmlinux has no build id.
    #[error("the kernel image has no build id")]
    BuildId(#[from] BuildIdError),
    /// `kernel.json` cannot be read or written.
    #[error("kernel.json is damaged; remove the folder and run kernel add again")]
    Json(#[from] serde_json::Error),
}

fn are(missing: &[String]) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", missing.join(", "))
}

/// For `map_err`: the file that could not be used.
pub(super) fn file_error(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> KernelError {
    let path = path.to_owned();
    move |source| KernelError::File { path, source }
}
