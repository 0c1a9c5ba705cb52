//! Rollouts through the API: machines that report, the engine that looks, and the signed words that polls read.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AppliedLivepatch, CheckInAnswer, CheckInRequest, EnrolAnswer, ErrorCode, Event, EventKind, PatchState,
    PublishAnswer, RolloutOrder, RolloutRequest, RolloutVerb, RolloutView, TokenCreated, TokenRequest, paths,
};
use livepatch_kernel::Taint;
use livepatch_manifest::Manifest;
use livepatch_schedule::{Hold, Request, Schedule, Steering, hold};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::{Server, livepatch, machine, name, refused, rollout};

const TIMESTAMP: &str = "/repository/metadata/timestamp.json";

/// A machine in the tier stable.
struct Client {
    id: String,
    credential: String,
    sequence: u64,
}

/// A server with a published livepatch in edge, and machines in stable.
fn site(machines: usize) -> (Server, Manifest, Vec<Client>) {
    let server = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let request = TokenRequest {
        tier: "stable".into(),
        uses: None,
        expires_after: None,
        note: String::new(),
        tags: vec![],
    };
    let created: TokenCreated = server.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
    let secret = created.token.parse::<livepatch_api::EnrolmentToken>().unwrap().secret;
    let clients = (0..machines).map(|number| {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let answer: EnrolAnswer = server.post(paths::ENROL, &secret, &machine(&id)).unwrap();
        Client { id, credential: answer.credential, sequence: 0 }
    });
    let clients = clients.collect();
    (server, manifest, clients)
}

fn begin(server: &Server, request: &RolloutRequest) -> support::Answer<RolloutView> {
    server.admin_post(paths::ADMIN_ROLLOUTS, request)
}

fn order(server: &Server, order: RolloutVerb, reason: &str) -> support::Answer<RolloutView> {
    let path = format!("{}/2026-11", paths::ADMIN_ROLLOUTS);
    server.admin_post(&path, &RolloutOrder { order, reason: reason.into() })
}

fn show(server: &Server) -> RolloutView {
    server.admin_get(&format!("{}/2026-11", paths::ADMIN_ROLLOUTS)).unwrap()
}

/// The one file that a poll reads, and what it says.
fn steering(server: &Server) -> Steering {
    let (status, bytes) = server.get_bytes(TIMESTAMP);
    assert_eq!(status, 200);
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    document["signed"]
        .get("livepatch")
        .map_or_else(Steering::default, |steering| serde_json::from_value(steering.clone()).unwrap())
}

/// The schedule in the newest targets metadata.
fn schedule(server: &Server) -> Option<Schedule> {
    let newest = (1..100).take_while(|version| server.get_bytes(&targets(*version)).0 == 200).last().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&server.get_bytes(&targets(newest)).1).unwrap();
    let target = document["signed"]["targets"].as_object().unwrap().values().next().unwrap().clone();
    serde_json::from_value(target["custom"]["livepatch"]["schedule"].clone()).unwrap()
}

fn targets(version: u32) -> String {
    format!("/repository/metadata/{version}.targets.json")
}

/// What the machine's own rule says.
fn held(server: &Server, manifest: &Manifest, client: &Client) -> Option<Hold> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let request = Request {
        machine_id: &client.id,
        tier: "stable",
        sha256: &manifest.module.sha256,
        confirmed: false,
        now,
    };
    hold(schedule(server).as_ref(), &steering(server), request)
}

fn report(
    server: &Server,
    client: &mut Client,
    manifest: &Manifest,
    state: PatchState,
    event: (EventKind, &str),
) {
    client.sequence += 1;
    let applied =
        AppliedLivepatch { name: manifest.name.clone(), version: 1, sha256: manifest.module.sha256.clone() };
    let is_in = matches!(state, PatchState::Applied | PatchState::Soaking);
    let request = CheckInRequest {
        sequence: client.sequence,
        boot_id: "boot".into(),
        kernel: support::kernel(),
        state,
        applied: is_in.then_some(applied),
        taint: Taint(36864),
        events: vec![Event { at: "2026-11-24T08:00:00Z".into(), kind: event.0, detail: event.1.into() }],
        client_version: "0.1.0".into(),
    };
    server.post::<CheckInAnswer>(paths::CHECK_IN, &client.credential, &request).unwrap();
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_crash_halts_the_rollout_before_the_next_poll() {
    let (server, manifest, mut clients) = site(6);
    assert!(
        clients.iter().all(|client| held(&server, &manifest, client).is_none()),
        "no rollout, no waiting"
    );
    let begun = begin(&server, &rollout("one-machine-first")).unwrap();
    assert_eq!((begun.state.as_str(), begun.tiers.join(" ").as_str()), ("running", "beta candidate stable"));
    assert_eq!((begun.builds[0].machines, begun.builds[0].admitted, begun.builds[0].stage), (6, 1, 1));

    let first: Vec<usize> = (0..6).filter(|at| held(&server, &manifest, &clients[*at]).is_none()).collect();
    assert_eq!(first.len(), 1, "one machine first");
    assert_eq!(held(&server, &manifest, &clients[(first[0] + 1) % 6]), Some(Hold::NotYet));

    let victim = &mut clients[first[0]];
    report(&server, victim, &manifest, PatchState::Soaking, (EventKind::Applied, "livepatch_x is applied"));
    let crashed = format!("the machine went down before {} was confirmed", manifest.name);
    report(&server, victim, &manifest, PatchState::Unapplied, (EventKind::Crashed, &crashed));
    until("the crash does not halt the rollout", || show(&server).state == "halted");
    let halted = show(&server);
    assert_eq!(halted.halts.len(), 1);
    let evidence = &halted.halts[0];
    assert_eq!((evidence.signal.as_deref(), evidence.count, evidence.given), (Some("crash"), 1, 1));
    assert_eq!(evidence.machines, [clients[first[0]].id.clone()]);
    assert!(evidence.summary.contains("crash on 1 of 1 machines"), "{}", evidence.summary);
    // One request for the one file that a poll reads anyway.
    until("the halt is not signed", || steering(&server).rollouts.values().all(|rollout| rollout.halted));
    assert!(clients.iter().all(|client| held(&server, &manifest, client) == Some(Hold::Halted)));
}

#[test]
fn people_halt_resume_and_withdraw() {
    let (server, manifest, clients) = site(3);
    begin(&server, &rollout("normal")).unwrap();
    assert_eq!(refused(order(&server, RolloutVerb::Halt, " ")), (422, ErrorCode::Invalid));
    assert_eq!(refused(order(&server, RolloutVerb::Resume, "why not")), (409, ErrorCode::Conflict));
    let halted = order(&server, RolloutVerb::Halt, "the help desk is on fire").unwrap();
    assert_eq!(halted.state, "halted");
    assert!(halted.halts[0].summary.contains("help desk"));
    assert!(steering(&server).rollouts.values().all(|rollout| rollout.halted));
    assert_eq!(order(&server, RolloutVerb::Resume, "it was something else").unwrap().state, "running");
    assert!(steering(&server).rollouts.values().all(|rollout| !rollout.halted));
    assert_eq!(order(&server, RolloutVerb::Withdraw, "it was not").unwrap().state, "withdrawn");
    assert!(steering(&server).denies(&manifest.module.sha256));
    assert!(clients.iter().all(|client| held(&server, &manifest, client) == Some(Hold::Denied)));
    assert_eq!(refused(order(&server, RolloutVerb::Resume, "again")), (409, ErrorCode::Conflict));
    let again = RolloutRequest { release: "2026-12".into(), ..rollout("normal") };
    assert_eq!(refused(begin(&server, &again)), (409, ErrorCode::Conflict), "withdrawn is for good");
}

#[test]
fn a_lost_database_lifts_no_halt_and_no_denial() {
    let (server, manifest, _clients) = site(2);
    begin(&server, &rollout("normal")).unwrap();
    order(&server, RolloutVerb::Withdraw, "bad").unwrap();
    let (directory, _) = server.stop();
    for file in ["livepatch.db", "livepatch.db-wal", "livepatch.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join("data").join(file));
    }
    let server = Server::start_in(directory);
    assert!(server.admin_get::<Vec<RolloutView>>(paths::ADMIN_ROLLOUTS).unwrap().is_empty());
    let (module, other) = livepatch(2);
    let request = livepatch_api::CertificateRequest { pem: support::KEY.certificate().to_pem().to_owned() };
    server.admin_post::<livepatch_api::CertificateAdded>(paths::ADMIN_CERTIFICATES, &request).unwrap();
    server.publish::<PublishAnswer>(&module, &other, "edge").unwrap();
    assert!(steering(&server).denies(&manifest.module.sha256));
}

#[test]
fn rollout_survives_a_restart() {
    let (server, manifest, clients) = site(4);
    begin(&server, &rollout("one-machine-first")).unwrap();
    let before: Vec<_> = clients.iter().map(|client| held(&server, &manifest, client)).collect();
    let (directory, _) = server.stop();
    let server = Server::start_in(directory);
    assert_eq!(show(&server).state, "running");
    let after: Vec<_> = clients.iter().map(|client| held(&server, &manifest, client)).collect();
    assert_eq!(before, after);
}

#[test]
fn wishes_that_make_no_sense_are_refused() {
    let (server, _manifest, _clients) = site(1);
    let sound = rollout("normal");
    for (wrong, code) in [
        (RolloutRequest { release: "a b".into(), ..sound.clone() }, ErrorCode::Invalid),
        (RolloutRequest { release: "../x".into(), ..sound.clone() }, ErrorCode::Invalid),
        (RolloutRequest { tier: "nightly".into(), ..sound.clone() }, ErrorCode::Invalid),
        (RolloutRequest { tier: "edge".into(), ..sound.clone() }, ErrorCode::Conflict),
        (RolloutRequest { livepatches: vec![], ..sound.clone() }, ErrorCode::Invalid),
        (RolloutRequest { livepatches: vec![name(9)], ..sound.clone() }, ErrorCode::NotFound),
        (RolloutRequest { livepatches: vec![name(1), name(1)], ..sound.clone() }, ErrorCode::Invalid),
        (RolloutRequest { profile: "fast".into(), ..sound.clone() }, ErrorCode::Invalid),
        (RolloutRequest { profile: serde_json::json!({"name": "x"}), ..sound.clone() }, ErrorCode::Invalid),
    ] {
        assert_eq!(refused(begin(&server, &wrong)).1, code, "{wrong:?}");
    }
    begin(&server, &sound).unwrap();
    assert_eq!(refused(begin(&server, &sound)), (409, ErrorCode::Conflict), "twice");
    let other = RolloutRequest { release: "other".into(), ..sound };
    assert_eq!(refused(begin(&server, &other)), (409, ErrorCode::Conflict), "a module in two rollouts");
    let path = format!("{}/none", paths::ADMIN_ROLLOUTS);
    assert_eq!(refused(server.admin_get::<RolloutView>(&path)), (404, ErrorCode::NotFound));
}
