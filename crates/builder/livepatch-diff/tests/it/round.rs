//! From extraction to the finished module: what the linker, and then the kernel, gets to see.

use crate::compile::{Workshop, entry_sizes, function};
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{Binding, Difference, Extracted, Object, Owner, extract, finish_module, name_symbols};
use livepatch_module::{KlpRelocations, KlpSymbol, Module};
use object::elf;
use object::elf::{R_X86_64_32S, R_X86_64_PLT32};
use std::collections::{BTreeMap, BTreeSet};

const ORIGINAL: &str = r#"
int print(const char *format, ...);
int hidden(int x);
void watch(int (*handler)(int));
extern int exported;

int handler(int x)
{
	static int calls;

	calls += x;
	return calls;
}

int setup(int x)
{
	watch(handler);
	print("setup\n");
	return handler(hidden(x)) + exported;
}
"#;

fn patched() -> String {
    ORIGINAL
        .replace("calls += x;", "calls += x + 1;")
        .replace(r#""setup\n""#, r#""setup again\n""#)
        .replace("int handler(int x)", "__attribute__((noinline)) int handler(int x)")
}

/// The frame, in short.
const GLUE: &str = r#"
extern int frame_needs(void);
void livepatch_new_0_0(void);
void livepatch_new_0_1(void);
__attribute__((section(".data.table"))) void *table[] = { livepatch_new_0_0, livepatch_new_0_1 };
__attribute__((section(".modinfo"), used)) static const char name[] = "name=sample";

__attribute__((section(".init.text"), no_instrument_function)) int init_module(void)
{
	return frame_needs() + (table[0] != 0);
}
"#;

fn running(object: &str, position: u32) -> Option<Owner> {
    Some(Owner::Running { object: object.into(), position })
}

/// Where things are; `target` is what the functions belong to.
fn owner(target: &str, name: &str) -> Option<Owner> {
    match name {
        "hidden" => running("vmlinux", 2),
        "calls.0" => running(target, 0),
        "handler" => running(target, 1),
        "watch" => running("watcher", 0),
        "__fentry__" | "print" | "exported" => Some(Owner::Exported),
        _ => panic!("who is {name}?"),
    }
}

fn extracted(workshop: &Workshop) -> Extracted {
    let read = |unit: &str, text: &str| Object::read(&workshop.compile(unit, text)).unwrap();
    let original =
        read("original/unit.c", &ORIGINAL.replace("int handler(", "__attribute__((noinline)) int handler("));
    let patched = read("patched/unit.c", &patched());
    let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
    assert!(difference.refusals.is_empty(), "{:?}", difference.refusals);
    extract(&difference, 0).unwrap()
}

/// The finished module for functions of `target`.
fn module(workshop: &Workshop, target: &str) -> Vec<u8> {
    let extracted = extracted(workshop);
    let named = name_symbols(&extracted.bytes, target, |name| owner(target, name)).unwrap();
    let unit = workshop.path("unit0.o");
    std::fs::write(&unit, named).unwrap();
    let glue = workshop.compile_for_base("glue.c", GLUE);
    workshop.binutils("ld", &["-r", "-g", "-o", "linked.ko"], &[&glue, &unit]);
    let linked = std::fs::read(workshop.path("linked.ko")).unwrap();
    let also = BTreeMap::from([("frame_needs".to_owned(), running("vmlinux", 0).unwrap())]);
    finish_module(&linked, &also).unwrap()
}

fn symbol<'a>(object: &'a str, name: &'a str, position: u64) -> KlpSymbol<'a> {
    KlpSymbol { object, name, position }
}

/// (object, section, kinds and symbols of the entries), sorted.
type Relocated<'a> = (&'a str, &'a str, Vec<(u32, KlpSymbol<'a>)>);

fn relocated<'a>(sections: &'a [KlpRelocations<'a>]) -> Vec<Relocated<'a>> {
    let entries = |section: &'a KlpRelocations<'a>| {
        section.entries.iter().map(|entry| (entry.kind, entry.symbol)).collect()
    };
    let mut found: Vec<Relocated<'a>> =
        sections.iter().map(|section| (section.object, section.section, entries(section))).collect();
    found.sort_by_key(|(object, section, _)| (*object, *section));
    found
}

#[test]
fn calls_go_to_the_copy_and_addresses_are_the_originals() {
    let extracted = extracted(&Workshop::new());
    let object = Object::read(&extracted.bytes).unwrap();
    let setup = function(&object, "setup");
    let section = object.section_of(setup).unwrap();
    let found = references(&object, section, object.symbols[setup].value, object.symbols[setup].size);
    let to_handler: Vec<(bool, bool)> = found
        .iter()
        .filter_map(|resolved| match resolved.reference {
            Reference::Symbol(index, 0) | Reference::External(index, 0)
                if object.symbols[index].name == "handler"
                    || object.symbols[index].name.starts_with("livepatch_new_") =>
            {
                Some((resolved.branch, object.section_of(index).is_some()))
            }
            _ => None,
        })
        .collect();
    // (is a call, is to the copy), in the order of the code.
    assert_eq!(to_handler, [(false, false), (true, true)]);
    let needed: Vec<&str> = extracted.needed.keys().map(String::as_str).collect();
    assert_eq!(needed, ["__fentry__", "calls.0", "exported", "handler", "hidden", "print", "watch"]);
    let replaced: Vec<&str> = extracted.replaced.iter().map(|(alias, _)| alias.as_str()).collect();
    assert_eq!(replaced, ["livepatch_new_0_0", "livepatch_new_0_1"]);
}

#[test]
fn functions_of_the_image_get_their_relocations_at_once() {
    let workshop = Workshop::new();
    let bytes = module(&workshop, "vmlinux");
    let module = Module::parse(&bytes).unwrap();
    let symbols: BTreeSet<_> = module
        .klp_symbols()
        .unwrap()
        .iter()
        .map(|symbol| (symbol.object, symbol.name, symbol.position))
        .collect();
    let expected = [
        ("vmlinux", "calls.0", 0),
        ("vmlinux", "frame_needs", 0),
        ("vmlinux", "handler", 1),
        ("vmlinux", "hidden", 2),
        ("watcher", "watch", 0),
    ];
    assert_eq!(symbols, expected.into());
    let sections = module.klp_relocations().unwrap();
    let found = relocated(&sections);
    let calls = symbol("vmlinux", "calls.0", 0);
    assert_eq!(
        found[0],
        ("vmlinux", ".init.text", vec![(R_X86_64_PLT32.0, symbol("vmlinux", "frame_needs", 0))])
    );
    assert_eq!((found[1].0, found[1].1), ("vmlinux", ".text.handler"));
    assert!(!found[1].2.is_empty() && found[1].2.iter().all(|(_, symbol)| *symbol == calls));
    let setup = [
        (R_X86_64_32S.0, symbol("vmlinux", "handler", 1)),
        (R_X86_64_PLT32.0, symbol("watcher", "watch", 0)),
        (R_X86_64_PLT32.0, symbol("vmlinux", "hidden", 2)),
    ];
    assert_eq!((found[2].0, found[2].1, &found[2].2[..]), ("vmlinux", ".text.setup", &setup[..]));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn functions_of_a_module_get_theirs_when_it_loads_and_the_images_at_once() {
    let workshop = Workshop::new();
    let bytes = module(&workshop, "sample_module");
    let module = Module::parse(&bytes).unwrap();
    let sections = module.klp_relocations().unwrap();
    let objects: Vec<(&str, &str, Vec<&str>)> = relocated(&sections)
        .into_iter()
        .map(|(object, section, entries)| {
            (object, section, entries.iter().map(|(_, symbol)| symbol.name).collect())
        })
        .collect();
    let (at_once, later): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|(object, ..)| *object == "vmlinux");
    let expected = [(".init.text", vec!["frame_needs"]), (".text.setup", vec!["hidden"])];
    assert_eq!(at_once.into_iter().map(|(_, section, names)| (section, names)).collect::<Vec<_>>(), expected);
    assert!(later.iter().all(|(object, ..)| *object == "sample_module"), "{later:?}");
    let setup = later.iter().find(|(_, section, _)| *section == ".text.setup").unwrap();
    assert_eq!(setup.2, ["handler", "watch"]);
}

#[test]
fn finished_module_has_no_trace_of_the_road() {
    let workshop = Workshop::new();
    let bytes = module(&workshop, "vmlinux");
    let object = Object::read(&bytes).unwrap();
    let names: Vec<&str> = object.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let left = |name: &&&str| {
        name.starts_with("livepatch_new_") || name.starts_with(".klp.tmp.") || **name == "hidden"
    };
    assert_eq!(names.iter().find(left), None);
    let sections: Vec<&str> = object.sections.iter().map(|section| section.name.as_str()).collect();
    let useless =
        |name: &&&str| name.contains(".debug_") || **name == ".comment" || **name == ".note.GNU-stack";
    assert_eq!(sections.iter().find(useless), None, "{sections:?}");
    for name in ["handler", "setup"] {
        let index = function(&object, name);
        assert_eq!(object.symbols[index].binding, Binding::Local);
    }
    // The frame's table leads to the functions themselves.
    let table = object.section_named(".data.table").unwrap();
    let found: Vec<(&str, i64)> = object.sections[table]
        .relocations
        .iter()
        .map(|relocation| (names[relocation.symbol], relocation.addend))
        .collect();
    assert_eq!(found, [("handler", 0), ("setup", 0)]);
    // Exported symbols stay ordinary ones, and every undefined symbol has a name the loader can look up.
    let undefined: BTreeSet<&str> = object
        .symbols
        .iter()
        .filter(|symbol| {
            symbol.definition == livepatch_diff::Definition::Undefined && !symbol.name.is_empty()
        })
        .map(|symbol| symbol.name.as_str())
        .collect();
    assert_eq!(undefined, BTreeSet::from(["__fentry__", "exported", "print"]));
}

#[test]
fn livepatch_relocations_keep_place_and_addend() {
    let workshop = Workshop::new();
    let extracted = extracted(&workshop);
    let before = Object::read(&extracted.bytes).unwrap();
    let bytes = module(&workshop, "vmlinux");
    let module = Module::parse(&bytes).unwrap();
    let sections = module.klp_relocations().unwrap();
    let mut compared = 0;
    for section in sections.iter().filter(|section| section.section.starts_with(".text.")) {
        let index = before.section_named(section.section).unwrap();
        for entry in &section.entries {
            let same = before.sections[index]
                .relocations
                .iter()
                .find(|relocation| relocation.offset == entry.offset);
            let same = same.unwrap();
            assert_eq!((same.kind, same.addend), (entry.kind, entry.addend));
            assert_eq!(before.symbols[same.symbol].name, entry.symbol.name);
            compared += 1;
        }
    }
    assert!(compared >= 4);
}

#[test]
fn sections_of_livepatch_relocations_have_the_kernels_form() {
    let workshop = Workshop::new();
    let bytes = module(&workshop, "vmlinux");
    let file = object::read::elf::ElfFile64::<object::LittleEndian>::parse(&bytes[..]).unwrap();
    let endian = object::LittleEndian;
    let table = file.elf_section_table();
    let mut seen = 0;
    for section in table.iter() {
        let name = String::from_utf8_lossy(table.section_name(endian, section).unwrap()).into_owned();
        if !name.starts_with(".klp.rela.") {
            continue;
        }
        seen += 1;
        assert_eq!(section.sh_type.get(endian), elf::SHT_RELA, "{name}");
        // SHF_RELA_LIVEPATCH and SHF_ALLOC (Documentation/livepatch/module-elf-format.rst).
        assert_eq!(
            section.sh_flags.get(endian).0 & (0x0010_0000 | elf::SHF_ALLOC.0),
            0x0010_0000 | elf::SHF_ALLOC.0
        );
        let target = table.section(object::SectionIndex(section.sh_info.get(endian) as usize)).unwrap();
        let target = String::from_utf8_lossy(table.section_name(endian, target).unwrap()).into_owned();
        assert!(name.ends_with(&format!(".{target}")), "{name} is for {target}");
    }
    assert!(seen >= 3);
}

#[test]
fn units_of_one_livepatch_resolve_each_other() {
    let workshop = Workshop::new();
    let unit = |number: usize, name: &str, original: &str, patched: &str| {
        let original = Object::read(&workshop.compile(&format!("original/{name}.c"), original)).unwrap();
        let patched = Object::read(&workshop.compile(&format!("patched/{name}.c"), patched)).unwrap();
        let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
        let extracted = extract(&difference, number).unwrap();
        let owner = |name: &str| Some(if name == "fresh" { Owner::Livepatch } else { Owner::Exported });
        let path = workshop.path(&format!("unit{number}.o"));
        std::fs::write(&path, name_symbols(&extracted.bytes, "vmlinux", owner).unwrap()).unwrap();
        path
    };
    let first = unit(
        0,
        "a",
        "int old(int x) { return x; }",
        "int old(int x) { return x; }\nint fresh(int x) { return x + 1; }",
    );
    let second = unit(
        1,
        "b",
        "int user(int x) { return x; }",
        "int fresh(int);\nint user(int x) { return fresh(x); }",
    );
    workshop.binutils("ld", &["-r", "-o", "both.ko"], &[&first, &second]);
    let bytes = finish_module(&std::fs::read(workshop.path("both.ko")).unwrap(), &BTreeMap::new()).unwrap();
    let object = Object::read(&bytes).unwrap();
    let fresh = function(&object, "fresh");
    assert_eq!(object.symbols[fresh].binding, Binding::Global);
    let user = function(&object, "user");
    let section = object.section_of(user).unwrap();
    let refers = object.sections[section].relocations.iter().any(|relocation| relocation.symbol == fresh);
    assert!(refers, "{:?}", object.sections[section].relocations);
}
