//! Proof of base beyond a function's own bytes: the constants that it uses, and weak definitions that others replace.

use crate::base::link_image;
use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::{Base, Image, Object, Proof, Refusal, Unproven};
use std::path::PathBuf;

/// A function that uses a named table of tables; `LAST` is the value at the far end.
const TABLES: &str = r#"
int print(const char *format, ...);
struct entry { int (*show)(const char *format, ...); const struct entry *next; int value; };
static const struct entry last = { print, 0, LAST };
static const struct entry first = { print, &last, 1 };
const struct entry *const entries[] = { &first, &last };

int use(int x)
{
	const struct entry *entry;
	int sum = 0;

	for (entry = entries[x & 1]; entry; entry = entry->next)
		sum += entry->show("%d\n", entry->value);
	return sum;
}
"#;

const WEAK: &str = r#"
__attribute__((weak, noinline)) int arch_limit(int x)
{
	return x * 3;
}

int limit(int x)
{
	return arch_limit(x) + 1;
}
"#;

const STRONG: &str = r#"
int arch_limit(int x)
{
	return x * 3;
}
"#;

/// The proof of one function of `text`, compiled as the builder does, against what `linked` was linked to.
fn proof(workshop: &Workshop, base: &Base<'_>, text: &str, function: &str) -> Proof {
    let original = Object::read(&workshop.compile("built/unit.c", text)).unwrap();
    let unit = base.unit(&original).unwrap();
    let proofs = base.prove_all(unit, &original, &entry_sizes()).unwrap();
    let found = proofs.into_iter().find(|(index, _)| original.symbols[*index].name == function);
    found.unwrap().1
}

fn link_module(workshop: &Workshop, objects: &[PathBuf]) -> Vec<u8> {
    let files: Vec<_> = objects.iter().map(PathBuf::as_path).collect();
    workshop.binutils("ld", &["-r", "-o", "module.ko"], &files);
    std::fs::read(workshop.path("module.ko")).unwrap()
}

fn with_last(value: i32) -> String {
    TABLES.replace("LAST", &value.to_string())
}

#[test]
fn a_value_at_the_end_of_a_chain_of_tables_counts_in_the_image() {
    let workshop = Workshop::new();
    let linked = link_image(&workshop, vec![workshop.compile_for_base("unit.c", &with_last(7))]);
    let image = Image::read(&linked).unwrap();
    let base = Base::Image(&image);
    assert!(matches!(proof(&workshop, &base, &with_last(7), "use"), Proof::Identical { unchecked: 0, .. }));
    let other = proof(&workshop, &base, &with_last(8), "use");
    assert!(matches!(other, Proof::Differs(Unproven::Constant(_))), "{other:?}");
}

#[test]
fn a_pointer_in_a_table_counts_in_the_image() {
    let workshop = Workshop::new();
    let linked = link_image(&workshop, vec![workshop.compile_for_base("unit.c", &with_last(7))]);
    let image = Image::read(&linked).unwrap();
    let crossed = with_last(7).replace("{ &first, &last }", "{ &last, &first }");
    let other = proof(&workshop, &Base::Image(&image), &crossed, "use");
    assert_eq!(other, Proof::Differs(Unproven::Constant("entries+0x0".into())));
}

#[test]
fn values_and_pointers_of_tables_count_in_a_module() {
    let workshop = Workshop::new();
    let linked = link_module(&workshop, &[workshop.compile_for_base("unit.c", &with_last(7))]);
    let base = Base::module("module", &linked).unwrap();
    assert!(matches!(proof(&workshop, &base, &with_last(7), "use"), Proof::Identical { unchecked: 0, .. }));
    let crossed = with_last(7).replace("{ &first, &last }", "{ &last, &first }");
    for other in [with_last(8), crossed] {
        let found = proof(&workshop, &base, &other, "use");
        assert!(matches!(found, Proof::Differs(Unproven::Constant(_) | Unproven::Target(..))), "{found:?}");
    }
}

#[test]
fn a_weak_definition_that_another_unit_replaces_is_not_what_runs() {
    let workshop = Workshop::new();
    let units =
        [("unit.c", WEAK), ("arch.c", STRONG)].map(|(unit, text)| workshop.compile_for_base(unit, text));
    let linked = link_image(&workshop, units.to_vec());
    let image = Image::read(&linked).unwrap();
    let module = link_module(&workshop, &units);
    for base in [Base::Image(&image), Base::module("module", &module).unwrap()] {
        // Same bytes, but a fix to this one would not be a fix to the one that runs.
        let found = proof(&workshop, &base, WEAK, "arch_limit");
        assert_eq!(found, Proof::Differs(Unproven::Overridden), "{}", base.name());
        assert!(matches!(proof(&workshop, &base, WEAK, "limit"), Proof::Identical { .. }), "{}", base.name());
    }
    let refusal = Unproven::Overridden.refusal("arch_limit".into());
    assert_eq!(refusal, Refusal::WeakOverridden { function: "arch_limit".into() });
    assert_eq!(refusal.code(), "weak-overridden");
}

#[test]
fn a_weak_definition_that_stays_is_proven_like_any_other() {
    let workshop = Workshop::new();
    let unit = workshop.compile_for_base("unit.c", WEAK);
    let linked = link_image(&workshop, vec![unit.clone()]);
    let image = Image::read(&linked).unwrap();
    let module = link_module(&workshop, &[unit]);
    for base in [Base::Image(&image), Base::module("module", &module).unwrap()] {
        let found = proof(&workshop, &base, WEAK, "arch_limit");
        assert!(matches!(found, Proof::Identical { .. }), "{}: {found:?}", base.name());
    }
}

/// The linker notes addresses for some sections of the kernel's modules (scripts/module.lds); symbols still count from the
/// beginning of their section.
#[test]
fn an_address_of_a_module_s_section_moves_no_symbol() {
    let workshop = Workshop::new();
    let unit = workshop.compile_for_base("unit.c", &format!("int counter = 3;\n{}", with_last(7)));
    let script = workshop.path("module.lds");
    std::fs::write(&script, "SECTIONS { .first : { *(.text) } .data 0x1a0 : { *(.data) } }").unwrap();
    workshop.binutils("ld", &["-r", "-T", "module.lds", "-o", "module.ko"], &[&unit]);
    let linked = std::fs::read(workshop.path("module.ko")).unwrap();
    let object = Object::read(&linked).unwrap();
    let counter = object.symbols.iter().position(|symbol| symbol.name == "counter").unwrap();
    assert_eq!(object.bytes_of(counter), Some(&3i32.to_le_bytes()[..]));
}
