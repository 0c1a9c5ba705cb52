//! The bad roads: crashes, stalls and trouble around the moment of applying.

use crate::{
    module::{name, signed},
    rig::{Rig, SOAK},
};
use livepatch_api::PatchState;
use livepatch_kernel::Taint;
use std::time::Duration;

const EKEYREJECTED: i32 = 129;

#[test]
fn a_crash_in_the_soak_blocks_the_digest_until_it_is_cleared() {
    let mut rig = Rig::enabled();
    let published = rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK - Duration::from_secs(60));
    rig.crash();
    rig.pass(Duration::from_secs(4000));
    assert_eq!(rig.kernel.active(), [""; 0], "not again");
    let status = rig.status();
    assert_eq!(status.state, PatchState::Unapplied);
    assert_eq!(status.blocked[0].sha256, published.module.sha256);
    assert!(status.next_step.contains("blocked"), "{}", status.next_step);
    assert_eq!(rig.refused(), "blocked-digest");
    assert_eq!(rig.events(), ["applied", "crashed"]);

    assert!(rig.clear_blocked("abc").is_err());
    rig.clear_blocked(published.module.sha256.short()).unwrap();
    rig.settle();
    assert_eq!(rig.kernel.active(), [name(1)]);
}

#[test]
fn a_crash_after_the_second_version_goes_back_to_the_first() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.site.publish(2, &signed(2));
    rig.refresh();
    rig.site.set_down(true);
    rig.crash();
    assert_eq!(rig.kernel.active(), [name(1)]);
}

#[test]
fn a_crash_after_confirmation_blames_nobody() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.crash();
    assert_eq!(rig.kernel.active(), [name(1)]);
    assert!(rig.status().blocked.is_empty());
}

#[test]
fn a_daemon_that_is_killed_finds_its_way() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.kill();
    rig.start();
    assert_eq!(rig.status().state, PatchState::Soaking);
    rig.pass(SOAK);
    assert_eq!(rig.status().state, PatchState::Applied);
    assert_eq!(rig.kernel.loads().len(), 1);
}

#[test]
fn a_stalled_transition_is_reverted_and_tried_again_at_the_next_look() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.kernel.stall(true);
    assert_eq!(rig.refused(), "transition-stalled");
    assert_eq!((rig.kernel.active(), rig.kernel.modules()), (vec![], vec![]));
    assert_eq!(rig.status().state, PatchState::ApplyFailed);
    assert!(rig.status().blocked.is_empty());
    rig.settle();
    assert_eq!(rig.kernel.loads().len(), 1, "not at once");
    rig.kernel.stall(false);
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.active(), [name(1)]);
    assert_eq!(rig.status().last_failure, None);
}

#[test]
fn a_stalled_second_version_leaves_the_first_in_place() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.site.publish(2, &signed(2));
    rig.kernel.stall(true);
    assert_eq!(rig.refused(), "transition-stalled");
    assert_eq!(rig.kernel.active(), [name(1)]);
    assert!(rig.status().livepatch.unwrap().confirmed);
}

#[test]
fn trouble_in_the_soak_takes_it_back_and_blocks_it() {
    let mut rig = Rig::enabled();
    let published = rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.kernel.taint(Taint::WARNED);
    rig.settle();
    assert_eq!(rig.kernel.active(), [""; 0]);
    let status = rig.status();
    assert_eq!(status.state, PatchState::ApplyFailed);
    assert_eq!(status.last_failure.unwrap().code, "soak-trouble");
    assert_eq!(status.blocked[0].sha256, published.module.sha256);
    assert_eq!(rig.refused(), "blocked-digest");
    assert_eq!(rig.events(), ["applied", "failed"]);
}

fn warning_in(module: &str) -> String {
    format!(
        "WARNING: CPU: 0 PID: 9 at fs/proc/cmdline.c:10 cmdline_proc_show+0x1/0x2 [{module}]\n\
         ---[ end trace 0000000000000000 ]---"
    )
}

#[test]
fn a_warning_in_a_patched_function_takes_it_back_and_says_so() {
    let mut rig = Rig::enabled();
    rig.kernel.log(&warning_in(&name(1)));
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.settle();
    assert_eq!(rig.kernel.active(), [name(1)], "what was said before it came does not count");
    rig.kernel.log(&warning_in(&name(1)));
    rig.settle();
    assert_eq!(rig.kernel.active(), [""; 0]);
    let status = rig.status();
    let failure = status.last_failure.clone().unwrap();
    assert_eq!(failure.code, "soak-trouble");
    assert!(failure.message.contains("warning in its function cmdline_proc_show"), "{}", failure.message);
    assert!(status.blocked[0].evidence.as_ref().unwrap().contains("WARNING: CPU: 0"), "{status:?}");
}

#[test]
fn a_warning_elsewhere_is_noted_and_no_more() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.kernel.log(&warning_in("nvidia"));
    rig.kernel.taint(Taint::WARNED);
    rig.pass(SOAK);
    assert!(rig.status().livepatch.unwrap().confirmed);
    let noted = rig.state().load::<livepatch_agent::Complaints>().unwrap().unwrap();
    assert_eq!(noted.entries.len(), 1, "{noted:?}");
    assert_eq!(noted.entries[0].blame, None);
}

#[test]
fn a_daemon_that_is_killed_in_the_soak_does_not_miss_the_warning() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.kill();
    rig.kernel.log(&warning_in(&name(1)));
    rig.start();
    assert_eq!(rig.kernel.active(), [""; 0]);
}

#[test]
fn last_words_that_name_a_confirmed_livepatch_block_it() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.refresh();
    rig.pass(SOAK);
    rig.kernel.last_words(
        "<1>[ 99.0] BUG: kernel NULL pointer dereference, address: 0\n<4>[ 99.0] RIP: 0010:f+0x1/0x2\n",
    );
    rig.crash();
    assert_eq!(rig.kernel.active(), [name(1)], "the words name nobody");
    let words = format!(
        "<1>[ 99.0] BUG: kernel NULL pointer dereference, address: 0\n<4>[ 99.0] RIP: 0010:f+0x1/0x2 [{}]\n",
        name(1)
    );
    rig.pass(SOAK);
    rig.kernel.last_words(&words);
    rig.crash();
    rig.pass(Duration::from_secs(4000));
    assert_eq!(rig.kernel.active(), [""; 0]);
    let status = rig.status();
    let evidence = status.blocked[0].evidence.as_ref().unwrap();
    assert!(evidence.contains("oops in its function f"), "{evidence}");
}

#[test]
fn a_kernel_that_refuses_is_asked_again_only_at_the_next_look() {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    rig.kernel.refuse(Some(EKEYREJECTED));
    let failure = rig.refresh().unwrap();
    assert_eq!(failure.code, "kernel-refused");
    assert!(failure.message.contains("EKEYREJECTED"), "{}", failure.message);
    rig.settle();
    assert_eq!(rig.kernel.loads().len(), 1);
    rig.refresh();
    assert_eq!(rig.kernel.loads().len(), 2);
    assert_eq!(rig.events(), ["failed"], "the same failure is told once");
    rig.crash();
    assert!(rig.status().blocked.is_empty(), "a refused load is no crash");
    assert_eq!(rig.status().last_failure, None, "what failed in another boot says nothing about this one");
}

#[test]
fn somebody_elses_livepatch_is_respected() {
    let mut rig = Rig::enabled();
    rig.kernel.insert("kpatch_cve");
    rig.site.publish(1, &signed(1));
    assert_eq!(rig.refused(), "other-livepatch");
    assert_eq!(rig.kernel.active(), ["kpatch_cve"]);
    assert!(matches!(rig.undo(), Err(livepatch_agent::Refusal::NothingToUndo)));
}
