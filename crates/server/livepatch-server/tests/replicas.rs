//! Two replicas on one PostgreSQL and one bucket of an S3-compatible server: a site goes on, and loses nothing, when one of
//! them is killed in the middle of work.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AuditEntry, CertificateAdded, CertificateRequest, CheckInAnswer, CheckInRequest, EnrolAnswer,
    EnrolmentToken, Event, EventKind, LivepatchSummary, PatchState, PublishAnswer, PublishHeader,
    RolloutView, TokenCreated, TokenRequest, paths,
};
use livepatch_kernel::Taint;
use livepatch_manifest::Manifest;
use livepatch_services::{ObjectStore, Postgres};
use livepatch_trust::{Fetch, FetchError, LoadRequest, Repository};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use support::{KEY, Server, livepatch, machine, rollout};
use tempfile::TempDir;
use ureq::Agent;
use url::Url;

const TIMESTAMP: &str = "/repository/metadata/timestamp.json";
/// Machines that report all the time, half of them in edge and half in stable.
const MACHINES: usize = 12;
/// Versions that are published while they do.
const VERSIONS: u32 = 8;

/// What a load balancer does: the next replica when one does not answer.
struct Front {
    urls: Vec<String>,
    key: String,
    agent: Agent,
    turn: AtomicUsize,
}

impl Front {
    fn new(replicas: &[&Server]) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            urls: replicas.iter().map(|replica| replica.url.clone()).collect(),
            key: replicas[0].admin_key(),
            agent: agent.into(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Asks until a replica answers well. Every request of the API may be repeated.
    fn ask<T: DeserializeOwned>(&self, path: &str, secret: &str, body: Option<&[u8]>) -> T {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let url = format!("{}{path}", self.urls[turn % self.urls.len()]);
            let bearer = format!("Bearer {secret}");
            let answer = match body {
                Some(body) => {
                    let request = self.agent.post(&url).header("content-type", "application/json");
                    request.header("authorization", &bearer).send(body)
                }
                None => self.agent.get(&url).header("authorization", &bearer).call(),
            };
            let said = match answer {
                Ok(mut answer) => match answer.body_mut().read_to_vec() {
                    Ok(bytes) if answer.status().is_success() => {
                        return serde_json::from_slice(&bytes).unwrap();
                    }
                    // A replica that is killed breaks off; one that waits for its database says 503.
                    Ok(bytes) if answer.status() != 503 => {
                        panic!("{path}: {} {}", answer.status(), String::from_utf8_lossy(&bytes))
                    }
                    Ok(_) => "503".to_owned(),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < limit, "no replica answers {path}: {said}");
        }
    }

    fn post<T: DeserializeOwned>(&self, path: &str, secret: &str, document: &impl Serialize) -> T {
        self.ask(path, secret, Some(&serde_json::to_vec(document).unwrap()))
    }

    fn admin_post<T: DeserializeOwned>(&self, path: &str, document: &impl Serialize) -> T {
        self.post(path, &self.key, document)
    }

    fn publish(&self, version: u32) -> Manifest {
        let (module, manifest) = livepatch(version);
        let header = PublishHeader { manifest: manifest.clone(), tier: "edge".into() };
        let body = [&serde_json::to_vec(&header).unwrap()[..], b"\n", &module].concat();
        self.ask::<PublishAnswer>(paths::ADMIN_LIVEPATCHES, &self.key, Some(&body));
        manifest
    }

    fn token(&self, tier: &str) -> String {
        let request = TokenRequest {
            tier: tier.into(),
            uses: None,
            expires_after: None,
            note: String::new(),
            tags: vec![],
        };
        let created: TokenCreated = self.admin_post(paths::ADMIN_TOKENS, &request);
        created.token.parse::<EnrolmentToken>().unwrap().secret
    }
}

/// The files of the static plane, as a machine fetches them.
struct Http(Agent);

impl Fetch for Http {
    fn fetch(&self, url: &Url, _limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut answer =
            self.0.get(url.as_str()).call().map_err(|error| FetchError::Unreachable(error.to_string()))?;
        match answer.status().as_u16() {
            200 => Ok(answer.body_mut().read_to_vec().unwrap()),
            404 => Err(FetchError::NotFound),
            status => Err(FetchError::Unreachable(status.to_string())),
        }
    }
}

/// A site of replicas: database, bucket, and what each of them is started with.
struct Shared {
    database: String,
    store: ObjectStore,
}

impl Shared {
    fn new() -> Self {
        let database = Postgres::shared().unwrap().database().unwrap();
        Self { database, store: ObjectStore::start("livepatches").unwrap() }
    }

    fn start(&self, directory: TempDir) -> Server {
        let url = format!("{}/site", self.store.url());
        let arguments = [
            "--database",
            &self.database,
            "--objects",
            &url,
            "--look-every",
            "1",
            "--rate-per-token",
            "0",
            "--rate-per-address",
            "0",
        ];
        let keys = [
            ("AWS_ACCESS_KEY_ID", self.store.access_key()),
            ("AWS_SECRET_ACCESS_KEY", self.store.secret_key()),
        ];
        Server::start_with(directory, &arguments, &keys)
    }

    /// Another replica: with the same keys in a data directory of its own.
    fn another(&self, first: &Server) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("data/keys");
        fs::create_dir_all(&keys).unwrap();
        for role in ["root", "targets", "snapshot", "timestamp"] {
            let file = format!("{role}.pem");
            fs::copy(first.data("keys").join(&file), keys.join(&file)).unwrap();
        }
        fs::copy(first.data("admin.key"), directory.path().join("data/admin.key")).unwrap();
        self.start(directory)
    }

    /// What the database says, one value.
    fn query(&self, statement: &str) -> String {
        let database = self.database.split(['/', '?']).find(|part| part.starts_with("test_")).unwrap();
        Postgres::shared().unwrap().query(database, statement).unwrap()
    }
}

/// A machine that reports until it is told to stop: how many reports were taken.
fn report_on(front: &Front, number: usize, secret: &str, over: &AtomicBool, reports: &AtomicUsize) -> u64 {
    let id = machine_id(number);
    let answer: EnrolAnswer = front.post(paths::ENROL, secret, &machine(&id));
    let mut sequence = 0;
    while !over.load(Ordering::Relaxed) {
        sequence += 1;
        let event = (EventKind::Refused, format!("report {sequence} of {number}"));
        front.post::<CheckInAnswer>(paths::CHECK_IN, &answer.credential, &report(sequence, event));
        reports.fetch_add(1, Ordering::Relaxed);
    }
    sequence
}

fn machine_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn report(sequence: u64, event: (EventKind, String)) -> CheckInRequest {
    CheckInRequest {
        sequence,
        boot_id: "boot".into(),
        kernel: support::kernel(),
        state: PatchState::NothingToApply,
        applied: None,
        taint: Taint(36864),
        events: vec![Event { at: "2026-11-24T08:00:00Z".into(), kind: event.0, detail: event.1 }],
        client_version: "0.1.0".into(),
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn leads(server: &Server) -> bool {
    server
        .log()
        .lines()
        .rfind(|line| line.contains("the lead among the replicas changed"))
        .is_some_and(|line| line.contains("leads=true"))
}

#[test]
fn nothing_is_lost_when_a_replica_is_killed_in_the_middle_of_work() {
    let shared = Shared::new();
    let mut one = shared.start(tempfile::tempdir().unwrap());
    until("nobody takes the lead", || leads(&one));
    let two = shared.another(&one);
    let front = Front::new(&[&one, &two]);
    let certificate = CertificateRequest { pem: KEY.certificate().to_pem().to_owned() };
    front.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &certificate);
    let first = front.publish(1);
    let (edge, stable) = (front.token("edge"), front.token("stable"));
    front.admin_post::<RolloutView>(paths::ADMIN_ROLLOUTS, &rollout("emergency"));

    let (over, reports, published) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(1));
    let taken: Vec<u64> = std::thread::scope(|scope| {
        let machines: Vec<_> = (0..MACHINES)
            .map(|number| {
                let (front, over, reports) = (&front, &over, &reports);
                let secret = if number % 2 == 0 { &edge } else { &stable };
                scope.spawn(move || report_on(front, number, secret, over, reports))
            })
            .collect();
        let publishing = scope.spawn(|| {
            for version in 2..=VERSIONS {
                front.publish(version);
                published.fetch_add(1, Ordering::Relaxed);
            }
        });
        until("work is not under way", || {
            reports.load(Ordering::Relaxed) > 5 * MACHINES && published.load(Ordering::Relaxed) > 2
        });
        assert!(published.load(Ordering::Relaxed) < VERSIONS as usize, "killed too late to mean anything");
        one.kill();
        publishing.join().unwrap();
        let before = reports.load(Ordering::Relaxed);
        until("reports do not go on", || reports.load(Ordering::Relaxed) > before + MACHINES);
        over.store(true, Ordering::Relaxed);
        machines.into_iter().map(|machine| machine.join().unwrap()).collect()
    });

    until("the other replica does not take the lead", || leads(&two));
    for (number, taken) in taken.iter().enumerate() {
        let found = shared.query(&format!(
            "SELECT COUNT(*) || ' ' || COUNT(DISTINCT detail) FROM events WHERE machine_id = '{}'",
            machine_id(number)
        ));
        assert_eq!(found, format!("{taken} {taken}"), "each report of machine {number} counts once");
    }
    let list: Vec<LivepatchSummary> = two.admin_get(paths::ADMIN_LIVEPATCHES).unwrap();
    assert_eq!(list.len(), VERSIONS as usize);
    let audit: Vec<AuditEntry> = two.admin_get(paths::ADMIN_AUDIT).unwrap();
    let acts = audit.iter().filter(|entry| entry.action == "publish").count();
    // An act is noted after it is signed: of the one that the kill cut off, the note may be missing.
    assert!(
        acts >= VERSIONS as usize - 1 && acts <= VERSIONS as usize,
        "{acts} publications are in the audit log"
    );
    machines_load_everything(&two);

    // The rollout was begun through one of them; the one that is left halts it, and every poll reads so.
    crash_after_apply(&two, &stable, &first);
    until("the rollout does not halt", || {
        let view: RolloutView = two.admin_get(&format!("{}/2026-11", paths::ADMIN_ROLLOUTS)).unwrap();
        view.state == "halted"
    });
    until("polls do not read of the halt", || {
        String::from_utf8(two.get_bytes(TIMESTAMP).1).unwrap().contains("\"halted\"")
    });

    // The dead one comes back to the same state.
    let directory = std::mem::replace(&mut one.directory, tempfile::tempdir().unwrap());
    let one = shared.start(directory);
    until("the replicas differ", || one.get_bytes(TIMESTAMP) == two.get_bytes(TIMESTAMP));
    machines_load_everything(&one);
}

/// A machine of the rollout applies the livepatch and crashes.
fn crash_after_apply(server: &Server, secret: &str, manifest: &Manifest) {
    let id = machine_id(99);
    let answer: EnrolAnswer = server.post(paths::ENROL, secret, &machine(&id)).unwrap();
    let detail = format!("the machine went down before {} was confirmed", manifest.name);
    let request = report(1, (EventKind::Crashed, detail));
    server.post::<CheckInAnswer>(paths::CHECK_IN, &answer.credential, &request).unwrap();
}

/// The real client's way through the repository: every signature, every module.
fn machines_load_everything(server: &Server) {
    let memory = tempfile::tempdir().unwrap();
    let root = server.get_bytes("/repository/metadata/1.root.json").1;
    let agent = Agent::config_builder().http_status_as_error(false).build();
    let repository = Repository::load(LoadRequest {
        root: &root,
        metadata_url: format!("{}/repository/metadata", server.url).parse().unwrap(),
        targets_url: format!("{}/repository/targets", server.url).parse().unwrap(),
        datastore: memory.path(),
        fetch: Arc::new(Http(agent.into())),
    })
    .unwrap();
    let livepatches: Vec<_> = repository.livepatches().collect();
    assert_eq!(livepatches.len(), VERSIONS as usize);
    for livepatch in livepatches {
        repository.module(livepatch).unwrap();
    }
}

#[test]
fn polls_go_on_while_the_object_store_is_away() {
    let Shared { database, store } = Shared::new();
    let shared = Shared { database, store };
    let server = shared.start(tempfile::tempdir().unwrap());
    let (status, timestamp) = server.get_bytes(TIMESTAMP);
    assert_eq!(status, 200);
    assert_eq!(server.header(TIMESTAMP, "cache-control"), "no-cache");
    assert!(server.header("/repository/metadata/1.targets.json", "cache-control").contains("immutable"));
    assert_eq!(server.get_bytes("/repository/metadata/2.root.json").0, 404);
    for path in ["/repository/metadata/x", "/repository/targets/../v1/trust", "/repository/targets/..%2fkeys"]
    {
        assert_eq!(server.get_bytes(path).0, 404, "{path}");
    }
    drop(shared.store);
    until("the bucket's last word is not remembered", || {
        assert_eq!(server.get_bytes(TIMESTAMP), (200, timestamp.clone()));
        server.log().contains("served from memory")
    });
    assert_eq!(server.get_bytes("/repository/metadata/2.root.json").0, 404, "no root is no failure");
    assert_eq!(server.get_bytes("/repository/targets/6.1/none.ko").0, 503);
}
