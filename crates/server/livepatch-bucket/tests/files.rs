//! What the publisher asks of a place for files, on a directory and on a real S3-compatible server.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_bucket::{Bucket, Keys};
use livepatch_services::ObjectStore;
use livepatch_trust::{Directory, Files, Lifetimes, PublishError, Publisher, Role};
use std::{
    io::ErrorKind,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, SystemTime},
};
use url::Url;

/// Each place with what keeps it alive.
fn places() -> Vec<(Arc<dyn Files>, Box<dyn std::any::Any>)> {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let whole: Arc<dyn Files> = Arc::new(bucket(&store, ""));
    let below: Arc<dyn Files> = Arc::new(bucket(&store, "/site/one").below("repository"));
    vec![
        (Arc::new(Directory::new(directory.path())), Box::new(directory)),
        (whole, Box::new(())),
        (below, Box::new(store)),
    ]
}

fn store() -> ObjectStore {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ObjectStore::start("livepatches").unwrap()
}

fn bucket(store: &ObjectStore, prefix: &str) -> Bucket {
    let keys = Keys::new(store.access_key(), store.secret_key());
    Bucket::at(&format!("{}{prefix}", store.url()).parse().unwrap(), keys).unwrap()
}

#[test]
fn files_are_read_as_they_were_written() {
    for (files, _kept) in places() {
        assert_eq!(files.read("metadata/x", 9).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(files.names("metadata").unwrap(), [""; 0], "{files:?}");
        files.write("metadata/x", b"one").unwrap();
        files.write("metadata/x", b"other").unwrap();
        files.write("targets/6.1.0-55+deb12~1/a b.ko", &[0xff; 70_000]).unwrap();
        files.write("metadata-not/y", b"").unwrap();
        assert_eq!(files.read("metadata/x", 5).unwrap(), b"other", "the limit is allowed");
        assert_eq!(files.read("metadata/x", 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(files.read("targets/6.1.0-55+deb12~1/a b.ko", 1 << 20).unwrap(), [0xff; 70_000]);
        assert_eq!(files.read("metadata-not/y", 9).unwrap(), b"");
        assert_eq!(files.names("metadata").unwrap(), ["metadata/x"]);
        assert_eq!(files.names("targets").unwrap(), ["targets/6.1.0-55+deb12~1/a b.ko"]);
        assert!(files.place("metadata/x").ends_with("metadata/x"));
    }
}

#[test]
fn long_lists_come_whole() {
    let store = store();
    let files = bucket(&store, "");
    let names: Vec<String> = (0..1100).map(|number| format!("targets/r/{number:04}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(140) {
            let files = &files;
            scope.spawn(move || part.iter().for_each(|name| files.write(name, b"").unwrap()));
        }
    });
    assert_eq!(files.names("targets").unwrap(), names, "the store gives 1000 at once");
}

/// Whoever polls while others publish sees one state or the next, whole.
#[test]
fn readers_never_see_half_a_state() {
    for (files, _kept) in places() {
        let keys = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let mut publisher =
            Publisher::create_in(Arc::clone(&files), keys.path(), Lifetimes::default(), now).unwrap();
        assert!(matches!(
            Publisher::create_in(Arc::clone(&files), keys.path(), Lifetimes::default(), now),
            Err(PublishError::Exists(_))
        ));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let polling = scope.spawn(|| {
                let mut seen = 0;
                while !over.load(Ordering::Relaxed) {
                    let timestamp: serde_json::Value =
                        serde_json::from_slice(&files.read("metadata/timestamp.json", 1 << 20).unwrap())
                            .unwrap();
                    let named = |document: &serde_json::Value, role: &str| {
                        let version = &document["signed"]["meta"][format!("{role}.json")]["version"];
                        format!("metadata/{version}.{role}.json")
                    };
                    let snapshot = files.read(&named(&timestamp, "snapshot"), 1 << 20).unwrap();
                    let snapshot = serde_json::from_slice(&snapshot).unwrap();
                    files.read(&named(&snapshot, "targets"), 1 << 20).unwrap();
                    seen += 1;
                }
                seen
            });
            for number in 0..6 {
                let name = format!("documents/{number}.json");
                publisher.stage_document(&name, b"{}").unwrap();
                publisher.commit(now).unwrap();
            }
            over.store(true, Ordering::Relaxed);
            assert!(polling.join().unwrap() > 0);
        });
        assert_eq!(publisher.document("documents/3.json").unwrap().unwrap(), b"{}");
    }
}

/// Two programs with the same keys and one bucket: each goes on from what the other brought out.
#[test]
fn publishers_that_share_a_bucket_go_on_from_one_another() {
    let store = store();
    let (one_keys, other_keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (lifetimes, now) = (Lifetimes::default(), SystemTime::now());
    let files = || Arc::new(bucket(&store, ""));
    let mut one = Publisher::create_in(files(), one_keys.path(), lifetimes, now).unwrap();
    for role in Role::ALL {
        let file = format!("{role}.pem");
        std::fs::copy(one_keys.path().join(&file), other_keys.path().join(&file)).unwrap();
    }
    let mut other = Publisher::open_in(files(), other_keys.path(), lifetimes).unwrap();
    for turn in 1..=3 {
        one.catch_up().unwrap();
        one.stage_document(&format!("documents/one-{turn}"), b"1").unwrap();
        one.commit(now).unwrap();
        other.catch_up().unwrap();
        other.stage_document(&format!("documents/other-{turn}"), b"2").unwrap();
        other.commit(now + Duration::from_secs(1)).unwrap();
    }
    other.renew_root(now).unwrap();
    one.catch_up().unwrap();
    assert_eq!(one.versions(), other.versions());
    assert_eq!((one.documents().count(), one.versions().root), (6, 2));
}

#[test]
fn what_the_store_refuses_is_said_and_is_no_missing_file() {
    let store = store();
    let stranger: Url = store.url().parse().unwrap();
    let stranger = Bucket::at(&stranger, Keys::new(store.access_key(), "another secret")).unwrap();
    let failure = stranger.read("metadata/x", 9).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::PermissionDenied, "{failure}");
    assert!(!format!("{stranger:?} {failure}").contains("another secret"));

    let elsewhere = store.url().replace("livepatches", "no-such-bucket");
    let keys = Keys::new(store.access_key(), store.secret_key());
    let elsewhere = Bucket::at(&elsewhere.parse().unwrap(), keys).unwrap();
    assert_eq!(elsewhere.names("metadata").unwrap_err().kind(), ErrorKind::Other);

    let gone = bucket(&store, "");
    drop(store);
    let failure = gone.read("metadata/x", 9).unwrap_err();
    assert!(failure.to_string().contains("does not answer"), "{failure}");
}

#[test]
fn urls_that_name_no_bucket_are_refused() {
    let refused = |url: &str| Bucket::at(&url.parse().unwrap(), Keys::new("a", "s")).unwrap_err().to_string();
    assert!(refused("https://store.example").contains("names no bucket"));
    let sound = Bucket::at(&"https://store.example/b/p?region=x".parse().unwrap(), Keys::new("a", "s"));
    assert_eq!(sound.unwrap().place("n").to_str(), Some("https://store.example/b/p/n"));
}
