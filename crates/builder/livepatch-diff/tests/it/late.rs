//! Table entries on keys of modules go, and only those.

use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{Difference, Object, Owner, drop_late_entries, extract};

/// Two static branches on keys elsewhere, and static call sites as objtool writes them.
const TEXT: &str = r#"
struct key { int enabled; };
extern struct key early, late;
void trace(int x);
void __SCT__early(void);
void __SCT__late(void);
extern struct key __SCK__early, __SCK__late;

#define BRANCH(key) ({ __label__ yes, no; int on = 1;                              \
	asm goto("1:\tjmp %l[yes]\n"                                                   \
		"\t.pushsection __jump_table, \"aw\"\n\t.balign 8\n"                       \
		"\t.long 1b - ., %l[yes] - .\n\t.quad %c0 - .\n\t.popsection"              \
		: : "i"(&key) : : yes);                                                    \
	on = 0; yes: on; })

int work(int x)
{
	if (BRANCH(late))
		trace(1);
	if (BRANCH(early))
		trace(2);
	if (BRANCH(late))
		trace(3);
	return x + 1;
}
"#;

fn owner(name: &str) -> Option<Owner> {
    let object = if name.contains("late") { "loop" } else { "vmlinux" };
    Some(Owner::Running { object: object.into(), position: 0 })
}

/// The keys of a table's entries, in order.
fn keys(object: &Object, table: &str) -> Vec<String> {
    let section = object.section_named(table).unwrap();
    let found = references(object, section, 0, object.sections[section].size);
    let name = found.iter().filter_map(|resolved| match resolved.reference {
        Reference::External(symbol, _) => Some(object.symbols[symbol].name.clone()),
        _ => None,
    });
    name.collect()
}

#[test]
fn branches_on_keys_of_modules_go_and_the_others_stay() {
    let workshop = Workshop::new();
    let original = Object::read(&workshop.compile("original/unit.c", TEXT)).unwrap();
    let text = TEXT.replace("x + 1", "x + 2");
    let patched = Object::read(&workshop.compile("patched/unit.c", &text)).unwrap();
    let difference = Difference::new(&original, &patched, &entry_sizes()).unwrap();
    let bytes = extract(&difference, 0).unwrap().bytes;
    assert_eq!(keys(&Object::read(&bytes).unwrap(), "__jump_table"), ["late", "early", "late"]);

    let (less, dropped) = drop_late_entries(&bytes, &entry_sizes(), owner).unwrap();
    let object = Object::read(&less).unwrap();
    assert_eq!(dropped, 2);
    assert_eq!(keys(&object, "__jump_table"), ["early"]);
    let table = object.section_named("__jump_table").unwrap();
    assert_eq!(object.sections[table].size, 16);
    let entry = references(&object, table, 0, 16);
    assert_eq!(entry.iter().map(|found| found.relocation.offset).collect::<Vec<_>>(), [0, 4, 8]);

    let (same, dropped) = drop_late_entries(&bytes, &entry_sizes(), |_| Some(Owner::Exported)).unwrap();
    assert_eq!((same, dropped), (bytes, 0));
}

#[test]
fn static_calls_to_keys_of_modules_go_through_their_trampolines() {
    let sites = "asm(\".section .static_call_sites, \\\"a\\\"\\n.long work - ., __SCK__late - .\\n\
                 .long work - ., __SCK__early - .\\n.previous\");";
    let bytes = Workshop::new().compile("unit.c", &format!("{TEXT}{sites}"));
    let (less, dropped) = drop_late_entries(&bytes, &entry_sizes(), owner).unwrap();
    let object = Object::read(&less).unwrap();
    assert_eq!(dropped, 1 + 2, "one call, two branches");
    assert_eq!(keys(&object, ".static_call_sites"), ["__SCK__early"]);
}
