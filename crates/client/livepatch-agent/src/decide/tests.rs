#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use super::*;
use crate::records::{BlockedDigest, Failure};
use livepatch_manifest::{Digest, ModuleRecord, Provenance};
use livepatch_trust::Versions;

const BOOT: &str = "00000000-0000-0000-0000-000000000001";
const EARLIER: &str = "00000000-0000-0000-0000-000000000000";

fn kernel() -> KernelIdentity {
    KernelIdentity {
        release: "6.1.0-55-cloud-amd64".parse().unwrap(),
        build_id: "ab".repeat(20).parse().unwrap(),
        arch: "x86_64".into(),
    }
}

fn manifest(version: u32) -> Manifest {
    Manifest {
        schema: 1,
        name: format!("livepatch_6_1_0_55_cloud_amd64_{version}"),
        version,
        kernel: kernel(),
        module: ModuleRecord {
            sha256: Digest::of(&version.to_le_bytes()),
            size: 4,
            vermagic: "6.1.0-55-cloud-amd64 SMP".into(),
            signer: None,
        },
        fixes: vec![],
        objects: vec![],
        provenance: Provenance {
            builder: "0.1.0".into(),
            compiler: "gcc".into(),
            source: "linux".into(),
            patch_sha256: Digest::of(b"patch"),
        },
    }
}

/// A machine in the making; `facts` borrows it.
struct World {
    kernel: KernelIdentity,
    taint: Taint,
    livepatches: Vec<LoadedLivepatch>,
    modules: Vec<LoadedModule>,
    enabled: bool,
    intent: Option<Intent>,
    catalogue: Option<Catalogue>,
    blocked: Blocked,
    undone: Option<Undone>,
    confirmed: Confirmed,
    attempt: Option<Attempt>,
    stuck: Vec<String>,
    refresh_due: bool,
    report_due: bool,
    uptime: Duration,
}

impl World {
    fn idle() -> Self {
        Self {
            kernel: kernel(),
            taint: Taint(0),
            livepatches: vec![],
            modules: vec![],
            enabled: true,
            intent: None,
            catalogue: None,
            blocked: Blocked::default(),
            undone: None,
            confirmed: Confirmed::default(),
            attempt: None,
            stuck: vec![],
            refresh_due: false,
            report_due: false,
            uptime: Duration::from_secs(1000),
        }
    }

    fn offering(versions: &[u32]) -> Self {
        Self {
            catalogue: Some(Catalogue {
                at: jiff::Timestamp::UNIX_EPOCH,
                boot_id: BOOT.into(),
                uptime_ms: 900_000,
                build_id: kernel().build_id,
                tier: "stable".into(),
                versions: Versions {
                    root: 1,
                    targets: 1,
                    snapshot: 1,
                    timestamp: 1,
                },
                livepatches: versions.iter().copied().map(manifest).collect(),
            }),
            ..Self::idle()
        }
    }

    fn with_intent(mut self, version: u32, phase: Phase) -> Self {
        self.intent = Some(Intent {
            boot_id: BOOT.into(),
            manifest: manifest(version),
            phase,
            phase_began_ms: 990_000,
            began: jiff::Timestamp::UNIX_EPOCH,
            taint_before: Taint(0),
            stopped_cleanly: false,
            replaces: None,
        });
        self
    }

    fn in_kernel(mut self, version: u32, enabled: bool, transition: bool) -> Self {
        let name = manifest(version).name;
        self.livepatches.push(LoadedLivepatch {
            name: name.clone(),
            enabled,
            transition,
            objects: vec![],
        });
        self.module(&name, true)
    }

    fn module(mut self, name: &str, live: bool) -> Self {
        let used = self.livepatches.iter().any(|livepatch| livepatch.name == name);
        self.modules.push(LoadedModule {
            name: name.into(),
            references: Some(used.into()),
            live,
            taints: "OEK".into(),
        });
        self
    }

    fn after_reboot(mut self) -> Self {
        self.intent.as_mut().unwrap().boot_id = EARLIER.into();
        self
    }

    fn decide(&self) -> Action {
        decide(&Facts {
            kernel: &self.kernel,
            boot_id: BOOT,
            uptime: self.uptime,
            taint: self.taint,
            livepatches: &self.livepatches,
            modules: &self.modules,
            enabled: self.enabled,
            intent: self.intent.as_ref(),
            catalogue: self.catalogue.as_ref(),
            blocked: &self.blocked,
            undone: self.undone.as_ref(),
            confirmed: &self.confirmed,
            attempt: self.attempt.as_ref(),
            stuck_modules: &self.stuck,
            refresh_due: self.refresh_due,
            report_due: self.report_due,
            soak: Duration::from_secs(600),
            transition_deadline: Duration::from_secs(120),
        })
    }
}

fn undoing(reason: UndoReason) -> Phase {
    Phase::Undoing {
        reason,
        detail: String::new(),
    }
}

fn apply(version: u32) -> Action {
    Action::Apply(Box::new(manifest(version)))
}

fn block(world: &mut World, version: u32) {
    world.blocked.entries.push(BlockedDigest {
        sha256: manifest(version).module.sha256,
        name: manifest(version).name,
        reason: "crash".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
    });
}

fn undo_by_owner(world: &mut World, version: u32) {
    world.undone = Some(Undone {
        build_id: kernel().build_id,
        version,
        at: jiff::Timestamp::UNIX_EPOCH,
    });
}

#[test]
fn nothing_to_do_is_rest() {
    assert_eq!(World::idle().decide(), Action::Rest(None));
    assert_eq!(World::offering(&[]).decide(), Action::Rest(None));
}

#[test]
fn the_greatest_offer_is_applied() {
    assert_eq!(World::offering(&[1, 3, 2]).decide(), apply(3));
    assert_eq!(
        World::offering(&[1, 2])
            .in_kernel(1, true, false)
            .with_intent(1, Phase::Confirmed)
            .decide(),
        apply(2)
    );
}

#[test]
fn what_is_applied_or_newer_stays() {
    let world = World::offering(&[1])
        .in_kernel(2, true, false)
        .with_intent(2, Phase::Confirmed);
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn a_disabled_machine_applies_and_asks_nothing() {
    let world = World {
        enabled: false,
        refresh_due: true,
        report_due: true,
        ..World::offering(&[1])
    };
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn an_offer_for_another_kernel_is_not_for_us() {
    let mut world = World::offering(&[1]);
    world.catalogue.as_mut().unwrap().build_id = "cd".repeat(20).parse().unwrap();
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn a_blocked_digest_gives_way_to_the_one_before() {
    let mut world = World::offering(&[1, 2]);
    block(&mut world, 2);
    assert_eq!(world.decide(), apply(1));
    block(&mut world, 1);
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn what_the_owner_undid_stays_out_until_a_newer_one() {
    let mut world = World::offering(&[1]);
    undo_by_owner(&mut world, 1);
    assert_eq!(world.decide(), Action::Rest(None));
    world.catalogue = World::offering(&[2]).catalogue;
    assert_eq!(world.decide(), apply(2));
}

#[test]
fn a_failed_attempt_waits_for_the_next_look() {
    let mut world = World::offering(&[1]);
    world.attempt = Some(Attempt {
        at: jiff::Timestamp::UNIX_EPOCH,
        sha256: manifest(1).module.sha256,
        name: manifest(1).name,
        failure: Failure {
            code: "kernel-refused".into(),
            message: String::new(),
        },
        retry: false,
    });
    assert_eq!(world.decide(), Action::Rest(None));
    world.attempt.as_mut().unwrap().retry = true;
    assert_eq!(world.decide(), apply(1));
    world.attempt.as_mut().unwrap().retry = false;
    world.catalogue = World::offering(&[2]).catalogue;
    assert_eq!(world.decide(), apply(2));
}

#[test]
fn a_stale_offer_counts_only_when_confirmed_here() {
    let (mut earlier_boot, mut long_ago) = (World::offering(&[1]), World::offering(&[1]));
    earlier_boot.catalogue.as_mut().unwrap().boot_id = EARLIER.into();
    long_ago.catalogue.as_mut().unwrap().uptime_ms = 0;
    for mut world in [earlier_boot, long_ago] {
        assert_eq!(world.decide(), Action::Rest(None));
        world.confirmed.add(&manifest(1).module.sha256);
        assert_eq!(world.decide(), apply(1));
    }
}

#[test]
fn refresh_comes_before_apply_and_report_last() {
    let mut world = World {
        refresh_due: true,
        report_due: true,
        ..World::offering(&[1])
    };
    assert_eq!(world.decide(), Action::Refresh);
    world.refresh_due = false;
    assert_eq!(world.decide(), apply(1));
    world.catalogue = None;
    assert_eq!(world.decide(), Action::Report);
}

#[test]
fn a_crash_before_confirmation_blocks() {
    for phase in [
        Phase::Loading,
        Phase::Transition,
        Phase::Soaking,
        undoing(UndoReason::Trouble),
    ] {
        let world = World::offering(&[1]).with_intent(1, phase.clone()).after_reboot();
        assert_eq!(world.decide(), Action::BlockCrashed, "{phase:?}");
    }
}

#[test]
fn a_crash_before_confirmation_blocks_even_when_it_was_confirmed_in_an_earlier_boot() {
    let mut world = World::offering(&[1])
        .with_intent(1, Phase::Soaking)
        .after_reboot();
    world.confirmed.add(&manifest(1).module.sha256);
    assert_eq!(world.decide(), Action::BlockCrashed);
}

#[test]
fn a_crash_blocks_on_a_disabled_machine_too() {
    let world = World {
        enabled: false,
        ..World::idle().with_intent(1, Phase::Soaking).after_reboot()
    };
    assert_eq!(world.decide(), Action::BlockCrashed);
}

#[test]
fn a_proper_reboot_is_no_reproach() {
    let mut world = World::idle().with_intent(1, Phase::Soaking).after_reboot();
    world.intent.as_mut().unwrap().stopped_cleanly = true;
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
    let world = World::idle().with_intent(1, Phase::Confirmed).after_reboot();
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
    let world = World::idle()
        .with_intent(1, undoing(UndoReason::Owner))
        .after_reboot();
    assert_eq!(world.decide(), Action::Forget(Forget::OtherBoot));
}

#[test]
fn a_load_that_never_happened_is_forgotten() {
    let world = World::idle().with_intent(1, Phase::Loading);
    assert_eq!(world.decide(), Action::Forget(Forget::NeverLoaded));
    let world = World::idle()
        .with_intent(1, Phase::Loading)
        .module(&manifest(1).name, false);
    assert_eq!(world.decide(), Action::Poll);
}

#[test]
fn the_daemon_died_after_the_load() {
    let world = World::idle()
        .with_intent(1, Phase::Loading)
        .in_kernel(1, true, true);
    assert_eq!(world.decide(), Action::Enter(Phase::Transition));
}

#[test]
fn a_transition_is_watched_then_soaked() {
    let world = World::idle()
        .with_intent(1, Phase::Transition)
        .in_kernel(1, true, true);
    assert_eq!(world.decide(), Action::Poll);
    let world = World::idle()
        .with_intent(1, Phase::Transition)
        .in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Enter(Phase::Soaking));
}

#[test]
fn a_stalled_transition_is_reverted() {
    let mut world = World::idle()
        .with_intent(1, Phase::Transition)
        .in_kernel(1, true, true);
    world.uptime = Duration::from_secs(990 + 120);
    assert_eq!(world.decide(), Action::Undo(UndoReason::Stalled));
}

#[test]
fn a_transition_that_somebody_reverts_is_left_to_end() {
    let mut world = World::idle()
        .with_intent(1, Phase::Transition)
        .in_kernel(1, false, true);
    world.uptime = Duration::from_secs(5000);
    assert_eq!(world.decide(), Action::Poll);
}

#[test]
fn soak_ends_in_confirmation() {
    let mut world = World::idle()
        .with_intent(1, Phase::Soaking)
        .in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Rest(Some(SOAK_WATCH)));
    world.uptime = Duration::from_secs(990 + 598);
    assert_eq!(world.decide(), Action::Rest(Some(Duration::from_secs(2))));
    world.uptime = Duration::from_secs(990 + 600);
    assert_eq!(world.decide(), Action::Confirm);
}

#[test]
fn soak_does_not_keep_a_newer_version_away() {
    let world = World::offering(&[2])
        .with_intent(1, Phase::Soaking)
        .in_kernel(1, true, false);
    assert_eq!(world.decide(), apply(2));
}

#[test]
fn trouble_in_the_soak_takes_it_back() {
    for bit in [Taint::DIED, Taint::WARNED, Taint::LOCKUP] {
        let mut world = World::idle()
            .with_intent(1, Phase::Soaking)
            .in_kernel(1, true, false);
        world.taint = Taint(45056 | 1 << bit);
        assert_eq!(world.decide(), Action::Undo(UndoReason::Trouble));
        world.intent.as_mut().unwrap().taint_before = Taint(1 << bit);
        assert_eq!(
            world.decide(),
            Action::Rest(Some(SOAK_WATCH)),
            "it was there before"
        );
    }
    assert_eq!(trouble(Taint(45056), Taint(0)), "");
}

#[test]
fn a_livepatch_that_somebody_took_out_is_not_forced_back() {
    for phase in [Phase::Transition, Phase::Soaking, Phase::Confirmed] {
        let world = World::idle().with_intent(1, phase);
        assert_eq!(world.decide(), Action::Forget(Forget::TakenOut));
    }
}

#[test]
fn undo_goes_through_disable_and_removal() {
    let mut world = World::idle()
        .with_intent(1, Phase::Confirmed)
        .in_kernel(1, true, false);
    undo_by_owner(&mut world, 1);
    assert_eq!(world.decide(), Action::Undo(UndoReason::Owner));
    let world = World::idle()
        .with_intent(1, undoing(UndoReason::Owner))
        .in_kernel(1, true, false);
    assert_eq!(
        world.decide(),
        Action::Undo(UndoReason::Owner),
        "the daemon died before it disabled"
    );
    let world = World::idle()
        .with_intent(1, undoing(UndoReason::Owner))
        .in_kernel(1, false, true);
    assert_eq!(world.decide(), Action::Poll);
    let world = World::idle()
        .with_intent(1, undoing(UndoReason::Owner))
        .module(&manifest(1).name, true);
    assert_eq!(world.decide(), Action::RemoveModule(manifest(1).name));
    let world = World::idle().with_intent(1, undoing(UndoReason::Owner));
    assert_eq!(world.decide(), Action::FinishUndo);
}

#[test]
fn an_undo_that_stalls_is_looked_at_now_and_then() {
    let mut world = World::offering(&[2])
        .with_intent(1, undoing(UndoReason::Owner))
        .in_kernel(1, false, true);
    world.uptime = Duration::from_secs(990 + 120);
    assert_eq!(world.decide(), Action::Rest(Some(SOAK_WATCH)));
}

#[test]
fn a_module_that_the_kernel_keeps_does_not_hold_the_undo_up() {
    let mut world = World::idle()
        .with_intent(1, undoing(UndoReason::Owner))
        .module(&manifest(1).name, true);
    world.stuck.push(manifest(1).name);
    assert_eq!(world.decide(), Action::FinishUndo);
}

#[test]
fn replaced_modules_are_removed_and_foreign_ones_are_not() {
    let replaced = manifest(1).name;
    let world = World::idle()
        .with_intent(2, Phase::Confirmed)
        .in_kernel(2, true, false);
    let world = world
        .module(&replaced, true)
        .module("kpatch_1", true)
        .module("ext4", true);
    assert_eq!(world.decide(), Action::RemoveModule(replaced.clone()));
    let world = World {
        stuck: vec![replaced],
        ..world
    };
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn a_livepatch_without_a_record_is_adopted() {
    let world = World::offering(&[1, 2]).in_kernel(1, true, false);
    assert_eq!(world.decide(), Action::Adopt(Box::new(manifest(1))));
    let world = World::offering(&[1]).in_kernel(9, true, false);
    assert_eq!(world.decide(), Action::Rest(None));
}

#[test]
fn own_names_are_told_from_foreign_ones() {
    assert_eq!(
        own_version("livepatch_6_1_0_55_cloud_amd64_12", &kernel()),
        Some(12)
    );
    for name in [
        "lp_v1",
        "livepatch_6_1_0_56_cloud_amd64_1",
        "livepatch_6_1_0_55_cloud_amd64_",
        "livepatch_6_1_0_55_cloud_amd64_x",
    ] {
        assert_eq!(own_version(name, &kernel()), None, "{name}");
    }
}
