//! Bytes from anywhere never make the manifest's reader panic, and what it accepts it writes back the same.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_manifest::{Digest, LARGEST, Manifest, ManifestError, is_module_name};
use proptest::collection::vec;
use proptest::prelude::*;

/// A manifest as the builder writes it.
const SAMPLE: &str = r#"{"schema":1,"name":"livepatch_6_1_0_55_cloud_amd64_1","version":1,
"kernel":{"release":"6.1.0-55-cloud-amd64","build_id":"3b43fad53b43fad53b43fad53b43fad53b43fad5","arch":"x86_64"},
"module":{"sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","size":4096,"vermagic":"6.1.0-55"},
"fixes":[{"id":"debian-bug-1154101","summary":"ext4","source":{"package":"linux","from":"6.1.192-1","to":"6.1.192-2"}}],
"objects":[{"name":"vmlinux","functions":[{"name":"ext4_mb_load_buddy_gfp","sympos":0,"source":"fs/ext4/mballoc.c"}]}],
"provenance":{"builder":"0.1.0","compiler":"gcc 12","source":"linux 6.1.192-1",
"patch_sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"}}"#;

/// What was accepted must read back as itself and be publishable.
fn check(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return;
    };
    assert!(is_module_name(&manifest.name) && manifest.version > 0);
    let canonical = manifest.to_canonical_bytes().unwrap();
    assert_eq!(Manifest::parse(&canonical).unwrap(), manifest);
}

#[test]
fn the_sample_is_a_manifest() {
    assert!(Manifest::parse(SAMPLE.as_bytes()).is_ok());
}

#[test]
fn depth_and_size_are_limited() {
    let deep = "[".repeat(LARGEST);
    assert!(matches!(Manifest::parse(deep.as_bytes()), Err(ManifestError::Shape(_))));
    let large = vec![b' '; LARGEST + 1];
    assert!(matches!(Manifest::parse(&large), Err(ManifestError::TooLarge(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..512)) {
        check(&bytes);
    }

    #[test]
    fn mutated_manifest(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check(&bytes);
    }

    #[test]
    fn spliced_manifest(from in 0..SAMPLE.len(), length in 0..64usize, insert in "[\\[\\]{}\",:0-9a-z\\\\-]{0,24}") {
        let end = SAMPLE.len().min(from + length);
        check([&SAMPLE.as_bytes()[..from], insert.as_bytes(), &SAMPLE.as_bytes()[end..]].concat().as_slice());
    }

    #[test]
    fn any_text_as_a_digest(text in ".{0,80}") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.as_str(), &text);
            prop_assert_eq!(digest.short().len(), 12);
        }
    }
}
