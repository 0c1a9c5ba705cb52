//! Manifests: what is accepted must write back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return;
    };
    let canonical = manifest
        .to_canonical_bytes()
        .expect("an accepted manifest is written");
    assert_eq!(
        Manifest::parse(&canonical).expect("a written manifest is accepted"),
        manifest
    );
});
