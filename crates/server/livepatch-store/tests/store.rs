//! The store through its interface, on a fresh database a test.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_api::{AppliedLivepatch, CheckInRequest, EnrolRequest, Event, EventKind, PatchState};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::Digest;
use livepatch_store::{Enrolment, NewToken, Reported, Store, StoreError, StoredCertificate};
use sqlx::Connection as _;
use tempfile::TempDir;

const NOW: i64 = 1_800_000_000;
const MACHINE: &str = "3a1f7f0e-6f0c-4f6e-9a63-0c2a6b1c5d11";

async fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("livepatch.db")).await.unwrap();
    (directory, store)
}

fn kernel() -> KernelIdentity {
    KernelIdentity {
        release: "6.1.0-55-cloud-amd64".parse().unwrap(),
        build_id: "ab".repeat(20).parse().unwrap(),
        arch: "x86_64".into(),
    }
}

fn token(secret: &str) -> NewToken {
    let (secret, id) = (Digest::of(secret.as_bytes()), secret.to_owned());
    NewToken { id, secret, tier: "edge".into(), uses: None, expires: None, note: "lab".into() }
}

fn machine(id: &str) -> EnrolRequest {
    EnrolRequest {
        machine_id: id.into(),
        hostname: "web-1".into(),
        kernel: kernel(),
        client_version: "0.1.0".into(),
    }
}

fn report(sequence: u64) -> CheckInRequest {
    CheckInRequest {
        sequence,
        boot_id: "boot".into(),
        kernel: kernel(),
        state: PatchState::Applied,
        applied: Some(AppliedLivepatch { name: "livepatch_1".into(), version: 1, sha256: Digest::of(b"ko") }),
        taint: Taint(u64::MAX),
        events: vec![Event {
            at: "2027-01-15T08:00:00Z".into(),
            kind: EventKind::Applied,
            detail: "done".into(),
        }],
        client_version: "0.1.0".into(),
    }
}

async fn enrol(store: &Store, secret: &str, id: &str, credential: &str) -> Enrolment {
    let (secret, credential) = (Digest::of(secret.as_bytes()), Digest::of(credential.as_bytes()));
    store.enrol(&secret, &machine(id), &credential, NOW).await.unwrap()
}

#[tokio::test]
async fn enrolment_says_why_not() {
    let (_directory, store) = store().await;
    store.add_token(&token("good"), NOW).await.unwrap();
    store.add_token(&NewToken { expires: Some(NOW), ..token("late") }, NOW).await.unwrap();
    store.add_token(&NewToken { uses: Some(1), ..token("once") }, NOW).await.unwrap();
    assert_eq!(enrol(&store, "good", MACHINE, "c1").await, Enrolment::Enrolled { tier: "edge".into() });
    assert_eq!(enrol(&store, "bad", MACHINE, "c2").await, Enrolment::UnknownToken);
    assert_eq!(enrol(&store, "late", MACHINE, "c3").await, Enrolment::Expired);
    assert_eq!(enrol(&store, "once", "a", "c4").await, Enrolment::Enrolled { tier: "edge".into() });
    assert_eq!(enrol(&store, "once", "b", "c5").await, Enrolment::Exhausted);
    assert_eq!(
        enrol(&store, "once", "a", "c6").await,
        Enrolment::Enrolled { tier: "edge".into() },
        "a repetition"
    );
    let used: Vec<_> =
        store.tokens().await.unwrap().into_iter().map(|token| (token.id, token.used)).collect();
    assert_eq!(used, [("good".to_owned(), 1), ("late".to_owned(), 0), ("once".to_owned(), 1)]);
}

#[tokio::test]
async fn last_use_of_a_token_is_taken_once() {
    let (_directory, store) = store().await;
    store.add_token(&NewToken { uses: Some(3), ..token("three") }, NOW).await.unwrap();
    let attempts: Vec<_> = (0..12)
        .map(|index| {
            let store = store.clone();
            tokio::spawn(
                async move { enrol(&store, "three", &format!("m{index}"), &format!("c{index}")).await },
            )
        })
        .collect();
    let mut enrolled = 0;
    for attempt in attempts {
        enrolled += i32::from(matches!(attempt.await.unwrap(), Enrolment::Enrolled { .. }));
    }
    assert_eq!(enrolled, 3);
}

#[tokio::test]
async fn credentials_find_their_machine_until_it_enrols_again() {
    let (_directory, store) = store().await;
    store.add_token(&token("good"), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "first").await;
    let found = store.machine_by_credential(&Digest::of(b"first")).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.tier.as_str()), (MACHINE, "edge"));
    store.record_check_in(MACHINE, &report(9), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "second").await;
    assert_eq!(store.machine_by_credential(&Digest::of(b"first")).await.unwrap(), None);
    assert!(store.machine_by_credential(&Digest::of(b"second")).await.unwrap().is_some());
    assert_eq!(
        store.record_check_in(MACHINE, &report(1), NOW).await.unwrap(),
        Reported::New,
        "it counts anew"
    );
}

#[tokio::test]
async fn a_report_counts_once() {
    let (_directory, store) = store().await;
    store.add_token(&token("good"), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "c").await;
    assert_eq!(store.record_check_in(MACHINE, &report(5), NOW + 1).await.unwrap(), Reported::New);
    assert_eq!(store.record_check_in(MACHINE, &report(5), NOW + 2).await.unwrap(), Reported::SeenBefore);
    assert_eq!(store.record_check_in(MACHINE, &report(4), NOW + 3).await.unwrap(), Reported::SeenBefore);
    assert_eq!(store.record_check_in("other", &report(4), NOW + 3).await.unwrap(), Reported::SeenBefore);
    assert_eq!(store.events(MACHINE, 10).await.unwrap(), report(5).events);
    let machines = store.machines().await.unwrap();
    assert_eq!(machines.len(), 1);
    let seen = &machines[0];
    assert_eq!(
        (seen.state, seen.taint, &seen.applied),
        (PatchState::Applied, Taint(u64::MAX), &report(5).applied)
    );
    assert_eq!((seen.kernel.clone(), seen.hostname.as_str()), (kernel(), "web-1"));
    assert_eq!(seen.last_event.as_deref(), Some("applied: done"));
    assert_eq!(seen.last_seen, "2027-01-15T08:00:03Z");
}

#[tokio::test]
async fn certificates_keep_their_order() {
    let (_directory, store) = store().await;
    let certificate =
        |text: &str| StoredCertificate { fingerprint: Digest::of(text.as_bytes()), pem: text.into() };
    assert!(store.add_certificate(&certificate("b"), NOW).await.unwrap());
    assert!(store.add_certificate(&certificate("a"), NOW + 1).await.unwrap());
    assert!(!store.add_certificate(&certificate("b"), NOW + 2).await.unwrap());
    assert_eq!(store.certificates().await.unwrap(), [certificate("b"), certificate("a")]);
}

#[tokio::test]
async fn what_is_stored_is_there_after_reopening() {
    let (directory, store) = store().await;
    store.add_token(&token("good"), NOW).await.unwrap();
    store.record_act("promote", "livepatch_1", "to stable", NOW).await.unwrap();
    store.close().await;
    let store = Store::open_sqlite(&directory.path().join("livepatch.db")).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.tokens().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("livepatch.db");
    std::fs::write(&path, "not a database, and long enough to have a header of one hundred bytes".repeat(3))
        .unwrap();
    assert!(Store::open_sqlite(&path).await.is_err());
}

#[tokio::test]
async fn a_locked_database_is_an_error_and_then_works_again() {
    let (directory, store) = store().await;
    let path = directory.path().join("livepatch.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let failure = store.add_token(&token("late"), NOW).await.unwrap_err();
    assert!(matches!(failure, StoreError::Database(_)), "{failure}");
    assert!(store.tokens().await.unwrap().is_empty(), "reading goes on");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.add_token(&token("good"), NOW).await.unwrap();
}
