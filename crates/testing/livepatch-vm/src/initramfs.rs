//! Packs the guest's whole file system: busybox, modules, the caller's files, and the first program.

use crate::{cpio::Archive, modules::ModuleFile};
use std::collections::BTreeMap;

const INIT: &str = include_str!("init.sh");
/// The first program when there is a root file system on a disk.
const PIVOT: &str = include_str!("pivot.sh");
/// Takes commands; the same in both.
const AGENT: &str = include_str!("agent.sh");
/// Where the caller's files wait for the disk.
const PAYLOAD: &str = "/payload";
/// Debian's merged layout: these are links into /usr.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
const DIRECTORIES: [&str; 15] = [
    "dev",
    "etc",
    "mnt",
    "payload",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/sbin",
    "var",
];

/// The contents of an initramfs; the last entry of a name wins.
pub(crate) struct Initramfs {
    files: BTreeMap<String, (u32, Vec<u8>)>,
    load_order: Vec<String>,
}

impl Initramfs {
    /// Around a statically linked busybox.
    pub(crate) fn new(busybox: Vec<u8>) -> Self {
        let mut this = Self { files: BTreeMap::new(), load_order: Vec::new() };
        this.file("/usr/bin/busybox", 0o755, busybox);
        this.file("/init", 0o755, INIT.into());
        this.file("/agent.sh", 0o644, AGENT.into());
        this.file(
            "/etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n".into(),
        );
        this.file("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n".into());
        this.file("/etc/hosts", 0o644, "127.0.0.1 localhost guest\n10.0.2.2 host\n".into());
        this.file("/etc/hostname", 0o644, "guest\n".into());
        this
    }

    /// One that goes on with the system on a disk.
    pub(crate) fn pivot(busybox: Vec<u8>) -> Self {
        let mut this = Self::new(busybox);
        this.file("/init", 0o755, PIVOT.into());
        this
    }

    /// Adds a file that is to be copied to the disk before its system starts.
    pub(crate) fn payload(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.file(&format!("{PAYLOAD}/{}", path.trim_start_matches('/')), mode, bytes);
    }

    /// Adds a file; `path` is absolute in the guest.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.files.insert(merged(path), (mode, bytes));
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(&merged(path))
    }

    /// Adds a module that the first program loads, in the order of the calls.
    pub(crate) fn module(&mut self, module: ModuleFile) {
        self.file(&format!("/usr/lib/modules/{}", module.name), 0o644, module.bytes);
        self.load_order.push(module.name);
    }

    /// Adds a module and what it needs, and a script that loads them when it is run; what is there already stays.
    pub(crate) fn later_module(&mut self, name: &str, files: Vec<ModuleFile>) {
        let mut script = String::new();
        for file in files {
            let loaded = file.name.trim_end_matches(".ko").replace('-', "_");
            script += &format!(
                "grep -q '^{loaded} ' /proc/modules || insmod /usr/lib/modules/{} || exit 1\n",
                file.name
            );
            self.file(&format!("/usr/lib/modules/{}", file.name), 0o644, file.bytes);
        }
        self.file(&format!("/etc/modules-later/{name}"), 0o755, script.into_bytes());
    }

    /// The archive.
    pub(crate) fn pack(mut self) -> Vec<u8> {
        let order = self.load_order.iter().map(|name| format!("{name}\n")).collect::<String>();
        self.file("/etc/modules-load", 0o644, order.into_bytes());
        let mut archive = Archive::default();
        for (name, mode) in self.directories() {
            archive.directory(&name, mode);
        }
        for name in MERGED {
            archive.symlink(name, &format!("usr/{name}"));
        }
        archive.character_device("dev/console", 0o600, 5, 1);
        for (name, (mode, bytes)) in &self.files {
            archive.file(name, *mode, bytes);
        }
        archive.finish()
    }

    /// Every directory above a file, parents first.
    fn directories(&self) -> BTreeMap<String, u32> {
        let mut all: BTreeMap<String, u32> = DIRECTORIES.map(|name| (name.to_owned(), 0o755)).into();
        all.insert("tmp".into(), 0o1777);
        for name in self.files.keys() {
            for (end, _) in name.match_indices('/') {
                all.entry(name[..end].to_owned()).or_insert(0o755);
            }
        }
        all
    }
}

/// `/bin/x` is `usr/bin/x` in the archive, or it would be written over the link.
fn merged(path: &str) -> String {
    let name = path.trim_start_matches('/');
    let first = name.split('/').next().unwrap_or(name);
    if MERGED.contains(&first) { format!("usr/{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_files_and_links_are_followed() {
        let mut tree = Initramfs::new(vec![]);
        tree.file("/lib/x86_64-linux-gnu/libc.so.6", 0o755, vec![1]);
        assert!(tree.has("/usr/lib/x86_64-linux-gnu/libc.so.6"));
        let names: Vec<String> = tree.directories().into_keys().collect();
        let place = |name: &str| names.iter().position(|n| n == name);
        assert!(place("usr/lib") < place("usr/lib/x86_64-linux-gnu"));
        assert!(place("usr").is_some_and(|at| Some(at) < place("usr/lib")));
    }
}
