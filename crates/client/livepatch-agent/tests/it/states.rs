//! States that follow from the kernel's own age and health, and what of it all is told and kept.

use crate::{
    module::{name, signed},
    rig::{Rig, SOAK},
};
use jiff::Timestamp;
use livepatch_agent::{Complaint, Complaints, History, KernelState, Telemetry};
use livepatch_api::PatchState;
use livepatch_host::IncidentKind;
use livepatch_kernel::Taint;

fn applied() -> Rig {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig
}

#[test]
fn trouble_after_the_soak_is_told() {
    let mut rig = applied();
    assert_eq!(rig.status().state, PatchState::Applied);
    let complaint = |boot_id: &str, blame: Option<&str>| Complaint {
        at: Timestamp::UNIX_EPOCH,
        boot_id: boot_id.to_owned(),
        sequence: 1,
        kind: IncidentKind::Warning,
        headline: "WARNING: CPU: 0 PID: 1".into(),
        livepatch: name(1),
        blame: blame.map(ToOwned::to_owned),
    };
    let boot = rig.kernel.get("proc/sys/kernel/random/boot_id");
    for (complaint, state) in [
        (complaint(&boot, None), PatchState::Applied),
        (complaint("another", Some("in cmdline_proc_show")), PatchState::Applied),
        (complaint(&boot, Some("in cmdline_proc_show")), PatchState::AppliedWithBug),
    ] {
        rig.state().save(&Complaints { entries: vec![complaint.clone()] }).unwrap();
        assert_eq!(rig.status().state, state, "{complaint:?}");
    }
    assert!(rig.status().next_step.contains("livepatch undo"));
}

#[test]
fn a_kernel_that_gets_nothing_more_needs_a_reboot() {
    let mut rig = applied();
    rig.kernel.put("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    rig.kernel
        .put("proc/version", "Linux version 6.1.0-55-cloud-amd64 (x) #1 SMP Debian 6.1.150-1 (2024-01-10)\n");
    let status = rig.status();
    assert_eq!(status.kernel_status.state, KernelState::WindowOver);
    assert_eq!(status.state, PatchState::RebootNeeded);
    assert_eq!(status.next_step, "update the kernel and reboot");
}

#[test]
fn what_happened_is_kept_whatever_the_server_took() {
    let rig = applied();
    assert_eq!(rig.events(), ["applied", "confirmed"]);
    let history: History = rig.state().load().unwrap().unwrap();
    let kinds: Vec<_> =
        history.events.iter().map(|event| serde_json::to_value(event.kind).unwrap()).collect();
    assert_eq!(kinds, ["applied", "confirmed"]);
}

#[test]
fn the_owner_decides_how_much_is_told() {
    let mut rig = Rig::enabled();
    rig.config.telemetry = Telemetry::Minimal;
    rig.kill();
    rig.start();
    rig.kernel.taint(Taint::WARNED);
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    let reports = rig.site.reports();
    let last = reports.last().unwrap();
    assert_eq!((last.taint, last.state), (Taint(0), PatchState::Applied));
    let details: Vec<_> = reports.iter().skip(1).flat_map(|report| &report.events).collect();
    assert!(!details.is_empty() && details.iter().all(|event| event.detail.is_empty()), "{details:?}");

    let told = reports.len();
    rig.config.telemetry = Telemetry::Off;
    rig.kill();
    rig.start();
    rig.site.publish(2, &signed(2));
    rig.refresh();
    rig.pass(SOAK);
    assert_eq!(rig.site.reports().len(), told, "livepatches come all the same, and nothing is told");
    assert_eq!(rig.status().livepatch.unwrap().version, Some(2));
    assert_eq!(rig.status().state, PatchState::Applied);
}
