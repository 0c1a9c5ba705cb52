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
        ("arch/entry.S", "assembly-patch"),
        ("kernel/unheard_of.c", "no-such-file"),
        ("kernel/sample.lds", "not-code"),
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
fn file_that_the_kernel_was_not_built_from_is_refused_without_compiling() {
    let workplace = Workplace::new();
    let kernel = workplace.prepare_kernel();
    let answer = build(
        &workplace,
        "--- a/kernel/absent.c\n+++ b/kernel/absent.c\n@@ -1 +1 @@\n-int absent;\n+int here;\n",
    );
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(
        answer.stdout.contains("refused [not-built]: the patch touches kernel/absent.c: "),
        "{}",
        answer.stdout
    );
    assert!(!kernel.join("objects").exists() && !kernel.join("commands").exists());
}

#[test]
fn build_file_that_changes_more_than_a_list_of_objects_is_refused() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    let answer = build(
        &workplace,
        "--- a/kernel/Makefile\n+++ b/kernel/Makefile\n@@ -1 +1,2 @@\n obj-y := sample.o\n+ccflags-y += -O3\n",
    );
    assert!(answer.code == 3 && answer.stdout.contains("refused [build-file]"), "{}", answer.stderr);
}

#[test]
fn patch_of_documentation_and_of_an_unused_header_changes_nothing_that_runs() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    let header = "--- a/include/sample.h\n+++ b/include/sample.h\n@@ -1 +1 @@\n-int sample(int x);\n+int sample(long x);\n";
    for patch in [diff_of("Documentation/sample.rst"), header.to_owned()] {
        let answer = build(&workplace, &patch);
        assert_eq!(answer.code, 3, "{}", answer.stderr);
        assert!(answer.stdout.contains("no-functional-change"), "{}", answer.stdout);
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
    assert!(
        answer.stderr.contains("kernel/sample.c") && answer.stderr.contains("hunk 1 of 1"),
        "{}",
        answer.stderr
    );
    assert_eq!(std::fs::read(&source).unwrap(), before);
    assert_eq!(
        crate::workplace::names_in(&kernel.join("source/kernel")),
        ["Makefile", "absent.c", "sample.c"]
    );
}

#[test]
fn missing_patch_is_named() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    let answer =
        workplace.run(&["build", "--kernel", RELEASE, "--patch", "nowhere.patch", "--output", "out"]);
    assert!(answer.code == 1 && answer.stderr.contains("nowhere.patch"), "{}", answer.stderr);
}
