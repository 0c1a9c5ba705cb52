//! Livepatches that do harm, on one machine and its next boot: somebody else's is in the way, one warns, one cannot get in, one
//! brings the machine down. Each time the client ends in a defined state, says whose fault it was, and tries nothing twice.

use crate::{
    proxy::{Answer, Proxy},
    scene::{Scene, TIER, assert_applied, command_line, field},
};
use livepatch_e2e::{Client, Machine, Site};
use livepatch_manifest::Manifest;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Less than the 15 seconds after which the kernel wakes sleeping tasks itself (kernel/livepatch/transition.c): a sleeper then
/// holds the transition back for long enough.
const CONFIG: &str = "transition_deadline_seconds = 8\n";
const CONFIG_FILE: &str = "/etc/livepatch/livepatchd.toml";

#[test]
fn livepatches_that_do_harm() {
    let scene = Scene::new();
    let site = scene.site();
    let warns = scene.livepatch(&site, "complains.patch", 2);
    let stalls = scene.livepatch(&site, "stalls.patch", 3);
    site.publish(&scene.prepared.build(), TIER).unwrap();
    let builder = Machine::builder(&scene.prepared.kernel, scene.directory.path().join("first"))
        .append("oops=panic")
        .contents("/bin/warn-me", 0o755, reader())
        .contents("/bin/crash-me", 0o755, reader())
        .contents("/foreign.ko", 0o600, renamed(&scene))
        .contents(CONFIG_FILE, 0o644, CONFIG);
    let machine = Machine::boot(builder, Client::Programs(&scene.programs)).unwrap();

    somebody_elses_is_respected(&machine, &scene, &site);
    site.publish(&warns.build(), TIER).unwrap();
    one_that_warns_is_taken_back(&machine, &scene, &warns.manifest().unwrap());
    site.publish(&stalls.build(), TIER).unwrap();
    let stalls = stalls.manifest().unwrap();
    one_that_cannot_get_in_waits(&machine, &stalls);
    let state = one_that_crashes_takes_the_machine_down(&machine, &scene);
    the_next_boot_knows(&scene, &state, &stalls);
}

fn somebody_elses_is_respected(machine: &Machine, scene: &Scene, site: &Site) {
    machine.guest().check("insmod /foreign.ko", LIMIT).unwrap();
    let proxy = Proxy::to(site.port());
    let output = machine.enable(&site.create_token(TIER).unwrap(), &proxy.guest_url()).unwrap();
    assert_ne!(output.status, 0, "{output:?}");
    assert_eq!(field(machine, "/last_failure/code"), "other-livepatch", "{output:?}");
    assert_eq!(machine.kernel_state().unwrap().livepatches.len(), 1, "the other one alone");

    let name = foreign_name(&scene.prepared.manifest().unwrap().name);
    let script = format!(
        "echo 0 > /sys/kernel/livepatch/{name}/enabled
         for _ in $(seq 300); do [ -d /sys/kernel/livepatch/{name} ] || break; usleep 100000; done; rmmod {name}"
    );
    machine.guest().check(&script, LIMIT).unwrap();
    // A server that is overloaded in between is no state of emergency.
    proxy.alter(|_, _| Answer { status: 503, body: b"busy".to_vec() });
    let output = machine.livepatch("refresh").unwrap();
    assert_ne!(output.status, 0, "{output:?}");
    assert_eq!(field(machine, "/last_check/code"), "repository-unreachable");
    proxy.be_honest();
    a_wrong_clock_is_named(machine);
    let output = machine.livepatch("refresh").unwrap();
    assert_applied(machine, &scene.prepared.manifest().unwrap(), &output);
}

/// Before its time nobody is asked; long after it, who is behind is said. Set right, all is well. (1970 itself cannot be set: a
/// kernel takes no time from which its uptime leads before 1970.)
pub(crate) fn a_wrong_clock_is_named(machine: &Machine) {
    let now = machine.guest().check("date +%s", LIMIT).unwrap();
    for (clock, code, words) in [
        ("31536000", "clock-wrong", "this machine's clock says 1971-01-01"),
        ("2145916800", "metadata-expired", "this machine's clock says 2038-01-01"),
    ] {
        machine.guest().check(&format!("date -s @{clock}"), LIMIT).unwrap();
        let output = machine.livepatch("refresh").unwrap();
        assert_ne!(output.status, 0, "{output:?}");
        let status = machine.status().unwrap();
        assert_eq!(status["last_check"]["code"], code, "{status:#}");
        let message = status["last_check"]["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains("timedatectl"), "{message}");
    }
    machine.guest().check(&format!("date -s @{}", now.trim()), LIMIT).unwrap();
}

fn one_that_warns_is_taken_back(machine: &Machine, scene: &Scene, warns: &Manifest) {
    let output = machine.livepatch("refresh").unwrap();
    assert_applied(machine, warns, &output);
    machine.guest().check("warn-me", LIMIT).unwrap();
    // The daemon looks every few seconds while it soaks.
    let script = format!(
        "for _ in $(seq 600); do [ -d /sys/kernel/livepatch/{} ] || exit 0; usleep 100000; done; exit 1",
        warns.name
    );
    assert!(machine.guest().check(&script, LIMIT).is_ok(), "{}", machine.daemon_log());
    let first = scene.prepared.manifest().unwrap();
    let output = machine.livepatch("refresh").unwrap();
    let said = format!("{output:?}\n{}", machine.daemon_log());
    let state = machine.kernel_state().unwrap();
    assert_eq!(state.livepatches[0].name, first.name, "the one before is good enough: {said}");
    let status = machine.status().unwrap();
    assert_eq!(status["blocked"][0]["sha256"], warns.module.sha256.as_str(), "{status:#}");
    let evidence = status["blocked"][0]["evidence"].as_str().unwrap();
    assert!(evidence.starts_with("warning in its function cmdline_proc_show: WARNING: CPU:"), "{evidence}");
}

fn one_that_cannot_get_in_waits(machine: &Machine, stalls: &Manifest) {
    machine.guest().check("mkfifo /fifo", LIMIT).unwrap();
    machine.guest().spawn("exec cat /fifo", "/dev/null").unwrap();
    let before = machine.kernel_state().unwrap().livepatches;
    let output = machine.livepatch("refresh").unwrap();
    assert_ne!(output.status, 0, "{output:?}");
    let status = machine.status().unwrap();
    assert_eq!(status["last_failure"]["code"], "transition-stalled", "{status:#}");
    let message = status["last_failure"]["message"].as_str().unwrap();
    assert!(message.contains("cat (pid ") && message.contains("`cat /fifo`"), "{message}");
    assert!(message.contains("fifo_open"), "the stack is named: {message}");
    let state = machine.kernel_state().unwrap();
    assert_eq!(state.livepatches, before, "reverted");
    assert!(!state.modules.contains(&stalls.name), "{state:?}");

    // The sleeper is gone: nothing is in the way any more.
    machine.guest().check("echo > /fifo", LIMIT).unwrap();
    let output = machine.livepatch("refresh").unwrap();
    assert_applied(machine, stalls, &output);
    let undone = machine.livepatch("undo").unwrap();
    assert_eq!(undone.status, 0, "{undone:?}");
    assert!(!command_line(machine).contains("livepatched"));
    let output = machine.livepatch("refresh --apply").unwrap();
    assert_applied(machine, stalls, &output);
}

/// Gives the client's state directory as it was when the machine went down.
fn one_that_crashes_takes_the_machine_down(machine: &Machine, scene: &Scene) -> PathBuf {
    // What the daemon wrote is durable, so a copy from just before is what a disk would hold.
    let archive = machine.guest().check("tar c -C / var/lib/livepatch | base64 -w 0", LIMIT).unwrap();
    let directory = scene.directory.path().join("state");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("archive"), archive).unwrap();
    let unpacked = Command::new("sh")
        .args(["-c", "base64 -d archive | tar x && rm archive"])
        .current_dir(&directory)
        .status()
        .unwrap();
    assert!(unpacked.success());
    assert!(machine.guest().check("crash-me", LIMIT).is_err(), "the machine must be gone");
    let console = machine.guest().console();
    assert!(console.contains("kernel BUG at fs/proc/cmdline.c"), "{console}");
    directory
}

/// The machine comes up with the emergency switch on its command line, as its owner would after a crash.
fn the_next_boot_knows(scene: &Scene, state: &Path, crashed: &Manifest) {
    let builder = Machine::builder(&scene.prepared.kernel, scene.directory.path().join("second"))
        .append("livepatch.mode=no-apply")
        .contents(CONFIG_FILE, 0o644, CONFIG)
        .tree(state)
        .unwrap();
    let machine = Machine::boot(builder, Client::Programs(&scene.programs)).unwrap();
    let status = machine.status().unwrap();
    let blocked: Vec<&str> =
        status["blocked"].as_array().unwrap().iter().filter_map(|entry| entry["sha256"].as_str()).collect();
    assert!(blocked.contains(&crashed.module.sha256.as_str()), "{status:#}");
    assert!(machine.kernel_state().unwrap().is_untouched());
    assert!(machine.daemon_log().contains("the machine went down before"), "{}", machine.daemon_log());

    let output = machine.livepatch("refresh").unwrap();
    assert!(machine.kernel_state().unwrap().is_untouched(), "{output:?}");
    // Obeyed without a restart: whatever the file says, the stricter counts.
    machine.guest().check("echo stop > /etc/livepatch/mode", LIMIT).unwrap();
    let output = machine.livepatch("refresh --apply").unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("the mode is stop (set by /etc/livepatch/mode)"), "{said}");
    assert!(machine.kernel_state().unwrap().is_untouched(), "{output:?}");
}

/// A program of this name, which is what the kernel knows it by, that reads the patched file in its own process.
fn reader() -> &'static str {
    "#!/bin/sh\nread -r line < /proc/cmdline\n"
}

/// The example under a name that is not ours; its signature does not fit any more, which this kernel lets pass.
pub(crate) fn renamed(scene: &Scene) -> Vec<u8> {
    let (mut module, name) = (scene.prepared.module().unwrap(), scene.prepared.manifest().unwrap().name);
    let foreign = foreign_name(&name);
    let places: Vec<usize> =
        (0..module.len() - name.len()).filter(|at| module[*at..].starts_with(name.as_bytes())).collect();
    assert!(!places.is_empty());
    for at in places {
        module[at..at + name.len()].copy_from_slice(foreign.as_bytes());
    }
    module
}

/// As long as ours.
fn foreign_name(name: &str) -> String {
    name.replacen("livepatch_", "kpatch_fr_", 1)
}
