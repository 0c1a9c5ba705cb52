//! The package on a Debian system: installed by `apt`, in its sandbox, across reboots.

use crate::{
    installed::{LIMIT, Stage, enable, in_kernel, wait_for_state},
    scene::TIER,
};
use livepatch_e2e::Machine;

/// What `systemd-analyze security` may say at most.
const EXPOSURE: f64 = 2.5;

#[test]
fn kernels_of_6_12_are_livepatched_across_reboots() {
    let stage = Stage::of_series("6.12");
    let site = stage.scene.site_that_tells();
    let good = stage.scene.prepared.manifest().unwrap();
    let machine = stage.install(3);
    assert_sandboxed(&machine);
    enable(&machine, &site);
    wait_for_state(&machine, "nothing-to-apply");
    // The next look is up to an hour away; the server says that there is news.
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    assert_no_denials(&machine);
    // The journal has a field for each value, so that what happened is found without reading sentences.
    let found = machine.guest().check("journalctl -q --no-pager -o cat -b LIVEPATCH_KIND=Applied", LIMIT);
    assert!(found.as_ref().is_ok_and(|lines| lines.contains(&good.name)), "{found:?}");
    let machine = stage.system.reboot(machine).unwrap();
    wait_for_state(&machine, "applied");
    assert_eq!(in_kernel(&machine), [good.name.as_str()]);
    let undone = machine.livepatch("undo").unwrap();
    assert_eq!(undone.status, 0, "{undone:?}\n{}", machine.daemon_log());
    assert_eq!(in_kernel(&machine), Vec::<String>::new());
}

/// The daemon runs as itself, in a sandbox that systemd rates well.
#[track_caller]
pub(crate) fn assert_sandboxed(machine: &Machine) {
    let guest = machine.guest();
    let facts = guest.check(
        "systemctl is-active livepatchd; systemctl is-enabled livepatchd; ps -o user= -C livepatchd",
        LIMIT,
    );
    assert_eq!(facts.unwrap(), "active\nenabled\nlivepatch\n", "{}", machine.daemon_log());
    assert_exposure(machine, "livepatchd");
    let others =
        guest.check("setpriv --reuid=65534 --clear-groups livepatch status --format json; true", LIMIT);
    assert!(others.unwrap().contains("\"state\": \"disabled\""), "anyone may ask for the state");
}

/// What systemd says of a unit's sandbox.
#[track_caller]
pub(crate) fn assert_exposure(machine: &Machine, unit: &str) {
    let report =
        machine.guest().check(&format!("systemd-analyze security --no-pager {unit}"), LIMIT).unwrap();
    let overall = report.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let exposure: f64 = overall.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    eprintln!("systemd-analyze security {unit}: {exposure}");
    assert!(exposure <= EXPOSURE, "{report}");
}

/// Nothing that the daemon wanted was denied by its sandbox.
#[track_caller]
pub(crate) fn assert_no_denials(machine: &Machine) {
    let log = machine.daemon_log();
    let denied = ["EPERM", "EACCES", "Permission denied", "Operation not permitted", "Read-only file system"];
    let found = log.lines().find(|line| denied.iter().any(|words| line.contains(words)));
    assert_eq!(found, None, "{log}");
}
