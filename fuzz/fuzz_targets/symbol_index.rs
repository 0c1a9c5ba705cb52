//! The index of vmlinux's symbols: an image's own, and one whose digest is right whatever else it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_diff::{Binding, Image, Unit};
use sha2::{Digest, Sha256};

const KEY: [u8; 32] = [7; 32];

fuzz_target!(|bytes: &[u8]| {
    // The first two bytes say where the index begins; before it stands the image.
    let Some((split, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (elf, index) = rest.split_at(usize::from(u16::from_le_bytes(*split)).min(rest.len()));
    if let Ok(image) = Image::read(elf) {
        let own = image.index(&KEY);
        let again = Image::read_indexed(elf, &own, &KEY).ok().flatten().expect("an image's own index fits it");
        assert_eq!(again.len(), image.len());
    }
    if let Ok(Some(image)) = Image::read_indexed(elf, &sealed(index), &KEY) {
        for name in ["", "a", "printk"] {
            for unit in [Unit::NoLocals, Unit::File(1)] {
                if let Some(symbol) = image.find(unit, name, Binding::Local) {
                    let _ = (image.position(&symbol), image.bytes_at(symbol.address, symbol.size));
                }
                let _ = image.meant(unit, name).count();
            }
        }
    }
});

/// A header (magic, key, counts, digest: `base/symbols.rs`) around the eight bytes of counts and all that follows.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let (counts, body) = bytes.split_at(bytes.len().min(8));
    let mut head = [b"LPVMSYM1".as_slice(), &KEY, counts].concat();
    head.resize(48, 0);
    let digest = Sha256::new().chain_update(&head).chain_update(body).finalize();
    [head.as_slice(), &digest, body].concat()
}
