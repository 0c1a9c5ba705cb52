//! The page of the server's features (`docs/server-features.md`): every row of its tables says which test shows it, or
//! plainly that it is missing; every test and file that it names is there.

use std::{collections::BTreeSet, fs, path::Path};

const PAGE: &str = "docs/server-features.md";

/// What is wrong with the page, given all Rust sources.
pub(super) fn check<'a>(root: &Path, sources: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Ok(page) = fs::read_to_string(root.join(PAGE)) else { return vec![format!("{PAGE} is missing")] };
    let functions: BTreeSet<&str> = sources.flat_map(super::hard_cases::functions).collect();
    let crates: Vec<_> =
        ["ground", "server", "client", "testing"].map(|group| root.join("crates").join(group)).into();
    let is_there = |named: &str| match named.contains('/') {
        true => crates.iter().any(|group| group.join(named).exists()),
        false => functions.contains(named),
    };
    page.lines().filter_map(row).flat_map(|row| wrong(&row, &is_there)).collect()
}

/// A row of a table: its first cell, its second one, and what the last one names between backticks.
struct Row<'a> {
    feature: &'a str,
    here: &'a str,
    tests: Vec<&'a str>,
}

fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let (feature, here, last) = (*cells.first()?, *cells.get(1)?, *cells.last()?);
    let is_head = last == "test" || (!last.is_empty() && last.chars().all(|c| c == '-'));
    (!is_head).then(|| Row { feature, here, tests: last.split('`').skip(1).step_by(2).collect() })
}

fn wrong(row: &Row<'_>, is_there: &dyn Fn(&str) -> bool) -> Vec<String> {
    let Row { feature, here, tests } = row;
    if tests.is_empty() && !here.contains("missing") && !here.contains("not needed") {
        return vec![format!("{PAGE}: '{feature}' names no test, and does not say that it is missing")];
    }
    let missing = tests.iter().filter(|test| !is_there(test));
    missing.map(|test| format!("{PAGE}: '{feature}': there is no {test}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn rows_name_tests_that_are_there_or_say_that_they_are_missing() {
        let found = |line: &str| {
            wrong(&row(line).unwrap(), &|test| ["it_works", "a-crate/tests/x.rs"].contains(&test))
        };
        assert!(found("| tiers | `tier list` | `it_works` in `a-crate/tests/x.rs` |").is_empty());
        assert_eq!(found("| tiers | `tier list` | `it_does_not` in `a-crate/tests/y.rs` |").len(), 2);
        assert_eq!(found("| tiers | `tier list` | |").len(), 1);
        assert!(found("| traces | missing | |").is_empty());
        assert!(
            row("| there | here | test |").is_none()
                && row("|---|---|---|").is_none()
                && row("text").is_none()
        );
    }
}
