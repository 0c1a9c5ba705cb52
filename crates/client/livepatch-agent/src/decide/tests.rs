#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod offers;
mod phases;
mod sequences;

use super::*;
use crate::records::{BlockedDigest, Failure};
use livepatch_host::Mode;
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
    incidents: Vec<livepatch_host::Incident>,
    log_is_read: bool,
    policy: Policy,
    circumstances: Circumstances,
    crash_names_it: bool,
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
            incidents: vec![],
            log_is_read: true,
            policy: Policy::default(),
            circumstances: Circumstances {
                now: "2026-11-24T12:00:00Z".parse().unwrap(),
                zone: jiff::tz::TimeZone::UTC,
                mode: Mode::Normal,
                owner_asks: false,
            },
            crash_names_it: false,
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
                versions: Versions { root: 1, targets: 1, snapshot: 1, timestamp: 1 },
                livepatches: versions.iter().copied().map(manifest).collect(),
                published: Default::default(),
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
            log_from: Some(0),
            stopped_cleanly: false,
            replaces: None,
        });
        self
    }

    fn in_kernel(mut self, version: u32, enabled: bool, transition: bool) -> Self {
        let name = manifest(version).name;
        self.livepatches.push(LoadedLivepatch { name: name.clone(), enabled, transition, objects: vec![] });
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
        decide(&self.facts())
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
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
            policy: &self.policy,
            circumstances: &self.circumstances,
            words: KernelWords { incidents: &self.incidents, log_is_read: self.log_is_read },
            crash_names_it: self.crash_names_it,
            refresh_due: self.refresh_due,
            report_due: self.report_due,
            soak: Duration::from_secs(600),
            transition_deadline: Duration::from_secs(120),
        }
    }
}

fn undoing(reason: UndoReason) -> Phase {
    Phase::Undoing { reason, detail: String::new(), tasks: vec![] }
}

fn apply(version: u32) -> Action {
    Action::Apply(Box::new(manifest(version)))
}

fn block(world: &mut World, version: u32) {
    world.blocked.entries.push(BlockedDigest {
        sha256: manifest(version).module.sha256,
        name: manifest(version).name,
        reason: "crash".into(),
        evidence: None,
        at: jiff::Timestamp::UNIX_EPOCH,
    });
}

fn undo_by_owner(world: &mut World, version: u32) {
    world.undone =
        Some(Undone { build_id: kernel().build_id, version, back_to: None, at: jiff::Timestamp::UNIX_EPOCH });
}
