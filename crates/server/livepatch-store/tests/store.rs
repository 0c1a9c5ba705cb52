//! The store through its interface, on a fresh database a test; each test on SQLite and on a real PostgreSQL.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_api::{
    AppliedLivepatch, AuditEntry, BuildDocumentKind, CheckInRequest, EnrolRequest, Event, EventKind,
    PatchState, Role,
};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::Digest;
use livepatch_rollout::{Profile, Rollout, Signal};
use livepatch_store::{
    CheckIn, Enrolment, NewApiKey, NewToken, Reported, RolloutResult, Store, StoreError, StoredCertificate,
    Turn,
};
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
    NewToken { id, secret, tier: "edge".into(), uses: None, expires: None, note: "lab".into(), tags: vec![] }
}

fn machine(id: &str) -> EnrolRequest {
    EnrolRequest {
        machine_id: id.into(),
        hostname: "web-1".into(),
        kernel: kernel(),
        client_version: "0.1.0".into(),
    }
}

fn check_in(machine: &str, report: CheckInRequest, results: Vec<RolloutResult>) -> CheckIn {
    CheckIn { machine_id: machine.into(), report, results }
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

async fn enrolment_says_why_not(store: Store) {
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

async fn last_use_of_a_token_is_taken_once(store: Store) {
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

async fn credentials_find_their_machine_until_it_enrols_again(store: Store) {
    store.add_token(&token("good"), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "first").await;
    let found = store.machine_by_credential(&Digest::of(b"first")).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.tier.as_str()), (MACHINE, "edge"));
    store.record_check_in(&check_in(MACHINE, report(9), vec![]), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "second").await;
    assert_eq!(store.machine_by_credential(&Digest::of(b"first")).await.unwrap(), None);
    assert!(store.machine_by_credential(&Digest::of(b"second")).await.unwrap().is_some());
    assert_eq!(
        store.record_check_in(&check_in(MACHINE, report(1), vec![]), NOW).await.unwrap(),
        Reported::New,
        "it counts anew"
    );
}

async fn a_report_counts_once(store: Store) {
    store.add_token(&token("good"), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "c").await;
    assert_eq!(
        store.record_check_in(&check_in(MACHINE, report(5), vec![]), NOW + 1).await.unwrap(),
        Reported::New
    );
    assert_eq!(
        store.record_check_in(&check_in(MACHINE, report(5), vec![]), NOW + 2).await.unwrap(),
        Reported::SeenBefore
    );
    assert_eq!(
        store.record_check_in(&check_in(MACHINE, report(4), vec![]), NOW + 3).await.unwrap(),
        Reported::SeenBefore
    );
    assert_eq!(
        store.record_check_in(&check_in("other", report(4), vec![]), NOW + 3).await.unwrap(),
        Reported::SeenBefore
    );
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

async fn reports_that_are_written_together_count_once_each(store: Store) {
    store.add_token(&token("good"), NOW).await.unwrap();
    let other = "00000000-0000-4000-8000-000000000000";
    enrol(&store, "good", MACHINE, "c").await;
    enrol(&store, "good", other, "d").await;
    let together = [
        check_in(MACHINE, report(1), vec![]),
        check_in("nobody", report(1), vec![]),
        check_in(other, report(7), vec![]),
        check_in(MACHINE, report(1), vec![]),
        check_in(MACHINE, report(2), vec![]),
    ];
    let reported = store.record_check_ins(&together, NOW + 1).await.unwrap();
    let (new, before) = (Reported::New, Reported::SeenBefore);
    assert_eq!(reported, [new, before, new, before, new]);
    assert_eq!(store.events(MACHINE, 10).await.unwrap().len(), 2);
    assert_eq!(store.events(other, 10).await.unwrap().len(), 1);
    assert_eq!(store.record_check_ins(&[], NOW + 2).await.unwrap(), []);
}

async fn certificates_keep_their_order(store: Store) {
    let certificate =
        |text: &str| StoredCertificate { fingerprint: Digest::of(text.as_bytes()), pem: text.into() };
    assert!(store.add_certificate(&certificate("b"), NOW).await.unwrap());
    assert!(store.add_certificate(&certificate("a"), NOW + 1).await.unwrap());
    assert!(!store.add_certificate(&certificate("b"), NOW + 2).await.unwrap());
    assert_eq!(store.certificates().await.unwrap(), [certificate("b"), certificate("a")]);
}

async fn rollouts_are_kept_and_tallied(store: Store) {
    store.add_token(&token("good"), NOW).await.unwrap();
    let mut rollout = rollout();
    assert!(store.add_rollout(&rollout, NOW).await.unwrap());
    assert!(!store.add_rollout(&rollout, NOW).await.unwrap(), "the name is taken");
    rollout.halt("a reason", NOW + 1).unwrap();
    store.save_rollout(&rollout, NOW + 1).await.unwrap();
    let kept = store.rollout("2027-01").await.unwrap().unwrap();
    assert_eq!((kept.rollout, kept.changed), (rollout, NOW + 1));
    assert_eq!(store.rollout("other").await.unwrap(), None);
    assert_eq!(store.rollouts().await.unwrap().len(), 1);
    assert!(store.tallies("2027-01").await.unwrap().is_empty());

    let result = |soaked, signals: &[Signal]| RolloutResult {
        release: "2027-01".into(),
        given: true,
        soaked,
        signals: signals.to_vec(),
        ..RolloutResult::default()
    };
    for id in ["a", "b", "c"] {
        enrol(&store, "good", id, id).await;
    }
    store.record_check_in(&check_in("a", report(1), vec![result(false, &[])]), NOW + 2).await.unwrap();
    store.record_check_in(&check_in("a", report(2), vec![result(true, &[])]), NOW + 3).await.unwrap();
    store.record_check_in(&check_in("a", report(3), vec![result(false, &[])]), NOW + 4).await.unwrap();
    store
        .record_check_in(
            &check_in("b", report(1), vec![result(false, &[Signal::Crash, Signal::Oops])]),
            NOW + 5,
        )
        .await
        .unwrap();
    // Reported before: counted before.
    store
        .record_check_in(&check_in("b", report(1), vec![result(true, &[Signal::Stalled])]), NOW + 6)
        .await
        .unwrap();
    let tally = store.tallies("2027-01").await.unwrap()[&kernel().build_id];
    assert_eq!((tally.given, tally.soaked, tally.out), (2, 1, 0));
    assert_eq!((tally.signals.crash, tally.signals.oops, tally.signals.stalled), (1, 1, 0));
    let crashed = store.machines_with("2027-01", Signal::Crash, 10).await.unwrap();
    assert_eq!(crashed, [("b".to_owned(), kernel().build_id)]);
    let places = store.places("2027-01", &["edge".to_owned()]).await.unwrap();
    let settled: Vec<_> =
        places.iter().filter(|place| place.settled).map(|place| place.id.as_str()).collect();
    assert_eq!((places.len(), settled), (3, vec!["a"]));
    assert!(store.places("2027-01", &["stable".to_owned()]).await.unwrap().is_empty());
}

async fn transitions_are_counted_by_how_long_they_took(store: Store) {
    store.add_token(&token("good"), NOW).await.unwrap();
    store.add_rollout(&rollout(), NOW).await.unwrap();
    enrol(&store, "good", "a", "a").await;
    let went = |transition_ms, causes: &[String]| {
        let (release, stall_causes) = ("2027-01".into(), causes.to_vec());
        RolloutResult { release, given: true, transition_ms, stall_causes, ..RolloutResult::default() }
    };
    let mut sequence = 0;
    let mut tell = async |result: RolloutResult| {
        sequence += 1;
        store.record_check_in(&check_in("a", report(sequence), vec![result]), NOW).await.unwrap();
    };
    for took in [0, 500, 501, 120_000, 120_001, u32::MAX] {
        tell(went(Some(took), &[])).await;
    }
    let cause = |name: &str| vec![name.to_owned()];
    tell(went(None, &cause("nginx in do_poll"))).await;
    tell(went(None, &[cause("nginx in do_poll"), cause("'; DROP TABLE machines")].concat())).await;
    let times = store.transition_times("2027-01").await.unwrap();
    assert_eq!((times.up_to, times.longer), ([2, 1, 0, 0, 0, 0, 0, 0, 1], 2));
    let causes = store.stall_causes("2027-01", 10).await.unwrap();
    assert_eq!(causes, [("nginx in do_poll".to_owned(), 2), ("'; DROP TABLE machines".to_owned(), 1)]);

    // Who makes causes up without end fills the list, and nothing more; what is known is counted on.
    for number in 0..150 {
        let made_up: Vec<String> = (0..9).map(|n| format!("{number}-{n}")).collect();
        tell(went(None, &made_up)).await;
    }
    tell(went(None, &cause("nginx in do_poll"))).await;
    let causes = store.stall_causes("2027-01", 10_000).await.unwrap();
    assert_eq!((causes.len(), causes[0].1), (500, 3));
    assert_eq!(store.stall_causes("other", 10).await.unwrap(), []);
}

async fn documents_of_a_build_replace_one_another(store: Store) {
    use BuildDocumentKind::{Patch, Report};
    let (module, other) = (Digest::of(b"ko"), Digest::of(b"other"));
    let keep =
        async |kind, body: &str, at| store.keep_build_document(&module, kind, body, "ada", at).await.unwrap();
    assert!(keep(Patch, "é\n", NOW).await);
    assert!(keep(Report, "{}", NOW + 1).await);
    assert!(!keep(Patch, "é\n", NOW + 2).await, "as it was");
    assert!(keep(Report, "{\"schema\": 1}", NOW + 3).await);
    let kept = store.build_documents(&module).await.unwrap();
    let shown: Vec<_> =
        kept.iter().map(|one| (one.kind, one.characters, one.sha256.clone(), one.added.as_str())).collect();
    let report = Digest::of(b"{\"schema\": 1}");
    let expected = [
        (Report, 13, report, "2027-01-15T08:00:03Z"),
        (Patch, 2, Digest::of("é\n".as_bytes()), "2027-01-15T08:00:00Z"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(store.build_document(&module, Patch).await.unwrap().as_deref(), Some("é\n"));
    assert_eq!(store.build_document(&other, Patch).await.unwrap(), None);
    assert_eq!(store.build_documents(&other).await.unwrap(), []);
}

async fn audit_log_is_a_chain_whoever_writes_at_once(store: Store) {
    let writers: Vec<_> = (0..12)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.record_act("ada", "act", &number.to_string(), "", NOW).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let log = store.acts(0, 100).await.unwrap();
    assert_eq!(log.len(), 12);
    assert_eq!(AuditEntry::verify_chain(log.iter()).unwrap(), log[11].hash);
    assert_eq!(store.acts(log[9].id, 100).await.unwrap(), log[10..]);
}

async fn api_keys_hold_until_they_expire_or_are_revoked(store: Store) {
    let key = |name: &str, expires| NewApiKey {
        id: name.into(),
        secret: Digest::of(name.as_bytes()),
        name: name.into(),
        role: Role::Releaser,
        expires,
    };
    assert!(store.add_api_key(&key("ada", Some(NOW + 10)), NOW).await.unwrap());
    assert!(!store.add_api_key(&key("ada", None), NOW).await.unwrap(), "the name is taken");
    let known = store.api_key(&Digest::of(b"ada"), NOW + 9).await.unwrap().unwrap();
    assert_eq!((known.name.as_str(), known.role), ("ada", Role::Releaser));
    assert_eq!(store.api_key(&Digest::of(b"ada"), NOW + 10).await.unwrap(), None, "expired");
    assert_eq!(store.api_key(&Digest::of(b"eve"), NOW).await.unwrap(), None);
    assert!(store.revoke_api_key("ada", NOW).await.unwrap());
    assert!(!store.revoke_api_key("ada", NOW).await.unwrap(), "it is revoked already");
    assert_eq!(store.api_key(&Digest::of(b"ada"), NOW).await.unwrap(), None, "revoked");
    assert!(store.api_keys().await.unwrap()[0].used.is_some());
}

async fn revoked_tokens_and_machines_are_worth_nothing(store: Store) {
    store.add_token(&token("good"), NOW).await.unwrap();
    enrol(&store, "good", MACHINE, "first").await;
    assert!(store.revoke_token("good", NOW).await.unwrap());
    assert!(!store.revoke_token("good", NOW).await.unwrap());
    assert_eq!(enrol(&store, "good", "other", "c2").await, Enrolment::Revoked);
    assert!(store.machine_by_credential(&Digest::of(b"first")).await.unwrap().is_some(), "machines stay");
    assert!(store.revoke_machine(MACHINE, NOW).await.unwrap());
    assert_eq!(store.machine_by_credential(&Digest::of(b"first")).await.unwrap(), None);
    assert!(store.machine(MACHINE).await.unwrap().unwrap().revoked.is_some());
    assert_eq!(store.machine("other").await.unwrap(), None);
    // A new token lets it come back.
    store.add_token(&token("next"), NOW).await.unwrap();
    enrol(&store, "next", MACHINE, "second").await;
    assert!(store.machine_by_credential(&Digest::of(b"second")).await.unwrap().is_some());
}

fn rollout() -> Rollout {
    let profile = Profile::named("normal").unwrap();
    let module = (kernel().build_id, "livepatch_1".to_owned(), Digest::of(b"ko"));
    Rollout::new("2027-01".into(), vec!["edge".into()], profile, [module], NOW)
}

/// Two programs that open one database bring its schema up to date once.
#[tokio::test]
async fn two_programs_open_one_postgres() {
    let url = livepatch_services::Postgres::shared().unwrap().database().unwrap();
    let opened = futures_join(&url).await;
    for store in opened {
        store.unwrap().ping().await.unwrap();
    }
}

async fn futures_join(url: &str) -> [Result<Store, StoreError>; 2] {
    let other = tokio::spawn({
        let url = url.to_owned();
        async move { Store::open_postgres(&url).await }
    });
    [Store::open_postgres(url).await, other.await.unwrap()]
}

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let (_directory, store) = super::store().await;
                super::$name(store).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let url = livepatch_services::Postgres::shared().unwrap().database().unwrap();
                super::$name(super::Store::open_postgres(&url).await.unwrap()).await;
            })*
        }
    };
}

on_both! {
    enrolment_says_why_not,
    last_use_of_a_token_is_taken_once,
    credentials_find_their_machine_until_it_enrols_again,
    a_report_counts_once,
    reports_that_are_written_together_count_once_each,
    certificates_keep_their_order,
    rollouts_are_kept_and_tallied,
    transitions_are_counted_by_how_long_they_took,
    documents_of_a_build_replace_one_another,
    audit_log_is_a_chain_whoever_writes_at_once,
    api_keys_hold_until_they_expire_or_are_revoked,
    revoked_tokens_and_machines_are_worth_nothing,
}

#[tokio::test]
async fn what_is_stored_is_there_after_reopening() {
    let (directory, store) = store().await;
    store.add_token(&token("good"), NOW).await.unwrap();
    store.record_act("ada", "promote", "livepatch_1", "to stable", NOW).await.unwrap();
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

/// A turn is one program's at a time, the lead stays with who has it, and both go with a connection that breaks.
#[tokio::test]
async fn turns_and_lead_pass_from_program_to_program() {
    let cluster = livepatch_services::Postgres::shared().unwrap();
    let url = cluster.database().unwrap();
    let one = Store::open_postgres(&url).await.unwrap();
    let other = Store::open_postgres(&url).await.unwrap();

    let turn = one.turn(Turn::Publishing).await.unwrap();
    one.turn(Turn::Rollouts).await.unwrap().end().await;
    let mut waiting = tokio::spawn({
        let other = other.clone();
        async move { other.turn(Turn::Publishing).await.unwrap() }
    });
    // Another program may do anything else meanwhile; the turn comes when it is over, and not before.
    other.ping().await.unwrap();
    let early = tokio::time::timeout(std::time::Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "two programs had the turn at once");
    drop(turn);
    waiting.await.unwrap().end().await;

    let mut lead = one.lead().await.unwrap().unwrap();
    assert!(lead.holds().await);
    assert!(other.lead().await.unwrap().is_none());
    let database = url.split(['/', '?']).rev().find(|part| part.starts_with("test_")).unwrap();
    // As when the program is killed: the server sees the connection go.
    cluster
        .query(
            "postgres",
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = \
            pg_locks.database WHERE locktype = 'advisory' AND datname = '{database}'"
            ),
        )
        .unwrap();
    assert!(!lead.holds().await);
    let next = loop {
        // The server takes a moment to clear up after a connection.
        if let Some(next) = other.lead().await.unwrap() {
            break next;
        }
    };
    next.end().await;
}
