//! Attacks on the way between server and machine (The Update Framework, specification 1.5.2), each against the whole agent
//! over HTTP: whoever sits in between, or holds some of the server's keys, brings nothing into the kernel.

use crate::{
    module::{manifest, signed},
    rig::Rig,
};
use livepatch_trust::{Lifetimes, Publisher, Role};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

const ONLINE: [Role; 2] = [Role::Snapshot, Role::Timestamp];

/// A machine that has version 1, confirmed by nobody yet, and remembers the metadata that named it.
fn with_version_one() -> Rig {
    let mut rig = Rig::enabled();
    rig.site.publish(1, &signed(1));
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.loads().len(), 1);
    rig
}

fn open(thief: &Path) -> Publisher {
    Publisher::open(&thief.join("repository"), &thief.join("keys"), Lifetimes::default()).unwrap()
}

/// The code of the refusal; the kernel got nothing.
fn refused(rig: &mut Rig) -> String {
    let loads = rig.kernel.loads();
    let code = rig.refused();
    assert_eq!(rig.kernel.loads(), loads, "something reached the kernel");
    code
}

#[test]
fn rollback_to_an_older_state() {
    let mut rig = with_version_one();
    let old = rig.site.stolen(&[]);
    rig.site.publish(2, &signed(2));
    assert_eq!(rig.refresh(), None);
    rig.site.serve_instead(old.path());
    assert_eq!(refused(&mut rig), "metadata-rolled-back");
    rig.site.serve_truth();
    assert_eq!(rig.refresh(), None);
}

#[test]
fn freeze_is_noticed_when_the_frozen_word_expires() {
    let mut rig = with_version_one();
    rig.site.sign_for(Duration::from_secs(2));
    let frozen = rig.site.stolen(&[]);
    rig.site.serve_instead(frozen.path());
    assert_eq!(rig.refresh(), None, "it is not old yet");
    rig.site.publish(2, &signed(2));
    let limit = Instant::now() + Duration::from_secs(20);
    while rig.refresh().is_none() {
        assert!(Instant::now() < limit, "a frozen repository is believed for ever");
        std::thread::yield_now();
    }
    assert_eq!(refused(&mut rig), "metadata-expired");
    rig.site.serve_truth();
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.loads().len(), 2);
}

#[test]
fn mix_and_match_of_two_true_states() {
    let mut rig = with_version_one();
    let old = rig.site.stolen(&[]);
    rig.site.publish(2, &signed(2));
    let mixed = rig.site.stolen(&[]);
    let at = |directory: &Path, file: &str| directory.join("repository/metadata").join(file);
    for (document, older) in [("4.targets.json", "3.targets.json"), ("4.snapshot.json", "3.snapshot.json")] {
        let sound = fs::read(at(mixed.path(), document)).unwrap();
        fs::copy(at(old.path(), older), at(mixed.path(), document)).unwrap();
        rig.site.serve_instead(mixed.path());
        assert!(
            ["metadata-altered", "metadata-oversized"].contains(&refused(&mut rig).as_str()),
            "{document}"
        );
        fs::write(at(mixed.path(), document), sound).unwrap();
    }
    rig.site.serve_truth();
    assert_eq!(rig.refresh(), None);
}

#[test]
fn endless_data_is_cut_off() {
    // What the two sides' buffers hold is sent too, some MiB.
    const BUFFERS: u64 = 16 << 20;
    for (ending, code, limit) in [
        ("timestamp.json", "metadata-oversized", 64 << 10),
        (".snapshot.json", "metadata-oversized", 1 << 20),
        (".targets.json", "metadata-oversized", 32 << 20),
        (".root.json", "metadata-oversized", 512 << 10),
        (".ko", "target-altered", 1 << 20),
    ] {
        let mut rig = Rig::enabled();
        rig.site.publish(1, &signed(1));
        rig.site.set_endless(Some(ending));
        assert_eq!(refused(&mut rig), code, "{ending}");
        assert!(rig.site.taken() < limit + BUFFERS, "{} bytes of {ending} were taken", rig.site.taken());
        rig.site.set_endless(None);
        assert_eq!(rig.refresh(), None, "{ending}");
    }
}

/// Whoever has the keys that are on the server can sign everything but what is code.
#[test]
fn stolen_online_keys_add_no_code() {
    let mut rig = with_version_one();
    // Without the release key there are no new targets at all.
    let thief = rig.site.stolen(&ONLINE);
    let mut publisher = open(thief.path());
    let module = signed(7);
    publisher.stage(&module, &manifest(7, &module), &["edge".to_owned()]).unwrap();
    assert!(publisher.commit(SystemTime::now()).is_err());
    drop(publisher);

    // With a release key of his own, or with an online key in that role, there are, and no machine takes them.
    for key_of_targets in [None, Some(Role::Timestamp), Some(Role::Snapshot)] {
        let thief = rig.site.stolen(&ONLINE);
        fs::remove_dir_all(thief.path().join("repository")).unwrap();
        if let Some(role) = key_of_targets {
            let keys = thief.path().join("keys");
            fs::copy(keys.join(format!("{role}.pem")), keys.join("targets.pem")).unwrap();
        }
        let (repository, keys) = (thief.path().join("repository"), thief.path().join("keys"));
        let now = SystemTime::now();
        let mut publisher = Publisher::create(&repository, &keys, Lifetimes::default(), now).unwrap();
        publisher.stage(&module, &manifest(7, &module), &["edge".to_owned()]).unwrap();
        for _ in 0..9 {
            publisher.commit(now).unwrap();
        }
        rig.site.serve_instead(thief.path());
        assert_eq!(refused(&mut rig), "metadata-signature-invalid", "{key_of_targets:?}");
    }
    // The owner takes the stolen keys' power, and machines go on where they were.
    rig.site.serve_truth();
    rig.site.rotate(&ONLINE);
    rig.site.publish(2, &signed(2));
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.loads().len(), 2);
}

/// All keys but the root's are stolen: machines that have seen the rotation take nothing from the thief.
#[test]
fn stolen_keys_are_worth_nothing_after_rotation() {
    let mut rig = with_version_one();
    let stolen = [Role::Targets, Role::Snapshot, Role::Timestamp];
    let thief = rig.site.stolen(&stolen);
    rig.site.rotate(&stolen);
    assert_eq!(rig.refresh(), None, "the machine follows from root to root");

    let mut publisher = open(thief.path());
    let module = signed(7);
    publisher.stage(&module, &manifest(7, &module), &["edge".to_owned()]).unwrap();
    for _ in 0..9 {
        publisher.commit(SystemTime::now()).unwrap();
    }
    rig.site.serve_instead(thief.path());
    assert_eq!(refused(&mut rig), "metadata-signature-invalid");
    rig.site.serve_truth();
    rig.site.publish(2, &signed(2));
    assert_eq!(rig.refresh(), None);
    assert_eq!(rig.kernel.loads().len(), 2);
}

/// A root that the old root's keys did not sign leads nowhere.
#[test]
fn a_forged_root_is_refused() {
    let mut rig = with_version_one();
    let thief = rig.site.stolen(&[Role::Targets, Role::Snapshot, Role::Timestamp]);
    fs::remove_dir_all(thief.path().join("repository")).unwrap();
    let (repository, keys) = (thief.path().join("repository"), thief.path().join("keys"));
    let now = SystemTime::now();
    let mut publisher = Publisher::create(&repository, &keys, Lifetimes::default(), now).unwrap();
    publisher.renew_root(now).unwrap();
    rig.site.serve_instead(thief.path());
    assert_eq!(refused(&mut rig), "metadata-signature-invalid");
}
