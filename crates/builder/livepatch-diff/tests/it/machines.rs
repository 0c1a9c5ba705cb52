//! Machines other than x86-64: the cases of `tests/cases` that are plain C come out the same on each of them.
//!
//! Needs Debian's cross compilers (`gcc-aarch64-linux-gnu`, `gcc-powerpc64le-linux-gnu`, `gcc-s390x-linux-gnu`), which
//! `cargo xtask test` installs; a machine without one is skipped with a word.

use crate::cases::{Outcome, directives, refused};
use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::{
    Architecture, Base, Difference, Object, SymbolIndex, Unit, extract, finish_module, name_symbols,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[test]
fn aarch64() {
    plain_cases_come_out_as_their_directives_say(Architecture::Aarch64);
}

#[test]
fn ppc64le() {
    plain_cases_come_out_as_their_directives_say(Architecture::Ppc64le);
}

#[test]
fn s390x() {
    plain_cases_come_out_as_their_directives_say(Architecture::S390x);
}

fn plain_cases_come_out_as_their_directives_say(machine: Architecture) {
    let cases = plain_cases();
    assert!(cases.len() > 30, "only {} cases without assembly were found", cases.len());
    let mut failures = Vec::new();
    for folder in cases {
        match check(machine, &folder) {
            None => return eprintln!("SKIPPED: there is no cross compiler for {machine}"),
            Some(Ok(())) => {}
            Some(Err(error)) => failures.push(format!("{}:\n{error}", folder.display())),
        }
    }
    assert!(failures.is_empty(), "{machine}: {} cases:\n{}", failures.len(), failures.join("\n"));
}

/// Folders of cases without assembly, which would be x86-64's.
fn plain_cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let is_plain = |folder: &PathBuf| {
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        !text("original.c").contains("asm") && !text("patched.c").contains("asm")
    };
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(is_plain).collect();
    folders.sort();
    folders
}

/// The kernel's `notrace` (include/linux/compiler_types.h) where trace sites are patchable entries.
fn own_notrace(machine: Architecture, text: &str) -> String {
    match machine {
        Architecture::Aarch64 => text.replace("no_instrument_function", "patchable_function_entry(0, 0)"),
        _ => text.to_owned(),
    }
}

/// `None` when there is no compiler.
fn check(machine: Architecture, folder: &Path) -> Option<Result<(), String>> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let (expected, code) = directives(&read("patched.c")).unwrap();
    let workshop = Workshop::new();
    let original =
        workshop.cross_compile(machine, "original/unit.c", &own_notrace(machine, &read("original.c")))?;
    let patched = workshop.cross_compile(machine, "patched/unit.c", &own_notrace(machine, &code))?;
    let (original, patched) = (Object::read(&original).unwrap(), Object::read(&patched).unwrap());
    assert_eq!((original.architecture, patched.architecture), (machine, machine));
    let difference = differ(&original, &patched);
    let found = outcome(&difference, &expected);
    let parts = |outcome: &Outcome| {
        let parts = [&outcome.changed, &outcome.added, &outcome.removed, &outcome.refused];
        parts.map(BTreeSet::clone)
    };
    Some(match parts(&found) == parts(&expected) {
        true => Ok(()),
        false => Err(format!("  expected {expected:?}\n  found    {found:?}")),
    })
}

fn outcome(difference: &Difference<'_>, expected: &Outcome) -> Outcome {
    let names = |object: &Object, list: &mut dyn Iterator<Item = SymbolIndex>| {
        list.map(|index| object.symbols[index].name.clone()).collect()
    };
    let refused = refused(difference, expected);
    if !refused.is_empty() {
        return Outcome { refused, ..Outcome::default() };
    }
    Outcome {
        changed: names(difference.original, &mut difference.changed.iter().map(|&(original, _)| original)),
        added: names(difference.patched, &mut difference.added()),
        removed: names(difference.original, &mut difference.removed.iter().copied()),
        ..Outcome::default()
    }
}

/// Code reaches what other objects define through the table of contents, which is one section for the whole unit: an
/// entry more moves those behind it, and changes no function but the one that uses it.
#[test]
fn entry_of_the_table_of_contents_changes_its_user_only() {
    let text = |sum: &str| {
        format!(
            "extern long first, second, third;\n\
             long one(void) {{ return {sum}; }}\n\
             long two(void) {{ return third; }}\n"
        )
    };
    let workshop = Workshop::new();
    let compile = |text: &str| workshop.cross_compile(Architecture::Ppc64le, "unit.c", text);
    let (Some(original), Some(patched)) = (compile(&text("first")), compile(&text("first + second"))) else {
        return eprintln!("SKIPPED: there is no cross compiler for ppc64le");
    };
    let (original, patched) = (Object::read(&original).unwrap(), Object::read(&patched).unwrap());
    let size = |object: &Object| object.sections[object.section_named(".toc").unwrap()].size;
    assert_eq!((size(&original), size(&patched)), (16, 24));
    let difference = differ(&original, &patched);
    let found = outcome(&difference, &Outcome::default());
    assert_eq!(found, Outcome { changed: BTreeSet::from(["one".into()]), ..Outcome::default() });
}

/// What `function` of the LoongArch object does.
#[derive(Clone, Copy)]
pub(crate) struct Loong {
    /// The immediate of an instruction in the function `count`.
    pub(crate) step: u32,
    /// A function more.
    pub(crate) more: bool,
    /// The initial value of the variable `limit`.
    pub(crate) limit: u8,
}

pub(crate) const LOONG: Loong = Loong { step: 1, more: false, limit: 9 };

/// An object for LoongArch, for which Debian 12 has no compiler: `count` refers to the static variable `calls`, to a
/// string and to `print`; `other` calls `count`; `limit` is a variable; `distance` holds the size of `count` as a pair of
/// relocations.
pub(crate) fn loong_object(what: Loong) -> Vec<u8> {
    use object::write::{Object as Writer, Relocation, StandardSection, Symbol, SymbolSection};
    use object::{
        BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf,
    };
    let machine = object::Architecture::LoongArch64;
    let mut writer = Writer::new(BinaryFormat::Elf, machine, Endianness::Little);
    let mut section = |name: &str, kind| writer.add_section(Vec::new(), name.into(), kind);
    let count_text = section(".text.count", SectionKind::Text);
    let other_text = section(".text.other", SectionKind::Text);
    let more_text = section(".text.more", SectionKind::Text);
    let calls_bss = section(".bss.calls", SectionKind::UninitializedData);
    let limit_data = section(".data.limit", SectionKind::Data);
    let distance_data = section(".rodata.distance", SectionKind::ReadOnlyData);
    let sites = section("__patchable_function_entries", SectionKind::Data);
    let strings = writer.section_id(StandardSection::ReadOnlyString);
    let symbol = |name: &str, kind, scope, section| Symbol {
        name: name.into(),
        value: 0,
        size: 0,
        kind,
        scope,
        weak: false,
        section,
        flags: SymbolFlags::None,
    };
    let (function, data) = (SymbolKind::Text, SymbolKind::Data);
    let here = SymbolSection::Section;
    let count = writer.add_symbol(symbol("count", function, SymbolScope::Dynamic, here(count_text)));
    let other = writer.add_symbol(symbol("other", function, SymbolScope::Dynamic, here(other_text)));
    let calls = writer.add_symbol(symbol("calls.0", data, SymbolScope::Compilation, here(calls_bss)));
    let limit = writer.add_symbol(symbol("limit", data, SymbolScope::Dynamic, here(limit_data)));
    let distance = writer.add_symbol(symbol("distance", data, SymbolScope::Dynamic, here(distance_data)));
    let print = writer.add_symbol(symbol(
        "print",
        SymbolKind::Unknown,
        SymbolScope::Unknown,
        SymbolSection::Undefined,
    ));
    let label = writer.add_symbol(symbol(".LC0", SymbolKind::Label, SymbolScope::Compilation, here(strings)));
    writer.append_section_data(strings, b"called\n\0", 1);
    writer.add_symbol_bss(calls, calls_bss, 4, 4);
    writer.add_symbol_data(limit, limit_data, &[what.limit, 0, 0, 0], 4);
    writer.add_symbol_data(distance, distance_data, &[0; 4], 4);
    // nop; nop; pcalau12i; addi.d with the step; pcalau12i; addi.d; bl: what the fields hold does not matter here.
    let code =
        [0x0340_0000, 0x0340_0000, 0x1a00_0004, 0x02c0_0084 | what.step << 10, 0x1a00_0005, 0x02c0_00a5];
    let code: Vec<u8> = code.iter().chain(&[0x5400_0000_u32]).flat_map(|word| word.to_le_bytes()).collect();
    writer.add_symbol_data(count, count_text, &code, 4);
    let call: Vec<u8> =
        [0x0340_0000_u32, 0x0340_0000, 0x5400_0000].iter().flat_map(|word| word.to_le_bytes()).collect();
    writer.add_symbol_data(other, other_text, &call, 4);
    let mut relocate = |section, offset, symbol, kind: elf::RelocationType, addend| {
        let flags = RelocationFlags::Elf { r_type: kind };
        writer.add_relocation(section, Relocation { offset, symbol, addend, flags }).unwrap();
    };
    relocate(count_text, 8, calls, elf::R_LARCH_PCALA_HI20, 0);
    relocate(count_text, 12, calls, elf::R_LARCH_PCALA_LO12, 0);
    relocate(count_text, 16, label, elf::R_LARCH_PCALA_HI20, 0);
    relocate(count_text, 20, label, elf::R_LARCH_PCALA_LO12, 0);
    relocate(count_text, 24, print, elf::R_LARCH_B26, 0);
    relocate(count_text, 24, print, elf::R_LARCH_RELAX, 0);
    relocate(other_text, 8, count, elf::R_LARCH_B26, 0);
    relocate(distance_data, 0, other, elf::R_LARCH_ADD32, 0);
    relocate(distance_data, 0, count, elf::R_LARCH_SUB32, 0);
    relocate(sites, 0, count, elf::R_LARCH_64, 0);
    relocate(sites, 8, other, elf::R_LARCH_64, 0);
    writer.append_section_data(sites, &[0; 16], 8);
    if what.more {
        let more = writer.add_symbol(symbol("more", function, SymbolScope::Dynamic, here(more_text)));
        writer.add_symbol_data(more, more_text, &call, 4);
    }
    writer.write().unwrap()
}

#[test]
fn loongarch64() {
    let read = |what| Object::read(&loong_object(what)).unwrap();
    let original = read(LOONG);
    assert_eq!(original.architecture, Architecture::LoongArch64);
    let found = |patched: &Object, expected: &Outcome| outcome(&differ(&original, patched), expected);
    let names = |name: &str| BTreeSet::from([name.to_owned()]);
    assert_eq!(found(&read(LOONG), &Outcome::default()), Outcome::default());

    let stepped = read(Loong { step: 2, ..LOONG });
    let expected = Outcome { changed: names("count"), ..Outcome::default() };
    assert_eq!(found(&stepped, &expected), expected);

    let grown = read(Loong { more: true, ..LOONG });
    let expected = Outcome { added: names("more"), ..Outcome::default() };
    assert_eq!(found(&grown, &expected), expected);
    let shrunk = differ(&grown, &original);
    let expected = Outcome { removed: names("more"), ..Outcome::default() };
    assert_eq!(outcome(&shrunk, &expected), expected);

    let limited = read(Loong { limit: 8, ..LOONG });
    let expected = Outcome { refused: names("data-changed limit"), ..Outcome::default() };
    assert_eq!(found(&limited, &expected), expected);
}

#[test]
fn modules_are_linked_for_x86_64_only() {
    let (original, patched) = (loong_object(LOONG), loong_object(Loong { step: 2, ..LOONG }));
    let refused = "loongarch64";
    let (first, second) = (Object::read(&original).unwrap(), Object::read(&patched).unwrap());
    let error = extract(&differ(&first, &second), 0).unwrap_err().to_string();
    assert!(error.contains(refused) && error.contains("only x86-64 modules can be linked"), "{error}");
    let error = name_symbols(&original, "vmlinux", |_| None).unwrap_err().to_string();
    assert!(error.contains(refused) && error.contains("only x86-64 modules can be linked"), "{error}");
    let error = finish_module(&original, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains(refused), "{error}");
    let base = Base::module("sample", &original).unwrap();
    let sizes = first.architecture.usual_entry_sizes();
    let error = base.prove_all(Unit::NoLocals, &first, &sizes).unwrap_err().to_string();
    assert!(error.contains(refused), "{error}");
}

#[test]
fn objects_of_two_machines_are_not_compared() {
    let workshop = Workshop::new();
    let ours = Object::read(&workshop.compile("unit.c", "int x;\n")).unwrap();
    let theirs = Object::read(&loong_object(LOONG)).unwrap();
    let error = Difference::new(&ours, &theirs, &entry_sizes()).unwrap_err().to_string();
    assert_eq!(error, "the original is for x86_64, the patched object for loongarch64");
}

#[test]
fn machine_that_is_not_known_is_named_with_those_that_are() {
    let mut bytes = loong_object(LOONG);
    // e_machine (gABI): 243 is RISC-V.
    bytes[18..20].copy_from_slice(&243u16.to_le_bytes());
    let error = Object::read(&bytes).unwrap_err().to_string();
    assert!(error.contains("243") && error.contains("aarch64, ppc64le, s390x, loongarch64"), "{error}");
}

fn differ<'a>(original: &'a Object, patched: &'a Object) -> Difference<'a> {
    Difference::new(original, patched, &original.architecture.usual_entry_sizes()).unwrap()
}
