//! A compiled object, taken through the difference engine: against itself, as a module, as an image, and through linking.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_diff::{
    Architecture, Base, Difference, Facts, Image, Object, Owner, Unit, drop_late_entries, extract, finish_module, name_symbols,
};
use std::collections::BTreeMap;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says where a second object begins.
    let Some((&split, rest)) = bytes.split_first() else { return };
    let (one, other) = rest.split_at(rest.len() * usize::from(split) / 255);
    let other = if other.is_empty() { one } else { other };
    link(one);
    let Ok(original) = Object::read(one) else { return };
    if let Ok(base) = Base::module("sample", other) {
        prove(&base, &original);
    }
    if let Ok(image) = Image::read(other) {
        let _ = image.notes();
        prove(&Base::Image(&image), &original);
    }
    let Ok(patched) = Object::read(other) else { return };
    let sizes = original.architecture.usual_entry_sizes();
    if let Ok(difference) = Difference::of_source(&original, &patched, &sizes, Facts::default()) {
        let _ = extract(&difference, 0);
    }
    let Ok(difference) = Difference::new(&original, &patched, &sizes) else { return };
    if let Ok(extracted) = extract(&difference, 0) {
        link(&extracted.bytes);
    }
});

fn link(bytes: &[u8]) {
    let owner = |name: &str| Some(Owner::Running { object: "sample".into(), position: name.len() as u32 });
    let _ = drop_late_entries(bytes, &Architecture::X86_64.usual_entry_sizes(), owner);
    if let Ok(named) = name_symbols(bytes, "sample", owner) {
        let _ = finish_module(&named, &BTreeMap::new());
    }
    let _ = finish_module(bytes, &BTreeMap::new());
}

fn prove(base: &Base<'_>, original: &Object) {
    let _ = base.imported_namespaces();
    let unit = base.unit(original).unwrap_or(Unit::NoLocals);
    let _ = base.prove_all(unit, original, &original.architecture.usual_entry_sizes());
    for symbol in &original.symbols {
        let _ = base.position(unit, symbol);
        let _ = base.is_traced(unit, symbol);
    }
}
