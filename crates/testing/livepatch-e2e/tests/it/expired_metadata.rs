//! A mirror that stands still: metadata that was right once, signed by the right keys, and has expired.

use crate::{
    proxy::{Answer, Proxy},
    scene::{Scene, TIER, assert_applied, assert_refused},
};
use livepatch_trust::{Lifetimes, Publisher};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn expired_metadata_are_refused() {
    let scene = Scene::new();
    let site = scene.site();
    site.publish(&scene.prepared.build(), TIER).unwrap();
    site.stop();
    let mirror = expired_mirror(&scene);

    let site = scene.site();
    let proxy = Proxy::to(site.port());
    proxy.alter(move |path, answer| serve(&mirror, path, answer));
    let machine = scene.machine();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &proxy.guest_url()).unwrap();
    assert_refused(&machine, &output, "metadata-expired");

    proxy.be_honest();
    let output = machine.livepatch("refresh").unwrap();
    assert_applied(&machine, &scene.prepared.manifest().unwrap(), &output);
}

/// A copy of the repository as it would have been signed ten days ago, with a timestamp for one day.
fn expired_mirror(scene: &Scene) -> PathBuf {
    let mirror = scene.directory.path().join("mirror");
    copy(&scene.data().join("repository"), &mirror.join("repository"));
    copy(&scene.data().join("keys"), &mirror.join("keys"));
    let lifetimes = Lifetimes { timestamp: DAY, ..Lifetimes::default() };
    let mut publisher = Publisher::open(&mirror.join("repository"), &mirror.join("keys"), lifetimes).unwrap();
    publisher.commit(SystemTime::now() - 10 * DAY).unwrap();
    mirror
}

fn serve(mirror: &Path, path: &str, answer: Answer) -> Answer {
    if !path.starts_with("/repository/") {
        return answer;
    }
    match fs::read(mirror.join(path.trim_start_matches('/'))) {
        Ok(body) => Answer { status: 200, body },
        Err(_) => Answer { status: 404, body: vec![] },
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
