//! Foreign bytes never make the readers panic, and never make them accept what nobody signed.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod fixture;

use fixture::{KEY, MODULE};
use livepatch_module::{Certificate, Module, sign, split, verify};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::LazyLock;

static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| sign(&MODULE, &KEY).unwrap());

/// Asks for everything that can be asked of a module's bytes.
fn read_all(bytes: &[u8]) {
    let _ = split(bytes);
    let _ = Certificate::from_der(bytes);
    let Ok(module) = Module::parse(bytes) else { return };
    let _ = (module.name(), module.vermagic(), module.is_livepatch(), module.build_id(), module.release());
    let _ = module.modinfo_all("name").count();
    let _ = module.modinfo_pairs().count();
    let _ = (module.klp_symbols(), module.klp_relocations(), module.replacements());
}

fn accepted(bytes: &[u8]) -> bool {
    verify(bytes, &[KEY.certificate().clone()]).is_ok()
}

/// Positions where the structures are: ELF header, section headers at the end of the body, message and trailer.
fn position() -> impl Strategy<Value = usize> {
    let (body, whole) = (MODULE.len(), SIGNED.len());
    prop_oneof![0..64usize, body - 1024..body, body..whole, 0..whole]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..4096)) {
        read_all(&bytes);
        prop_assert!(!accepted(&bytes));
    }

    #[test]
    fn arbitrary_bytes_behind_an_elf_header(bytes in vec(any::<u8>(), 0..2048)) {
        let whole = [&MODULE[..64], &bytes].concat();
        read_all(&whole);
    }

    #[test]
    fn arbitrary_message_in_a_sound_trailer(message in vec(any::<u8>(), 0..512)) {
        let length = (message.len() as u32).to_be_bytes();
        let end = [&[0, 0, 2, 0, 0, 0, 0, 0], length.as_slice(), b"~Module signature appended~\n"].concat();
        let whole = [MODULE.as_slice(), &message, &end].concat();
        read_all(&whole);
        prop_assert!(!accepted(&whole));
    }

    #[test]
    fn mutated_module(changes in vec((position(), any::<u8>()), 1..8), end in 0..64usize) {
        let mut bytes = SIGNED.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(SIGNED.len() - if end < 16 { end } else { 0 });
        read_all(&bytes);
        read_all(&bytes[..MODULE.len()]);
        prop_assert!(bytes == *SIGNED || !accepted(&bytes));
    }

    #[test]
    fn mutated_tables(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for form in [&*fixture::KLP_PATCH, &*fixture::KPATCH, &*fixture::KLP_BUILD] {
            let mut bytes = form.clone();
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            read_all(&bytes);
        }
    }

    #[test]
    fn mutated_certificate(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut der = KEY.certificate().to_der().to_vec();
        for (at, value) in changes {
            let at = at.index(der.len());
            der[at] = value;
        }
        if let Ok(certificate) = Certificate::from_der(&der) {
            let _ = certificate.subject();
            let _ = verify(&SIGNED, &[certificate]);
        }
    }
}
