//! Calls that never come back: objtool must be told of them where the function that they call is left in the kernel.

use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{Difference, Object, extract};

const ORIGINAL: &str = r#"
void die(const char *why) __attribute__((noreturn));
int other(int x);

static __attribute__((noinline)) void give_up(int x)
{
	other(x);
	for (;;)
		other(x + 1);
}

static __attribute__((noinline)) int come_back(int x)
{
	return other(x) * 2;
}

int changed(int x)
{
	if (x > 3)
		give_up(x);
	return come_back(x) + 1;
}
"#;

#[test]
fn what_follows_a_call_that_never_comes_back_is_noted_and_nothing_else() {
    let workshop = Workshop::new();
    let compile = |unit: &str, text: &str| {
        Object::read(&workshop.compile_with(unit, text, &["-mfunction-return=thunk-extern"])).unwrap()
    };
    let original = compile("original/unit.c", ORIGINAL);
    let patched = compile("patched/unit.c", &ORIGINAL.replace("+ 1;\n}", "+ 100;\n}"));
    let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
    let bytes = extract(&difference, 0).unwrap().bytes;
    let object = Object::read(&bytes).unwrap();

    let notes = object.section_named(".discard.unreachable").expect("a note");
    let section = &object.sections[notes];
    assert_eq!(section.size, 4);
    let noted = references(&object, notes, 0, section.size)[0].reference;
    // The place behind the call of 'give_up', wherever the compiler has put it: in the function or in its cold part.
    let caller = |name: &str| {
        let index = (0..object.symbols.len()).find(|index| object.symbols[*index].name == name)?;
        let (symbol, code) = (&object.symbols[index], object.section_of(index)?);
        let calls = references(&object, code, symbol.value, symbol.size);
        let is_it = |target: usize| object.symbols[target].name == "give_up";
        let call = calls
            .iter()
            .find(|call| matches!(call.reference, Reference::External(target, _) if is_it(target)))?;
        Some((index, call.relocation.offset + 4 - symbol.value))
    };
    let (index, behind) = ["changed", "changed.cold"].into_iter().find_map(caller).unwrap();
    // The function has an alias at its place.
    let place = |index: usize, into: u64| (object.section_of(index), object.symbols[index].value + into);
    let is_end = behind == object.symbols[index].size;
    match noted {
        Reference::Symbol(found, into) => assert_eq!(place(found, into as u64), place(index, behind)),
        other => assert!(is_end, "{other:?}"),
    }
}

#[test]
fn a_jump_to_a_neighbour_in_the_section_comes_back() {
    // Both statics share a section, so that the assembler resolves the jump from one to the other.
    let text = r#"
    int other(int x);

    static __attribute__((noinline, section(".sched.text"))) int last(int x)
    {
        return other(x) * 2;
    }

    static __attribute__((noinline, section(".sched.text"))) int passes_on(int x)
    {
        return last(other(x) + 1);
    }

    int changed(int x)
    {
        return passes_on(x) + 1;
    }
    "#;
    let workshop = Workshop::new();
    let flags = ["-mfunction-return=thunk-extern"];
    let compile = |unit: &str, text: &str| Object::read(&workshop.compile_with(unit, text, &flags)).unwrap();
    let original = compile("original/unit.c", text);
    let patched = compile("patched/unit.c", &text.replace("passes_on(x) + 1", "passes_on(x) + 100"));
    let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
    let object = Object::read(&extract(&difference, 0).unwrap().bytes).unwrap();
    assert_eq!(object.section_named(".discard.unreachable"), None);
}
