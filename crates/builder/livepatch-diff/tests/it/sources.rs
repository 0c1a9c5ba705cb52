//! Livepatch sources: all is new in them but what they say they replace.

use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::{CallbackKind, Difference, Facts, Object, extract};

const UNIT: &str = r#"
static int level;
void use(int *level);
static __attribute__((noinline)) int small(int x) { use(&level); return x + level; }
static __attribute__((noinline)) int cloned(int x, int by) { use(&level); return x * level + by; }
int whole(int x) { return small(x) + cloned(x, 7) + cloned(x + 1, 7); }
int other(int x) { return x; }
__attribute__((section(".initcall6.init"), used)) static int (*const __initcall_other)(int) = other;
"#;

const MACROS: &str = r#"
#define LIVEPATCH_REPLACE(f) \
	__attribute__((section(".livepatch.replace"), used)) static void *__livepatch_replace_##f = f;
#define LIVEPATCH_PRE_PATCH(f) \
	__attribute__((section(".livepatch.callbacks"), used)) static int (*__klp_pre_patch_callback_##f)(void *) = f;
"#;

/// Replaced functions, new functions, and what is needed of the running kernel.
type Names = (Vec<String>, Vec<String>, Vec<String>);

/// What comes of a source: refusals by code, else changed and new functions and what is needed.
fn outcome(source: &str) -> Result<Names, Vec<&'static str>> {
    let workshop = Workshop::new();
    let unit = Object::read(&workshop.compile("unit.c", UNIT)).unwrap();
    let source = Object::read(&workshop.compile("source.c", &format!("{MACROS}{source}"))).unwrap();
    let difference = Difference::of_source(&unit, &source, &entry_sizes(), Facts::default()).unwrap();
    if !difference.refusals.is_empty() {
        return Err(difference.refusals.iter().map(|refusal| refusal.code()).collect());
    }
    let extracted = extract(&difference, 0).unwrap();
    let changed = difference.redirected.iter().map(|&(old, _)| unit.symbols[old].name.clone());
    let added = difference.added().map(|index| source.symbols[index].name.clone());
    let needed = extracted.needed.keys().filter(|name| *name != "__fentry__").cloned();
    Ok((changed.collect(), added.collect(), needed.collect()))
}

#[test]
fn a_marked_function_replaces_and_all_else_is_new() {
    let source = "extern int level; static int other(int x) { return x + level; }
        int whole(int x) { return other(x) + small(x); } static int unused(int x) { return x; }
        LIVEPATCH_REPLACE(whole)";
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // `other` is the source's own, in spite of its name, and inlined; `level` is the unit's.
    assert_eq!(outcome(source), Ok((names(&["whole"]), Vec::new(), names(&["level", "small"]))));
}

#[test]
fn what_is_not_there_or_is_there_in_other_forms_cannot_be_replaced() {
    for text in [
        "int missing(int x) { return x; } LIVEPATCH_REPLACE(missing)",
        "int cloned(int x, int by) { return x + by; } LIVEPATCH_REPLACE(cloned)",
    ] {
        assert_eq!(outcome(text), Err(vec!["nothing-to-replace"]), "{text}");
    }
}

#[test]
fn a_source_registers_nothing_at_start() {
    let text = "int begin(int x) { return x; }
        __attribute__((section(\".initcall6.init\"), used)) static int (*const __initcall_begin)(int) = begin;";
    assert_eq!(outcome(text), Err(vec!["section-changed"]));
}

#[test]
fn callbacks_alone_make_a_livepatch() {
    let workshop = Workshop::new();
    let unit = Object::read(&workshop.compile("unit.c", UNIT)).unwrap();
    let text = format!(
        "{MACROS} extern int level; static int set(void *o) {{ level = 5; return 0; }} LIVEPATCH_PRE_PATCH(set)"
    );
    let source = Object::read(&workshop.compile("source.c", &text)).unwrap();
    let difference = Difference::of_source(&unit, &source, &entry_sizes(), Facts::default()).unwrap();
    let extracted = extract(&difference, 3).unwrap();
    let callback = (CallbackKind::PrePatch, "livepatch_new_3_0_pre_patch".to_owned(), "set".to_owned());
    assert_eq!((extracted.callbacks, extracted.replaced), (vec![callback], Vec::new()));
}
