//! Which module files a guest needs, in which order, from the tree that depmod described.

use crate::VmError;
use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// One module file, ready to be packed.
pub(crate) struct ModuleFile {
    /// File name without a compression suffix: `virtio_net.ko`.
    pub(crate) name: String,
    /// Contents, decompressed: busybox cannot do that.
    pub(crate) bytes: Vec<u8>,
}

/// The modules with these names and everything that they depend on, in load order. Built-in ones are left out.
pub(crate) fn closure(tree: &Path, names: &[String]) -> Result<Vec<ModuleFile>, VmError> {
    let read = |name: &str| fs::read_to_string(tree.join(name)).map_err(VmError::file(tree.join(name)));
    let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for name in names {
        let Some(paths) = load_order(&dependencies, name) else {
            if builtin.lines().any(|path| is_module(path, name)) {
                continue;
            }
            return Err(VmError::NoModule { name: name.clone(), tree: tree.to_owned() });
        };
        for path in paths {
            if seen.insert(path) {
                files.push(read_module(&tree.join(path))?);
            }
        }
    }
    Ok(files)
}

/// Whether the kernel has the module, loadable or built in.
pub(crate) fn has(tree: &Path, name: &str) -> bool {
    ["modules.dep", "modules.builtin"].iter().any(|list| {
        fs::read_to_string(tree.join(list)).is_ok_and(|text| {
            text.lines().any(|line| is_module(line.split(':').next().unwrap_or(line), name))
        })
    })
}

/// A line of modules.dep lists what a module needs, nearest first (modules.dep(5)); loading goes from the far end.
fn load_order<'a>(dependencies: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let (path, needs) = dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(path, _)| is_module(path, name))?;
    let mut order: Vec<&str> = needs.split_whitespace().collect();
    order.reverse();
    order.push(path);
    Some(order)
}

/// Module names do not distinguish `-` and `_`; files may be compressed.
fn is_module(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.len() == name.len()
        && stem.bytes().zip(name.bytes()).all(|(a, b)| a == b || (b"-_".contains(&a) && b"-_".contains(&b)))
}

fn read_module(path: &PathBuf) -> Result<ModuleFile, VmError> {
    let raw = fs::read(path).map_err(VmError::file(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(plain) = name.strip_suffix(".xz") {
        let mut bytes = Vec::new();
        liblzma::read::XzDecoder::new(raw.as_slice()).read_to_end(&mut bytes).map_err(VmError::file(path))?;
        return Ok(ModuleFile { name: plain.to_owned(), bytes });
    }
    Ok(ModuleFile { name: name.into_owned(), bytes: raw })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    const DEP: &str = "kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko\n\
                       kernel/net/core/failover.ko:\n\
                       kernel/drivers/misc/pvpanic/pvpanic-pci.ko.xz: kernel/drivers/misc/pvpanic/pvpanic.ko.xz\n";

    #[test]
    fn farthest_dependency_comes_first() {
        let order = load_order(DEP, "virtio_net").unwrap();
        assert_eq!(order.first(), Some(&"kernel/net/core/failover.ko"));
        assert_eq!(order.last(), Some(&"kernel/drivers/net/virtio_net.ko"));
    }

    #[test]
    fn names_ignore_dash_and_underscore_but_nothing_else() {
        assert!(load_order(DEP, "pvpanic_pci").is_some());
        assert!(load_order(DEP, "pvpanic").is_none());
        assert!(load_order(DEP, "virtio").is_none());
    }
}
