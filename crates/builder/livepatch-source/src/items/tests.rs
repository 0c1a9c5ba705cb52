//! Items and their outlines.

use super::*;

fn outlines(text: &str) -> Vec<(Shape, Vec<String>)> {
    let text = cut(text.as_bytes());
    let of = |item: &Item| {
        let outline = outline(&text.tokens[item.tokens.clone()], item.shape);
        (item.shape, outline.names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    };
    text.items.iter().map(of).collect()
}

fn names(text: &str) -> Vec<String> {
    outlines(text).into_iter().flat_map(|(_, names)| names).collect()
}

#[test]
fn functions_end_at_their_brace_and_declarations_at_their_semicolon() {
    let text = "#include <x.h>\nint f(int a) { if (a) { return 1; } return 2; }\nstruct s { int a; } v;\nint t[] = { 1, 2 };\nstruct s *g(void) { return &v; }\n";
    let shapes: Vec<Shape> = outlines(text).into_iter().map(|(shape, _)| shape).collect();
    use Shape::{Declaration, Directive, Function};
    assert_eq!(shapes, [Directive, Function, Declaration, Declaration, Function]);
    assert_eq!(names(text), ["f", "s", "v", "t", "g"]);
}

#[test]
fn attributes_and_returned_structures_do_not_confuse() {
    let text = "static __attribute__((unused)) struct s __attribute__((aligned(8))) f(struct s *p)\n{ return *p; }\nstruct __attribute__((packed)) t { int a; };";
    assert_eq!(names(text), ["f", "t"]);
    let shapes: Vec<Shape> = outlines(text).into_iter().map(|(shape, _)| shape).collect();
    assert_eq!(shapes, [Shape::Function, Shape::Declaration]);
}

#[test]
fn names_of_types_enumerators_and_pointers_are_found() {
    assert_eq!(names("enum e { A, B = 2, C };"), ["e", "A", "B", "C"].map(|name| name).to_vec());
    assert_eq!(names("struct s { struct inner { int x; } i; enum { D, E } e; };"), ["s", "inner", "D", "E"]);
    assert_eq!(names("typedef unsigned int u32;"), ["u32"]);
    assert_eq!(names("typedef int (*callback)(struct s *p);"), ["callback"]);
    assert_eq!(names("extern u32 a, b[3], *c;"), ["a", "b", "c"]);
    assert_eq!(names("struct forward;"), ["forward"]);
}

#[test]
fn braces_of_several_branches_are_noticed() {
    assert!(cut(b"#ifdef A\nint f(int a) {\n#else\nint f(long a) {\n#endif\nreturn 1; }\n").unbalanced);
    assert!(!cut(b"int f(void) { return 1; }").unbalanced);
    assert!(cut(b"}").unbalanced);
}
