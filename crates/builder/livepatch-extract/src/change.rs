//! The difference of two source trees, taken apart into changes.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use similar::{DiffOp, DiffTag, TextDiff};
use std::collections::BTreeSet;
use std::ops::Range;

/// Lines of context that a patch carries, as diff(1) has it.
const CONTEXT: usize = 3;

/// A file that differs.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// Path within the tree.
    pub path: String,
    /// Text in the older tree; `None` when the file is new.
    pub old: Option<String>,
    /// Text in the newer tree; `None` when the file is gone.
    pub new: Option<String>,
    /// Its changes, from top to bottom; none of them touches the next.
    pub changes: Vec<Change>,
}

/// A run of lines that is replaced by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Lines in the older text, counted from 0.
    pub old: Range<usize>,
    /// Lines in the newer text.
    pub new: Range<usize>,
    /// The function (or structure, table, macro) that the change lies in, and those that it begins anew or takes away.
    pub scopes: Vec<Scope>,
}

/// A definition at the margin of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// Whether it is a function.
    pub is_function: bool,
}

impl FileChange {
    /// Compares two versions of a file.
    pub fn new(path: String, old: Option<String>, new: Option<String>) -> Self {
        let changes = changes(old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
        Self { path, old, new, changes }
    }

    /// Compares many, on all processors.
    pub fn compare(files: Vec<(String, Option<String>, Option<String>)>) -> Vec<Self> {
        files.into_par_iter().map(|(path, old, new)| Self::new(path, old, new)).collect()
    }

    /// The lines that a change takes away and those that it brings.
    pub fn lines(&self, change: &Change) -> (Vec<&str>, Vec<&str>) {
        (slice(self.old.as_deref(), &change.old), slice(self.new.as_deref(), &change.new))
    }

    /// The positions of all changes.
    pub fn all(&self) -> BTreeSet<usize> {
        (0..self.changes.len()).collect()
    }

    /// A unified diff with only the chosen changes (by position); empty when none is chosen.
    pub fn patch(&self, chosen: &BTreeSet<usize>) -> String {
        if chosen.is_empty() {
            return String::new();
        }
        let whole = chosen.len() == self.changes.len();
        let old = self.old.as_deref().unwrap_or_default();
        let new = if whole { self.new.clone().unwrap_or_default() } else { self.apply(chosen) };
        let header = |side: &str, exists: bool| match exists {
            true => format!("{side}/{}", self.path),
            false => "/dev/null".to_owned(),
        };
        let (from, to) = (header("a", self.old.is_some()), header("b", self.new.is_some() || !whole));
        let (old, new) = (all_lines(Some(old)), all_lines(Some(&new)));
        let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old, &new);
        diff.unified_diff().context_radius(CONTEXT).header(&from, &to).to_string()
    }

    /// The older text with only the chosen changes.
    fn apply(&self, chosen: &BTreeSet<usize>) -> String {
        let (old, new) = (all_lines(self.old.as_deref()), all_lines(self.new.as_deref()));
        let (mut text, mut at) = (String::new(), 0);
        for index in chosen {
            let change = &self.changes[*index];
            text.extend(old[at..change.old.start].iter().copied());
            text.extend(new[change.new.clone()].iter().copied());
            at = change.old.end;
        }
        text.extend(old[at..].iter().copied());
        text
    }
}

fn all_lines(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split_inclusive('\n').collect()
}

fn slice<'a>(text: Option<&'a str>, range: &Range<usize>) -> Vec<&'a str> {
    let lines = text.unwrap_or_default().split_inclusive('\n').skip(range.start).take(range.len());
    lines.map(|line| line.trim_end_matches('\n')).collect()
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    let (old, new) = (all_lines(Some(old)), all_lines(Some(new)));
    let diff = TextDiff::from_slices(&old, &new);
    let mut found: Vec<Change> = Vec::new();
    for op in diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal) {
        match found.last_mut() {
            Some(last) if last.old.end == op.old_range().start && last.new.end == op.new_range().start => {
                last.old.end = op.old_range().end;
                last.new.end = op.new_range().end;
            }
            _ => found.push(bare(op)),
        }
    }
    for change in &mut found {
        change.scopes = scopes(&old, &change.old);
        for scope in scopes(&new, &change.new) {
            if !change.scopes.contains(&scope) {
                change.scopes.push(scope);
            }
        }
    }
    found
}

fn bare(op: &DiffOp) -> Change {
    Change { old: op.old_range(), new: op.new_range(), scopes: Vec::new() }
}

/// What the lines lie in, and what begins among them.
fn scopes(lines: &[&str], range: &Range<usize>) -> Vec<Scope> {
    let above = lines.get(..range.start).unwrap_or_default();
    let around = above.iter().rev().find_map(|line| boundary(line));
    let inside = lines.get(range.clone()).unwrap_or_default();
    let mut names: Vec<Scope> = Vec::new();
    if let Some(Boundary::Opens(scope)) = around {
        names.push(scope);
    }
    names.extend(inside.iter().filter_map(|line| match boundary(line) {
        Some(Boundary::Opens(scope)) => Some(scope),
        _ => None,
    }));
    names.dedup();
    names
}

enum Boundary {
    /// A definition begins.
    Opens(Scope),
    /// A definition has ended, or a declaration stands between them.
    Closes,
}

/// What a line at the margin says about definitions, by the kernel's coding style (Documentation/process/coding-style.rst).
fn boundary(line: &str) -> Option<Boundary> {
    let first = line.bytes().next()?;
    if first == b'}' {
        return Some(Boundary::Closes);
    }
    if let Some(rest) = line.strip_prefix("#define ") {
        let name = identifier_at_start(rest).to_owned();
        return line.ends_with('\\').then_some(Boundary::Opens(Scope { name, is_function: false }));
    }
    if !(first.is_ascii_alphabetic() || first == b'_') || line.trim_end().ends_with(':') {
        return None;
    }
    if line.trim_end().ends_with(';') {
        return Some(Boundary::Closes);
    }
    let is_function = line.split(['=', '{']).next().is_some_and(|head| head.contains('('));
    name_of(line).map(|name| Boundary::Opens(Scope { name, is_function }))
}

/// The name that a definition's first line defines.
pub(crate) fn name_of(line: &str) -> Option<String> {
    let head = line.split(['=', '{']).next()?;
    let Some((before, inside)) = head.split_once('(') else {
        // A structure, a table, or a return type alone on its line.
        let head = head.split('[').next()?.trim_end();
        let name = identifier_at_end(head);
        return (!name.is_empty()).then(|| name.to_owned());
    };
    let name = identifier_at_end(before.trim_end());
    // SYSCALL_DEFINE3(name, …) and its like: the macro's argument is the name.
    let name = if is_constant(name) { identifier_at_start(inside) } else { name };
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whether a name is written as constants and defining macros are.
pub(crate) fn is_constant(name: &str) -> bool {
    let is_loud = |byte: u8| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit();
    name.len() > 3 && name.bytes().all(is_loud)
}

fn identifier_at_end(text: &str) -> &str {
    let start = text
        .rfind(|letter: char| !is_identifier(letter))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

fn identifier_at_start(text: &str) -> &str {
    let end = text.find(|letter: char| !is_identifier(letter)).unwrap_or(text.len());
    &text[..end]
}

fn is_identifier(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &str = "#include <x.h>\n\nstatic int one(int a)\n{\n\tif (a)\n\t\treturn 1;\nout:\n\treturn 0;\n}\n\nstatic struct table words[] = {\n\t{ 1 },\n};\n\nSYSCALL_DEFINE1(two, int, a)\n{\n\treturn one(a);\n}\n";

    #[test]
    fn a_change_knows_the_function_around_it() {
        let new =
            OLD.replace("return 0", "return 2").replace("{ 1 }", "{ 3 }").replace("one(a);", "one(a + 1);");
        let file = FileChange::new("a.c".into(), Some(OLD.into()), Some(new.clone()));
        let scopes: Vec<&str> = file.changes.iter().map(|change| change.scopes[0].name.as_str()).collect();
        assert_eq!(scopes, ["one", "words", "two"]);
        let (old, fresh) = file.lines(&file.changes[0]);
        assert_eq!((old, fresh), (vec!["\treturn 0;"], vec!["\treturn 2;"]));
    }

    #[test]
    fn what_lies_between_functions_is_in_none() {
        let new = OLD.replace(
            "}\n\nstatic struct",
            "}\n\nstatic int three(void)\n{\n\treturn 3;\n}\n\nint four;\n\nstatic struct",
        );
        let file = FileChange::new("a.c".into(), Some(OLD.into()), Some(new));
        assert_eq!(file.changes[0].scopes, [Scope { name: "three".into(), is_function: true }]);
    }

    #[test]
    fn a_part_of_the_changes_makes_a_patch_of_its_own() {
        let new = OLD.replace("return 1", "return 5").replace("{ 1 }", "{ 3 }");
        let file = FileChange::new("a.c".into(), Some(OLD.into()), Some(new));
        let patch = file.patch(&[1].into());
        assert!(patch.contains("+\t{ 3 },") && !patch.contains("return 5"), "{patch}");
        assert!(patch.starts_with("--- a/a.c\n+++ b/a.c\n@@"), "{patch}");
        assert_eq!(file.patch(&[].into()), "");
    }

    #[test]
    fn files_that_come_or_go_are_compared_with_nothing() {
        let fresh = FileChange::new("n.c".into(), None, Some("int a;\n".into()));
        assert!(fresh.patch(&fresh.all()).starts_with("--- /dev/null\n+++ b/n.c\n"));
        let gone = FileChange::new("n.c".into(), Some("int a;\n".into()), None);
        assert!(gone.patch(&gone.all()).starts_with("--- a/n.c\n+++ /dev/null\n"));
    }

    proptest! {
        #[test]
        fn all_changes_together_give_the_newer_text(old in "([a-d(){};]{0,6}\n){0,30}", new in "([a-d(){};]{0,6}\n){0,30}") {
            let file = FileChange::new("x".into(), Some(old), Some(new.clone()));
            prop_assert_eq!(file.apply(&file.all()), new);
            prop_assert_eq!(file.apply(&[].into()), file.old.clone().unwrap());
        }

        #[test]
        fn any_line_is_judged_without_a_panic(line in "\\PC{0,40}") {
            let _ = boundary(&line);
            let _ = name_of(&line);
        }
    }
}
