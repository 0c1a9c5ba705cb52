//! Cold parts that come back.

use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::{Difference, Object, extract};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};

const FRESH: &str = r#"
__attribute__((cold)) void warn_of(int code);
int measure(int x);

int fresh(int x)
{
	int y = measure(x);

	if (__builtin_expect(y < 0, 0)) {
		warn_of(y);
		warn_of(x);
		y = measure(22);
	}
	return measure(y) * 3;
}
"#;

/// By the function's own symbol it would be a call at the end of a function for objtool, with the stack in disorder.
#[test]
fn a_cold_part_goes_back_into_a_new_global_function_by_its_section() {
    let workshop = Workshop::new();
    let compile = |unit: &str, text: &str| Object::read(&workshop.compile_with(unit, text, &[])).unwrap();
    let original = compile("original/unit.c", "int other;\n");
    let patched = compile("patched/unit.c", &format!("int other;\n{FRESH}"));
    let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
    let bytes = extract(&difference, 0).unwrap().bytes;

    let file = object::File::parse(&*bytes).unwrap();
    let hot = file.symbols().find(|symbol| symbol.name() == Ok("fresh")).unwrap();
    assert!(hot.is_global());
    let cold = file.symbols().find(|symbol| symbol.name() == Ok("fresh.cold")).expect("a cold part");
    let section = file.section_by_index(cold.section_index().unwrap()).unwrap();
    let back: Vec<SymbolKind> = section
        .relocations()
        .filter_map(|(_, relocation)| match relocation.target() {
            RelocationTarget::Symbol(index) => file.symbol_by_index(index).ok(),
            _ => None,
        })
        .filter(|symbol| symbol.section_index() == hot.section_index() && symbol.section_index().is_some())
        .map(|symbol| symbol.kind())
        .collect();
    assert_eq!(back, [SymbolKind::Section]);
}
