//! The program: starting, stopping, and going on without its database.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    CheckInAnswer, EnrolAnswer, ErrorCode, LivepatchSummary, MachineSummary, News, PublishAnswer, paths,
};
use livepatch_trust::{Lifetimes, Publisher};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, Instant, SystemTime},
};
use support::{MACHINE, Server, livepatch, machine, refused};

const TIMESTAMP: &str = "/repository/metadata/timestamp.json";

#[test]
fn first_start_makes_a_private_directory_and_second_start_keeps_it() {
    let server = Server::with_certificate();
    for (path, mode) in [("admin.key", 0o600), ("keys/root.pem", 0o600), ("keys", 0o700), ("", 0o700)] {
        let found = fs::metadata(server.data(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let credential =
        server.post::<EnrolAnswer>(paths::ENROL, &server.token(None, None), &machine(MACHINE)).unwrap();
    let key = server.admin_key();
    let (directory, status) = server.stop();
    assert_eq!(status, Some(0), "stopped by SIGTERM");

    let server = Server::start_in(directory);
    assert_eq!(server.admin_key(), key);
    let list: Vec<LivepatchSummary> = server.admin_get(paths::ADMIN_LIVEPATCHES).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(server.admin_get::<Vec<MachineSummary>>(paths::ADMIN_MACHINES).unwrap().len(), 1);
    // A known credential with an empty report is refused for the report, not for the credential.
    let answer = server.send::<CheckInAnswer>(paths::CHECK_IN, &credential.credential, b"{}");
    assert_eq!(refused(answer), (422, ErrorCode::Invalid));
}

#[test]
fn machines_that_wait_hear_of_news_at_once() {
    let server = Server::with_certificate();
    let known = timestamp_version(&server);
    let (module, manifest) = livepatch(1);
    let (news, published) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let news: News = server.get(&format!("{}/{known}", paths::NEWS), "").unwrap();
            (news, Instant::now())
        });
        server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
        let published = Instant::now();
        let (news, heard) = waiting.join().unwrap();
        (news, heard.saturating_duration_since(published))
    });
    assert_eq!(news.timestamp, timestamp_version(&server));
    assert!(published < Duration::from_secs(10), "{published:?}");
    let late: News = server.get(&format!("{}/{known}", paths::NEWS), "").unwrap();
    assert_eq!(late, news, "who comes later hears it as well");
    assert_eq!(server.get_bytes(&format!("{}/x", paths::NEWS)).0, 404);
}

fn timestamp_version(server: &Server) -> u64 {
    let document: serde_json::Value = serde_json::from_slice(&server.get_bytes(TIMESTAMP).1).unwrap();
    document["signed"]["version"].as_u64().unwrap()
}

#[test]
fn static_plane_serves_while_the_database_is_gone() {
    let server = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let (directory, _) = server.stop();
    for file in ["livepatch.db", "livepatch.db-wal", "livepatch.db-shm"] {
        let _ = fs::remove_file(directory.path().join("data").join(file));
    }
    // Nothing can be opened or made in its place.
    fs::create_dir(directory.path().join("data/livepatch.db")).unwrap();

    let server = Server::start_in(directory);
    assert_eq!(server.get_bytes(TIMESTAMP).0, 200);
    let target = format!(
        "{}/{}/{}.{}",
        paths::TARGETS,
        manifest.kernel.release,
        manifest.module.sha256,
        manifest.file_name()
    );
    assert_eq!(server.get_bytes(&target), (200, module));
    let anchor = fs::read_dir(server.data("trust")).unwrap().next().unwrap().unwrap().file_name();
    let digest = anchor.to_str().unwrap().strip_suffix(".json").unwrap().to_owned();
    assert_eq!(server.get_bytes(&format!("{}/{digest}", paths::TRUST)).0, 200);
    assert_eq!(server.get_bytes(paths::HEALTH).0, 200);
    assert_eq!(server.admin_get::<Vec<LivepatchSummary>>(paths::ADMIN_LIVEPATCHES).unwrap().len(), 1);

    let answer = server.post::<EnrolAnswer>(paths::ENROL, &"t".repeat(43), &machine(MACHINE));
    assert_eq!(refused(answer), (503, ErrorCode::Unavailable));

    // It comes back: nothing needs a restart.
    fs::remove_dir(server.data("livepatch.db")).unwrap();
    let answer = server.post::<EnrolAnswer>(paths::ENROL, &"t".repeat(43), &machine(MACHINE));
    assert_eq!(refused(answer), (401, ErrorCode::UnknownToken));
}

#[test]
fn metadata_are_signed_again_before_they_expire() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 86_400);
    let (repository, keys) = (data.join("repository"), data.join("keys"));
    Publisher::create(&repository, &keys, Lifetimes::default(), two_days_ago).unwrap();
    let before = fs::read(repository.join("metadata/timestamp.json")).unwrap();

    let server = Server::start_in(directory);
    let limit = Instant::now() + Duration::from_secs(20);
    while server.get_bytes(TIMESTAMP).1 == before {
        assert!(Instant::now() < limit, "the timestamp is not signed again");
        std::thread::sleep(Duration::from_millis(50));
    }
    let timestamp = String::from_utf8(server.get_bytes(TIMESTAMP).1).unwrap();
    assert!(timestamp.contains("\"version\": 2"), "{timestamp}");
    assert_eq!(server.get_bytes("/repository/metadata/2.snapshot.json").0, 404, "its snapshot lasts longer");
}

#[test]
fn unknown_addresses_and_methods_answer_as_everything_else() {
    let server = Server::start();
    for path in [
        "/",
        "/v2/enrol",
        "/repository/metadata/9.root.json",
        "/repository/targets/none",
        "/v1/trust/abc",
        "/repository/metadata/../../admin.key",
        "/repository/metadata/..%2f..%2fadmin.key",
        "/v1/trust/..%2f..%2fadmin.key",
    ] {
        let answer = server.get::<serde_json::Value>(path, "");
        assert_eq!(refused(answer), (404, ErrorCode::NotFound), "{path}");
    }
    let answer = server.get::<serde_json::Value>(paths::ENROL, "");
    assert_eq!(refused(answer), (405, ErrorCode::Invalid));
}

#[test]
fn caches_are_told_what_may_be_kept() {
    let server = Server::start();
    assert_eq!(server.header(TIMESTAMP, "cache-control"), "no-cache");
    assert!(server.header("/repository/metadata/1.targets.json", "cache-control").contains("immutable"));
    assert_eq!(server.header("/repository/metadata/2.root.json", "cache-control"), "no-cache");
}

#[test]
fn usage_and_failures_have_their_exit_status() {
    let program = || Command::new(env!("CARGO_BIN_EXE_livepatch-server"));
    let status = |command: &mut Command| command.output().unwrap().status.code();
    assert_eq!(status(program().arg("--help")), Some(0));
    assert_eq!(status(&mut program()), Some(2));
    assert_eq!(status(program().args(["serve", "--data", "/tmp", "--tiers", "Edge"])), Some(2));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(status(program().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&file)), Some(1));

    let server = Server::start();
    let second =
        program().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(server.data("")).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process"), "{second:?}");
}
