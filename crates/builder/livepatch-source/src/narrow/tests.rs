//! Names that a change reaches.

use super::*;

fn names(list: &[&str]) -> Names {
    list.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn of(reach: Reach) -> Option<Vec<String>> {
    match reach {
        Reach::Names(names) => {
            Some(names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
        }
        Reach::Everything => None,
    }
}

fn changed_names(old: &str, new: &str) -> Option<Vec<String>> {
    of(changed(old.as_bytes(), new.as_bytes()))
}

fn handed(header: &str, list: &[&str]) -> Option<Vec<String>> {
    of(handed_on(header.as_bytes(), &wanted(list, header)))
}

/// The names with the pieces that a text pastes.
fn wanted(list: &[&str], macros: &str) -> Wanted {
    Wanted::new(&names(list), &pieces(macros.as_bytes()))
}

fn list(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn change_is_about_the_names_that_the_items_define() {
    let old = "#ifdef A\nint f(int a);\n#else\nstatic inline int f(int a) { return g(a); }\n#endif\nint other(void);\n";
    assert_eq!(changed_names(old, &old.replace("int a", "int a, int b")), list(&["f"]));
    assert_eq!(changed_names(old, &format!("/* words */\n\n{old}")), list(&[]));
    assert_eq!(changed_names(old, &format!("{old}#define X 1\n")), list(&["X"]));
    let structure = "struct s { int a; struct t *b; };";
    assert_eq!(
        changed_names(structure, "struct s { int a; int c; struct t *b; };"),
        list(&["a", "b", "c", "s"])
    );
    assert_eq!(changed_names("enum e { A };", "enum e { A, B };"), list(&["A", "B", "e"]));
}

#[test]
fn changed_conditions_includes_and_macro_made_declarations_are_not_understood() {
    let old = "int f(void);\n";
    for new in [
        "#if X\nint f(void);\n#endif\n",
        "#include <x.h>\nint f(void);\n",
        "MAKE(x)\nint f(void);\n",
        "MAKE(x);\nint f(void);\n",
    ] {
        assert_eq!(changed_names(old, new), None, "{new}");
    }
    assert_eq!(changed_names("}", "int a; }"), None);
}

#[test]
fn items_hand_names_on() {
    assert_eq!(handed("static inline int g(int a) { return f(a); }", &["f"]), list(&["g"]));
    assert_eq!(handed("#define G(x) f(x)", &["f"]), list(&["G"]));
    assert_eq!(handed("#define G(x) g_##x\n#define H() G(f)", &["g_f"]), list(&["H"]));
    assert_eq!(handed("extern struct s instance;", &["s"]), list(&["instance"]));
    assert_eq!(handed("typedef struct s s_t;", &["s"]), list(&["s_t"]));
    assert_eq!(handed("struct u { int x; struct s inner; };", &["s"]), list(&["inner", "u", "x"]));
    assert_eq!(handed("int other(void);", &["f"]), list(&[]));
}

#[test]
fn pointers_hand_on_only_the_way_to_them() {
    assert_eq!(handed("struct u { int x; struct s *inner; };", &["s"]), list(&["inner"]));
    assert_eq!(handed("struct u { int x; int (*call)(struct s *p); };", &["s"]), list(&[]));
    assert_eq!(handed("int takes(struct s *p);", &["s"]), list(&[]));
    assert_eq!(handed("struct s *gives(int a);", &["s"]), list(&["gives"]));
    assert_eq!(handed("int takes(enum s p);", &["s"]), list(&["takes"]));
    assert_eq!(handed("static inline int f(struct s *p) { return sizeof(*p); }", &["s"]), list(&["f"]));
}

#[test]
fn what_is_not_understood_reaches_everybody() {
    assert_eq!(handed("#if f\nint x;\n#endif\n", &["f"]), None);
    assert_eq!(handed("MAKE(f)\nint x;\n", &["f"]), None);
    assert_eq!(handed("int g(void) { return f(); } }", &["f"]), None);
}

#[test]
fn pieces_that_may_be_pasted_count_as_mention() {
    let is_in = |text: &str, macros: &str| wanted(&["kasan_populate"], macros).is_in(text.as_bytes());
    assert!(is_in("int x = PASTE(kasan_, populate)(1);", ""));
    assert!(is_in("int x = X(populate)(1);", "#define X(a) kasan_##a"));
    assert!(is_in("int x = X(kasan)(1);", "#define X(a) a##_populate"));
    assert!(is_in("int x = X(kasan, populate)(1);", "#define X(a, b) a##_##b"));
    assert!(is_in("int x = X(kas, late)(1);", "#define X(a, c) a##an_popu##c\n"));
    assert!(!is_in("int x = X(kas, an_popu, late)(1);", "#define X(a, e) a##e\n#define Y(x) x##_##x"));
    assert!(!is_in("int kasan_other; /* kasan_populate */", "#define X(n, p) n##p##_x"));
    // Only a bracket right behind the name opens parameters.
    assert_eq!(pieces(b"#define X (a##kasan_)\n").len(), 2);
    assert_eq!(pieces(b"#define X(a) a##kasan_\n").len(), 1);
}

#[test]
fn conditions_inside_an_item_count_with_all_their_branches() {
    let old = "struct s {\n\tint a;\n#ifdef X\n\tint b;\n#endif\n};\n";
    assert_eq!(changed_names(old, &old.replace("int b", "int b, c")), list(&["a", "b", "c", "s"]));
    let old = "enum e {\n\tA,\n#define B 2\n\tC\n#ifdef X\n\t,D\n#endif\n};\n";
    assert_eq!(changed_names(old, &old.replace("C\n", "C = 7\n")), list(&["A", "B", "C", "D", "e"]));
}
