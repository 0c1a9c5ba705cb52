//! The page of hard cases (`docs/hard-cases.md`): every row names its tests, and every test that it names is there.

use std::{collections::BTreeSet, fs, path::Path};

const PAGE: &str = "docs/hard-cases.md";
/// Folders of one behaviour each; the page names them as `cases/NAME`.
const CASES: &str = "crates/builder/livepatch-diff/tests/cases";
/// How many cases the list of the field's hard cases has.
const ROWS: usize = 42;

/// What is wrong with the page, given all Rust sources.
pub(super) fn check<'a>(root: &Path, sources: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Ok(page) = fs::read_to_string(root.join(PAGE)) else { return vec![format!("{PAGE} is missing")] };
    let functions: BTreeSet<&str> = sources.flat_map(functions).collect();
    let is_there = |test: &str| match test.strip_prefix("cases/") {
        Some(case) => root.join(CASES).join(case).is_dir(),
        None => functions.contains(test.rsplit("::").next().unwrap_or(test)),
    };
    let rows: Vec<(&str, Vec<&str>)> = page.lines().filter_map(row).collect();
    let mut wrong: Vec<String> = rows
        .iter()
        .flat_map(|(number, tests)| {
            let none = tests.is_empty().then(|| format!("{PAGE}: case {number} names no test"));
            let missing = tests.iter().filter(|test| !is_there(test));
            none.into_iter()
                .chain(missing.map(move |test| format!("{PAGE}: case {number}: there is no test {test}")))
        })
        .collect();
    if rows.len() != ROWS {
        wrong.push(format!("{PAGE} has {} cases, not {ROWS}", rows.len()));
    }
    wrong
}

/// Number and tests of a table row: its first cell is a number, its last one holds the tests between backticks.
fn row(line: &str) -> Option<(&str, Vec<&str>)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let number = cells.first().filter(|cell| cell.parse::<u32>().is_ok())?;
    let tests = cells.last()?.split('`').skip(1).step_by(2).collect();
    Some((number, tests))
}

/// Names of the functions of a source text.
pub(super) fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let after = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        after.split(['(', '<']).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_its_number_and_tests() {
        let line = "| 7 | headers | what matters `x` | `cases/a-patches`, `scope::b` |";
        assert_eq!(row(line), Some(("7", vec!["cases/a-patches", "scope::b"])));
        assert_eq!(row("| # | case | tests |"), None);
        assert_eq!(row("text"), None);
    }

    #[test]
    fn functions_are_found_by_name() {
        let text = "    fn one() {\n}\npub fn two() {}\nfn three<T>(x: T) {}\nasync fn four() {}\n";
        assert_eq!(functions(text).collect::<Vec<_>>(), ["one", "three", "four"]);
    }
}
