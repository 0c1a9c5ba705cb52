//! A mirror that goes back: metadata that are valid still, and older than what this machine has seen.

use crate::{
    proxy::Proxy,
    scene::{Scene, TIER, assert_applied, assert_refused, field},
};
use std::fs;

#[test]
fn rolled_back_metadata_are_refused() {
    let scene = Scene::new();
    let site = scene.site();
    let old = fs::read(scene.data().join("repository/metadata/timestamp.json")).unwrap();
    site.publish(&scene.prepared.build(), "edge").unwrap();
    let proxy = Proxy::to(site.port());
    let machine = scene.machine();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &proxy.guest_url()).unwrap();
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(field(&machine, "/state"), "nothing-to-apply", "what is in tier edge is not for this machine");

    let manifest = scene.prepared.manifest().unwrap();
    site.promote(&manifest.name, TIER).unwrap();
    proxy.alter(move |path, mut answer| {
        if path.ends_with("/timestamp.json") {
            answer.body.clone_from(&old);
        }
        answer
    });
    assert_refused(&machine, &machine.livepatch("refresh").unwrap(), "metadata-rolled-back");

    proxy.be_honest();
    let output = machine.livepatch("refresh").unwrap();
    assert_applied(&machine, &manifest, &output);
}
