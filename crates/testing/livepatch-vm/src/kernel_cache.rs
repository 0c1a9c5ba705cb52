//! Finds kernels that `livepatch-build kernel add` has prepared.

use crate::{VmError, modules};
use livepatch_kernel::KernelRelease;
use serde::Deserialize;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// A prepared kernel: a directory of the cache with `kernel.json` and `image/`, the unpacked kernel package.
#[derive(Clone, Debug)]
pub struct CachedKernel {
    /// Release, such as `6.1.0-55-cloud-amd64`.
    pub release: String,
    /// Its directory in the cache.
    pub directory: PathBuf,
}

#[derive(Deserialize)]
struct Record {
    release: String,
}

/// Where livepatch keeps what can be made again: `LIVEPATCH_CACHE`, else `$XDG_CACHE_HOME/livepatch`, else
/// `~/.cache/livepatch`.
pub fn cache_directory() -> PathBuf {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("LIVEPATCH_CACHE").unwrap_or_else(|| {
        named("XDG_CACHE_HOME")
            .or_else(|| named("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(|| PathBuf::from("/var/cache"))
            .join("livepatch")
    })
}

impl CachedKernel {
    /// The kernel with this release, or the newest prepared one.
    ///
    /// # Errors
    /// [`VmError::NoKernel`] when there is none.
    pub fn find(release: Option<&str>) -> Result<Self, VmError> {
        let cache = cache_directory();
        Self::all(&cache)
            .into_iter()
            .rfind(|kernel| release.is_none_or(|wanted| kernel.release == wanted))
            .ok_or_else(|| VmError::NoKernel {
                wanted: release.map_or_else(String::new, |release| format!(" {release}")),
                cache,
            })
    }

    /// Every prepared kernel below `cache`, oldest release first; a half-prepared one is not.
    pub fn all(cache: &Path) -> Vec<Self> {
        let mut kernels: Vec<Self> = fs::read_dir(cache.join("kernels"))
            .into_iter()
            .flatten()
            .filter_map(|entry| Self::at(entry.ok()?.path()))
            .filter(|kernel| kernel.vmlinuz().exists() && kernel.modules().join("modules.dep").exists())
            .collect();
        kernels.sort_by_cached_key(|kernel| kernel.release.parse::<KernelRelease>().ok());
        kernels
    }

    fn at(directory: PathBuf) -> Option<Self> {
        let record: Record = serde_json::from_slice(&fs::read(directory.join("kernel.json")).ok()?).ok()?;
        Some(Self { release: record.release, directory })
    }

    /// The bootable image.
    pub fn vmlinuz(&self) -> PathBuf {
        self.directory.join("image/boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The bytes of a loadable module, decompressed: busybox cannot do that in the guest.
    ///
    /// # Errors
    /// [`VmError::NoModule`] when the kernel has none of that name, [`VmError::File`] when it cannot be read.
    pub fn module(&self, name: &str) -> Result<Vec<u8>, VmError> {
        let files = modules::closure(&self.modules(), &[name.to_owned()])?;
        // The closure ends with the module itself; nothing is in it when the module is built in.
        let file = files.into_iter().next_back();
        let missing = || VmError::NoModule { name: name.to_owned(), tree: self.modules() };
        file.map(|file| file.bytes).ok_or_else(missing)
    }

    /// The module tree.
    pub fn modules(&self) -> PathBuf {
        self.directory.join("image/lib/modules").join(&self.release)
    }
}
