//! The power goes at every durable step of enrolling and applying, and when the disk is full.
//!
//! The client's state is on a disk of its own whose writes are logged. A first machine enrols, applies, and confirms; then
//! its disk is rebuilt as it was after each flush, so no step is missed and the client needs no hook for tests. A second
//! machine, which to the client is the first one after a reboot, starts from each of these states.

use crate::{
    installed::{LIMIT, Stage, enable, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_e2e::{Machine, Site, run_logged};
use livepatch_manifest::{Digest, Manifest};
use livepatch_vm::LoggedDisk;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Large enough for the client's state several times.
const SIZE: &str = "24M";
const MOUNT: &str = "mkdir -p /var/lib/livepatch && \
    disk=$(grep -lx state /sys/block/vd*/serial | cut -d/ -f4) && mount /dev/$disk /var/lib/livepatch";
/// Where the states wait in the second machine.
const STATES: &str = "/root/states";

#[test]
#[ignore = "long: cargo xtask test --long"]
fn after_a_power_cut_at_any_durable_step_the_machine_goes_on_or_says_why_not() {
    let stage = Stage::new();
    let site = stage.scene.site();
    let good = stage.scene.prepared.manifest().unwrap();
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    let states = record(&stage, &site);
    eprintln!("{} different states of the client after a power cut", states.len());
    assert!(states.len() >= 8, "enrolling and applying have more durable steps than these");

    let archive = stage.scene.directory.path().join("states.tar");
    let mut tar = Command::new("tar");
    tar.arg("--numeric-owner")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(stage.scene.directory.path().join("states"))
        .arg(".");
    run_logged(&mut tar, &stage.scene.directory.path().join("tar.log"), &|_| {}).unwrap();
    let machine =
        stage.install_with(600, |builder| builder.file(&archive, "/root/states.tar", 0o600), "true");
    machine.guest().check(&format!("mkdir {STATES} && tar -xf /root/states.tar -C {STATES}"), LIMIT).unwrap();
    let mut seen = [0; 4];
    for state in &states {
        seen[start_from(&machine, &site, &good, state) as usize] += 1;
    }
    eprintln!("of them not enrolled, enrolled, blocked, confirmed: {seen:?}");
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");

    fill_the_disk(&machine, &site, &good);
}

/// What a machine made of a state.
#[derive(Clone, Copy)]
enum Found {
    NotEnrolled,
    Enrolled,
    Blocked,
    Confirmed,
}

/// Enrols, applies and confirms on a machine whose state is on a logged disk; gives each state that a power cut would
/// have left.
fn record(stage: &Stage, site: &Site) -> Vec<PathBuf> {
    let directory = stage.scene.directory.path();
    let image = directory.join("state.img");
    let log = directory.join("state.log.txt");
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.env("PATH", path()).args(["-q", "-t", "ext4", "-m", "0"]).arg(&image).arg(SIZE);
    run_logged(&mut mke2fs, &log, &|_| {}).unwrap();
    let disk = LoggedDisk::new(image).unwrap();
    let machine = stage.install_with(3, |builder| builder.logged_disk("state", &disk), MOUNT);
    enable(&machine, site);
    wait_for_state(&machine, "applied");
    machine.cut_power();

    let states = directory.join("states");
    fs::create_dir(&states).unwrap();
    let (mut found, mut last) = (Vec::new(), None);
    let visit = |moment: usize, image: &Path| -> anyhow::Result<()> {
        let state = states.join(format!("{moment:03}"));
        fs::create_dir(&state)?;
        // What the kernel does at a mount, then all files out of the image.
        let mut recover = Command::new("e2fsck");
        recover.env("PATH", path()).args(["-y", "-E", "journal_only"]).arg(image);
        run_logged(&mut recover, &log, &|_| {})?;
        let mut dump = Command::new("debugfs");
        dump.env("PATH", path()).arg("-R").arg(format!("rdump / {}", state.display())).arg(image);
        run_logged(&mut dump, &log, &|_| {})?;
        let digest = contents(&state)?;
        if last.as_ref() == Some(&digest) {
            fs::remove_dir_all(&state)?;
        } else {
            found.push(state);
            last = Some(digest);
        }
        Ok(())
    };
    let log = disk.read_log().unwrap();
    eprintln!("{} durable writes", log.moments() - 1);
    log.visit(visit).unwrap();
    found
}

/// debugfs and e2fsck are in sbin, which not everybody has in the path.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// A digest of all files below a directory, names included; but for files that are not whole yet (`.new-…`), which half of
/// all states have and the client never reads.
fn contents(directory: &Path) -> anyhow::Result<Digest> {
    let (mut pending, mut files) = (vec![directory.to_owned()], Vec::new());
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let is_new = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".new-"));
            if is_new {
                continue;
            }
            if path.is_dir() { pending.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(file.to_string_lossy().replace(&*directory.to_string_lossy(), "").into_bytes());
        all.extend(Digest::of(&fs::read(&file)?).as_str().as_bytes());
    }
    Ok(Digest::of(&all))
}

/// Starts the client from this state; whatever it finds, the livepatch is in the kernel in the end, and what the client
/// knows is sound.
#[track_caller]
fn start_from(machine: &Machine, site: &Site, good: &Manifest, state: &Path) -> Found {
    let name = state.file_name().unwrap().to_string_lossy().into_owned();
    become_fresh(
        machine,
        &format!("cp -a {STATES}/{name}/. /var/lib/livepatch/ && rm -rf /var/lib/livepatch/lost+found"),
    );
    // Done once the daemon has done all that it does by itself at its start.
    let settled = machine.livepatch("config set soak_seconds=600").unwrap();
    assert_eq!(settled.status, 0, "{settled:?}");
    let unfinished = machine.guest().check("find /var/lib/livepatch -name '.new-*'", LIMIT).unwrap();
    assert_eq!(unfinished, "", "what a power cut left is taken away");
    let status = machine.status().unwrap();
    let said = || format!("state {name}: {status:#}\n{}", machine.daemon_log());
    let found = match status["state"].as_str().unwrap_or_default() {
        "disabled" => Found::NotEnrolled,
        "soaking" | "applied" => Found::Confirmed,
        _ if status["blocked"].as_array().is_some_and(|blocked| !blocked.is_empty()) => Found::Blocked,
        _ => Found::Enrolled,
    };
    let in_kernel_now = in_kernel(machine);
    match found {
        Found::Confirmed => assert_eq!(in_kernel_now, [good.name.as_str()], "{}", said()),
        _ => assert_eq!(in_kernel_now, Vec::<String>::new(), "{}", said()),
    }
    match found {
        Found::NotEnrolled => enable(machine, site),
        Found::Enrolled | Found::Confirmed => {
            assert_eq!(machine.livepatch("refresh").unwrap().status, 0, "{}", said());
        }
        Found::Blocked => {
            machine.livepatch("refresh").unwrap();
            assert_eq!(in_kernel(machine), Vec::<String>::new(), "{}", said());
            let cleared =
                machine.livepatch(&format!("blocked clear {}", good.module.sha256.short())).unwrap();
            assert_eq!(cleared.status, 0, "{cleared:?}");
            assert_eq!(machine.livepatch("refresh").unwrap().status, 0, "{}", said());
        }
    }
    assert_eq!(in_kernel(machine), [good.name.as_str()], "{}", said());
    let log = machine.daemon_log();
    assert!(!log.contains("panicked"), "{log}");
    found
}

/// An unpatched kernel and a client that knows nothing but what the command brings.
fn become_fresh(machine: &Machine, bring: &str) {
    let script = format!(
        "systemctl stop livepatchd
         for patch in /sys/kernel/livepatch/*/; do
             [ -d \"$patch\" ] || continue
             name=$(basename \"$patch\")
             echo 0 > \"$patch/enabled\"
             while [ -d \"$patch\" ]; do sleep 0.1; done
             rmmod \"$name\"
         done
         mkdir -p /var/lib/livepatch && find /var/lib/livepatch -mindepth 1 -delete && {bring} &&
         journalctl -q --rotate --vacuum-time=1s; systemctl start livepatchd"
    );
    machine.guest().check(&script, LIMIT).unwrap();
}

/// The client's disk has no room for the module: a refusal that says so; with room again, all is well.
fn fill_the_disk(machine: &Machine, site: &Site, good: &Manifest) {
    become_fresh(machine, "mount -t tmpfs -o size=64k tmpfs /var/lib/livepatch");
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_ne!(output.status, 0, "{said}");
    assert!(said.contains("No space left"), "the reason must be named: {said}");
    assert_eq!(in_kernel(machine), Vec::<String>::new());
    machine.status().unwrap();

    machine.guest().check("mount -o remount,size=16M /var/lib/livepatch", LIMIT).unwrap();
    if machine.livepatch("refresh").unwrap().status == 6 {
        enable(machine, site);
    }
    assert_eq!(in_kernel(machine), [good.name.as_str()], "{}", machine.daemon_log());
}
