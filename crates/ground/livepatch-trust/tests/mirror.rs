//! What a mirror can do with an origin's livepatches, and what it cannot; each against the real client.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_manifest::{Digest, Fix};
use livepatch_trust::{
    Bundle, Directory, DirectoryFetch, LoadRequest, Origin, PinnedOrigin, Published, Publisher, Repository,
    Role, Signed, check_origin, endorser, keep_module, pass_root_on,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use support::{DAY, Site, copy_tree, livepatch};
use url::Url;

/// The certificate that the livepatches of `support` name.
fn signer() -> Digest {
    Digest::of(b"certificate")
}

fn pinned(origin: &Site) -> PinnedOrigin {
    let root = origin.root();
    PinnedOrigin { id: Digest::of(&root), root, certificates: vec![signer()] }
}

fn only(repository: &Repository) -> Published {
    let mut livepatches = repository.livepatches();
    let livepatch = livepatches.next().unwrap().clone();
    assert!(livepatches.next().is_none());
    livepatch
}

/// A mirror of a one-livepatch origin, as an honest one is made.
fn mirrored(origin: &Site) -> (Site, Publisher) {
    let upstream = origin.load().unwrap();
    let entry = only(&upstream);
    let (site, mut mirror) = Site::new();
    keep_module(&Directory::new(site.repository()), &entry, &upstream.module(&entry).unwrap()).unwrap();
    mirror.pass_on(&entry, &pinned(origin).id, &["stable".into()]).unwrap();
    mirror.commit(SystemTime::now()).unwrap();
    (site, mirror)
}

/// What a machine of the mirror says to what it finds there.
fn verdict(mirror: &Site, origin: &Site) -> Result<(), &'static str> {
    let repository = mirror.load().unwrap();
    let origins = repository.origins(&[pinned(origin)]).map_err(|error| error.code())?;
    check_origin(&origins, &only(&repository), &signer()).map_err(|error| error.code())
}

#[test]
fn livepatch_comes_through_a_mirror_with_its_origins_word() {
    let (origin, _origin_publisher) = Site::published();
    let (mirror, _publisher) = mirrored(&origin);
    verdict(&mirror, &origin).unwrap();
    let (here, there) = (only(&mirror.load().unwrap()), only(&origin.load().unwrap()));
    assert_eq!((&here.manifest, &here.endorsement), (&there.manifest, &there.endorsement));
    assert_eq!((here.tiers, here.origin), (vec!["stable".to_owned()], Some(pinned(&origin).id)));
}

#[test]
fn what_a_mirror_alters_is_refused() {
    let (origin, _origin_publisher) = Site::published();
    let alter = |how: &dyn Fn(&mut Published)| {
        let (site, mut mirror) = mirrored(&origin);
        let mut entry = only(&site.load().unwrap());
        mirror.remove(&entry.manifest.name).unwrap();
        mirror.commit(SystemTime::now()).unwrap();
        how(&mut entry);
        mirror.pass_on(&entry, &pinned(&origin).id, &["stable".into()]).unwrap();
        mirror.commit(SystemTime::now()).unwrap();
        verdict(&site, &origin)
    };
    alter(&|_| {}).unwrap();
    // It claims to mend what it does not, or to be newer than it is; or it comes without its origin's word.
    let altered = Err("endorsement-invalid");
    assert_eq!(alter(&|entry| entry.manifest.fixes.push(Fix::new("CVE-2026-1", "not at all"))), altered);
    assert_eq!(alter(&|entry| entry.manifest.version = 9), altered);
    assert_eq!(alter(&|entry| entry.endorsement = None), altered);

    // A mirror that publishes an origin's module as its own signs an endorsement, and it is not the origin's.
    let (site, mut mirror) = Site::new();
    let (module, manifest) = livepatch(1);
    mirror.stage(&module, &manifest, &["stable".into()]).unwrap();
    mirror.commit(SystemTime::now()).unwrap();
    assert!(only(&site.load().unwrap()).endorsement.is_some());
    assert_eq!(verdict(&site, &origin), altered);
    // What is signed with a certificate of the mirror's own needs nobody's word but the mirror's.
    let repository = site.load().unwrap();
    let origins = repository.origins(&[pinned(&origin)]).unwrap();
    check_origin(&origins, &only(&repository), &Digest::of(b"the mirror's own certificate")).unwrap();
    assert!(endorser(&origins, &only(&repository)).is_none());
}

/// The origin's release key was stolen and replaced: the thief's word counts until the mirror brings the new root, and
/// no mirror brings the old one back.
#[test]
fn origins_rotation_reaches_machines_through_the_mirror() {
    let (origin, mut origin_publisher) = Site::published();
    let (mirror, publisher) = mirrored(&origin);
    verdict(&mirror, &origin).unwrap();
    origin_publisher.rotate(Role::Targets, SystemTime::now()).unwrap();
    for version in 2..=3 {
        let root = fs::read(origin.metadata(&format!("{version}.root.json"))).unwrap();
        pass_root_on(&Directory::new(mirror.repository()), &pinned(&origin).id, version, &root).unwrap();
    }
    assert_eq!(verdict(&mirror, &origin), Err("endorsement-invalid"), "the old key's word");
    fs::remove_dir_all(mirror.repository().join("origins")).unwrap();
    assert_eq!(verdict(&mirror, &origin), Err("endorsement-invalid"), "the new root is remembered");
    // The origin has said it again with its new key.
    drop(publisher);
    let upstream = origin.load().unwrap();
    let mut publisher = Publisher::open(&mirror.repository(), &mirror.keys(), mirror.lifetimes).unwrap();
    publisher.pass_on(&only(&upstream), &pinned(&origin).id, &["stable".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    verdict(&mirror, &origin).unwrap();

    let forged = Site::new().0;
    fs::create_dir_all(mirror.repository().join("origins").join(pinned(&origin).id.as_str())).unwrap();
    let next = mirror.repository().join("origins").join(pinned(&origin).id.as_str()).join("4.root.json");
    fs::write(next, forged.root()).unwrap();
    assert_eq!(verdict(&mirror, &origin), Err("metadata-signature-invalid"));
}

#[test]
fn statements_of_one_kind_are_not_those_of_another() {
    let (origin, publisher) = Site::published();
    let entry = only(&origin.load().unwrap());
    let words = serde_json::to_vec(&entry.endorsement.unwrap()).unwrap();
    let as_bundle: Signed<Bundle> = serde_json::from_slice(&words).unwrap();
    let refused = as_bundle.verify(&publisher.trusted_root()).unwrap_err();
    assert_eq!(refused.code(), "metadata-signature-invalid");
    assert!(refused.to_string().contains("livepatch-endorsement"), "{refused}");
    let none: Vec<Origin> = Vec::new();
    assert!(endorser(&none, &only(&origin.load().unwrap())).is_none());
}

/// The state of a site as it is carried away.
fn bundle(site: &Site, publisher: &Publisher, to: &Path, made: SystemTime) -> Signed<Bundle> {
    copy_tree(&site.repository(), to);
    let seconds = made.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let description = Bundle {
        site: publisher.origin().clone(),
        timestamp: Digest::of(&fs::read(to.join("metadata/timestamp.json")).unwrap()),
        targets: publisher.versions().targets,
        since: None,
        made: seconds,
        expires: seconds + 90 * 86_400,
    };
    publisher.say(&description).unwrap()
}

fn open(
    site: &Site,
    at: &Path,
    bundle: &Signed<Bundle>,
    now: SystemTime,
) -> Result<Repository, livepatch_trust::TrustError> {
    let url = |part: &str| Url::from_file_path(at.join(part)).unwrap();
    let request = LoadRequest {
        root: &site.root(),
        metadata_url: url("metadata"),
        targets_url: url("targets"),
        datastore: &site.datastore(),
        fetch: Arc::new(DirectoryFetch),
    };
    Repository::load_bundle(request, bundle, now).map(|(repository, _)| repository)
}

#[test]
fn bundle_is_read_for_as_long_as_it_says_and_never_after_a_newer_one() {
    let long_ago = SystemTime::now() - 60 * DAY;
    let (site, mut publisher) = Site::with(livepatch_trust::Lifetimes::default(), long_ago);
    let place = |name: &str| -> PathBuf { site.directory.path().join(name) };
    let old = bundle(&site, &publisher, &place("old"), long_ago);
    let (module, manifest) = livepatch(1);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.commit(long_ago).unwrap();
    let new = bundle(&site, &publisher, &place("new"), long_ago);

    // The timestamp expired weeks ago; the bundle lasts.
    let repository = open(&site, &place("new"), &new, SystemTime::now()).unwrap();
    assert_eq!(repository.module(&only(&repository)).unwrap(), module);
    let code = |outcome: Result<Repository, livepatch_trust::TrustError>| outcome.unwrap_err().code();
    assert_eq!(code(open(&site, &place("old"), &old, SystemTime::now())), "metadata-rolled-back");
    open(&site, &place("new"), &new, SystemTime::now()).unwrap();
    assert_eq!(
        code(open(&site, &place("new"), &new, SystemTime::now() + 31 * DAY)),
        "metadata-expired",
        "after ninety days"
    );
    assert_eq!(code(open(&site, &place("new"), &old, SystemTime::now())), "metadata-inconsistent");

    // Somebody else's word on how long it lasts.
    let (_other, stranger) = Site::new();
    let forged = Bundle { expires: i64::MAX, ..new.verify(&publisher.trusted_root()).unwrap() };
    let forged = stranger.say(&forged).unwrap();
    assert_eq!(code(open(&site, &place("new"), &forged, SystemTime::now())), "metadata-signature-invalid");

    // Root and targets expire as always.
    let (site, mut publisher) =
        Site::with(livepatch_trust::Lifetimes::default(), SystemTime::now() - 200 * DAY);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.commit(SystemTime::now() - 200 * DAY).unwrap();
    let place = site.directory.path().join("stale");
    let stale = bundle(&site, &publisher, &place, SystemTime::now() - Duration::from_secs(60));
    assert_eq!(code(open(&site, &place, &stale, SystemTime::now())), "metadata-expired");
}
