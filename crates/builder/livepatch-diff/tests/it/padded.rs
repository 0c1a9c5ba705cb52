//! Kernels whose functions have padding in front of them and landing pads at their entry (CONFIG_CALL_PADDING,
//! CONFIG_X86_KERNEL_IBT): Debian's 6.12 has both.

use crate::base::link_image;
use crate::compile::{Workshop, entry_sizes, function};
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{
    Base, Difference, Extracted, Image, KlpError, Object, Owner, Refusal, extract, finish_module,
    name_symbols, refuse_sealed,
};
use std::collections::BTreeMap;

/// What arch/x86/Makefile adds for such kernels.
const PADDED: [&str; 5] = [
    "-fcf-protection=branch",
    "-fno-jump-tables",
    "-mfunction-return=thunk-extern",
    "-mharden-sls=all",
    "-fpatchable-function-entry=16,16",
];

const NO_OPS: [u8; 16] = [0x90; 16];
const LANDING_PAD: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

const ORIGINAL: &str = r#"
int print(const char *format, ...);
void watch(int (*handler)(int));
int other(int x);

static __attribute__((noinline)) int step(int x)
{
	return print("step %d\n", x);
}

__attribute__((section(".sched.text"))) int first(int x)
{
	return step(x) + 1;
}

__attribute__((section(".sched.text"))) int second(int x)
{
	return step(x) + 2;
}

int plain(int x)
{
	return step(x) * 3;
}

int quiet(int x)
{
	return x ^ 5;
}
"#;

fn read(workshop: &Workshop, unit: &str, text: &str) -> Object {
    Object::read(&workshop.compile_with(unit, text, &PADDED)).unwrap()
}

/// Extracts what changes from [`ORIGINAL`] to `patched`.
fn extracted(workshop: &Workshop, original: &str, patched: &str) -> Extracted {
    let original = read(workshop, "original/unit.c", original);
    let patched = read(workshop, "patched/unit.c", patched);
    let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
    assert!(difference.refusals.is_empty(), "{:?}", difference.refusals);
    extract(&difference, 0).unwrap()
}

/// The section of a function and where it starts in it.
fn place<'a>(object: &'a Object, name: &str) -> (&'a [u8], usize) {
    let index = function(object, name);
    let section = &object.sections[object.section_of(index).unwrap()];
    (&section.data, object.symbols[index].value as usize)
}

#[test]
fn padding_goes_in_front_of_its_function_and_alignment_stays() {
    let workshop = Workshop::new();
    let patched = ORIGINAL
        .replace("+ 1;", "+ 10;")
        .replace("+ 2;", "+ 20;")
        .replace("x ^ 5", "x ^ 6")
        .replace("print(\"step %d\\n\", x)", "print(\"step: %d\\n\", x)");
    let object = Object::read(&extracted(&workshop, ORIGINAL, &patched).bytes).unwrap();
    for name in ["first", "second", "quiet", "step"] {
        let (data, at) = place(&object, name);
        assert_eq!(at % 16, 0, "{name}");
        assert_eq!(data[at - 16..at], NO_OPS, "{name}");
        let lands = data[at..].starts_with(&LANDING_PAD);
        assert_eq!(
            lands,
            name != "step",
            "{name}: only what may be called through a pointer has a landing pad"
        );
    }
    // Both live in one section, each with a padding of its own.
    let [(_, first), (_, second)] = ["first", "second"].map(|name| place(&object, name));
    let size = object.symbols[function(&object, "first")].size as usize;
    assert!(first >= 16 && second >= first + size + 16, "{first} + {size}, {second}");
}

#[test]
fn the_compiler_s_notes_of_paddings_neither_refuse_nor_travel() {
    let workshop = Workshop::new();
    let patched = ORIGINAL.replace("x ^ 5", "fresh(x) ^ 5").replace(
        "int quiet(int x)",
        "static __attribute__((noinline)) int fresh(int x) { return print(\"fresh\\n\") + x; }\nint quiet(int x)",
    );
    let object = Object::read(&extracted(&workshop, ORIGINAL, &patched).bytes).unwrap();
    assert_eq!(object.section_named("__patchable_function_entries"), None);
    let (data, at) = place(&object, "fresh");
    assert_eq!(data[at - 16..at], NO_OPS);
}

#[test]
fn functions_without_padding_get_none() {
    let workshop = Workshop::new();
    let bare = ORIGINAL.replace("int quiet(", "__attribute__((patchable_function_entry(0, 0))) int quiet(");
    let patched = bare.replace("x ^ 5", "x ^ 6");
    let object = Object::read(&extracted(&workshop, &bare, &patched).bytes).unwrap();
    assert_eq!(place(&object, "quiet").1, 0);
}

#[test]
fn objtool_is_told_not_to_seal_what_others_may_point_to() {
    let workshop = Workshop::new();
    let patched = ORIGINAL.replace("x ^ 5", "newcomer(x) ^ step(x)").replace(
        "int quiet(int x)",
        "__attribute__((noinline)) int newcomer(int x) { return other(x) + 1; }\nint quiet(int x)",
    );
    let patched = patched.replace("print(\"step %d\\n\", x)", "print(\"stepped %d\\n\", x)");
    let object = Object::read(&extracted(&workshop, ORIGINAL, &patched).bytes).unwrap();
    let section = object.section_named(".discard.ibt_endbr_noseal").unwrap();
    let named = references(&object, section, 0, object.sections[section].size);
    let mut names: Vec<&str> = named
        .iter()
        .map(|resolved| match resolved.reference {
            Reference::Symbol(index, 0) => object.symbols[index].name.as_str(),
            other => panic!("{other:?}"),
        })
        .map(|name| if name.starts_with("livepatch_new_") { "quiet" } else { name })
        .collect();
    names.sort_unstable();
    // step has no landing pad that could be kept: objtool would object.
    assert_eq!(names, ["newcomer", "quiet"]);
}

/// Notes for objtool have four bytes in some kernels and eight in others.
#[test]
fn notes_of_either_size_go_with_their_function() {
    for (directive, size) in [(".long", 4), (".quad", 8)] {
        let workshop = Workshop::new();
        let note = |function: &str| {
            let section = ".discard.retpoline_safe";
            format!(
                "int {function}(int x)\n{{\n\tasm volatile(\"1: nop\\n.pushsection {section}\\n{directive} 1b\\n.popsection\");"
            )
        };
        let original = ORIGINAL
            .replace("int plain(int x)\n{", &note("plain"))
            .replace("int quiet(int x)\n{", &note("quiet"));
        let patched = original.replace("x ^ 5", "x ^ 6");
        let object = Object::read(&extracted(&workshop, &original, &patched).bytes).unwrap();
        let section = object.section_named(".discard.retpoline_safe").unwrap();
        assert_eq!(object.sections[section].size, size, "{directive}");
        assert_eq!(object.sections[section].relocations.len(), 1, "{directive}");
    }
}

/// objtool names the padding of every function symbol, aliases included.
#[test]
fn names_of_paddings_stay_but_those_of_aliases_go() {
    let workshop = Workshop::new();
    let extracted = extracted(&workshop, ORIGINAL, &ORIGINAL.replace("x ^ 5", "x ^ 6"));
    let unit = workshop.path("unit0.o");
    std::fs::write(&unit, &extracted.bytes).unwrap();
    let symbol = |name: &str| format!("--add-symbol={name}=.text.quiet:0,function,global");
    let symbols = [symbol("__pfx_quiet"), symbol("__pfx_livepatch_new_0_0")];
    workshop.binutils("objcopy", &[&symbols[0], &symbols[1]], &[&unit]);
    let module = finish_module(&std::fs::read(&unit).unwrap(), &BTreeMap::new()).unwrap();
    let object = Object::read(&module).unwrap();
    let named = |name: &str| object.symbols.iter().any(|symbol| symbol.name == name);
    assert!(named("__pfx_quiet") && named("quiet"));
    assert!(!object.symbols.iter().any(|symbol| symbol.name.contains("livepatch_new_")));
}

#[test]
fn what_the_kernel_works_on_at_load_must_not_wait_for_a_module() {
    let text = r#"
        int late(void);
        asm(".pushsection .altinstr_replacement, \"ax\"; call late; .popsection");
        int f(void) { return late(); }
    "#;
    let workshop = Workshop::new();
    let object = workshop.compile_with("unit.c", text, &PADDED);
    let finish = |owner: &str| {
        let place =
            |name: &str| (name == "late").then(|| Owner::Running { object: owner.to_owned(), position: 0 });
        finish_module(&name_symbols(&object, "module", place).unwrap(), &BTreeMap::new())
    };
    assert!(finish("vmlinux").is_ok());
    match finish("module") {
        Err(KlpError::Late { section, object }) => {
            assert_eq!((section.as_str(), object.as_str()), (".altinstr_replacement", "module"));
        }
        other => panic!("{other:?}"),
    }
}

/// The running kernel: `sealed` is on objtool's list, `open` is not, and `inner` never had a landing pad.
const RUNNING: &str = r#"
void watch(int (*handler)(int));
static __attribute__((noinline)) int inner(int x) { asm volatile(""); return x + 1; }
int sealed(int x) { return inner(x) + 2; }
int open(int x) { return inner(x) + 3; }
int user(int x) { watch(open); return sealed(x) + inner(x); }
"#;

#[test]
fn a_newly_taken_address_is_refused_where_a_call_through_it_would_be_fatal() {
    let workshop = Workshop::new();
    let listed = format!(
        "{RUNNING}\nasm(\".pushsection .ibt_endbr_seal, \\\"a\\\"; .long sealed - .; .popsection\");"
    );
    let unit = workshop.path("unit.o");
    std::fs::write(&unit, workshop.compile_plainly_with("unit.c", &listed, &PADDED)).unwrap();
    let helper = workshop.compile_for_base(
        "helper.c",
        "void watch(int (*handler)(int)) { handler(1); }\nasm(\".globl __x86_return_thunk; __x86_return_thunk: ret\");",
    );
    workshop.binutils("ld", &["-r", "-o", "module.ko"], &[&unit]);
    let module = std::fs::read(workshop.path("module.ko")).unwrap();
    let linked = link_image(&workshop, vec![unit, helper]);
    let image = Image::read(&linked).unwrap();
    let original = read(&workshop, "original/unit.c", RUNNING);
    for base in [Base::Image(&image), Base::module("module", &module).unwrap()] {
        // gcc gives `inner` a landing pad in the patched object, but its address stays that of the running kernel's.
        for (taken, fatal) in [("sealed", true), ("open", false), ("inner", true)] {
            let text = RUNNING.replace("watch(open);", &format!("watch(open); watch({taken});"));
            let patched = read(&workshop, "patched/unit.c", &text);
            let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
            let unit = base.unit(&original).unwrap();
            let found = refuse_sealed(&image, &base, unit, &difference);
            let expected = Refusal::SealedFunction { function: taken.into(), from: "user".into() };
            let expected = if fatal { vec![expected] } else { Vec::new() };
            assert_eq!(found, expected, "{taken} in {}", base.name());
        }
    }
}

#[test]
fn a_long_chain_of_unnamed_data_is_followed_to_its_end() {
    const LENGTH: usize = 20_000;
    // Each link is a section of its own that points to the next one.
    let chain = format!(
        r#"
        .altmacro
        .macro link this next
        .section .rodata.link\this, "a"
        .quad .rodata.link\next
        .endm
        number = 0
        .rept {LENGTH}
        link %number, %(number + 1)
        number = number + 1
        .endr
        .section .rodata.link{LENGTH}, "a"
        .quad 0
        .text
        "#
    );
    let text = |number: u32| {
        format!(
            "int print(const char *format, ...);\nasm({chain:?});\n\
             int f(void) {{ const void *start; asm(\"mov $.rodata.link0, %0\" : \"=r\"(start)); return print(\"{number} %p\", start); }}\n"
        )
    };
    let workshop = Workshop::new();
    let object = Object::read(&extracted(&workshop, &text(1), &text(2)).bytes).unwrap();
    let links = object.sections.iter().filter(|section| section.name.starts_with(".rodata.link"));
    assert_eq!(links.count(), LENGTH + 1);
}
