//! A prepared kernel: taken once from where it comes from, ready to compile single translation units.
//!
//! Below `kernels/RELEASE/` of the cache: `kernel.json` (written last: a folder without it is not ready), `image/` (the image
//! and its modules), `source/` (the tree, configured and prepared), `debug/vmlinux` (with symbols; beside it an
//! index of them).
//!
//! A [`Source`] says where a kernel is to be had; each has a provider (`debian`, `ubuntu`, `tree`), and what comes after
//! is the same for all of them (`preparation`).

mod archives;
mod configuration;
mod debian;
mod error;
mod preparation;
mod provider;
mod tree;
mod ubuntu;
mod vmlinux;

pub use error::KernelError;
pub use provider::{Origin, Source};
pub use vmlinux::{Vmlinux, map_file};

use crate::cache::Cache;
use error::file_error;
use livepatch_diff::EntrySizes;
use livepatch_kernel::{KernelIdentity, KernelRelease};
use livepatch_manifest::Digest;
use preparation::{create, read_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A kernel in the cache.
#[derive(Clone, Debug, Serialize, JsonSchema, Deserialize)]
pub struct Kernel {
    /// What it is.
    #[serde(flatten)]
    pub identity: KernelIdentity,
    /// Version of the image package; of a build tree, its release.
    pub version: String,
    /// Name of the source package, such as `linux-source-6.1`, or the build tree.
    pub source_package: String,
    /// The compiler's program, as the kernel's configuration names it.
    pub compiler: String,
    /// The compiler's own version line.
    pub compiler_version: String,
    /// Sizes of the structures that the special sections consist of.
    pub entry_sizes: EntrySizes,
    /// What every call of the kernel's make must carry besides release and compiler.
    #[serde(default)]
    pub make_variables: Vec<String>,
    /// The objtool command for modules, where the notes of single units do not tell it.
    #[serde(default)]
    pub objtool: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
    /// Where it is; not written.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Kernel {
    /// A kernel of the cache.
    ///
    /// # Errors
    /// [`KernelError::NotPrepared`] when it is not there.
    pub fn open(cache: &Cache, release: &KernelRelease) -> Result<Self, KernelError> {
        let folder = cache.kernels().join(release.as_str());
        let path = folder.join("kernel.json");
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KernelError::NotPrepared(release.clone()));
            }
            other => other.map_err(|source| KernelError::File { path, source })?,
        };
        let kernel: Self = serde_json::from_slice(&text)?;
        match &kernel.origin {
            Origin::Tree { path, .. } if !tree::is_unchanged(&kernel.origin) => {
                Err(KernelError::TreeChanged { release: release.clone(), tree: path.clone() })
            }
            _ => Ok(Self { folder, ..kernel }),
        }
    }

    /// All kernels of the cache, by release.
    pub fn list(cache: &Cache) -> Vec<Self> {
        let entries = std::fs::read_dir(cache.kernels()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut kernels: Vec<Self> = names.filter_map(|release| Self::open(cache, &release).ok()).collect();
        kernels.sort_by(|one, other| one.identity.release.cmp(&other.identity.release));
        kernels
    }

    /// Fetches a Debian kernel and prepares it; at once when it is there already.
    ///
    /// # Errors
    /// [`KernelError`] with what is missing and what to do.
    pub fn add(cache: &Cache, release: &KernelRelease) -> Result<Self, KernelError> {
        Self::add_from(cache, &Source::Index { release: release.clone(), version: None })
    }

    /// Takes a kernel from where it is to be had and prepares it; at once when it is there already.
    ///
    /// # Errors
    /// [`KernelError`] with what is missing and what to do.
    pub fn add_from(cache: &Cache, source: &Source) -> Result<Self, KernelError> {
        let provider = provider::of(cache, source)?;
        let release = provider.release().clone();
        let _lock = cache.lock_with_children(release.as_str()).map_err(file_error(&cache.kernels()))?;
        if let Ok(ready) = Self::open(cache, &release) {
            return match provider.version() {
                Some(wanted) if wanted != ready.version => {
                    let (prepared, wanted) = (ready.version, wanted.to_owned());
                    Err(KernelError::OtherVersion { release, prepared, wanted })
                }
                _ => Ok(ready),
            };
        }
        let folder = cache.kernels().join(release.as_str());
        remove(&folder)?;
        create(&folder)?;
        preparation::prepare(provider, &folder)
    }

    /// Removes a kernel from the cache, or what is left of one that was never ready.
    ///
    /// # Errors
    /// [`KernelError::NotPrepared`] when there is nothing of it.
    pub fn remove(cache: &Cache, release: &KernelRelease) -> Result<(), KernelError> {
        let _lock = cache.lock(release.as_str()).map_err(file_error(&cache.kernels()))?;
        let folder = cache.kernels().join(release.as_str());
        if !folder.exists() {
            return Err(KernelError::NotPrepared(release.clone()));
        }
        // First what makes it a kernel: one that is removed by half must not be used.
        let record = folder.join("kernel.json");
        match std::fs::remove_file(&record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(&record)(error)),
            _ => remove(&folder),
        }
    }

    /// SHA-256 of the source package, computed once while the package is among the downloads; `None` when it never was.
    pub fn source_digest(&self) -> Option<Digest> {
        let note = self.folder.join("source.sha256");
        if let Some(known) = std::fs::read_to_string(&note).ok().and_then(|text| text.trim().parse().ok()) {
            return Some(known);
        }
        // As apt names what it downloads: a version's colon is written %3a.
        let version = self.version.replace(':', "%3a");
        let file = format!("{}_{version}_all.deb", self.source_package);
        let package = self.folder.parent()?.parent()?.join("downloads").join(file);
        let digest = Digest::of(&std::fs::read(package).ok()?);
        // Only a note: without it the package is read again.
        let _ = crate::sign::replace(&note, format!("{digest}\n").as_bytes());
        Some(digest)
    }

    /// The prepared source tree.
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// vmlinux with its symbols.
    pub fn vmlinux(&self) -> PathBuf {
        self.folder.join("debug/vmlinux")
    }

    /// A module of the kernel, uncompressed, by its name as the kernel knows it (underscores); `None` when this kernel has
    /// no such module.
    ///
    /// # Errors
    /// [`KernelError::File`] when it cannot be read.
    pub fn module(&self, name: &str) -> Result<Option<Vec<u8>>, KernelError> {
        let path = match &self.origin {
            Origin::Tree { path, .. } => tree::module(path, name)?,
            Origin::Debian | Origin::Ubuntu => self.image_module(name)?,
        };
        let Some(path) = path else { return Ok(None) };
        let bytes = std::fs::read(&path).map_err(file_error(&path))?;
        let mut plain = Vec::new();
        let read = |decoder: &mut dyn std::io::Read, plain: &mut Vec<u8>| {
            decoder.read_to_end(plain).map(drop).map_err(file_error(&path))
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => read(&mut liblzma::read::XzDecoder::new(bytes.as_slice()), &mut plain)?,
            Some("zst") => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(bytes.as_slice());
                let mut decoder = decoder.map_err(|error| file_error(&path)(std::io::Error::other(error)))?;
                read(&mut decoder, &mut plain)?;
            }
            _ => return Ok(Some(bytes)),
        }
        Ok(Some(plain))
    }

    fn image_module(&self, name: &str) -> Result<Option<PathBuf>, KernelError> {
        let folder = self.folder.join("image/lib/modules").join(self.identity.release.as_str());
        // depmod's list names every module file of the image (modules.dep(5)).
        let list = read_text(&folder.join("modules.dep"))?;
        let is_wanted = |path: &&str| {
            let file = path.rsplit('/').next().unwrap_or_default();
            file.split('.').next().unwrap_or_default().replace('-', "_") == name
        };
        let found = list.lines().filter_map(|line| line.split(':').next()).find(is_wanted);
        Ok(found.map(|path| folder.join(path)))
    }

    /// Waits for, and then holds, the tree for a make that writes to it: two must not do so at once.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_tree(&self) -> std::io::Result<std::fs::File> {
        self.cache().lock(self.identity.release.as_str())
    }

    /// Holds the tree against writers while a make reads it; readers do not wait for one another.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_tree_shared(&self) -> std::io::Result<std::fs::File> {
        self.cache().lock_shared(self.identity.release.as_str())
    }

    /// The cache that the kernel is kept in: `ROOT/kernels/RELEASE`.
    pub(crate) fn cache(&self) -> Cache {
        Cache::at(self.folder.parent().and_then(Path::parent).unwrap_or(&self.folder))
    }

    /// The variables that every call of the kernel's make must carry: without the distribution's release name, strings
    /// and version tests come out otherwise than in the running kernel.
    pub fn make_variables(&self) -> Vec<String> {
        let mut variables = make_variables(&self.identity.release, &self.compiler);
        variables.extend(self.make_variables.iter().cloned());
        variables
    }
}

fn make_variables(release: &KernelRelease, compiler: &str) -> Vec<String> {
    vec![format!("KERNELRELEASE={release}"), format!("CC={compiler}"), format!("HOSTCC={compiler}")]
}

fn remove(path: &Path) -> Result<(), KernelError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(path)(error)),
        _ => Ok(()),
    }
}
