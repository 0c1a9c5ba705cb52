#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use super::*;
use proptest::prelude::*;

const MODULE: &str = "livepatch_6_1_0_55_cloud_amd64_2";

fn find(text: &str) -> Vec<Incident> {
    find_incidents(text.lines().enumerate().map(|(at, line)| (at as u64, line)))
}

/// Recorded on 6.1.0-56-cloud-amd64, with the module's name changed.
const OOPS: &str = "\
lp_bad: loading out-of-tree module taints kernel.
BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor write access in kernel mode
#PF: error_code(0x0002) - not-present page
PGD 0 P4D 0
Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 0 PID: 99 Comm: cat Tainted: G           OE  K    6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2
RIP: 0010:cmdline_proc_show+0x13/0x21 [livepatch_6_1_0_55_cloud_amd64_2]
Code: 00 00 00 0f 1f 44 00 00
Call Trace:
 <TASK>
 seq_read_iter+0x124/0x4b0
 ? strange_leftover+0x1/0x2 [ext4]
 proc_reg_read_iter+0x50/0xa0
 vfs_read+0x1e4/0x320
 do_syscall_64+0x55/0xb0
 </TASK>
Modules linked in: livepatch_6_1_0_55_cloud_amd64_2(OEK) virtio_net
CR2: 0000000000000000
---[ end trace 0000000000000000 ]---
after_all+0x1/0x2
";

#[test]
fn an_oops_is_one_complaint_and_its_place_is_known() {
    let found = find(OOPS);
    assert_eq!(found.len(), 1, "{found:#?}");
    let oops = &found[0];
    assert_eq!((oops.kind, oops.sequence), (IncidentKind::Oops, 1));
    assert!(oops.headline.starts_with("BUG: kernel NULL pointer"));
    assert_eq!(oops.blame(MODULE), Some(Blame::In("cmdline_proc_show".into())));
    assert_eq!(oops.frames.last().unwrap().function, "do_syscall_64", "the report has an end");
    assert!(!oops.frames[2].reliable);
    assert_eq!(oops.blame("ext4"), None, "a left-over blames nobody");
    assert_eq!(oops.blame("virtio_net"), None, "being loaded is no guilt");
}

#[test]
fn a_warning_below_a_patched_function() {
    let text = "\
[   12.345678][   T99] ------------[ cut here ]------------
[   12.345678][   T99] WARNING: CPU: 0 PID: 99 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
[   12.345678][   T99] Call Trace:
[   12.345678][   T99]  cmdline_proc_show+0x13/0x21 [livepatch_6_1_0_55_cloud_amd64_2]
[   12.345678][   T99] ---[ end trace 0000000000000000 ]---";
    let found = find(text);
    assert_eq!(found[0].kind, IncidentKind::Warning);
    assert_eq!(found[0].blame(MODULE), Some(Blame::Below("cmdline_proc_show".into())));
    assert_eq!(found[0].blame("livepatch_6_1_0_55_cloud_amd64_1"), None);
}

#[test]
fn every_kind_is_recognised() {
    for (line, kind) in [
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [cat:99]", IncidentKind::SoftLockup),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", IncidentKind::HardLockup),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", IncidentKind::RcuStall),
        ("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", IncidentKind::RcuStall),
        ("INFO: task cat:99 blocked for more than 120 seconds.", IncidentKind::HungTask),
        ("kernel BUG at fs/proc/cmdline.c:11!", IncidentKind::Bug),
        ("BUG: scheduling while atomic: cat/99/0x00000002", IncidentKind::Bug),
        ("BUG: unable to handle page fault for address: ffffc90000000000", IncidentKind::Oops),
        (
            "general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP",
            IncidentKind::Oops,
        ),
        ("Unable to handle kernel NULL pointer dereference at virtual address 0", IncidentKind::Oops),
        ("Kernel panic - not syncing: Fatal exception", IncidentKind::Panic),
        ("WARNING: possible circular locking dependency detected", IncidentKind::Warning),
        ("<4>[   12.3] WARNING: CPU: 0 PID: 1 at fs/x.c:1 f+0x1/0x2", IncidentKind::Warning),
    ] {
        assert_eq!(find(line).first().map(|incident| incident.kind), Some(kind), "{line}");
    }
}

#[test]
fn a_bug_is_worse_when_it_ends_in_a_panic() {
    let text = "\
kernel BUG at fs/proc/cmdline.c:11!
invalid opcode: 0000 [#1] PREEMPT SMP
RIP: 0010:cmdline_proc_show+0x13/0x21 [livepatch_6_1_0_55_cloud_amd64_2]
Kernel panic - not syncing: Fatal exception
---[ end Kernel panic - not syncing: Fatal exception ]---";
    let found = find(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].kind, IncidentKind::Panic);
    assert!(found[0].blame(MODULE).is_some());
}

#[test]
fn ordinary_lines_are_no_complaints() {
    let text = "\
livepatch: enabling patch 'livepatch_6_1_0_55_cloud_amd64_2'
livepatch_6_1_0_55_cloud_amd64_2: module verification failed: signature and/or required key missing - tainting kernel
Spectre V2 : WARNING: Unprivileged eBPF is enabled
systemd[1]: BUGS are listed elsewhere
rcu: Hierarchical SRCU implementation.
rcu: \tRCU calculated value of scheduler-enlistment delay is 25 jiffies.";
    assert_eq!(find(text), []);
}

proptest! {
    #[test]
    fn any_text_is_survived_and_bounded(lines in prop::collection::vec("(WARNING: CPU: at |BUG: |Oops: 0000 \\[#|a\\+0x1/0x2 \\[m\\]|.{0,40}){1,3}", 0..200)) {
        let found = find(&lines.join("\n"));
        prop_assert!(found.len() <= MOST_INCIDENTS);
        prop_assert!(found.iter().all(|incident| incident.frames.len() <= MOST_FRAMES));
    }
}
