//! Stolen keys, and what is left of their power after a rotation; each against the real client.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_trust::{DirectoryFetch, Publisher, Role};
use std::{fs, sync::Arc, time::SystemTime};
use support::{Site, livepatch};

#[test]
fn machines_follow_every_rotation_and_find_their_livepatches() {
    let (site, mut publisher) = Site::published();
    site.load().unwrap();
    for role in Role::ALL {
        let before = fs::read(site.keys().join(format!("{role}.pem"))).unwrap();
        publisher.rotate(role, SystemTime::now()).unwrap();
        assert_ne!(fs::read(site.keys().join(format!("{role}.pem"))).unwrap(), before, "{role}");
        assert_eq!(site.load().unwrap().livepatches().count(), 1, "after a rotation of {role}");
    }
    assert_eq!(publisher.versions().root, 9, "two roots for each");
    let (module, manifest) = livepatch(2);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().livepatches().count(), 2);
    drop(publisher);
    Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap();
    assert!(!site.keys().join("root.next.pem").exists());
}

/// A thief of all four keys publishes; the operator rotates the stolen ones: a machine that has seen the new root takes
/// nothing from the thief, though his versions are greater.
#[test]
fn stolen_keys_are_worth_nothing_after_rotation() {
    for role in [Role::Targets, Role::Snapshot, Role::Timestamp] {
        let (site, mut publisher) = Site::published();
        let (twin, twin_keys) = site.twin();
        publisher.rotate(role, SystemTime::now()).unwrap();
        site.load().unwrap();

        let mut thief = Publisher::open(&twin, &twin_keys, site.lifetimes).unwrap();
        let (module, manifest) = livepatch(7);
        thief.stage(&module, &manifest, &["edge".into()]).unwrap();
        for _ in 0..5 {
            thief.commit(SystemTime::now()).unwrap();
        }
        let refused = site.load_from(&twin, &site.root(), Arc::new(DirectoryFetch)).unwrap_err();
        assert_eq!(refused.code(), "metadata-signature-invalid", "{role}: {refused}");
        // His online keys, where they still held, may have put the machine's clock of versions forward. With those keys
        // rotated as well, it starts to count anew (specification 5.3.11).
        for role in [Role::Snapshot, Role::Timestamp] {
            publisher.rotate(role, SystemTime::now()).unwrap();
        }
        assert_eq!(site.load().unwrap().livepatches().count(), 1, "the true site goes on");
    }
}

/// The online keys alone (timestamp and snapshot) add no code, rotation or not.
#[test]
fn online_keys_cannot_add_code() {
    let (site, publisher) = Site::published();
    drop(publisher);
    let (twin, twin_keys) = site.twin();
    for role in [Role::Root, Role::Targets] {
        fs::remove_file(twin_keys.join(format!("{role}.pem"))).unwrap();
    }
    let mut thief = Publisher::open(&twin, &twin_keys, site.lifetimes).unwrap();
    let (module, manifest) = livepatch(7);
    thief.stage(&module, &manifest, &["edge".into()]).unwrap();
    assert!(thief.commit(SystemTime::now()).is_err());
    thief.rotate(Role::Targets, SystemTime::now()).unwrap_err();
    drop(thief);
    // With a targets key of his own, he can sign what no machine takes.
    let stranger = Site::new();
    fs::copy(stranger.0.keys().join("targets.pem"), twin_keys.join("targets.pem")).unwrap();
    let mut thief = Publisher::open(&twin, &twin_keys, site.lifetimes).unwrap();
    thief.stage(&module, &manifest, &["edge".into()]).unwrap();
    assert!(thief.commit(SystemTime::now()).is_err());
    assert_eq!(site.load().unwrap().livepatches().count(), 1);
}
