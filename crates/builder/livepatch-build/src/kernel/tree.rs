//! A folder in which somebody built a kernel. It is used where it stands and never written to by the preparation.

use super::error::{KernelError, file_error};
use super::preparation::{Place, create, read_text};
use super::provider::{Origin, Provider, Supplied};
use super::vmlinux::{map_file, release};
use crate::narrate::step;
use livepatch_diff::Image;
use livepatch_kernel::KernelRelease;
use std::path::{Path, PathBuf};

/// What a build leaves behind and what is missing when it is not there.
const LEFT_BEHIND: [(&str, &str); 5] = [
    ("Kbuild", "name the folder of the source itself, with the kernel built in it (without O=)"),
    (".config", "configure and build the kernel in it first"),
    ("vmlinux", "run make in it, with CONFIG_DEBUG_INFO"),
    ("Module.symvers", "run make in it, modules included"),
    ("scripts/mod/.empty.o.cmd", "run make modules_prepare in it"),
];

/// A build tree.
pub(super) struct Tree {
    path: PathBuf,
    release: KernelRelease,
}

impl Tree {
    /// The tree in a folder.
    ///
    /// # Errors
    /// [`KernelError::Tree`] with what it lacks.
    pub(super) fn new(folder: &Path) -> Result<Self, KernelError> {
        let path = folder.canonicalize().map_err(file_error(folder))?;
        if let Some(&(lacks, remedy)) = LEFT_BEHIND.iter().find(|(file, _)| !path.join(file).is_file()) {
            return Err(KernelError::Tree { tree: path, lacks: lacks.into(), remedy });
        }
        let map = map_file(&path.join("vmlinux")).map_err(file_error(&path))?;
        // Not include/config/kernel.release: a release that is given on make's command line does not get there.
        let Some(release) = release(&Image::read(&map)?) else {
            let remedy = "build the kernel in it first";
            return Err(KernelError::Tree {
                tree: path,
                lacks: "linux_banner in its vmlinux".into(),
                remedy,
            });
        };
        Ok(Self { path, release })
    }
}

impl Provider for Tree {
    fn release(&self) -> &KernelRelease {
        &self.release
    }

    fn version(&self) -> Option<&str> {
        Some(self.release.as_str())
    }

    fn begin(&mut self, place: &Place<'_>) -> Result<Supplied, KernelError> {
        let source = place.source();
        std::os::unix::fs::symlink(&self.path, &source).map_err(file_error(&source))?;
        let vmlinux = self.path.join("vmlinux");
        let (size, modified) = stamp(&vmlinux)?;
        Ok(Supplied {
            origin: Origin::Tree { path: self.path.clone(), vmlinux_size: size, vmlinux_modified: modified },
            version: self.release.to_string(),
            source_package: self.path.display().to_string(),
            make_variables: Vec::new(),
            debug_remedy: "build it with CONFIG_DEBUG_INFO, and do not strip it".into(),
        })
    }

    fn complete(&self, place: &Place<'_>) -> Result<(), KernelError> {
        // A copy: the tree's own may be built again while a livepatch is made for the old one.
        let doing = step("copy vmlinux");
        create(&place.debug())?;
        let target = place.vmlinux();
        std::fs::copy(self.path.join("vmlinux"), &target).map_err(file_error(&target))?;
        doing.done("");
        Ok(())
    }

    fn is_prepared(&self) -> bool {
        true
    }
}

/// Size and time of a file.
fn stamp(path: &Path) -> Result<(u64, std::time::SystemTime), KernelError> {
    let metadata = std::fs::metadata(path).map_err(file_error(path))?;
    Ok((metadata.len(), metadata.modified().map_err(file_error(path))?))
}

/// Whether the tree that a kernel was taken from still holds that very kernel; true for any other origin.
pub(super) fn is_unchanged(origin: &Origin) -> bool {
    let Origin::Tree { path, vmlinux_size, vmlinux_modified } = origin else { return true };
    stamp(&path.join("vmlinux")).is_ok_and(|found| found == (*vmlinux_size, *vmlinux_modified))
}

/// A module's file in a build tree, by its name as the kernel knows it. modules.order lists them as `kernel/PATH.ko` or
/// `PATH.o`, depending on the kernel's version (scripts/Makefile.build).
pub(super) fn module(tree: &Path, name: &str) -> Result<Option<PathBuf>, KernelError> {
    let list = read_text(&tree.join("modules.order"))?;
    let is_wanted =
        |path: &&Path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().replace('-', "_") == name);
    let found = list.lines().map(Path::new).find(is_wanted).map(|path| path.with_extension("ko"));
    Ok(found.map(|path| match path.strip_prefix("kernel") {
        Ok(rest) if !tree.join(&path).is_file() => tree.join(rest),
        _ => tree.join(path),
    }))
}
