//! Hunks that fit, that moved, and that do not fit.

use super::*;
use crate::patch::Series;
use proptest::prelude::*;

fn patch(hunks: &str) -> FilePatch {
    let text = format!("--- a/x\n+++ b/x\n{hunks}");
    Series::parse(text.as_bytes()).unwrap().files.swap_remove(0)
}

fn text(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("line {number}\n")).collect()
}

const CHANGE: &str = "@@ -4,3 +4,3 @@\n line 4\n-line 5\n+five\n line 6\n";

#[test]
fn hunk_goes_where_it_says_or_near_it() {
    let exact = apply(text(1, 10).as_bytes(), &patch(CHANGE)).unwrap();
    assert_eq!(exact.text, text(1, 10).replace("line 5", "five").into_bytes());
    assert!(exact.moved.is_empty());
    let moved = apply(("new\n".to_owned() + &text(1, 10)).as_bytes(), &patch(CHANGE)).unwrap();
    assert_eq!(moved.moved, [(1, 1)]);
}

#[test]
fn failure_names_hunk_and_line_and_where_it_would() {
    let other = text(1, 10).replace("line 4", "line four");
    let failure = apply(other.as_bytes(), &patch(CHANGE)).unwrap_err();
    assert_eq!((failure.number, failure.count, failure.patch_line, failure.line), (1, 1, 3, 4));
    assert_eq!(failure.would, Would::WithLessContext { line: 5, fuzz: 1 });
    let done = text(1, 10).replace("line 5", "five");
    assert_eq!(apply(done.as_bytes(), &patch(CHANGE)).unwrap_err().would, Would::IsThere(4));
    assert_eq!(apply(b"other\n", &patch(CHANGE)).unwrap_err().would, Would::Nowhere);
    let twice = "line 4\nline 5\nline 6\nx\nx\nx\nline 4\nline 5\nline 6\n";
    assert_eq!(apply(twice.as_bytes(), &patch(CHANGE)).unwrap_err().would, Would::Ambiguous(vec![1, 7]));
}

#[test]
fn later_hunks_move_along_and_never_overlap() {
    let hunks = "@@ -1 +1 @@\n-line 1\n+one\n@@ -8 +8 @@\n-line 8\n+eight\n";
    let moved = apply(("new\n".to_owned() + &text(1, 10)).as_bytes(), &patch(hunks)).unwrap();
    assert_eq!(moved.moved, [(1, 1)]);
    let again = "@@ -1 +1 @@\n-line 1\n+one\n@@ -1 +1 @@\n-line 1\n+one\n";
    assert_eq!(apply(text(1, 3).as_bytes(), &patch(again)).unwrap_err().number, 2);
}

#[test]
fn carriage_returns_of_a_mail_do_not_count_and_those_of_the_file_do() {
    let crlf = CHANGE.replace('\n', "\r\n");
    let plain = apply(text(1, 10).as_bytes(), &patch(&crlf)).unwrap();
    assert_eq!(plain.text, text(1, 10).replace("line 5", "five").into_bytes());
    let dos = text(1, 10).replace('\n', "\r\n");
    let kept = apply(dos.as_bytes(), &patch(&crlf)).unwrap();
    assert_eq!(kept.text, dos.replace("line 5", "five").into_bytes());
}

#[test]
fn end_of_file_without_newline_is_kept() {
    let hunk = "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n";
    assert_eq!(apply(b"a\nb", &patch(hunk)).unwrap().text, b"a\nc");
    assert!(apply(b"a\nb\n", &patch(hunk)).is_err());
}

#[test]
fn new_file_is_made_of_nothing() {
    let text = b"--- /dev/null\n+++ b/n.h\n@@ -0,0 +1,2 @@\n+a\n+b\n";
    let file = Series::parse(text).unwrap().files.swap_remove(0);
    assert_eq!(apply(b"", &file).unwrap().text, b"a\nb\n");
}

proptest! {
    #[test]
    fn diff_applied_gives_the_new_text(old in "([abc]\n){0,12}[ab]?", new in "([abc]\n){0,12}[ab]?") {
        let diff = similar::TextDiff::from_lines(&old, &new);
        let unified = diff.unified_diff().context_radius(20).header("a/x", "b/x").to_string();
        if old != new {
            let file = Series::parse(unified.as_bytes()).unwrap().files.swap_remove(0);
            prop_assert_eq!(apply(old.as_bytes(), &file).unwrap().text, new.into_bytes());
        }
    }

    #[test]
    fn nothing_makes_it_panic(target in "([ab]\n){0,6}", start in 0usize..9, body in "([ +-][ab]\n){1,6}") {
        let count = |mark: char| body.lines().filter(|line| !line.starts_with(mark)).count();
        let hunk = format!("@@ -{start},{} +{start},{} @@\n{body}", count('+'), count('-'));
        let parsed = Series::parse(format!("--- a/x\n+++ b/x\n{hunk}").as_bytes());
        if let Ok(series) = parsed {
            let _ = apply(target.as_bytes(), &series.files[0]);
        }
    }
}
