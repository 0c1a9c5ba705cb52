//! A sound module by a key that the machine was never told to trust. The kernel itself would take it.

use crate::scene::{Scene, TIER, assert_refused};
use livepatch_manifest::Digest;
use livepatch_module::{SigningKey, sign, split};
use std::time::SystemTime;

#[test]
fn a_module_signed_by_a_stranger_is_refused() {
    let scene = Scene::new();
    let stranger = SigningKey::generate("Stranger", SystemTime::now()).unwrap();
    let signed = scene.prepared.module().unwrap();
    let module = sign(split(&signed).unwrap().body, &stranger).unwrap();
    let mut manifest = scene.prepared.manifest().unwrap();
    manifest.module.sha256 = Digest::of(&module);
    manifest.module.size = module.len() as u64;

    scene.site().stop();
    scene.publish_unchecked(&module, &manifest);
    let site = scene.site();
    let machine = scene.machine();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    assert_refused(&machine, &output, "module-signer-unknown");
}
