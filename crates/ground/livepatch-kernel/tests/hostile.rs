//! Text and notes from anywhere never make the readers panic, and what they accept keeps its promises.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_kernel::{BuildId, KernelRelease, Taint};
use proptest::collection::vec;
use proptest::prelude::*;

/// Texts that are releases or nearly so, with numbers that no machine integer holds.
fn release() -> impl Strategy<Value = String> {
    "[0-9]{1,25}\\.[0-9]{1,25}(\\.[0-9]{1,12})?[-+~.a-z0-9_]{0,20}"
}

/// One ELF note: padded name and descriptor.
fn note(name: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [name.len() as u32, descriptor.len() as u32, kind] {
        bytes.extend(word.to_le_bytes());
    }
    for part in [name, descriptor] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_text_as_a_release(text in ".*") {
        if let Ok(release) = text.parse::<KernelRelease>() {
            prop_assert_eq!(release.as_str(), &text);
            let _ = (release.series(), release.flavour());
        }
    }

    #[test]
    fn parts_of_a_release_are_parts_of_its_text(text in release()) {
        let Ok(release) = text.parse::<KernelRelease>() else { return Ok(()) };
        prop_assert!(text.starts_with(release.series()));
        prop_assert!(text.ends_with(release.flavour()));
        prop_assert_eq!(release.series().matches('.').count(), 1);
        let identifier = release.as_identifier();
        prop_assert_eq!(identifier.len(), text.len());
        prop_assert!(identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    }

    #[test]
    fn releases_are_totally_ordered(texts in vec(release(), 3)) {
        let releases: Result<Vec<KernelRelease>, _> = texts.iter().map(|text| text.parse()).collect();
        let Ok(releases) = releases else { return Ok(()) };
        let [a, b, c] = &releases[..] else { unreachable!() };
        prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
        prop_assert_eq!(a.cmp(b).is_eq(), a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn any_bytes_as_notes(bytes in vec(any::<u8>(), 0..512)) {
        let _ = BuildId::from_notes(&bytes);
    }

    #[test]
    fn notes_that_almost_hold_a_build_id(
        sizes in (0..8u32, 0..48u32, 0..8u32),
        rest in vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = Vec::new();
        for word in [sizes.0, sizes.1, sizes.2] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"GNU\0");
        bytes.extend(rest);
        let _ = BuildId::from_notes(&bytes);
    }

    #[test]
    fn a_build_id_is_found_behind_any_notes(
        others in vec((vec(any::<u8>(), 0..9), any::<u32>(), vec(any::<u8>(), 0..40)), 0..4),
        id in vec(any::<u8>(), 8..33),
    ) {
        let mut notes: Vec<u8> = others
            .iter()
            .filter(|(name, ..)| name != b"GNU\0")
            .flat_map(|(name, kind, descriptor)| note(name, *kind, descriptor))
            .collect();
        notes.extend(note(b"GNU\0", 3, &id));
        prop_assert_eq!(BuildId::from_notes(&notes).unwrap(), BuildId::from_bytes(&id).unwrap());
    }

    #[test]
    fn build_ids_read_back(bytes in vec(any::<u8>(), 0..40)) {
        match BuildId::from_bytes(&bytes) {
            Ok(id) => prop_assert_eq!(id.to_string().parse::<BuildId>().unwrap(), id),
            Err(_) => prop_assert!(!(8..=32).contains(&bytes.len())),
        }
    }

    #[test]
    fn any_mask_is_explained(mask in any::<u64>()) {
        let taint = Taint(mask);
        prop_assert!(!taint.to_string().is_empty());
        prop_assert!(taint.flags().all(|flag| mask >> flag.bit & 1 == 1));
        prop_assert_eq!(taint.since(taint), Taint(0));
    }
}
