//! What the server hears: numbered, repeated until it is confirmed, and never needed for protection.

use crate::{
    module::{name, signed},
    rig::{Rig, SOAK},
};
use livepatch_api::PatchState;
use std::time::Duration;

#[test]
fn protection_goes_on_without_the_dynamic_plane() {
    let mut rig = Rig::enabled();
    rig.site.set_api_down(true);
    rig.site.publish(1, &signed(1));
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.active(), [name(1)]);
    let check = rig.status().last_check.unwrap();
    assert_eq!((check.result.as_str(), check.check_in.is_some()), ("ok", true));
}

#[test]
fn events_wait_for_the_server_and_survive_a_restart() {
    let mut rig = Rig::enabled();
    let before = rig.site.reports().len();
    rig.site.set_api_down(true);
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.kill();
    rig.start();
    rig.pass(SOAK);
    assert_eq!(rig.site.reports().len(), before);
    rig.site.set_api_down(false);
    rig.pass(Duration::from_secs(7200));
    assert_eq!(rig.events(), ["applied", "confirmed"]);
    let sequences: Vec<u64> = rig.site.reports().iter().map(|report| report.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]), "{sequences:?}");
}

#[test]
fn an_unreachable_server_is_no_state_of_emergency() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.site.set_down(true);
    assert_eq!(rig.refused(), "repository-unreachable");
    assert_eq!(rig.status().state, PatchState::CheckFailed);
    assert_eq!(rig.kernel.active(), [name(1)]);
    rig.site.set_down(false);
    rig.pass(Duration::from_secs(600));
    assert_eq!(rig.status().state, PatchState::Applied);
}

#[test]
fn a_quiet_machine_reports_once_an_interval() {
    let mut rig = Rig::enabled();
    rig.pass(Duration::from_secs(3600));
    let before = rig.site.requests().len();
    rig.pass(Duration::from_secs(3600));
    let requests = rig.site.requests().split_off(before);
    let posts = requests.iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(posts, 1, "{requests:?}");
    assert!(requests.len() <= 5, "{requests:?}");
}
