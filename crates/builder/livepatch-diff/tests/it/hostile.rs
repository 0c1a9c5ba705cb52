//! Damaged files never make any part of the crate panic, hang or exhaust the memory.

use crate::base::{link_image, units};
use crate::compile::{Workshop, entry_sizes};
use crate::machines::{LOONG, Loong, loong_object};
use livepatch_diff::tables::Tables;
use livepatch_diff::{
    Architecture, Base, Difference, Facts, Image, Object, Owner, SymbolKind, Unit, drop_late_entries,
    extract, finish_module, name_symbols,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// Pairs of objects that between them have every kind of section.
static PAIRS: LazyLock<Vec<(Vec<u8>, Vec<u8>)>> = LazyLock::new(|| {
    let folders = [
        "alternatives-patches",
        "bug-entry-flags-patches",
        "exception-entries-go-with-their-function-patches",
        "jump-label-patches",
        "namesakes-are-told-apart-by-function-patches",
        "never-shared-statics-are-fresh-patches",
        "new-static-data-patches",
        "switch-table-into-cold-part-patches",
    ];
    let workshop = Workshop::new();
    let compile = |folder: &str, file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder).join(file);
        workshop.compile("unit.c", &std::fs::read_to_string(path).unwrap())
    };
    folders.iter().map(|folder| (compile(folder, "original.c"), compile(folder, "patched.c"))).collect()
});

/// Pairs of objects for other machines: those that a compiler is here for, and a made one.
static FOREIGN: LazyLock<Vec<(Vec<u8>, Vec<u8>)>> = LazyLock::new(|| {
    let workshop = Workshop::new();
    let compile = |machine, file: &str| {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/new-static-data-patches").join(file);
        workshop.cross_compile(machine, "unit.c", &std::fs::read_to_string(path).unwrap())
    };
    let pair = |machine| Some((compile(machine, "original.c")?, compile(machine, "patched.c")?));
    let compiled = [Architecture::Aarch64, Architecture::Ppc64le, Architecture::S390x].map(pair);
    let made = (loong_object(LOONG), loong_object(Loong { step: 2, more: true, ..LOONG }));
    compiled.into_iter().flatten().chain([made]).collect()
});

static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let workshop = Workshop::new();
    link_image(&workshop, units(&workshop))
});

/// What happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    /// A byte at this fraction of the file becomes another.
    Byte(f64, u8),
    /// A field of eight bytes becomes a number that breaks arithmetic.
    Field(f64, u64),
    /// A field of four bytes likewise.
    Half(f64, u32),
    /// The file ends early.
    Cut(f64),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Sections and symbols stand at the end of an object, its header at the start.
    let place = || prop_oneof![1 => 0.0..0.02f64, 2 => 0.0..1.0f64, 4 => 0.4..1.0f64];
    let large = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 7),
        Just(1 << 63),
        Just((1 << 63) - 1),
        Just(1 << 40),
        0..4096u64
    ];
    let small = prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(1 << 31), 0..64u32];
    prop_oneof![
        8 => (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        8 => (place(), large).prop_map(|(at, number)| Damage::Field(at, number)),
        4 => (place(), small).prop_map(|(at, number)| Damage::Half(at, number)),
        1 => (0.0..1.0f64).prop_map(Damage::Cut),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for damage in damages {
        let length = bytes.len() as f64;
        let write = |bytes: &mut Vec<u8>, at: f64, new: &[u8]| {
            let start = (at * length) as usize & !(new.len() - 1);
            if let Some(field) = bytes.get_mut(start..start + new.len()) {
                field.copy_from_slice(new);
            }
        };
        match *damage {
            Damage::Byte(at, byte) => write(&mut bytes, at, &[byte]),
            Damage::Field(at, number) => write(&mut bytes, at, &number.to_le_bytes()),
            Damage::Half(at, number) => write(&mut bytes, at, &number.to_le_bytes()),
            Damage::Cut(at) => bytes.truncate((at * length) as usize),
        }
    }
    bytes
}

fn differ(original: &[u8], patched: &[u8]) {
    let (Ok(original), Ok(patched)) = (Object::read(original), Object::read(patched)) else { return };
    let sizes = original.architecture.usual_entry_sizes();
    if let Ok(difference) = Difference::of_source(&original, &patched, &sizes, Facts::default()) {
        let _ = extract(&difference, 0);
    }
    let Ok(difference) = Difference::new(&original, &patched, &sizes) else { return };
    let _ = difference.added().count();
    let Ok(extracted) = extract(&difference, 0) else { return };
    link(&extracted.bytes);
}

fn link(bytes: &[u8]) {
    let owner = |name: &str| Some(Owner::Running { object: "sample".into(), position: name.len() as u32 });
    let _ = drop_late_entries(bytes, &entry_sizes(), owner);
    if let Ok(named) = name_symbols(bytes, "sample", owner) {
        let _ = finish_module(&named, &BTreeMap::new());
    }
    let also =
        BTreeMap::from([("print".to_owned(), Owner::Running { object: "vmlinux".into(), position: 0 })]);
    let _ = finish_module(bytes, &also);
}

fn prove(base: &Base<'_>, original: &Object) {
    let unit = base.unit(original);
    let _ = base.imported_namespaces();
    for unit in [unit.unwrap_or(Unit::NoLocals), Unit::File(1), Unit::Run(1, 10)] {
        let _ = base.prove_all(unit, original, &entry_sizes());
        for symbol in original.symbols.iter().filter(|symbol| symbol.kind == SymbolKind::Function) {
            let _ = base.is_traced(unit, symbol);
            let _ = (base.position(unit, symbol), base.position_of_global(&symbol.name));
        }
    }
}

fn prove_in_module(module: &[u8], original: &[u8]) {
    let (Ok(base), Ok(original)) = (Base::module("sample", module), Object::read(original)) else { return };
    prove(&base, &original);
}

fn prove_in_image(image: &[u8], original: &[u8]) {
    let (Ok(image), Ok(original)) = (Image::read(image), Object::read(original)) else { return };
    let _ = image.notes();
    prove(&Base::Image(&image), &original);
}

fn everything(bytes: &[u8]) {
    if let Ok(object) = Object::read(bytes) {
        let _ = Tables::read(&object, &entry_sizes());
    }
    differ(bytes, bytes);
    link(bytes);
    prove_in_module(bytes, bytes);
    prove_in_image(bytes, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..2048)) {
        everything(&bytes);
        everything(&[&PAIRS[0].0[..64], &bytes].concat());
    }

    #[test]
    fn damaged_objects_are_compared(pair in 0..8usize, damages in vec(damage(), 1..6), also in any::<bool>()) {
        let (original, patched) = &PAIRS[pair];
        let bad = damaged(patched, &damages);
        differ(original, &bad);
        differ(&damaged(original, &damages), if also { &bad } else { patched });
    }

    #[test]
    fn damaged_objects_of_other_machines_are_compared(at in 0..4usize, damages in vec(damage(), 1..6)) {
        let (original, patched) = &FOREIGN[at % FOREIGN.len()];
        let bad = damaged(patched, &damages);
        differ(original, &bad);
        differ(&bad, original);
        prove_in_module(original, &bad);
        link(&bad);
    }

    #[test]
    fn damaged_objects_are_linked(pair in 0..8usize, damages in vec(damage(), 1..6)) {
        link(&damaged(&PAIRS[pair].1, &damages));
    }

    #[test]
    fn damaged_objects_and_modules_are_proven(pair in 0..8usize, damages in vec(damage(), 1..6)) {
        let original = &PAIRS[pair].0;
        let bad = damaged(original, &damages);
        prove_in_module(original, &bad);
        prove_in_module(&bad, original);
        prove_in_module(&bad, &bad);
    }

    #[test]
    fn damaged_images_are_proven_against(pair in 0..8usize, damages in vec(damage(), 1..6)) {
        let original = &PAIRS[pair].0;
        prove_in_image(&damaged(&IMAGE, &damages), original);
        prove_in_image(&IMAGE, &damaged(original, &damages));
    }
}
