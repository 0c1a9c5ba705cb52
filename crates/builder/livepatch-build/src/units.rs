//! Which translation units a kernel was built from, and into what: read from its own debug information.
//!
//! The index `units.json` lies beside `kernel.json`. It is made once per kernel, when it is first needed: vmlinux is at
//! hand, the modules' debug files are read out of the distribution's debug package without unpacking it.

use crate::cache::Cache;
use crate::kernel::{Kernel, map_file};
use crate::narrate::step;
use livepatch_judge::{DebugError, unit_names};
use livepatch_source::includes::normalised;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The object that is no module.
pub const VMLINUX: &str = "vmlinux";

/// Version of the index; another is made anew.
const SCHEMA: u32 = 1;
/// Debug files that are held in memory at once while a package is read.
const BATCH: usize = 16;

/// The units of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    schema: u32,
    /// Source path within the tree, to what it is part of: `vmlinux` or modules, as the kernel names them.
    owners: BTreeMap<String, Vec<String>>,
    /// Whether the modules' debug information was at hand; otherwise only the units of vmlinux are known.
    complete: bool,
}

/// Why the units of a kernel are not known.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// A binary's debug information cannot be read.
    #[error("cannot tell from {} which source files it was built from", binary.display())]
    Debug {
        /// vmlinux or a module's debug file.
        binary: PathBuf,
        /// Why.
        #[source]
        source: DebugError,
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
}

impl Units {
    /// The units of a prepared kernel, from the index; makes the index when there is none.
    ///
    /// # Errors
    /// [`UnitsError`] when debug information cannot be read.
    pub fn of(kernel: &Kernel) -> Result<Self, UnitsError> {
        let path = index_path(&kernel.folder);
        if let Some(known) = read(&path) {
            return Ok(known);
        }
        let lock = kernel.cache().lock(&format!("{}-units", kernel.identity.release));
        let _lock = lock.map_err(|source| UnitsError::File { path: path.clone(), source })?;
        if let Some(known) = read(&path) {
            return Ok(known);
        }
        let package = debug_package(kernel);
        Self::make(kernel.identity.release.as_str(), &kernel.folder, package.as_deref())
    }

    /// Makes the index of a kernel in its folder; `package` has the debug files of its modules, unless they are in its tree.
    ///
    /// # Errors
    /// [`UnitsError`] when debug information cannot be read.
    pub(crate) fn make(release: &str, folder: &Path, package: Option<&Path>) -> Result<Self, UnitsError> {
        let step = step(format!("find out which source files {release} was built from"));
        let source = folder.join("source");
        let mut units = Self { schema: SCHEMA, ..Self::default() };
        units.add_binary(VMLINUX, &folder.join("debug/vmlinux"), &source)?;
        match package {
            Some(package) => units.add_package(package, &source)?,
            None => units.add_built_modules(&source)?,
        }
        units.write(&index_path(folder))?;
        step.done(units.summary());
        Ok(units)
    }

    /// What a source file is part of; nothing when this kernel was not built from it.
    pub fn owners(&self, source: &str) -> &[String] {
        self.owners.get(source).map_or(&[], Vec::as_slice)
    }

    /// The object of a unit, as kbuild names it. What a module's makefile takes from a folder elsewhere that has none comes
    /// by a detour, such as `arch/x86/kvm/../../../virt/kvm/kvm_main.o`.
    pub fn object_of(&self, source: &str, tree: &Path) -> String {
        let object = format!("{}.o", source.strip_suffix(".c").unwrap_or(source));
        let builds =
            |folder: &str| ["Makefile", "Kbuild"].iter().any(|file| tree.join(folder).join(file).exists());
        let [owner] = self.owners(source) else { return object };
        if owner == VMLINUX || builds(folder_of(source)) {
            return object;
        }
        let mut homes: BTreeMap<&str, usize> = BTreeMap::new();
        let of_owner = self.owners.iter().filter(|(_, owners)| owners.contains(owner));
        for folder in of_owner.map(|(unit, _)| folder_of(unit)).filter(|folder| builds(folder)) {
            *homes.entry(folder).or_default() += 1;
        }
        match homes.into_iter().max_by_key(|(_, units)| *units) {
            Some((home, _)) if !object.starts_with(&format!("{home}/")) => {
                let up = "../".repeat(home.split('/').count());
                format!("{home}/{up}{object}")
            }
            _ => object,
        }
    }

    /// Whether a file that is not listed is certainly no unit.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// All source files, in order.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.owners.keys().map(String::as_str)
    }

    /// Units in the same folder, in order.
    pub fn in_folder<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.sources().filter(move |source| folder_of(source) == folder)
    }

    /// Units of one object, all that there are.
    #[cfg(test)]
    pub(crate) fn with(owner: &str, sources: &[&str]) -> Self {
        let owners = sources.iter().map(|source| ((*source).to_owned(), vec![owner.to_owned()])).collect();
        Self { schema: SCHEMA, owners, complete: true }
    }

    fn add_binary(&mut self, owner: &str, binary: &Path, tree: &Path) -> Result<(), UnitsError> {
        let file_error = |source| UnitsError::File { path: binary.to_owned(), source };
        let map = map_file(binary).map_err(file_error)?;
        let names =
            unit_names(&map).map_err(|source| UnitsError::Debug { binary: binary.to_owned(), source })?;
        self.add(owner, names, tree);
        Ok(())
    }

    fn add(&mut self, owner: &str, names: Vec<String>, tree: &Path) {
        for name in names {
            let Some(source) = within_tree(&name, tree) else { continue };
            let owners = self.owners.entry(source).or_default();
            if !owners.iter().any(|known| known == owner) {
                owners.push(owner.to_owned());
            }
        }
    }

    /// Reads the modules' debug files out of a package, a few at a time.
    fn add_package(&mut self, package: &Path, tree: &Path) -> Result<(), UnitsError> {
        let file_error = |source| UnitsError::File { path: package.to_owned(), source };
        let mut unpacker = Command::new("dpkg-deb");
        unpacker.arg("--fsys-tarfile").arg(package).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut unpacker = unpacker.spawn().map_err(file_error)?;
        let pipe = unpacker.stdout.take().ok_or_else(|| file_error(std::io::Error::other("no pipe")))?;
        let mut archive = tar::Archive::new(pipe);
        let (mut batch, mut any) = (Vec::new(), false);
        for entry in archive.entries().map_err(file_error)? {
            let mut entry = entry.map_err(file_error)?;
            let path = entry.path().map_err(file_error)?.into_owned();
            let is_module = path.to_string_lossy().contains("/lib/modules/") && module_name(&path).is_some();
            if !is_module || !entry.header().entry_type().is_file() {
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(file_error)?;
            batch.push((path, bytes));
            any = true;
            if batch.len() == BATCH {
                self.add_batch(std::mem::take(&mut batch), tree)?;
            }
        }
        self.add_batch(batch, tree)?;
        let status = unpacker.wait().map_err(file_error)?;
        if !status.success() {
            return Err(file_error(std::io::Error::other("the package is damaged")));
        }
        self.complete = any;
        Ok(())
    }

    fn add_batch(&mut self, batch: Vec<(PathBuf, Vec<u8>)>, tree: &Path) -> Result<(), UnitsError> {
        let named: Result<Vec<(String, Vec<String>)>, UnitsError> = batch
            .into_par_iter()
            .map(|(path, bytes)| {
                let names = unit_names(&bytes);
                let names = names.map_err(|source| UnitsError::Debug { binary: path.clone(), source })?;
                Ok((module_name(&path).unwrap_or_default(), names))
            })
            .collect();
        for (module, names) in named? {
            self.add(&module, names, tree);
        }
        Ok(())
    }

    /// The modules of a build tree, which have their debug information in them.
    fn add_built_modules(&mut self, tree: &Path) -> Result<(), UnitsError> {
        let Ok(list) = std::fs::read_to_string(tree.join("modules.order")) else { return Ok(()) };
        for line in list.lines() {
            // `kernel/fs/x.ko` before 6.2, `fs/x.o` since (scripts/Makefile.modpost).
            let path = Path::new(line.strip_prefix("kernel/").unwrap_or(line)).with_extension("ko");
            let Some(module) = module_name(&path) else { continue };
            if !tree.join(&path).exists() {
                return Ok(());
            }
            self.add_binary(&module, &tree.join(&path), tree)?;
        }
        self.complete = true;
        Ok(())
    }

    fn write(&self, path: &Path) -> Result<(), UnitsError> {
        let file_error = |source| UnitsError::File { path: path.to_owned(), source };
        let bytes = serde_json::to_vec(self).map_err(|error| file_error(error.into()))?;
        crate::sign::replace(path, &bytes).map_err(file_error)
    }

    fn summary(&self) -> String {
        let modules: std::collections::BTreeSet<&String> = self.owners.values().flatten().collect();
        let count = modules.len().saturating_sub(1);
        let known = if self.complete { format!("{count} modules") } else { "modules unknown".into() };
        format!("{} files, {known}", self.owners.len())
    }
}

fn index_path(folder: &Path) -> PathBuf {
    folder.join("units.json")
}

/// A damaged index is as good as none.
fn read(path: &Path) -> Option<Units> {
    let units: Units = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (units.schema == SCHEMA).then_some(units)
}

/// The downloaded package with the modules' debug files.
fn debug_package(kernel: &Kernel) -> Option<PathBuf> {
    let cache: Cache = kernel.cache();
    let name = format!("linux-image-{}-dbg", kernel.identity.release);
    crate::packages::downloaded(&cache.downloads(), &name, &kernel.version)
}

fn folder_of(source: &str) -> &str {
    source.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `nf_tables` of `…/nf-tables.ko`.
fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".ko").or_else(|| name.strip_suffix(".ko.debug"))?;
    Some(stem.replace('-', "_"))
}

/// A unit's name as a path within the tree; `None` for what the tree does not have, such as `.mod.c` files. The compiler
/// may have been given a path from a build folder elsewhere: then the longest end of it that is in the tree counts.
fn within_tree(name: &str, tree: &Path) -> Option<String> {
    let is_there = |path: &str| tree.join(path).is_file();
    let rooted = name.trim_start_matches("./");
    if let Some(path) = normalised(rooted)
        && !rooted.starts_with('/')
        && is_there(&path)
    {
        return Some(path);
    }
    let mut rest = rooted;
    while let Some((_, behind)) = rest.split_once('/') {
        rest = behind;
        if rest.contains('/') && normalised(rest).as_deref() == Some(rest) && is_there(rest) {
            return Some(rest.to_owned());
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for file in ["fs/x/a.c", "fs/x/b.c", "kernel/main.c"] {
            std::fs::create_dir_all(tree.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(
                tree.path().join(file),
                format!("int f_{}(void) {{ return 1; }}\n", file.replace(['/', '.'], "_")),
            )
            .unwrap();
        }
        tree
    }

    #[test]
    fn names_are_brought_into_the_tree() {
        let tree = tree();
        let within = |name: &str| within_tree(name, tree.path());
        assert_eq!(within("fs/x/a.c").as_deref(), Some("fs/x/a.c"));
        assert_eq!(within("./fs/x/../x/a.c").as_deref(), Some("fs/x/a.c"));
        assert_eq!(within("/build/linux-6.1/fs/x/a.c").as_deref(), Some("fs/x/a.c"));
        assert_eq!(within("../../../../kernel/main.c").as_deref(), Some("kernel/main.c"));
        assert_eq!(within("fs/x/x.mod.c"), None);
        assert_eq!(within(""), None);
    }

    #[test]
    fn what_a_module_takes_from_elsewhere_comes_by_a_detour() {
        let tree = tempfile::tempdir().unwrap();
        for makefile in ["arch/x86/kvm/Makefile", "fs/xfs/Makefile", "virt/Makefile"] {
            std::fs::create_dir_all(tree.path().join(makefile).parent().unwrap()).unwrap();
            std::fs::write(tree.path().join(makefile), "").unwrap();
        }
        let kvm = ["arch/x86/kvm/x86.c", "virt/kvm/kvm_main.c", "virt/kvm/eventfd.c"];
        let mut units = Units::with("kvm", &kvm);
        units.owners.extend(Units::with("xfs", &["fs/xfs/xfs_log.c", "fs/xfs/libxfs/xfs_attr.c"]).owners);
        units.owners.extend(Units::with(VMLINUX, &["lib/deep/a.c"]).owners);
        for (source, object) in [
            ("virt/kvm/kvm_main.c", "arch/x86/kvm/../../../virt/kvm/kvm_main.o"),
            ("arch/x86/kvm/x86.c", "arch/x86/kvm/x86.o"),
            ("fs/xfs/libxfs/xfs_attr.c", "fs/xfs/libxfs/xfs_attr.o"),
            ("lib/deep/a.c", "lib/deep/a.o"),
            ("lib/unknown.c", "lib/unknown.o"),
        ] {
            assert_eq!(units.object_of(source, tree.path()), object, "{source}");
        }
    }

    #[test]
    fn units_are_read_from_binaries_and_kept() {
        let tree = tree();
        let compile = |sources: &[&str], object: &str| {
            let mut gcc = Command::new("gcc");
            gcc.args(["-g", "-r", "-nostdlib", "-o", object]).args(sources).current_dir(tree.path());
            assert!(gcc.status().unwrap().success());
        };
        compile(&["kernel/main.c"], "vmlinux");
        compile(&["fs/x/a.c", "fs/x/b.c"], "fs/x/x-y.ko");
        std::fs::write(tree.path().join("modules.order"), "kernel/fs/x/x-y.ko\n").unwrap();
        let mut units = Units { schema: SCHEMA, ..Units::default() };
        units.add_binary(VMLINUX, &tree.path().join("vmlinux"), tree.path()).unwrap();
        assert!(!units.is_complete());
        units.add_built_modules(tree.path()).unwrap();
        assert!(units.is_complete());
        assert_eq!(units.owners("fs/x/a.c"), ["x_y"]);
        assert_eq!(units.owners("kernel/main.c"), [VMLINUX]);
        assert!(units.owners("fs/x/c.c").is_empty());
        assert_eq!(units.in_folder("fs/x").collect::<Vec<_>>(), ["fs/x/a.c", "fs/x/b.c"]);
        let path = tree.path().join("units.json");
        units.write(&path).unwrap();
        assert_eq!(read(&path), Some(units));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path), None);
    }
}
