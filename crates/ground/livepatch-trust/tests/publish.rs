//! The publisher: what it publishes loads, what it refuses, and what a crash leaves behind.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_trust::{LARGEST_MODULE, Lifetimes, PublishError, Publisher, Role, Versions};
use std::{fs, os::unix::fs::PermissionsExt, time::SystemTime};
use support::{DAY, Site, copy_tree, livepatch};

#[test]
fn published_livepatch_loads_with_tiers_and_bytes() {
    let (site, mut publisher) = Site::new();
    assert_eq!(site.load().unwrap().livepatches().count(), 0);
    let (module, manifest) = livepatch(1);
    publisher.stage(&module, &manifest, &["edge".into(), "beta".into()]).unwrap();
    assert_eq!(publisher.published().count(), 0, "staged is not published");
    let versions = publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(versions, Versions { root: 1, targets: 2, snapshot: 2, timestamp: 2 });

    let repository = site.load().unwrap();
    assert_eq!(repository.versions(), versions);
    let published: Vec<_> = repository.livepatches().collect();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].manifest, manifest);
    assert_eq!(published[0].tiers, ["edge", "beta"]);
    assert_eq!(published[0].target, "6.1.0-55-cloud-amd64/livepatch_6_1_0_55_cloud_amd64_1.ko");
    assert_eq!(repository.module(published[0]).unwrap(), module);
    assert!(repository.skipped().is_empty());
    assert!(repository.expires() > SystemTime::now() + DAY);
}

#[test]
fn file_names_follow_the_specification() {
    let (site, _publisher) = Site::published();
    let name = site.module_file().file_name().unwrap().to_str().unwrap().to_owned();
    let (_, manifest) = livepatch(1);
    assert_eq!(name, format!("{}.livepatch_6_1_0_55_cloud_amd64_1.ko", manifest.module.sha256));
    for file in ["1.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json"] {
        assert!(site.metadata(file).is_file(), "{file}");
    }
}

#[test]
fn tiers_change_and_livepatches_go() {
    let (site, mut publisher) = Site::published();
    let name = livepatch(1).1.name;
    publisher.set_tiers(&name, &["edge".into(), "stable".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().livepatches().next().unwrap().tiers, ["edge", "stable"]);
    publisher.remove(&name).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().livepatches().count(), 0);
    assert!(site.module_file().is_file(), "a machine may be fetching it");
    assert!(matches!(publisher.remove(&name), Err(PublishError::UnknownName(_))));
    assert!(matches!(publisher.set_tiers(&name, &[]), Err(PublishError::UnknownName(_))));
}

#[test]
fn discarded_changes_are_not_committed() {
    let (site, mut publisher) = Site::published();
    let (module, manifest) = livepatch(2);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.discard();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().livepatches().count(), 1);
}

#[test]
fn module_must_be_the_one_of_the_manifest() {
    let (_site, mut publisher) = Site::new();
    let (mut module, manifest) = livepatch(1);
    module[0] ^= 1;
    assert!(matches!(publisher.stage(&module, &manifest, &[]), Err(PublishError::ModuleMismatch(_))));
    module.pop();
    assert!(matches!(publisher.stage(&module, &manifest, &[]), Err(PublishError::ModuleMismatch(_))));
    let large = vec![0; LARGEST_MODULE as usize + 1];
    assert!(matches!(publisher.stage(&large, &manifest, &[]), Err(PublishError::ModuleMismatch(_))));
}

#[test]
fn a_name_keeps_its_content() {
    let (_site, mut publisher) = Site::published();
    let (module, manifest) = livepatch(1);
    publisher.stage(&module, &manifest, &["beta".into()]).unwrap();
    let (other, mut impostor) = livepatch(2);
    impostor.name = manifest.name;
    assert!(matches!(publisher.stage(&other, &impostor, &[]), Err(PublishError::NameTaken(_))));
}

#[test]
fn survives_reopening_without_root_and_targets_keys() {
    let (site, publisher) = Site::published();
    let before = publisher.versions();
    drop(publisher);
    for key in ["root.pem", "targets.pem"] {
        fs::remove_file(site.keys().join(key)).unwrap();
    }
    let mut publisher = Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap();
    assert_eq!(publisher.versions(), before);
    assert_eq!(publisher.published().count(), 1);
    let refreshed = publisher.refresh(SystemTime::now() + 2 * DAY).unwrap().unwrap();
    assert_eq!((refreshed.targets, refreshed.timestamp), (before.targets, before.timestamp + 1));
    let failure = publisher.commit(SystemTime::now()).unwrap_err();
    assert!(matches!(failure, PublishError::Key { role: Role::Targets, .. }), "{failure}");
    site.load().unwrap();
}

#[test]
fn refresh_signs_only_what_is_due() {
    let (site, mut publisher) = Site::published();
    let start = SystemTime::now();
    let versions = publisher.versions();
    assert_eq!(publisher.refresh(start).unwrap(), None);
    let after = |days| start + days * DAY;
    let refreshed = publisher.refresh(after(2)).unwrap().unwrap();
    assert_eq!(refreshed, Versions { timestamp: versions.timestamp + 1, ..versions });
    let refreshed = publisher.refresh(after(8)).unwrap().unwrap();
    assert_eq!((refreshed.snapshot, refreshed.targets), (versions.snapshot + 1, versions.targets));
    let refreshed = publisher.refresh(after(100)).unwrap().unwrap();
    assert_eq!((refreshed.targets, refreshed.root), (versions.targets + 1, versions.root));
    let refreshed = publisher.refresh(after(400)).unwrap().unwrap();
    assert_eq!(refreshed.root, versions.root + 1);
    assert_eq!(
        site.load().unwrap().versions(),
        refreshed,
        "a machine follows from the first root to the next"
    );
}

#[test]
fn refresh_does_not_bring_out_what_is_staged() {
    let (site, mut publisher) = Site::published();
    let (module, manifest) = livepatch(2);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.refresh(SystemTime::now() + 100 * DAY).unwrap().unwrap();
    assert_eq!(site.load().unwrap().livepatches().count(), 1);
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().livepatches().count(), 2);
}

#[test]
fn metadata_signed_under_a_clock_that_was_ahead_are_signed_again() {
    let (_site, mut publisher) = Site::with(Lifetimes::default(), SystemTime::now() + 300 * DAY);
    let refreshed = publisher.refresh(SystemTime::now()).unwrap().unwrap();
    assert_eq!((refreshed.timestamp, refreshed.targets), (2, 2));
}

#[test]
fn one_publisher_at_a_time() {
    let (site, publisher) = Site::new();
    let second = Publisher::open(&site.repository(), &site.keys(), site.lifetimes);
    assert!(matches!(second, Err(PublishError::Busy(_))));
    drop(publisher);
    Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap();
}

#[test]
fn keys_are_private_and_never_printed() {
    let (site, publisher) = Site::new();
    for role in Role::ALL {
        let mode = fs::metadata(site.keys().join(format!("{role}.pem"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{role}");
    }
    assert_eq!(fs::metadata(site.keys()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!format!("{publisher:?}").contains("PRIVATE"));
}

#[test]
fn foreign_keys_are_refused() {
    let (site, publisher) = Site::new();
    let (other, _other) = Site::new();
    drop(publisher);
    fs::copy(other.keys().join("timestamp.pem"), site.keys().join("timestamp.pem")).unwrap();
    let failure = Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap_err();
    assert!(matches!(failure, PublishError::Key { role: Role::Timestamp, .. }), "{failure}");
    fs::write(site.keys().join("timestamp.pem"), "-----BEGIN").unwrap();
    let failure = Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap_err();
    assert!(matches!(failure, PublishError::Key { role: Role::Timestamp, .. }), "{failure}");
}

#[test]
fn a_repository_is_made_once() {
    let (site, publisher) = Site::published();
    drop(publisher);
    let again = || Publisher::create(&site.repository(), &site.keys(), site.lifetimes, SystemTime::now());
    assert!(matches!(again(), Err(PublishError::Exists(_))));
    // Metadata lost, modules left: starting over would look like a rollback to every machine.
    fs::remove_dir_all(site.repository().join("metadata")).unwrap();
    assert!(matches!(again(), Err(PublishError::Exists(_))));
}

#[test]
fn an_interrupted_creation_is_taken_up() {
    let (site, publisher) = Site::new();
    drop(publisher);
    fs::rename(site.repository().join("metadata"), site.repository().join("metadata.new")).unwrap();
    fs::remove_file(site.repository().join("metadata.new/timestamp.json")).unwrap();
    Publisher::create(&site.repository(), &site.keys(), site.lifetimes, SystemTime::now()).unwrap();
    site.load().unwrap();
}

#[test]
fn an_interrupted_commit_leaves_the_old_state() {
    let (site, mut publisher) = Site::published();
    let before = site.directory.path().join("before");
    copy_tree(&site.repository(), &before);
    let old = site.load().unwrap().versions();
    let (module, manifest) = livepatch(2);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    drop(publisher);

    // Every prefix of the writes, the last one being the rename of timestamp.json.
    for cut in [&["3.targets.json"][..], &["3.targets.json", "3.snapshot.json"]] {
        let interrupted = site.directory.path().join(format!("cut-{}", cut.len()));
        copy_tree(&before, &interrupted);
        for file in cut {
            fs::copy(site.metadata(file), interrupted.join("metadata").join(file)).unwrap();
        }
        let fetch = std::sync::Arc::new(livepatch_trust::DirectoryFetch);
        assert_eq!(site.load_from(&interrupted, &site.root(), fetch.clone()).unwrap().versions(), old);

        let mut publisher = Publisher::open(&interrupted, &site.keys(), site.lifetimes).unwrap();
        assert_eq!((publisher.published().count(), publisher.versions()), (1, old));
        publisher.commit(SystemTime::now()).unwrap();
        drop(publisher);
        let (repository, keys) = (interrupted, site.keys());
        Publisher::open(&repository, &keys, site.lifetimes).unwrap();
    }
}

#[test]
fn damage_on_disk_is_named() {
    for file in ["1.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json"] {
        let (site, publisher) = Site::published();
        drop(publisher);
        support::alter(&site.metadata(file), "\"version\": ", "\"version\": 1");
        let failure = Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap_err();
        assert!(
            matches!(failure, PublishError::Damaged { .. } | PublishError::File { .. }),
            "{file}: {failure}"
        );
    }
}
