//! The livepatch that the scenarios share: our smallest example, built and signed once a kernel and builder.

use crate::{BuildRequest, Builder, Programs, workspace_root};
use anyhow::{Context as _, Result};
use livepatch_manifest::{Digest, Manifest};
use livepatch_vm::{CachedKernel, cache_directory};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Names the kernel to test on; `cargo xtask test` sets it. Without it the newest prepared kernel is taken.
pub const KERNEL_VARIABLE: &str = "LIVEPATCH_E2E_KERNEL";
const PATCH: &str = "examples/patches/proc-cmdline.patch";
const FIX: &str = "example-proc-cmdline=/proc/cmdline says that it is livepatched";
const KEYS: &str = "keys";
const BUILD: &str = "build";

/// A prepared kernel, a signed livepatch for it, and its signing key.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The kernel.
    pub kernel: CachedKernel,
    directory: PathBuf,
}

impl Prepared {
    /// The livepatch for the kernel that [`KERNEL_VARIABLE`] names, or for the newest prepared one.
    ///
    /// # Errors
    /// As [`Prepared::for_kernel`].
    pub fn get(programs: &Programs) -> Result<Self> {
        let named = env::var(KERNEL_VARIABLE).ok().filter(|value| !value.is_empty());
        Self::for_kernel(programs, named.as_deref())
    }

    /// Takes the livepatch for this kernel (the newest prepared one for none) from the cache, or builds it; concurrent
    /// callers wait for one another.
    ///
    /// # Errors
    /// When no kernel is prepared, or the build fails.
    pub fn for_kernel(programs: &Programs, release: Option<&str>) -> Result<Self> {
        Self::of_patch(programs, CachedKernel::find(release)?, &workspace_root().join(PATCH), FIX, 1)
    }

    /// The same for another patch, fix and version; it is signed with a key of its own.
    ///
    /// # Errors
    /// When the build fails.
    pub fn of_patch(
        programs: &Programs,
        kernel: CachedKernel,
        patch: &Path,
        fix: &str,
        version: u32,
    ) -> Result<Self> {
        let key = cache_key(&kernel, patch, &programs.path("livepatch-build"), fix, version)?;
        let parent = cache_directory().join("e2e");
        fs::create_dir_all(&parent).with_context(|| parent.display().to_string())?;
        let directory = parent.join(format!("{}-{key}", kernel.release));

        let lock = File::create(parent.join("lock"))?;
        lock.lock()?;
        if !directory.exists() {
            let scratch = tempfile::tempdir_in(&parent)?;
            let request = BuildRequest { release: &kernel.release, patch, fix, source: None, version };
            make(programs, &request, scratch.path())?;
            fs::rename(scratch.keep(), &directory)?;
        }
        Ok(Self { kernel, directory })
    }

    /// The builder's output: signed module, manifest, report.
    pub fn build(&self) -> PathBuf {
        self.directory.join(BUILD)
    }

    /// `key.pem` and `cert.pem`.
    pub fn keys(&self) -> PathBuf {
        self.directory.join(KEYS)
    }

    /// The certificate of the signing key.
    pub fn certificate(&self) -> PathBuf {
        self.keys().join("cert.pem")
    }

    /// The manifest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn manifest(&self) -> Result<Manifest> {
        Builder::manifest(&self.build())
    }

    /// The signed module's bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn module(&self) -> Result<Vec<u8>> {
        let path = self.build().join(self.manifest()?.file_name());
        fs::read(&path).with_context(|| path.display().to_string())
    }
}

fn make(programs: &Programs, request: &BuildRequest<'_>, directory: &Path) -> Result<()> {
    // Beside the directory, so that it stays when the build fails and the directory goes.
    let log = directory.with_extension("log");
    let builder = Builder::new(programs, &log, &|_| {});
    let (keys, build) = (directory.join(KEYS), directory.join(BUILD));
    builder.generate_key("Livepatch tests", &keys)?;
    builder.build(request, &build)?;
    builder.sign(&build, &keys)
}

/// Changes with the kernel, the patch, what it mends, the version and the builder, so that nothing stale is tested.
fn cache_key(kernel: &CachedKernel, patch: &Path, builder: &Path, fix: &str, version: u32) -> Result<String> {
    let mut all = fs::read(kernel.directory.join("kernel.json"))?;
    all.extend(fs::read(patch).with_context(|| patch.display().to_string())?);
    all.extend(Digest::of(&fs::read(builder)?).as_str().as_bytes());
    if fix != FIX {
        all.extend(fix.as_bytes());
    }
    if version != 1 {
        all.extend(version.to_le_bytes());
    }
    Ok(Digest::of(&all).short().to_owned())
}
