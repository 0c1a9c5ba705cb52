//! Patches that are turned away before anything is compiled.

use crate::workplace::{Answer, RELEASE, Workplace};

fn build(workplace: &Workplace, patch: &str) -> Answer {
    let path = workplace.write("fix.patch", patch);
    workplace.run(&["build", "--kernel", RELEASE, "--patch", path.to_str().unwrap(), "--output", "out"])
}

fn diff_of(file: &str) -> String {
    format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-old\n+new\n")
}

#[test]
fn files_that_cannot_be_livepatched_are_named_with_a_code() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    let refused = [
        ("include/sample.h", "header-patch"),
        ("arch/entry.S", "assembly-patch"),
        ("kernel/unheard_of.c", "no-such-file"),
        ("Documentation/sample.rst", "not-code"),
        ("kernel/Makefile", "not-code"),
        ("../../../../etc/passwd.c", "bad-path"),
    ];
    for (file, code) in refused {
        let answer = build(&workplace, &diff_of(file));
        assert_eq!(answer.code, 3, "{file}: {}", answer.stderr);
        let wanted = format!("refused [{code}]: the patch touches {file}: ");
        assert!(answer.stdout.contains(&wanted), "{file}: {}", answer.stdout);
        assert!(answer.stdout.contains("advice: "), "{file}: {}", answer.stdout);
        let explanation = workplace.run(&["explain", code]);
        assert!(explanation.code == 0 && explanation.stdout.contains(code), "{}", explanation.stderr);
    }
}

#[test]
fn text_without_a_diff_is_no_patch() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    for text in ["", "just words\n"] {
        let answer = build(&workplace, text);
        assert!(answer.code == 1 && answer.stderr.contains("is no unified diff"), "{}", answer.stderr);
    }
}

#[test]
fn patch_that_does_not_apply_leaves_the_tree_alone() {
    let workplace = Workplace::new();
    let kernel = workplace.prepare_kernel();
    let source = kernel.join("source/kernel/sample.c");
    let before = std::fs::read(&source).unwrap();
    let answer = build(&workplace, &diff_of("kernel/sample.c"));
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("the patch does not apply to this kernel's source"), "{}", answer.stderr);
    assert!(answer.stderr.contains("build.log"), "where the details are: {}", answer.stderr);
    assert_eq!(std::fs::read(&source).unwrap(), before);
    assert_eq!(crate::workplace::names_in(&kernel.join("source/kernel")), ["sample.c"]);
}

#[test]
fn missing_patch_is_named() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    let answer =
        workplace.run(&["build", "--kernel", RELEASE, "--patch", "nowhere.patch", "--output", "out"]);
    assert!(answer.code == 1 && answer.stderr.contains("nowhere.patch"), "{}", answer.stderr);
}
