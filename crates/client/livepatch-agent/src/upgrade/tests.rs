#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use super::*;
use crate::coverage::KernelState;
use livepatch_cve::{
    CveId, Distribution, Family,
    verdict::{Engine, Exposure, FileBuild, KernelBuild, Stance},
};
use livepatch_manifest::{Digest, Fix, ModuleRecord, Provenance, SCHEMA};
use std::collections::BTreeMap;

const OLD: &str = "6.1.0-54-cloud-amd64";
const NEW: &str = "6.1.0-55-cloud-amd64";

struct Case {
    kernel: KernelIdentity,
    coverage: KernelStatus,
    applied: Option<u32>,
    offered: Vec<Manifest>,
    next_boot: NextBoot,
    installed: Vec<InstalledKernel>,
    verdicts: Option<VerdictFile>,
}

impl Case {
    /// A machine that runs the old kernel while the new one is installed and boots next.
    fn new() -> Self {
        let kernel = KernelIdentity {
            release: OLD.parse().unwrap(),
            build_id: "ab".repeat(20).parse().unwrap(),
            arch: "x86_64".into(),
        };
        let installed = [(NEW, "6.1.192-1"), (OLD, "6.1.190-1")].map(|(release, version)| InstalledKernel {
            release: release.parse().unwrap(),
            version: Some(version.parse().unwrap()),
            source: Some("linux".into()),
        });
        Self {
            coverage: KernelStatus {
                state: KernelState::SupportedUntil,
                sentence: String::new(),
                next_step: String::new(),
                distribution: Some("debian".into()),
                package_version: Some("6.1.190-1".parse().unwrap()),
                until: None,
                days_left: None,
            },
            kernel,
            applied: None,
            offered: Vec::new(),
            next_boot: boots(NEW),
            installed: installed.to_vec(),
            verdicts: None,
        }
    }

    fn judge(&self) -> Upgrade {
        judge(&UpgradeFacts {
            kernel: &self.kernel,
            coverage: &self.coverage,
            applied: self.applied,
            offered: &self.offered,
            next_boot: &self.next_boot,
            installed: &self.installed,
            verdicts: self.verdicts.as_ref(),
            flavour: "cloud",
            architecture: "amd64",
        })
    }

    #[track_caller]
    fn answers(&self, answer: UpgradeAnswer, codes: &[&str]) -> Upgrade {
        let found = self.judge();
        let reasons: Vec<&str> = found.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!((found.answer, reasons.as_slice()), (answer, codes), "{found:#?}");
        found
    }
}

fn boots(release: &str) -> NextBoot {
    NextBoot::Kernel { release: release.parse().unwrap(), why: "GRUB's default entry (0)".into() }
}

/// Verdicts of the two builds: CVE-2026-1 is fixed in the new one and livepatched in version 2 of the old one's.
fn verdicts(refuse: bool) -> VerdictFile {
    let family =
        Family { distribution: Distribution::Debian, release: "bookworm".into(), package: "linux".into() };
    let cve: CveId = "CVE-2026-1001".parse().unwrap();
    let build = |version: &str, livepatched: BTreeMap<CveId, u32>| KernelBuild {
        flavour: "cloud".into(),
        architecture: "amd64".into(),
        livepatched,
        ..KernelBuild::new(family.clone(), version.parse().unwrap())
    };
    let live = if refuse { BTreeMap::new() } else { BTreeMap::from([(cve, 2)]) };
    let builds = vec![build("6.1.190-1", live), build("6.1.192-1", BTreeMap::new())];
    let files = builds.iter().map(FileBuild::from).collect();
    let fixed = Stance::Fixed("6.1.192-1".parse().unwrap());
    let exposure = Exposure {
        cve,
        void: false,
        upstream: None,
        configuration: Vec::new(),
        files: Vec::new(),
        families: BTreeMap::from([(family.clone(), fixed)]),
    };
    let mut engine = Engine::new(builds, vec![exposure]);
    if refuse {
        let number = engine.family(&family).unwrap();
        engine.refuse(cve, number, "data-layout".into());
    }
    VerdictFile::new(&family, files, 0..2, &engine.verdicts())
}

fn manifest(version: u32, fixes: &[&str]) -> Manifest {
    Manifest {
        schema: SCHEMA,
        name: format!("livepatch_{version}"),
        version,
        kernel: Case::new().kernel,
        module: ModuleRecord { sha256: Digest::of(b""), size: 0, vermagic: String::new(), signer: None },
        fixes: fixes.iter().map(|id| Fix::new(*id, "")).collect(),
        objects: Vec::new(),
        provenance: Provenance {
            builder: String::new(),
            compiler: String::new(),
            source: String::new(),
            patch_sha256: Digest::of(b""),
        },
    }
}

#[test]
fn the_running_kernel_boots_next() {
    let mut case = Case::new();
    case.next_boot = boots(OLD);
    let found = case.answers(UpgradeAnswer::CanWait, &[]);
    assert_eq!(found.sentence, "no reboot is needed: the kernel that boots next is the one that runs");
    assert_eq!((found.next_step.as_str(), found.basis.as_str()), ("nothing", "livepatches"));
}

#[test]
fn verdicts_compare_the_two_kernels() {
    let mut case = Case::new();
    case.verdicts = Some(verdicts(false));
    let found = case.answers(UpgradeAnswer::Required, &["missing-fixes"]);
    assert_eq!(found.reasons[0].cves, ["CVE-2026-1001"]);
    assert_eq!(found.next_step, "reboot at your next chance");
    case.applied = Some(1);
    case.answers(UpgradeAnswer::Required, &["missing-fixes"]);
    case.applied = Some(2);
    let found = case.answers(UpgradeAnswer::CanWait, &[]);
    assert_eq!(
        (found.sentence.as_str(), found.basis.as_str()),
        ("a reboot can wait: what the next kernel mends is mended here", "verdicts")
    );
}

#[test]
fn what_cannot_be_livepatched_needs_a_reboot_whatever_boots_next() {
    let mut case = Case::new();
    case.verdicts = Some(verdicts(true));
    case.next_boot = boots(OLD);
    let found = case.answers(UpgradeAnswer::Required, &["cannot-be-livepatched"]);
    assert!(found.next_step.starts_with("install the newest kernel"), "{}", found.next_step);
}

#[test]
fn without_verdicts_it_is_not_guessed() {
    let mut case = Case::new();
    let found = case.answers(UpgradeAnswer::CannotTell, &["no-verdicts"]);
    assert!(found.sentence.contains("no signed verdicts"), "{}", found.sentence);
    case.next_boot = NextBoot::Uncertain { why: "two loaders".into() };
    let found = case.answers(UpgradeAnswer::CannotTell, &["next-boot-unknown"]);
    assert_eq!(found.next_boot_why, "two loaders");
}

#[test]
fn an_offered_livepatch_comes_before_a_reboot() {
    let mut case = Case::new();
    case.next_boot = boots(OLD);
    case.offered = vec![manifest(2, &["CVE-2026-1", "CVE-2026-2"]), manifest(1, &["CVE-2026-1"])];
    case.applied = Some(1);
    let found = case.answers(UpgradeAnswer::Required, &["livepatch-not-applied"]);
    assert_eq!(found.reasons[0].cves, ["CVE-2026-2"]);
    assert!(found.next_step.starts_with("run `livepatch refresh --apply`"));
    case.applied = Some(2);
    case.answers(UpgradeAnswer::CanWait, &[]);
}

#[test]
fn windows_end() {
    let mut case = Case::new();
    case.next_boot = NextBoot::Uncertain { why: String::new() };
    case.coverage.state = KernelState::WindowOver;
    case.answers(UpgradeAnswer::Required, &["window-over", "next-boot-unknown"]);
    case.next_boot = boots(NEW);
    case.coverage.state = KernelState::SeriesEnded;
    let found = case.answers(UpgradeAnswer::Required, &["series-ended", "no-verdicts"]);
    assert_eq!(found.next_step, "reboot; the newer kernel is installed");
}

#[test]
fn an_older_kernel_that_boots_next_is_a_warning() {
    let mut case = Case::new();
    case.next_boot = boots("6.1.0-53-cloud-amd64");
    let found = case.answers(UpgradeAnswer::CanWait, &["next-boot-older"]);
    assert!(found.next_step.contains("boot loader"), "{}", found.next_step);
}

#[test]
fn a_rebuilt_kernel_of_the_same_release_is_another_kernel() {
    let mut case = Case::new();
    case.next_boot = boots(OLD);
    case.installed[1].version = Some("6.1.192-1".parse().unwrap());
    case.answers(UpgradeAnswer::CannotTell, &["no-verdicts"]);
    case.verdicts = Some(verdicts(false));
    case.answers(UpgradeAnswer::Required, &["missing-fixes"]);
}
