//! The package on a Debian system: installed by `apt`, in its sandbox, across reboots, and with a livepatch that kills.

use crate::{
    installed::{LIMIT, Stage, enable, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_e2e::Machine;
use livepatch_vm::{Exit, VmError};

/// What `systemd-analyze security` may say at most.
const EXPOSURE: f64 = 2.5;

#[test]
fn the_package_lives_in_its_sandbox_and_a_livepatch_that_kills_is_not_applied_twice() {
    let stage = Stage::new();
    let site = stage.scene.site();
    let good = stage.scene.prepared.manifest().unwrap();
    let killer = stage.livepatch(&site, "panic-on-version.patch", 2);
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();

    let machine = stage.install(5);
    assert_sandboxed(&machine);
    enable(&machine, &site);
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    wait_for_state(&machine, "applied");
    let undone = machine.livepatch("undo").unwrap();
    assert_eq!(undone.status, 0, "{undone:?}\n{}", machine.daemon_log());
    assert_eq!(in_kernel(&machine), Vec::<String>::new());
    let again = machine.livepatch("refresh --apply").unwrap();
    assert_eq!(again.status, 0, "{again:?}");
    wait_for_state(&machine, "applied");
    assert_no_denials(&machine);

    // What proved good is applied again without a network.
    machine.guest().check("systemctl start --no-block poweroff.target", LIMIT).unwrap();
    assert_eq!(machine.guest().wait_for_exit(LIMIT).unwrap(), Exit::PoweredOff);
    let machine = stage.system.boot_with(|builder| builder.network(false)).unwrap();
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    machine.guest().check("sync", LIMIT).unwrap();
    machine.cut_power();

    // The next version kills the machine as soon as it is used.
    site.publish(&killer.build(), TIER).unwrap();
    let bad = killer.manifest().unwrap();
    let machine = stage.system.boot().unwrap();
    machine
        .guest()
        .check(
            "echo 'soak_seconds = 600' > /etc/livepatch/livepatchd.toml; systemctl restart livepatchd",
            LIMIT,
        )
        .unwrap();
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    assert_eq!(in_kernel(&machine), [bad.name.as_str()]);
    let end = machine.guest().run("cat /proc/version", LIMIT);
    assert!(matches!(end, Err(VmError::Gone { exit: Exit::Panicked, .. })), "{end:?}");
    drop(machine);

    // It boots, does without it, says so to its owner and to the server, and keeps what it knows to be good.
    let machine = stage.system.boot().unwrap();
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    machine.guest().check("cat /proc/version", LIMIT).unwrap();
    let refreshed = machine.livepatch("refresh").unwrap();
    assert_eq!(in_kernel(&machine), [good.name.as_str()], "{refreshed:?}");
    let blocked = machine.livepatch("blocked list").unwrap().stdout;
    assert!(blocked.contains(&bad.name), "{blocked}");
    let seen = site.machines().unwrap().pop().unwrap();
    assert!(seen.last_event.as_ref().is_some_and(|event| event.contains(&bad.name)), "{seen:?}");

    // Without the client the livepatch stays; with all that it knew, the client is forgotten.
    machine.guest().check("apt-get purge -y -q livepatch", LIMIT).unwrap();
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    let left = machine
        .guest()
        .check("ls -d /var/lib/livepatch /etc/livepatch /run/livepatch 2>/dev/null; true", LIMIT);
    assert_eq!(left.unwrap(), "");
}

/// The same package on the other series.
#[test]
fn kernels_of_6_12_are_livepatched_across_reboots() {
    let stage = Stage::of_series("6.12");
    let site = stage.scene.site();
    let good = stage.scene.prepared.manifest().unwrap();
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    let machine = stage.install(3);
    enable(&machine, &site);
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    assert_no_denials(&machine);
    let machine = stage.system.reboot(machine).unwrap();
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    let undone = machine.livepatch("undo").unwrap();
    assert_eq!(undone.status, 0, "{undone:?}\n{}", machine.daemon_log());
    assert_eq!(in_kernel(&machine), Vec::<String>::new());
}

/// The daemon runs as itself, in a sandbox that systemd rates well.
#[track_caller]
fn assert_sandboxed(machine: &Machine) {
    let guest = machine.guest();
    let facts = guest.check(
        "systemctl is-active livepatchd; systemctl is-enabled livepatchd; ps -o user= -C livepatchd",
        LIMIT,
    );
    assert_eq!(facts.unwrap(), "active\nenabled\nlivepat+\n", "{}", machine.daemon_log());
    let report = guest.check("systemd-analyze security --no-pager livepatchd", LIMIT).unwrap();
    let overall = report.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let exposure: f64 = overall.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    eprintln!("systemd-analyze security: {exposure}");
    assert!(exposure <= EXPOSURE, "{report}");
    let others =
        guest.check("setpriv --reuid=65534 --clear-groups livepatch status --format json; true", LIMIT);
    assert!(others.unwrap().contains("\"state\": \"disabled\""), "anyone may ask for the state");
}

/// Nothing that the daemon wanted was denied by its sandbox.
#[track_caller]
fn assert_no_denials(machine: &Machine) {
    let log = machine.daemon_log();
    let denied = ["EPERM", "EACCES", "Permission denied", "Operation not permitted", "Read-only file system"];
    let found = log.lines().find(|line| denied.iter().any(|words| line.contains(words)));
    assert_eq!(found, None, "{log}");
}
