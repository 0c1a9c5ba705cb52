//! Where a kernel comes from.

use super::error::KernelError;
use super::preparation::Place;
use super::{archives, debian, tree};
use crate::cache::Cache;
use livepatch_kernel::KernelRelease;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::SystemTime;

/// What to add.
#[derive(Clone, Debug)]
pub enum Source {
    /// Debian's packages of a release, from the package index; the newest version when none is named.
    Index {
        /// As `uname -r` prints it.
        release: KernelRelease,
        /// Version of the image package.
        version: Option<String>,
    },
    /// Package files (`.deb`, `.ddeb`) of one kernel, Debian's or Ubuntu's.
    Archives(Vec<PathBuf>),
    /// A folder in which a kernel was built: with vmlinux, `.config` and Module.symvers.
    Tree(PathBuf),
}

/// Whose kernel it is, as the cache notes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// Debian's packages.
    #[default]
    Debian,
    /// Ubuntu's packages.
    Ubuntu,
    /// A build tree, which is used where it stands.
    Tree {
        /// The folder.
        path: PathBuf,
        /// Its vmlinux when it was added, so that another build is noticed: bytes,
        vmlinux_size: u64,
        /// and when it was written.
        vmlinux_modified: SystemTime,
    },
}

/// What a provider says of the kernel that it supplies.
#[derive(Clone, Debug)]
pub(super) struct Supplied {
    pub(super) origin: Origin,
    pub(super) version: String,
    pub(super) source_package: String,
    /// What the distribution passes to make besides release and compiler, where it changes what is compiled.
    pub(super) make_variables: Vec<String>,
    /// What to do when vmlinux turns out to have no debug information.
    pub(super) debug_remedy: String,
}

/// A way to come by a kernel's parts.
pub(super) trait Provider {
    /// Which kernel.
    fn release(&self) -> &KernelRelease;

    /// The version, when it is known before anything is fetched.
    fn version(&self) -> Option<&str>;

    /// Puts `.config` and Module.symvers into the source folder: from these it is known whether the rest is worth it.
    fn begin(&mut self, place: &Place<'_>) -> Result<Supplied, KernelError>;

    /// Puts all else in its place: source tree, modules, vmlinux.
    fn complete(&self, place: &Place<'_>) -> Result<(), KernelError>;

    /// Whether the source tree is ready to compile in as it is, and not ours to change.
    fn is_prepared(&self) -> bool {
        false
    }
}

/// The provider for what was asked.
pub(super) fn of(cache: &Cache, source: &Source) -> Result<Box<dyn Provider>, KernelError> {
    Ok(match source {
        Source::Index { release, version } => {
            Box::new(debian::Indexed::new(cache.clone(), release.clone(), version.clone()))
        }
        Source::Archives(files) => archives::provider(files)?,
        Source::Tree(folder) => Box::new(tree::Tree::new(folder)?),
    })
}
