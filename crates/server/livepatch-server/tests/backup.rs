//! Backup while the server works, restore, and the same site afterwards.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{EnrolAnswer, LivepatchSummary, MachineSummary, PublishAnswer, paths};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};
use support::{MACHINE, Server, livepatch, machine};

const TIMESTAMP: &str = "/repository/metadata/timestamp.json";

fn server(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_livepatch-server")).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_backup_made_while_the_server_works_restores_the_whole_site() {
    let running = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    running.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    running.post::<EnrolAnswer>(paths::ENROL, &running.token(None, None), &machine(MACHINE)).unwrap();
    let (timestamp, key) = (running.get_bytes(TIMESTAMP), running.admin_key());

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("site.tar");
    let made = server(&["backup", "--data", text(&running.data("")), text(&file)]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "it holds every key");
    let again = server(&["backup", "--data", text(&running.data("")), text(&file)]);
    assert_eq!(again.status.code(), Some(1), "a backup is never overwritten");
    let left: Vec<_> =
        fs::read_dir(running.data("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".backup-")), "{left:?}");
    drop(running);

    let data = place.path().join("data");
    let restored = server(&["restore", text(&file), "--data", text(&data)]);
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    let twice = server(&["restore", text(&file), "--data", text(&data)]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&twice.stderr).contains("not empty"), "{twice:?}");
    for (path, mode) in [("admin.key", 0o600), ("keys/root.pem", 0o600), ("keys", 0o700)] {
        assert_eq!(fs::metadata(data.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }

    let server = Server::start_in(place);
    assert_eq!(server.admin_key(), key);
    assert_eq!(server.get_bytes(TIMESTAMP), timestamp);
    assert_eq!(server.admin_get::<Vec<LivepatchSummary>>(paths::ADMIN_LIVEPATCHES).unwrap().len(), 1);
    assert_eq!(server.admin_get::<Vec<MachineSummary>>(paths::ADMIN_MACHINES).unwrap().len(), 1);
    let (module, manifest) = livepatch(2);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
}

#[test]
fn what_is_no_backup_leaves_no_directory() {
    let place = tempfile::tempdir().unwrap();
    let (file, data) = (place.path().join("x.tar"), place.path().join("data"));
    let mut foreign = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    foreign.append_data(&mut header, "etc/passwd", &b"x"[..]).unwrap();
    for bytes in [
        b"no archive at all, and long enough to be read as one".repeat(20),
        vec![],
        foreign.into_inner().unwrap(),
    ] {
        fs::write(&file, bytes).unwrap();
        let refused = server(&["restore", text(&file), "--data", text(&data)]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("no backup"), "{refused:?}");
        assert!(!data.exists());
    }
    let nothing = server(&["backup", "--data", text(place.path()), text(&place.path().join("y.tar"))]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no server's data directory"), "{nothing:?}");
}
