//! A module whose bytes are altered on the way from the server to the machine.

use crate::{
    proxy::Proxy,
    scene::{Scene, TIER, assert_applied, assert_refused},
};

#[test]
fn a_module_altered_in_transit_is_refused() {
    let scene = Scene::new();
    let site = scene.site();
    site.publish(&scene.prepared.build(), TIER).unwrap();
    let proxy = Proxy::to(site.port());
    proxy.alter(|path, mut answer| {
        if path.ends_with(".ko") {
            let middle = answer.body.len() / 2;
            answer.body[middle] ^= 1;
        }
        answer
    });
    let machine = scene.machine();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &proxy.guest_url()).unwrap();
    assert_refused(&machine, &output, "target-altered");

    proxy.be_honest();
    let output = machine.livepatch("refresh").unwrap();
    assert_applied(&machine, &scene.prepared.manifest().unwrap(), &output);
}
