//! The harness on a real kernel: the newest one that is prepared in the cache.
#![allow(clippy::unwrap_used, missing_docs)] // a failed expectation is the test's answer

use livepatch_vm::{CachedKernel, Exit, GuestBuilder, RootFileSystem, VmError};
use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

const SHORT: Duration = Duration::from_secs(30);

fn builder() -> GuestBuilder {
    GuestBuilder::for_kernel(&CachedKernel::find(None).unwrap())
}

#[test]
fn commands_have_a_status_both_outputs_and_do_not_block_each_other() {
    let guest = builder().program("/usr/bin/setpriv", "/usr/bin/setpriv").boot().unwrap();
    let output = guest.run("echo out; echo err >&2; exit 3", SHORT).unwrap();
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (3, "out\n", "err\n"));
    let release = guest.check("uname -r", SHORT).unwrap();
    assert_eq!(release.trim(), CachedKernel::find(None).unwrap().release);

    let hung = guest.run("sleep 600", Duration::from_millis(300));
    assert!(matches!(hung, Err(VmError::TimedOut { .. })), "{hung:?}");
    assert_eq!(guest.check("echo on", SHORT).unwrap(), "on\n");

    let megabyte = guest.check("head -c 1000000 /dev/zero | tr '\\0' x", SHORT).unwrap();
    assert_eq!(megabyte.len(), 1_000_000);
    let bytes: Vec<u8> = (0..30_000_u32).map(|n| (n % 251) as u8).collect();
    guest.write_file("/tmp/deep/file", &bytes).unwrap();
    assert_eq!(
        guest.check("wc -c < /tmp/deep/file; md5sum < /tmp/deep/file", SHORT).unwrap().lines().next(),
        Some("30000")
    );
    assert!(
        guest.run("/usr/bin/setpriv --version", SHORT).unwrap().stdout.contains("util-linux"),
        "a dynamic program runs"
    );
    assert_eq!(guest.shutdown().unwrap(), Exit::PoweredOff);
}

/// Commands that follow one another at once once lost the beginnings of their lines.
#[test]
fn no_command_is_lost_in_a_hurry() {
    let guest = builder().boot().unwrap();
    for number in 0..60 {
        let padding = "x".repeat(number * 7);
        let answer = guest.check(&format!("echo {number} {padding}; sleep 0.01 & true"), SHORT).unwrap();
        assert_eq!(answer.trim_end(), format!("{number} {padding}").trim_end());
    }
}

#[test]
fn the_host_is_reached_over_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let count = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
        String::from_utf8_lossy(&request[..count]).into_owned()
    });
    let guest = builder().network(true).boot().unwrap();
    assert_eq!(guest.check(&format!("wget -q -O - http://10.0.2.2:{port}/x"), SHORT).unwrap(), "hello\n");
    assert!(server.join().unwrap().starts_with("GET /x "));
}

#[test]
fn a_panic_is_no_power_off() {
    let guest = builder().boot().unwrap();
    let start = Instant::now();
    let end = guest.run("echo c > /proc/sysrq-trigger", Duration::from_secs(60));
    assert!(matches!(end, Err(VmError::Gone { exit: Exit::Panicked, .. })), "{end:?}");
    assert_eq!(guest.wait_for_exit(SHORT).unwrap(), Exit::Panicked);
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(guest.console().contains("sysrq triggered crash"));
    assert_eq!(guest.oops(), None, "a panic on request is no oops");
}

#[test]
fn a_module_that_the_kernel_lacks_is_named() {
    let error = builder().module("no_such_module").boot().unwrap_err();
    assert!(matches!(&error, VmError::NoModule { name, .. } if name == "no_such_module"), "{error}");
}

#[test]
fn a_debian_system_keeps_what_was_written_to_its_disk() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RootFileSystem::get().unwrap().disk(directory.path().join("root.qcow2")).unwrap();
    let guest = builder().root_disk(&disk).contents("/srv/from-host", 0o640, "hello\n").boot().unwrap();
    assert_eq!(guest.check("systemctl is-system-running --wait", SHORT).unwrap().trim(), "running");
    assert_eq!(guest.check("stat -c %a /srv/from-host; cat /srv/from-host", SHORT).unwrap(), "640\nhello\n");
    guest.check("dpkg --audit; echo kept > /srv/kept; sync; echo lost > /srv/lost", SHORT).unwrap();
    guest.cut_power();

    let guest = builder().root_disk(&disk).boot().unwrap();
    assert_eq!(guest.check("cat /srv/kept; [ ! -s /srv/lost ] && echo gone", SHORT).unwrap(), "kept\ngone\n");
    guest.check("echo orderly > /srv/orderly", SHORT).unwrap();
    assert_eq!(guest.shutdown_in_order(Duration::from_secs(120)).unwrap(), Exit::PoweredOff);

    let other = disk.fork(directory.path().join("fork.qcow2")).unwrap();
    let guest = builder().root_disk(&other).boot().unwrap();
    assert_eq!(guest.check("cat /srv/orderly", SHORT).unwrap(), "orderly\n");
}
