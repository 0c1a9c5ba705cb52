//! `diff` on objects that the test compiles.

use crate::workplace::{Answer, Workplace};
use serde_json::{Value, json};
use std::process::Command;

const ORIGINAL: &str = "
static int counter;
extern int known(int);
__attribute__((noinline)) static int helper(int x) { return x + counter; }
int entry(int x) { counter++; return helper(x) + known(x); }
";

/// `-pg -mfentry -mrecord-mcount`: without a trace site no function can be replaced.
fn compile(workplace: &Workplace, name: &str, text: &str) {
    let source = workplace.write(&format!("{name}/unit.c"), text);
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-c",
        "-O2",
        "-g0",
        "-mcmodel=kernel",
        "-fno-pic",
        "-fno-stack-protector",
        "-fcf-protection=none",
    ]);
    gcc.args(["-ffunction-sections", "-fdata-sections", "-pg", "-mfentry", "-mrecord-mcount", "-o"]);
    gcc.arg(workplace.path(&format!("{name}.o"))).arg(source);
    assert!(gcc.status().expect("gcc is needed for this test: install the package gcc").success());
}

fn diff(workplace: &Workplace, patched: &str) -> (Answer, Value) {
    compile(workplace, "original", ORIGINAL);
    compile(workplace, "patched", patched);
    let answer = workplace.run(&["diff", "original.o", "patched.o", "--format", "json"]);
    let report = serde_json::from_str(&answer.stdout).unwrap();
    (answer, report)
}

#[test]
fn changed_code_refers_to_what_the_original_has() {
    let workplace = Workplace::new();
    let patched = ORIGINAL.replace("return helper(x)", "return extra(x) + helper(x)").replace(
        "int entry",
        "__attribute__((noinline)) static int extra(int x) { return x * 7 + known(3); }\nint entry",
    );
    let (answer, report) = diff(&workplace, &patched);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(report["architecture"], "x86_64");
    assert_eq!(report["changed"], json!(["entry"]));
    assert_eq!(report["added"], json!(["extra"]));
    assert_eq!((&report["removed"], &report["refusals"]), (&json!([]), &json!([])));
    let symbols: Vec<&str> = report["klp_relocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|relocation| relocation["symbol"].as_str().unwrap())
        .collect();
    assert!(symbols.contains(&".klp.sym.vmlinux.counter,0"), "{report}");
    assert!(symbols.contains(&".klp.sym.vmlinux.helper,0"), "{report}");
    assert_eq!(report["externals"], json!(["__fentry__", "known"]));
    let text = workplace.run(&["diff", "original.o", "patched.o"]);
    assert!(text.stdout.contains("changed  entry\nadded    extra\n"), "{}", text.stdout);
}

#[test]
fn object_s_name_is_that_of_the_livepatch_symbols() {
    let workplace = Workplace::new();
    compile(&workplace, "original", ORIGINAL);
    compile(&workplace, "patched", &ORIGINAL.replace("counter++", "counter += 2"));
    let answer = workplace.run(&["diff", "original.o", "patched.o", "--object", "loop"]);
    assert!(answer.stdout.contains("needs    .klp.sym.loop.counter,0 (by entry+0x"), "{}", answer.stdout);
}

#[test]
fn refusals_are_listed_and_are_exit_status_3() {
    let workplace = Workplace::new();
    let original = ORIGINAL.replace("int counter;", "int counter = 1;");
    compile(&workplace, "a", &original);
    compile(&workplace, "b", &original.replace("int counter = 1;", "int counter = 2;"));
    let answer = workplace.run(&["diff", "a.o", "b.o", "--format", "json"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(report["refusals"][0]["code"], "data-changed");
}

#[test]
fn equal_objects_differ_in_nothing_and_no_object_is_an_error() {
    let workplace = Workplace::new();
    let (answer, report) = diff(&workplace, ORIGINAL);
    assert_eq!(answer.code, 0);
    assert_eq!((&report["changed"], &report["klp_relocations"]), (&json!([]), &json!([])));
    workplace.write("text.o", "no object");
    let answer = workplace.run(&["diff", "original.o", "text.o"]);
    assert!(answer.code == 1 && answer.stderr.contains("cannot compare"), "{}", answer.stderr);
}
