//! Formats of patches.

use super::*;
use proptest::prelude::*;

fn files(text: &str) -> Vec<(Option<String>, Option<String>, usize)> {
    let series = Series::parse(text.as_bytes()).unwrap();
    series.files.into_iter().map(|file| (file.old, file.new, file.hunks.len())).collect()
}

fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn plain_diffs_lose_their_first_component_and_time_stamps() {
    let text = "--- a/fs/x.c\t2026-01-01\n+++ b/fs/x.c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n--- a/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
    assert_eq!(files(text), [(some("fs/x.c"), some("fs/x.c"), 1), (some("gone.c"), None, 1)]);
    let first = Series::parse(text.as_bytes()).unwrap().files.swap_remove(0);
    assert_eq!(first.unstripped.1.as_deref(), Some("b/fs/x.c"));
    assert_eq!(first.hunks[0].lines, [Line::Removed(b"a\n".to_vec()), Line::Added(b"b\n".to_vec())]);
}

#[test]
fn git_files_without_hunks_count() {
    let text = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\ndiff --git a/new.c b/new.c\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+x\ndiff --git a/m b/m\nold mode 100644\nnew mode 100755\n";
    assert_eq!(files(text), [(some("x"), some("y"), 0), (None, some("new.c"), 1), (some("m"), some("m"), 0)]);
}

#[test]
fn mails_hold_several_patches_and_words_between_them() {
    let mail = |number: usize| {
        format!(
            "From 0123456789 Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: [PATCH {number}/2] x\n\n--- is a line of words\n---\n f.c | 2 +-\n\ndiff --git a/f.c b/f.c\nindex 1..2 100644\n--- a/f.c\n+++ b/f.c\n@@ -1,2 +1,2 @@ int f(void)\n-{number}\n+x\n \n-- \n2.39.5\n\n"
        )
    };
    let text = mail(1) + &mail(2);
    assert_eq!(files(&text), [(some("f.c"), some("f.c"), 1), (some("f.c"), some("f.c"), 1)]);
    // The signature's "-- " belongs to no hunk.
    let series = Series::parse(text.as_bytes()).unwrap();
    assert!(series.files.iter().all(|file| file.hunks[0].lines.len() == 3));
}

#[test]
fn missing_newline_is_said_of_the_line_before() {
    let text =
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n";
    let series = Series::parse(text.as_bytes()).unwrap();
    assert_eq!(series.files[0].hunks[0].lines, [Line::Removed(b"a".to_vec()), Line::Added(b"b".to_vec())]);
    // A patch that merely lost its own last newline says nothing of the kind.
    let series = Series::parse(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b").unwrap();
    assert_eq!(series.files[0].hunks[0].lines[1], Line::Added(b"b\n".to_vec()));
}

#[test]
fn damaged_patches_are_told_by_line() {
    let error = |text: &str| Series::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error("just words\n"), PatchError::NoFiles);
    let cut = error("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n");
    assert!(matches!(cut, PatchError::Hunk { line: 6, .. }), "{cut}");
    let header = error("--- a/x\n+++ b/x\n@@ -1,z +1 @@\n a\n");
    assert!(matches!(header, PatchError::Hunk { line: 3, .. }), "{header}");
    assert!(matches!(error("*** a/x\n--- b/x\n***************\n"), PatchError::ContextDiff { line: 1 }));
    let encoded = error("Content-Transfer-Encoding: base64\n\nLS0t\n");
    assert!(matches!(encoded, PatchError::Encoded { line: 1, .. }));
    let binary = error("diff --git a/x b/x\nindex 1..2\nGIT binary patch\nliteral 0\n");
    assert!(matches!(binary, PatchError::Binary { line: 3, .. }));
}

#[test]
fn quoted_names_are_read() {
    let text = "diff --git \"a/\\303\\251 x.c\" \"b/\\303\\251 x.c\"\n--- \"a/\\303\\251 x.c\"\n+++ \"b/\\303\\251 x.c\"\n@@ -1 +1 @@\n-a\n+b\n";
    assert_eq!(files(text), [(some("é x.c"), some("é x.c"), 1)]);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "(--- a/x\n\\+\\+\\+ b/x\n)?(@@ -[0-9]{1,3},[0-9] \\+[0-9]{1,21} @@\n)?([ +\\\\-][ab]?\n?){0,8}") {
        let _ = Series::parse(text.as_bytes());
    }
}
