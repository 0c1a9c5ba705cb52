//! Damaged debug information never makes the reader or a rule panic, hang or exhaust the memory.

use crate::cases::{judge_objects, texts};
use crate::compile::compile;
use livepatch_judge::{SourceFile, half_fix};
use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

/// Original and patched object, and the file.
type Pair = (Vec<u8>, Vec<u8>, SourceFile);

/// Pairs of objects that between them have every kind of entry, with the texts that they were made of.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let folders = [
        "layout-anonymous-union-grows",
        "layout-bit-field-moves",
        "layout-callback-gets-another-argument",
        "layout-embedded-structure-tells-once",
        "layout-enumerator-changes-its-value",
        "data-of-every-kind",
        "kernel-thread-s-loop",
        "lock-by-inlined-name",
        "why-inlined-through-another",
    ];
    let make = |folder: &&str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
        let (original, patched, _) = texts(&path);
        let file = SourceFile::new("unit.c", &original, &patched);
        (compile(&original, &["-g"]), compile(&patched, &["-g"]), file)
    };
    folders.iter().map(make).collect()
});

/// Ranges of a file that its debug sections, and the relocations of these, take up (ELF-64: `e_shoff` at 40, `e_shnum` at 60,
/// `e_shstrndx` at 62; `sh_name`, `sh_offset`, `sh_size` at 0, 24, 32 of each header of 64 bytes).
fn debug_ranges(bytes: &[u8]) -> Vec<(usize, usize)> {
    let number = |at: usize, width: usize| {
        let field = &bytes[at..at + width];
        field.iter().rev().fold(0usize, |value, &byte| value << 8 | usize::from(byte))
    };
    let headers = number(40, 8);
    let header = |index: usize| headers + 64 * index;
    let names = number(header(number(62, 2)) + 24, 8);
    let is_debug = |index: &usize| {
        let name = &bytes[names + number(header(*index), 4)..];
        name.starts_with(b".debug_") || name.starts_with(b".rela.debug_")
    };
    let range = |index: usize| (number(header(index) + 24, 8), number(header(index) + 32, 8));
    (0..number(60, 2)).filter(is_debug).map(range).filter(|(_, size)| *size > 8).collect()
}

/// A section and a place as fractions, and what is written there.
type Damage = (f64, f64, u64, usize);

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![
        4 => any::<u8>().prop_map(u64::from),
        2 => 0..64u64,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 7),
        1 => Just(1 << 63),
        1 => 0..4096u64
    ];
    (0.0..1.0f64, 0.0..1.0f64, number, prop_oneof![6 => Just(1usize), 2 => Just(4usize), 1 => Just(8usize)])
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let ranges = debug_ranges(&bytes);
    for &(section, at, number, width) in damages {
        let (start, size) = ranges[(section * ranges.len() as f64) as usize];
        let start = start + (at * size as f64) as usize;
        if let Some(field) = bytes.get_mut(start..start + width) {
            field.copy_from_slice(&number.to_le_bytes()[..width]);
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damaged_objects_are_judged(pair in 0..9usize, damages in vec(damage(), 1..8), both in any::<bool>()) {
        let (original, patched, file) = &PAIRS[pair];
        let files = std::slice::from_ref(file);
        let bad = damaged(patched, &damages);
        judge_objects(original, &bad, files);
        judge_objects(&if both { damaged(original, &damages) } else { bad.clone() }, patched, files);
        judge_objects(&bad, &bad, files);
    }

    #[test]
    fn arbitrary_texts_are_compared(old in "[ a-z_(){};#*/\n\t\\\\0-9]{0,200}", new in "[ a-z_(){};#*/\n\t\\\\0-9]{0,200}") {
        let file = SourceFile::new("x.c", &old, &new);
        for number in 0..4 {
            file.line_of(number, None);
        }
        half_fix(&[file]);
    }
}
