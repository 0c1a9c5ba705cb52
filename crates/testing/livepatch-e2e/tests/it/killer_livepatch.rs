//! A livepatch that passes every check and kills the machine: it boots again, does without it, and says so.

use crate::{
    debian_package::{assert_no_denials, assert_sandboxed},
    installed::{LIMIT, Stage, enable, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_api::EventKind;
use livepatch_vm::{Exit, VmError};

#[test]
#[ignore = "long: cargo xtask test --long"]
fn the_package_lives_in_its_sandbox_and_a_livepatch_that_kills_is_not_applied_twice() {
    scenario(&Stage::new());
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn the_same_on_6_12() {
    scenario(&Stage::of_series("6.12"));
}

fn scenario(stage: &Stage) {
    let site = stage.scene.site();
    let good = stage.scene.prepared.manifest().unwrap();
    let killer = stage.scene.livepatch(&site, "panic-on-softirqs.patch", 2);
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
    stage.system.shut_down(machine).unwrap();
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
    let end = machine.guest().run("cat /proc/softirqs", LIMIT);
    assert!(matches!(end, Err(VmError::Gone { exit: Exit::Panicked, .. })), "{end:?}");
    drop(machine);

    // It boots, does without it, says so to its owner and to the server, and keeps what it knows to be good.
    let machine = stage.system.boot().unwrap();
    wait_for_state(&machine, "soaking");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    machine.guest().check("cat /proc/softirqs", LIMIT).unwrap();
    let refreshed = machine.livepatch("refresh").unwrap();
    assert_eq!(in_kernel(&machine), [good.name.as_str()], "{refreshed:?}");
    let blocked = machine.livepatch("blocked list").unwrap().stdout;
    assert!(blocked.contains(&bad.name), "{blocked}");
    let id = site.machines().unwrap().pop().unwrap().machine_id;
    let events = site.machine(&id).unwrap().events;
    let mut crashes = events.iter().filter(|event| event.kind == EventKind::Crashed);
    assert!(crashes.any(|event| event.detail.contains(&bad.name)), "{events:?}");

    // Without the client the livepatch stays; with all that it knew, the client is forgotten.
    machine.guest().check("apt-get purge -y -q livepatch", LIMIT).unwrap();
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    let left = machine
        .guest()
        .check("ls -d /var/lib/livepatch /etc/livepatch /run/livepatch 2>/dev/null; true", LIMIT);
    assert_eq!(left.unwrap(), "");
}
