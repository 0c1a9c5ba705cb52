//! Why a patch cannot be used.

use crate::compile::CompileError;
use crate::kernel::Kernel;
use crate::units::UnitsError;
use livepatch_source::{HunkFailure, PatchError};
use std::path::{Path, PathBuf};

/// Why a patch cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// It is none, or damaged.
    #[error("cannot read the patch {}: {source}", path.display())]
    Patch {
        /// The patch.
        path: PathBuf,
        /// Why.
        source: PatchError,
    },
    /// It touches something that cannot be livepatched.
    #[error(transparent)]
    File(#[from] FileRefusal),
    /// It does not apply.
    #[error("the patch does not apply to this kernel's source:{}", lines(.0))]
    Apply(Vec<Misfit>),
    /// The kernel's units are not known.
    #[error(transparent)]
    Units(#[from] UnitsError),
    /// A unit cannot be preprocessed.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A file whose hunks do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The patch.
    pub patch: PathBuf,
    /// The file, as a path within the tree.
    pub file: String,
    /// The first hunk that does not.
    pub failure: HunkFailure,
}

fn lines(misfits: &[Misfit]) -> String {
    let line =
        |misfit: &Misfit| format!("\n  {} ({}): {}", misfit.file, misfit.patch.display(), misfit.failure);
    misfits.iter().map(line).collect()
}

/// A file that rules a patch out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the patch touches {file}: {reason}")]
pub struct FileRefusal {
    /// Stable code of the refusal.
    pub code: &'static str,
    /// Path in the patch.
    pub file: String,
    /// Why that does not do.
    pub reason: String,
}

impl FileRefusal {
    pub(super) fn new(code: &'static str, file: &str, reason: &str) -> Self {
        Self { code, file: file.to_owned(), reason: reason.to_owned() }
    }

    pub(super) fn units_unknown(file: &str, kernel: &Kernel) -> Self {
        let reason = format!("which files of {} include it cannot be told", kernel.identity.release);
        Self { code: "units-unknown", file: file.to_owned(), reason }
    }

    pub(super) fn too_wide(file: &str, units: usize, most: usize) -> Self {
        let reason = format!(
            "some {units} translation units compile to something else then, or seem to, and {most} are the most for a livepatch"
        );
        Self { code: "wide-header", file: file.to_owned(), reason }
    }

    pub(super) fn not_built(file: &str, kernel: &Kernel) -> Self {
        let reason = format!("{} was not built from it, so it is not affected", kernel.identity.release);
        Self { code: "not-built", file: file.to_owned(), reason }
    }
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ScopeError + use<> {
    let path = path.to_owned();
    move |source| ScopeError::Io { path, source }
}
