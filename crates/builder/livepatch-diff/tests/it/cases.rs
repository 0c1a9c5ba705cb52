//! A folder of `tests/cases` is one behaviour: `original.c`, `patched.c`, and in the first lines of the latter what must
//! come of it. The folder's name ends in the outcome.
//!
//! Directives, each `// WORD: NAMES`; what is not named must not be:
//! `changed`, `added`, `removed` name functions; `carries` data that the livepatch has of its own; `needs` what it refers
//! to in the running kernel (`__fentry__` aside); `entries` a table and how many of its entries it has; `refused` a code
//! and the name that the message must quote; `unchanged` stands alone.

use crate::compile::{Workshop, entry_sizes};
use livepatch_diff::names::without_numbers;
use livepatch_diff::{Difference, Extracted, Object, SymbolIndex, SymbolKind, extract};
use std::collections::BTreeSet;
use std::path::Path;

/// What a folder expects, or what came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) changed: BTreeSet<String>,
    pub(crate) added: BTreeSet<String>,
    pub(crate) removed: BTreeSet<String>,
    pub(crate) carries: BTreeSet<String>,
    pub(crate) needs: BTreeSet<String>,
    pub(crate) entries: BTreeSet<String>,
    pub(crate) refused: BTreeSet<String>,
    pub(crate) carried: BTreeSet<String>,
    pub(crate) redirected: BTreeSet<String>,
    pub(crate) callbacks: BTreeSet<String>,
    pub(crate) noticed: BTreeSet<String>,
}

#[test]
fn every_folder_comes_out_as_its_directives_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 40, "only {} cases were found", names.len());
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let error = check(&folder.join(name), name).err()?;
            Some(format!("{name}:\n{error}"))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), names.len(), failures.join("\n"));
}

fn check(folder: &Path, name: &str) -> Result<(), String> {
    let read =
        |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| format!("{file}: {error}"));
    let (original, patched) = (read("original.c")?, read("patched.c")?);
    let (expected, code) = directives(&patched)?;
    let workshop = Workshop::new();
    let original = workshop.compile("original/unit.c", &original);
    let patched = workshop.compile("patched/unit.c", &code);
    let found = outcome(&original, &patched, &expected)?;
    let suits = match name.rsplit('-').next() {
        Some("patches") => {
            expected.refused.is_empty() && !(expected.changed.is_empty() && expected.added.is_empty())
        }
        Some("refuses") => !expected.refused.is_empty(),
        Some("unchanged") => expected == Outcome::default(),
        _ => false,
    };
    match (suits, found == expected) {
        (false, _) => Err("the folder's name does not suit its directives".into()),
        (true, false) => Err(format!("  expected {expected:?}\n  found    {found:?}")),
        (true, true) => Ok(()),
    }
}

/// The directives, and the text below them: line 1 of the code is the line after the last directive.
pub(crate) fn directives(text: &str) -> Result<(Outcome, String), String> {
    let mut expected = Outcome::default();
    let head = text.lines().take_while(|line| line.starts_with("// ")).count();
    for line in text.lines().take(head) {
        let directive = line.trim_start_matches("// ");
        let (word, names) = directive.split_once(": ").unwrap_or((directive, ""));
        let names = names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned);
        match word {
            "changed" => expected.changed.extend(names),
            "added" => expected.added.extend(names),
            "removed" => expected.removed.extend(names),
            "carries" => expected.carries.extend(names),
            "needs" => expected.needs.extend(names),
            "entries" => expected.entries.extend(names),
            "refused" => expected.refused.extend(names),
            "carried" => expected.carried.extend(names),
            "redirected" => expected.redirected.extend(names),
            "callbacks" => expected.callbacks.extend(names),
            "noticed" => expected.noticed.extend(names),
            "unchanged" => {}
            _ => return Err(format!("no such directive: {line}")),
        }
    }
    if head == 0 {
        return Err("patched.c has no directives".into());
    }
    Ok((expected, text.lines().skip(head).map(|line| format!("{line}\n")).collect()))
}

fn outcome(original: &[u8], patched: &[u8], expected: &Outcome) -> Result<Outcome, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let original = Object::read(original).map_err(|error| text(&error))?;
    let patched = Object::read(patched).map_err(|error| text(&error))?;
    let difference = Difference::new(&original, &patched, &entry_sizes()).map_err(|error| text(&error))?;
    if !difference.refusals.is_empty() {
        return Ok(Outcome { refused: refused(&difference, expected), ..Outcome::default() });
    }
    let noticed = difference.notices.iter().map(|notice| format!("{} {}", notice.code(), notice.subject()));
    let noticed: BTreeSet<String> = noticed.collect();
    if difference.is_empty() {
        return Ok(Outcome { noticed, ..Outcome::default() });
    }
    let extracted = extract(&difference, 0).map_err(|error| text(&error))?;
    let names = |object: &Object, list: &mut dyn Iterator<Item = SymbolIndex>| {
        list.map(|index| object.symbols[index].name.clone()).collect()
    };
    let data =
        difference.included.iter().filter(|&&index| patched.symbols[index].kind != SymbolKind::Function);
    Ok(Outcome {
        changed: names(&original, &mut difference.changed.iter().map(|&(original, _)| original)),
        added: names(&patched, &mut difference.added()),
        removed: names(&original, &mut difference.removed.iter().copied()),
        carries: data.map(|&index| without_numbers(&patched.symbols[index].name)).collect(),
        needs: extracted.needed.keys().filter(|name| *name != "__fentry__").cloned().collect(),
        entries: entries(&extracted, difference.carried.len() as u64)?,
        refused: BTreeSet::new(),
        carried: names(&original, &mut difference.carried.iter().map(|&(original, _)| original)),
        redirected: if difference.redirected == difference.changed {
            BTreeSet::new()
        } else {
            names(&original, &mut difference.redirected.iter().map(|&(original, _)| original))
        },
        callbacks: extracted
            .callbacks
            .iter()
            .map(|(kind, _, function)| format!("{} {function}", kind.member()))
            .collect(),
        noticed,
    })
}

/// Refusals as `CODE NAME`, with the expected name when the message quotes it.
pub(crate) fn refused(difference: &Difference<'_>, expected: &Outcome) -> BTreeSet<String> {
    let line = |refusal: &livepatch_diff::Refusal| {
        let message = refusal.to_string();
        let said = |line: &&String| {
            line.split_once(' ').is_some_and(|(code, name)| code == refusal.code() && message.contains(name))
        };
        expected
            .refused
            .iter()
            .find(said)
            .cloned()
            .unwrap_or_else(|| format!("{}: {message}", refusal.code()))
    };
    difference.refusals.iter().map(line).collect()
}

/// Tables of the extracted object as `SECTION COUNT`. Every function must have its trace site, and no more, but for those
/// `untraced` ones that are carried.
fn entries(extracted: &Extracted, untraced: u64) -> Result<BTreeSet<String>, String> {
    let object = Object::read(&extracted.bytes).map_err(|error| error.to_string())?;
    let sizes = [
        ("__bug_table", 12),
        ("__ex_table", 12),
        ("__jump_table", 16),
        (".altinstructions", 12),
        (".smp_locks", 4),
        (".parainstructions", 16),
    ];
    let count = |(name, size): (&str, u64)| {
        let section = object.section_named(name)?;
        Some(format!("{name} {}", object.sections[section].size / size))
    };
    let sites = object.section_named("__mcount_loc").map_or(0, |section| object.sections[section].size / 8);
    let functions = object.symbols.iter().filter(|symbol| {
        symbol.kind == SymbolKind::Function
            && !symbol.name.starts_with("livepatch_new_")
            && !symbol.name.contains(".cold")
    });
    let functions = functions.count() as u64;
    if sites + untraced != functions {
        return Err(format!("{functions} functions, {untraced} of them carried, have {sites} trace sites"));
    }
    Ok(sizes.into_iter().filter_map(count).collect())
}
