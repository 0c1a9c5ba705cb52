//! Every way in which a repository can be wrong, late or absent has its own answer, and what a machine has seen
//! stays seen.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_trust::{
    DirectoryFetch, Fetch, FetchError, Lifetimes, Publisher, Repository, Role, TrustError, Versions,
};
use proptest::prelude::*;
use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};
use support::{DAY, Site, alter, copy_tree, lasting, livepatch};
use url::Url;

/// The code and the role of a refusal.
fn refusal(outcome: Result<Repository, TrustError>) -> (&'static str, Option<Role>) {
    let error = outcome.unwrap_err();
    assert!(!error.to_string().is_empty());
    (error.code(), error.role())
}

#[test]
fn expired_metadata_of_any_role() {
    let long_ago = SystemTime::now() - 10 * DAY;
    for role in Role::ALL {
        let mut lifetimes = lasting();
        let short = match role {
            Role::Root => &mut lifetimes.root,
            Role::Targets => &mut lifetimes.targets,
            Role::Snapshot => &mut lifetimes.snapshot,
            Role::Timestamp => &mut lifetimes.timestamp,
        };
        *short = 5 * DAY;
        let (site, mut publisher) = Site::with(lifetimes, long_ago);
        assert_eq!(refusal(site.load()), ("metadata-expired", Some(role)));
        if role != Role::Root {
            publisher.commit(SystemTime::now()).unwrap();
            site.load().unwrap();
        }
    }
}

#[test]
fn a_module_is_not_given_out_after_the_metadata_expired() {
    let lifetimes = Lifetimes { timestamp: Duration::from_secs(2), ..Lifetimes::default() };
    let (site, mut publisher) = Site::with(lifetimes, SystemTime::now());
    let (module, manifest) = livepatch(1);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    let repository = site.load().unwrap();
    let livepatch = repository.livepatches().next().unwrap();
    while SystemTime::now() < repository.expires() {
        std::thread::yield_now();
    }
    assert_eq!(repository.module(livepatch).unwrap_err().code(), "metadata-expired");
}

#[test]
fn rolled_back_timestamp() {
    let (site, mut publisher) = Site::published();
    let old = fs::read(site.metadata("timestamp.json")).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    site.load().unwrap();
    fs::write(site.metadata("timestamp.json"), old).unwrap();
    let failure = site.load().unwrap_err();
    assert!(
        matches!(failure, TrustError::RolledBack { role: Role::Timestamp, seen: 3, offered: 2 }),
        "{failure}"
    );
    assert_eq!(failure.code(), "metadata-rolled-back");
}

#[test]
fn rolled_back_snapshot_under_a_newer_timestamp() {
    let (site, mut publisher) = Site::published();
    let (twin, twin_keys) = site.twin();
    publisher.commit(SystemTime::now()).unwrap();
    site.load().unwrap();
    let mut thief = Publisher::open(&twin, &twin_keys, site.lifetimes).unwrap();
    for days in [2, 4] {
        thief.refresh(SystemTime::now() + days * DAY).unwrap().unwrap();
    }
    assert_eq!(thief.versions(), Versions { root: 1, targets: 2, snapshot: 2, timestamp: 4 });
    let outcome = site.load_from(&twin, &site.root(), Arc::new(DirectoryFetch));
    assert_eq!(refusal(outcome), ("metadata-rolled-back", Some(Role::Snapshot)));
}

#[test]
fn rolled_back_targets_under_a_newer_snapshot() {
    let (site, mut publisher) = Site::published();
    let (twin, twin_keys) = site.twin();
    publisher.commit(SystemTime::now()).unwrap();
    site.load().unwrap();
    let mut thief = Publisher::open(&twin, &twin_keys, site.lifetimes).unwrap();
    for days in [8, 16] {
        thief.refresh(SystemTime::now() + days * DAY).unwrap().unwrap();
    }
    assert_eq!(thief.versions(), Versions { root: 1, targets: 2, snapshot: 4, timestamp: 4 });
    let outcome = site.load_from(&twin, &site.root(), Arc::new(DirectoryFetch));
    assert_eq!(refusal(outcome), ("metadata-rolled-back", Some(Role::Targets)));
}

#[test]
fn rollback_is_noticed_after_a_failed_check_too() {
    let (site, mut publisher) = Site::published();
    let before = site.directory.path().join("before");
    copy_tree(&site.repository(), &before);
    publisher.commit(SystemTime::now()).unwrap();
    fs::remove_file(site.metadata("3.snapshot.json")).unwrap();
    assert_eq!(refusal(site.load()), ("metadata-missing", Some(Role::Snapshot)));
    let outcome = site.load_from(&before, &site.root(), Arc::new(DirectoryFetch));
    assert_eq!(refusal(outcome), ("metadata-rolled-back", Some(Role::Timestamp)));
}

#[test]
fn a_torn_memory_does_not_stop_the_machine() {
    let (site, _publisher) = Site::published();
    site.load().unwrap();
    for file in ["root.json", "timestamp.json", "snapshot.json", "targets.json", "anchor.sha256"] {
        fs::write(site.datastore().join(file), "{\"sig").unwrap();
        site.load().unwrap();
    }
}

#[test]
fn altered_truncated_grown_or_missing_module() {
    let (site, _publisher) = Site::published();
    let repository = site.load().unwrap();
    let livepatch = repository.livepatches().next().unwrap();
    let file = site.module_file();
    let sound = fs::read(&file).unwrap();
    let refused = || repository.module(livepatch).unwrap_err();

    let mut altered = sound.clone();
    altered[7] ^= 1;
    fs::write(&file, &altered).unwrap();
    assert_eq!(refused().code(), "target-altered");
    fs::write(&file, &sound[..sound.len() - 1]).unwrap();
    assert_eq!(refused().code(), "target-altered");
    fs::write(&file, [&sound[..], b"x"].concat()).unwrap();
    assert_eq!(refused().code(), "target-altered");
    fs::remove_file(&file).unwrap();
    assert_eq!(refused().code(), "target-missing");
}

#[test]
fn altered_metadata() {
    for (file, from, expected) in [
        ("2.targets.json", "\"edge\"", ("metadata-altered", Some(Role::Targets))),
        ("2.snapshot.json", "\"version\": 2", ("metadata-altered", Some(Role::Snapshot))),
        ("timestamp.json", "\"version\": 2", ("metadata-signature-invalid", Some(Role::Timestamp))),
    ] {
        let (site, _publisher) = Site::published();
        let to = from.replace("edge", "beta").replace('2', "9");
        alter(&site.metadata(file), from, &to);
        assert_eq!(refusal(site.load()), expected, "{file}");
    }
}

#[test]
fn wrong_root() {
    let (site, _publisher) = Site::published();
    let (other, _other) = Site::new();
    let outcome = site.load_from(&site.repository(), &other.root(), Arc::new(DirectoryFetch));
    assert_eq!(refusal(outcome), ("metadata-signature-invalid", Some(Role::Timestamp)));
}

#[test]
fn unusable_anchor() {
    let (site, _publisher) = Site::published();
    let altered = String::from_utf8(site.root()).unwrap().replacen("\"version\": 1", "\"version\": 2", 1);
    for root in ["", "{}", altered.as_str()] {
        let outcome = site.load_from(&site.repository(), root.as_bytes(), Arc::new(DirectoryFetch));
        assert_eq!(refusal(outcome), ("trust-anchor-unusable", None));
    }
}

#[test]
fn forged_next_root() {
    let (site, _publisher) = Site::published();
    let (other, mut impostor) = Site::new();
    impostor.renew_root(SystemTime::now()).unwrap();
    fs::copy(other.metadata("2.root.json"), site.metadata("2.root.json")).unwrap();
    assert_eq!(refusal(site.load()), ("metadata-signature-invalid", Some(Role::Root)));
}

#[test]
fn a_root_once_reached_is_kept() {
    let (site, mut publisher) = Site::published();
    publisher.renew_root(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().versions().root, 2);
    fs::remove_file(site.metadata("2.root.json")).unwrap();
    assert_eq!(site.load().unwrap().versions().root, 2);
}

#[test]
fn missing_or_cut_off_metadata() {
    let (site, _publisher) = Site::published();
    let timestamp = fs::read(site.metadata("timestamp.json")).unwrap();
    for length in [0, 1, timestamp.len() / 2, timestamp.len() - 3] {
        fs::write(site.metadata("timestamp.json"), &timestamp[..length]).unwrap();
        assert_eq!(refusal(site.load()), ("metadata-malformed", Some(Role::Timestamp)));
    }
    fs::remove_file(site.metadata("timestamp.json")).unwrap();
    assert_eq!(refusal(site.load()), ("metadata-missing", Some(Role::Timestamp)));

    let (site, _publisher) = Site::published();
    let targets = fs::read(site.metadata("2.targets.json")).unwrap();
    fs::write(site.metadata("2.targets.json"), &targets[..targets.len() / 2]).unwrap();
    assert_eq!(refusal(site.load()), ("metadata-altered", Some(Role::Targets)));
}

#[test]
fn oversized_metadata() {
    for (file, role) in [
        ("timestamp.json", Role::Timestamp),
        ("2.snapshot.json", Role::Snapshot),
        ("2.root.json", Role::Root),
    ] {
        let (site, _publisher) = Site::published();
        fs::write(site.metadata(file), vec![b' '; 2 << 20]).unwrap();
        assert_eq!(refusal(site.load()), ("metadata-oversized", Some(role)), "{file}");
    }
    // Within the role's own limit, but longer than was signed.
    let (site, _publisher) = Site::published();
    let targets = fs::read(site.metadata("2.targets.json")).unwrap();
    fs::write(site.metadata("2.targets.json"), [&targets[..], b" "].concat()).unwrap();
    assert_eq!(refusal(site.load()), ("metadata-oversized", Some(Role::Targets)));
}

/// A network that fails for addresses with this ending, and is a directory otherwise.
struct Broken(&'static str, FetchError);

impl Fetch for Broken {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        if url.path().ends_with(self.0) { Err(self.1.clone()) } else { DirectoryFetch.fetch(url, limit) }
    }
}

#[test]
fn unreachable_repository() {
    let (site, _publisher) = Site::published();
    // Also while asking for the next root: a cut line must not look like "there is none".
    for ending in ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"] {
        let cut = Broken(ending, FetchError::Unreachable("connection refused".into()));
        let failure = site.load_through(Arc::new(cut)).unwrap_err();
        assert_eq!(failure.code(), "repository-unreachable", "{ending}");
        assert!(failure.to_string().contains("connection refused"));
    }
    let broken = Arc::new(Broken(".ko", FetchError::Unreachable("reset".into())));
    let repository = site.load_through(broken).unwrap();
    let livepatch = repository.livepatches().next().unwrap();
    assert_eq!(repository.module(livepatch).unwrap_err().code(), "repository-unreachable");
}

#[test]
fn what_was_verified_before_is_not_fetched_again() {
    let (site, _publisher) = Site::published();
    site.load().unwrap();
    for ending in ["2.snapshot.json", "2.targets.json"] {
        let cut = Broken(ending, FetchError::Unreachable("nobody should ask".into()));
        assert_eq!(site.load_through(Arc::new(cut)).unwrap().livepatches().count(), 1, "{ending}");
    }
    // What is kept is verified like what is fetched, and fetched when it is not good.
    let kept = site.datastore().join("fetched.targets.json");
    let damaged = fs::read_to_string(&kept).unwrap().replace("edge", "open");
    fs::write(&kept, damaged).unwrap();
    let tiers = site.load().unwrap().livepatches().next().unwrap().tiers.clone();
    assert_eq!(tiers, ["edge"]);
}

/// A network side that forgets its limits.
struct Endless;

impl Fetch for Endless {
    fn fetch(&self, url: &Url, _limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut bytes = DirectoryFetch.fetch(url, u64::MAX - 1)?;
        if url.path().ends_with("timestamp.json") {
            bytes.resize(1 << 20, b' ');
        }
        Ok(bytes)
    }
}

#[test]
fn limits_hold_whatever_the_network_side_does() {
    let (site, _publisher) = Site::published();
    assert_eq!(refusal(site.load_through(Arc::new(Endless))), ("metadata-oversized", Some(Role::Timestamp)));
}

#[test]
fn unwritable_memory() {
    let (site, _publisher) = Site::published();
    fs::write(site.datastore(), "a file where the directory should be").unwrap();
    assert_eq!(refusal(site.load()), ("state-unusable", None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever a mirror does to one byte of one file, a machine loads what was signed, or nothing.
    #[test]
    fn one_changed_byte_never_changes_what_is_loaded(file in 0usize..4, place in 0.0f64..1.0, value in any::<u8>()) {
        let (site, _publisher) = Site::published();
        let sound: Vec<_> = site.load().unwrap().livepatches().cloned().collect();
        let path = site.metadata(["1.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json"][file]);
        let root = site.root();
        let mut bytes = fs::read(&path).unwrap();
        let at = (place * bytes.len() as f64) as usize;
        bytes[at] = value;
        fs::write(&path, bytes).unwrap();
        if let Ok(loaded) = site.load_from(&site.repository(), &root, Arc::new(DirectoryFetch)) {
            prop_assert_eq!(loaded.livepatches().cloned().collect::<Vec<_>>(), sound);
        }
    }
}
