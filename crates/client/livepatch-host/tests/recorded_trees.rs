//! A machine as files: the shapes are those that Debian's 6.1 kernel shows.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_host::{Host, HostError};
use livepatch_kernel::Taint;
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

fn put(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn machine() -> (TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let mut notes = [4u32, 20, 3].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    notes.extend(b"GNU\0");
    notes.extend([0xab; 20]);
    put(root.path(), "sys/kernel/notes", notes);
    put(root.path(), "proc/sys/kernel/osrelease", "6.1.0-55-cloud-amd64\n");
    put(root.path(), "proc/sys/kernel/arch", "x86_64\n");
    put(root.path(), "proc/sys/kernel/tainted", "45056\n");
    put(root.path(), "proc/sys/kernel/hostname", "web1\n");
    put(root.path(), "proc/sys/kernel/random/boot_id", "5a37a7ab-5b4c-4f44-b9c2-2d4f3ec4f3d6\n");
    put(root.path(), "proc/uptime", "3600.25 7000.00\n");
    fs::create_dir_all(root.path().join("sys/kernel/livepatch")).unwrap();
    let host = Host::new(root.path());
    (root, host)
}

#[test]
fn identity_and_state() {
    let (_root, host) = machine();
    let kernel = host.kernel().unwrap();
    assert_eq!(kernel.release.as_str(), "6.1.0-55-cloud-amd64");
    assert_eq!(kernel.build_id.to_string(), "ab".repeat(20));
    assert_eq!(kernel.arch, "x86_64");
    assert_eq!(host.taint().unwrap(), Taint(45056));
    assert_eq!(host.hostname().unwrap(), "web1");
    assert_eq!(host.boot_id().unwrap(), "5a37a7ab-5b4c-4f44-b9c2-2d4f3ec4f3d6");
    assert_eq!(host.uptime().unwrap(), Duration::from_millis(3_600_250));
    assert!(host.supports_livepatch());
}

#[test]
fn livepatches_with_objects_and_functions() {
    let (root, host) = machine();
    assert_eq!(host.livepatches().unwrap(), []);
    let base = "sys/kernel/livepatch/lp_v1";
    put(root.path(), &format!("{base}/enabled"), "1\n");
    put(root.path(), &format!("{base}/transition"), "0\n");
    put(root.path(), &format!("{base}/vmlinux/patched"), "1\n");
    fs::create_dir_all(root.path().join(base).join("vmlinux/cmdline_proc_show,1")).unwrap();
    fs::create_dir_all(root.path().join(base).join("ext4/ext4_sync_fs,1")).unwrap();
    let found = host.livepatches().unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].enabled && !found[0].transition);
    assert_eq!(found[0].objects[0].name, "ext4");
    assert_eq!(found[0].objects[0].patched, None);
    assert_eq!(found[0].objects[1].functions, ["cmdline_proc_show"]);
    assert_eq!(host.livepatch("lp_v1").unwrap().as_ref(), Some(&found[0]));
    assert_eq!(host.livepatch("lp_v2").unwrap(), None);
    assert_eq!(host.livepatch("../notes").unwrap(), None);
}

#[test]
fn a_kernel_without_livepatching_has_none() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::new(root.path());
    assert!(!host.supports_livepatch());
    assert_eq!(host.livepatches().unwrap(), []);
    assert_eq!(host.modules().unwrap(), []);
}

#[test]
fn tasks_that_hold_a_transition_back_are_named() {
    let (root, host) = machine();
    for (pid, tid, state, wchan) in [(1, 1, 1, "0"), (40, 40, 0, "lpt_read"), (40, 41, -1, "0")] {
        put(root.path(), &format!("proc/{pid}/task/{tid}/patch_state"), format!("{state}\n"));
        put(root.path(), &format!("proc/{pid}/task/{tid}/comm"), "sleeper\n");
        put(root.path(), &format!("proc/{pid}/task/{tid}/wchan"), wchan);
    }
    let tasks = host.blocking_tasks(true, 10);
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].to_string(), "sleeper (pid 40) in lpt_read");
    assert_eq!(host.blocking_tasks(false, 10)[0].tid, 1);
}

#[test]
fn what_is_missing_or_odd_is_named() {
    let (root, host) = machine();
    put(root.path(), "sys/kernel/notes", "short");
    let error = host.kernel().unwrap_err();
    assert!(matches!(error, HostError::Content { expected: "GNU build id", .. }), "{error}");
    fs::remove_file(root.path().join("proc/sys/kernel/tainted")).unwrap();
    assert!(host.taint().unwrap_err().is_missing());
    put(root.path(), "proc/sys/kernel/random/boot_id", "../../etc\n");
    assert!(host.boot_id().is_err());
}
