//! Signed verdicts: they come with a look at the repository, are fetched once, and change what the owner is told.

use crate::rig::Rig;
use livepatch_cve::verdict::{Engine, Exposure, FileBuild, KernelBuild, Stance, VerdictFile};
use livepatch_cve::{CveId, Distribution, Family};

const NAME: &str = "documents/verdicts/debian/bookworm/linux.olpv";
const VERSION: &str =
    "Linux version 6.1.0-55-cloud-amd64 (x) (gcc) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-14)\n";

/// Verdicts of one family of one build: a CVE that no livepatch mends, unless it is the distribution's word that there is none.
fn verdicts(unpatchable: bool) -> Vec<u8> {
    let family =
        Family { distribution: Distribution::Debian, release: "bookworm".into(), package: "linux".into() };
    let mut build = KernelBuild::new(family.clone(), "6.1.192-1".parse().unwrap());
    build.flavour = "cloud".into();
    build.architecture = "amd64".into();
    let cve: CveId = "CVE-2026-1077".parse().unwrap();
    let exposure = Exposure {
        cve,
        void: !unpatchable,
        upstream: None,
        configuration: Vec::new(),
        files: Vec::new(),
        families: [(family.clone(), Stance::Fixed("6.1.195-1".parse().unwrap()))].into(),
    };
    let mut engine = Engine::new(vec![build], vec![exposure]);
    let number = engine.family(&family).unwrap();
    engine.refuse(cve, number, "changed-data".into());
    let builds = engine.builds().iter().map(FileBuild::from).collect();
    VerdictFile::new(&family, builds, 0..1, &engine.verdicts()).encode()
}

fn rig() -> Rig {
    let rig = Rig::enabled();
    rig.kernel.put("proc/version", VERSION);
    rig.kernel.put("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
    rig
}

fn fetches(rig: &Rig) -> usize {
    rig.site.requests().iter().filter(|request| request.contains(".olpv")).count()
}

#[test]
fn the_owner_is_warned_of_what_no_livepatch_mends() {
    let mut rig = rig();
    assert!(!rig.status().next_step.contains("CVE"));
    rig.site.publish_document(NAME, &verdicts(true));
    assert_eq!(rig.refresh(), None);
    let next_step = rig.status().next_step;
    assert!(next_step.contains("CVE-2026-1077") && next_step.contains("reboot"), "{next_step}");
    assert_eq!(rig.refresh(), None);
    assert_eq!(fetches(&rig), 1, "what is kept is not fetched again");

    rig.site.publish_document(NAME, &verdicts(false));
    assert_eq!(rig.refresh(), None);
    assert_eq!((fetches(&rig), rig.status().next_step.contains("CVE")), (2, false));
}

#[test]
fn verdicts_that_were_tampered_with_are_not_believed_and_stop_nothing() {
    let mut rig = rig();
    rig.site.publish_document(NAME, &verdicts(true));
    assert_eq!(rig.refresh(), None);
    rig.site.publish_document(NAME, &verdicts(false));
    rig.site.alter_documents();
    rig.site.publish(1, &crate::module::signed(1));
    assert_eq!(rig.refresh(), None);
    let status = rig.status();
    assert!(status.livepatch.is_some(), "the livepatch comes all the same");
    assert!(status.next_step.contains("CVE-2026-1077"), "{}", status.next_step);
}
