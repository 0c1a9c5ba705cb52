//! Patches on a small tree.

use super::*;

fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let files = [
        ("fs/x.c", "one\ntwo\nthree\n"),
        ("fs/Makefile", "obj-y := x.o\n"),
        ("include/x.h", "int x;\n"),
        ("kernel/entry.S", "ret\n"),
        ("Documentation/x.rst", "words\n"),
    ];
    for (name, text) in files {
        std::fs::create_dir_all(tree.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(tree.path().join(name), text).unwrap();
    }
    tree
}

fn applied(patches: &[&str]) -> Result<Patched, ScopeError> {
    let tree = tree();
    let mut paths = Vec::new();
    for (index, patch) in patches.iter().enumerate() {
        paths.push(tree.path().join(format!("{index}.patch")));
        std::fs::write(&paths[index], patch).unwrap();
    }
    apply(tree.path(), &paths)
}

fn code(patch: &str) -> &'static str {
    match applied(&[patch]) {
        Err(ScopeError::File(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

const CHANGE: &str = "--- a/fs/x.c\n+++ b/fs/x.c\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";

#[test]
fn patches_build_upon_one_another_and_may_undo_one_another() {
    let second = CHANGE.replace("-two\n+2\n", "-2\n+zwei\n");
    let both = applied(&[CHANGE, &second]).unwrap();
    assert_eq!(both.files["fs/x.c"].new, b"one\nzwei\nthree\n");
    assert_eq!(both.files["fs/x.c"].old.as_deref(), Some(b"one\ntwo\nthree\n".as_slice()));
    let back = CHANGE.replace("-two\n+2\n", "-2\n+two\n");
    assert!(applied(&[CHANGE, &back]).unwrap().files.is_empty());
    assert_eq!(applied(&[&format!("{CHANGE}{second}")]).unwrap().files, both.files);
}

#[test]
fn misfits_name_every_file_and_hunk() {
    let patch = format!(
        "{}{}",
        CHANGE.replace("two", "zwei"),
        "--- a/include/x.h\n+++ b/include/x.h\n@@ -1 +1 @@\n-int y;\n+int z;\n"
    );
    let error = applied(&[&patch]).unwrap_err().to_string();
    assert!(error.contains("fs/x.c") && error.contains("hunk 1 of 1 (line 3 of the patch)"), "{error}");
    assert!(error.contains("include/x.h") && error.contains("nowhere in the file"), "{error}");
}

#[test]
fn what_no_kernel_is_made_of_is_left_out_with_a_note() {
    let patch = format!(
        "{CHANGE}--- a/Documentation/x.rst\n+++ b/Documentation/x.rst\n@@ -9 +9 @@\n-other\n+new\n--- a/tools/t.c\n+++ b/tools/t.c\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/fs/x.c b/fs/x.c\nold mode 100644\nnew mode 100755\n"
    );
    let patched = applied(&[&patch]).unwrap();
    assert_eq!(patched.files.keys().collect::<Vec<_>>(), ["fs/x.c"]);
    assert_eq!(patched.notes.len(), 3, "{:?}", patched.notes);
}

#[test]
fn what_cannot_be_livepatched_is_refused_with_a_code() {
    let change = |file: &str| format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(code(&change("kernel/entry.S")), "assembly-patch");
    assert_eq!(code(&change("fs/Kconfig")), "not-code");
    assert_eq!(code(&change("../fs/x.c")), "bad-path");
    assert_eq!(code(&change("fs/gone.c")), "no-such-file");
    assert_eq!(code("--- a/fs/x.c\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n"), "file-removed");
    assert_eq!(code("diff --git a/fs/x.c b/fs/y.c\nrename from fs/x.c\nrename to fs/y.c\n"), "file-renamed");
    let flags = "--- a/fs/Makefile\n+++ b/fs/Makefile\n@@ -1 +1,2 @@\n obj-y := x.o\n+ccflags-y := -DX\n";
    assert_eq!(code(flags), "build-file");
}

#[test]
fn new_files_and_added_objects_are_understood() {
    let patch = "--- /dev/null\n+++ b/fs/new.c\n@@ -0,0 +1 @@\n+int new;\n--- a/fs/Makefile\n+++ b/fs/Makefile\n@@ -1 +1 @@\n-obj-y := x.o\n+obj-y := x.o new.o\n";
    let patched = applied(&[patch]).unwrap();
    assert_eq!(patched.files["fs/new.c"], PatchedFile { old: None, new: b"int new;\n".to_vec() });
    assert_eq!(patched.added_objects[0].object, "new.o");
}

#[test]
fn paths_without_a_first_component_to_strip_are_found_in_the_tree() {
    let patched = applied(&[&CHANGE.replace("a/fs", "fs").replace("b/fs", "fs")]).unwrap();
    assert!(patched.files.contains_key("fs/x.c"));
}
