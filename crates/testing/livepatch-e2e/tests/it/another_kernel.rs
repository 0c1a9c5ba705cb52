//! A module that names another kernel than the running one, behind a manifest that claims otherwise.

use crate::scene::{Scene, TIER, assert_refused};
use livepatch_kernel::BuildId;
use livepatch_manifest::{Digest, Manifest};
use livepatch_module::{Module, SigningKey, sign, split};
use std::fs;

#[test]
fn a_module_for_another_kernel_is_refused() {
    let scene = Scene::new();
    let (module, manifest) = for_another_kernel(&scene);
    // The server refuses to publish it …
    let build = scene.directory.path().join("forged");
    fs::create_dir(&build).unwrap();
    fs::write(build.join(manifest.file_name()), &module).unwrap();
    fs::write(build.join("manifest.json"), manifest.to_canonical_bytes().unwrap()).unwrap();
    let site = scene.site();
    let refused = site.publish(&build, TIER).unwrap_err();
    assert!(format!("{refused:#}").contains("kernel build id: the module says"), "{refused:#}");
    site.stop();

    // … and so does the client when somebody with the repository's keys publishes it all the same.
    scene.publish_unchecked(&module, &manifest);
    let site = scene.site();
    let machine = scene.machine();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    assert_refused(&machine, &output, "wrong-kernel");
}

/// The example with another build id in its modinfo, signed by the trusted key; the manifest names the running kernel.
fn for_another_kernel(scene: &Scene) -> (Vec<u8>, Manifest) {
    let mut manifest = scene.prepared.manifest().unwrap();
    let signed = scene.prepared.module().unwrap();
    let mut module = split(&signed).unwrap().body.to_vec();
    let own = manifest.kernel.build_id.to_string();
    let other: String = own.chars().map(|digit| if digit == '0' { 'f' } else { '0' }).collect();
    let text = format!("livepatch_build_id={own}");
    let at = module.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    module[at..at + text.len()].copy_from_slice(format!("livepatch_build_id={other}").as_bytes());
    assert_eq!(Module::parse(&module).unwrap().build_id(), other.parse::<BuildId>().ok());

    let read = |name: &str| fs::read_to_string(scene.prepared.keys().join(name)).unwrap();
    let key = SigningKey::from_pem(&read("key.pem"), &read("cert.pem")).unwrap();
    let module = sign(&module, &key).unwrap();
    manifest.module.sha256 = Digest::of(&module);
    manifest.module.size = module.len() as u64;
    (module, manifest)
}
