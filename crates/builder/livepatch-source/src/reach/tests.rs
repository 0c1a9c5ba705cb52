//! What matters of a preprocessed unit and what does not.

use super::*;

fn lines(text: &str) -> String {
    String::from_utf8(relevant(text.as_bytes())).unwrap()
}

fn same(one: &str, other: &str) -> bool {
    relevant(one.as_bytes()) == relevant(other.as_bytes())
}

/// A unit with one function that uses `inner`, and a declaration of choice before it.
fn unit(declaration: &str) -> String {
    format!(
        "{declaration}\nstatic inline int inner(struct s *p) {{ return p->a; }}\nint f(struct s *p) {{ return inner(p); }}\n"
    )
}

#[test]
fn unused_inline_functions_types_and_declarations_do_not_matter() {
    let base = unit("struct s { int a; };");
    for unused in [
        "static inline int unused(int a) { return a; }",
        "static __inline__ __attribute__((__unused__)) int unused(int a) { return helper(a); }",
        "struct unused { int x; struct { int y; } z; };",
        "struct forward;",
        "enum { ONE, TWO = 2 };",
        "typedef int (*callback)(struct s *);",
        "extern int variable;",
        "int prototype(struct s *p, int *q);",
        "extern void (*pointer)(int);",
        "int attributed(int) __attribute__((pure)) __asm__(\"other\");",
        "_Static_assert(1, \"x\");",
        ";",
    ] {
        assert!(same(&base, &unit(&format!("struct s {{ int a; }};\n{unused}"))), "{unused}");
    }
}

#[test]
fn definitions_matter() {
    let base = unit("struct s { int a; };");
    for used in [
        "int defined(int a) { return a; }",
        "static int defined(int a) { return a; }",
        "extern inline int defined(int a) { return a; }",
        "static inline __attribute__((__used__)) int defined(int a) { return a; }",
        "int variable;",
        "static int variable = 1;",
        "static struct { int x; } variable;",
        "struct { int x; } variable;",
        "int (*pointer)(int);",
        "callback_t (*pointer)(int);",
        "static struct s table[2] = { { 1 }, { 2 } };",
        "const struct s *const variable;",
        "asm(\".globl x\");",
        "extern int alias(int) __attribute__((alias(\"f\")));",
        "#pragma weak f",
    ] {
        assert!(!same(&base, &unit(&format!("struct s {{ int a; }};\n{used}"))), "{used}");
    }
}

#[test]
fn what_a_definition_mentions_matters_through_any_number_of_steps() {
    assert!(!same(&unit("struct s { int a; };"), &unit("struct s { int a, b; };")));
    let chain = |size: u32| {
        format!(
            "enum {{ SIZE = {size} }};\ntypedef struct {{ int data[SIZE]; }} buffer;\nstruct holder {{ buffer b; }};\n{}\nint g(struct holder *h) {{ return sizeof(*h); }}",
            unit("struct s { int a; };")
        )
    };
    assert!(!same(&chain(1), &chain(2)));
    let inner = "static inline int deep(void) { return 1; }\nstatic inline int middle(void) { return deep(); }\nint f(void) { return middle(); }";
    assert!(!same(inner, &inner.replace("return 1", "return 2")));
    assert!(lines("int x(void);\nint f(void) { return x(); }").starts_with("int x ( void ) ;"));
}

#[test]
fn blanks_comments_and_counters_do_not_matter() {
    assert!(same("int f(void){return 1;}", "int f ( void )\n{ /* x */ return 1; }\n"));
    let counted = |number: u32| {
        format!("static int __UNIQUE_ID_x{number} = 1; int f(void) {{ return __UNIQUE_ID_x{number}; }}")
    };
    assert!(same(&counted(7), &counted(12)));
    let two = |second: u32| format!("int a = __UNIQUE_ID_x7; int b = __UNIQUE_ID_x{second};");
    assert!(!same(&two(7), &two(8)));
    assert!(!same("int number1;", "int number2;"));
}

#[test]
fn braces_that_do_not_match_make_everything_matter() {
    let base = "int f(void) { return 1; } }\n";
    assert!(!same(base, &format!("struct unused {{ int a; }};\n{base}")));
}
