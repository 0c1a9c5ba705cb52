//! Which changes cannot stand without which others.
//!
//! A patch that takes a call of a new function must take the function too; one that changes a function's arguments must
//! change all its callers. Told from the text: who defines a name anew, who begins to use it, who stops.

use crate::change::FileChange;
use crate::groups::Group;
use crate::terms::identifiers;
use std::collections::{BTreeMap, BTreeSet};

/// Names used in more places than this are too common to mean one thing.
const MANY: usize = 60;

/// For each group, the groups that it needs.
pub type Needs = Vec<BTreeSet<usize>>;

/// What a group's lines do with names.
#[derive(Default)]
struct Names<'a> {
    defines: BTreeSet<&'a str>,
    undefines: BTreeSet<&'a str>,
    begins: BTreeSet<&'a str>,
    ends: BTreeSet<&'a str>,
    keeps: BTreeSet<&'a str>,
}

/// Finds what needs what.
pub fn needs(files: &[FileChange], groups: &[Group]) -> Needs {
    let names: Vec<Names<'_>> = groups.iter().map(|group| names(&files[group.file], group)).collect();
    let (begins, ends) = (index(&names, |names| &names.begins), index(&names, |names| &names.ends));
    let keeps = index(&names, |names| &names.keeps);
    let mut needs = vec![BTreeSet::new(); groups.len()];
    for (definer, own) in names.iter().enumerate() {
        let place = &files[groups[definer].file];
        for name in &own.defines {
            let is_changed = own.undefines.contains(name);
            if is_changed {
                // Other arguments: definition and callers change together.
                for user in users(&keeps, name, definer, files, groups, place) {
                    needs[user].insert(definer);
                    needs[definer].insert(user);
                }
            } else {
                for user in users(&begins, name, definer, files, groups, place) {
                    if !has_word(files[groups[user].file].old.as_deref().unwrap_or_default(), name) {
                        needs[user].insert(definer);
                    }
                }
            }
        }
        for name in own.undefines.difference(&own.defines) {
            for user in users(&ends, name, definer, files, groups, place) {
                needs[definer].insert(user);
            }
        }
    }
    needs
}

type Index<'a> = BTreeMap<&'a str, Vec<usize>>;

fn index<'a>(names: &[Names<'a>], which: impl for<'b> Fn(&'b Names<'a>) -> &'b BTreeSet<&'a str>) -> Index<'a> {
    let mut index = Index::new();
    for (group, names) in names.iter().enumerate() {
        for name in which(names) {
            index.entry(name).or_default().push(group);
        }
    }
    index
}

fn users(
    index: &Index<'_>,
    name: &str,
    definer: usize,
    files: &[FileChange],
    groups: &[Group],
    place: &FileChange,
) -> Vec<usize> {
    let found = index.get(name).map(Vec::as_slice).unwrap_or_default();
    if found.len() > MANY {
        return Vec::new();
    }
    let reaches = |user: &usize| *user != definer && can_see(&files[groups[*user].file].path, &place.path);
    found.iter().copied().filter(reaches).collect()
}

/// Whether code in one file can mean what another defines: public headers are for all, the rest for the neighbourhood.
fn can_see(user: &str, definer: &str) -> bool {
    let is_public = definer.split('/').any(|component| component == "include");
    let home = |path: &str| path.split('/').take(2).map(str::to_owned).collect::<Vec<_>>();
    user == definer || is_public || home(user) == home(definer)
}

fn names<'a>(file: &'a FileChange, group: &Group) -> Names<'a> {
    let mut names = Names::default();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for at in &group.changes {
        let change = &file.changes[*at];
        let (old, new) = file.lines(change);
        let in_function = change.scopes.first().is_some_and(|scope| scope.is_function);
        names.undefines.extend(old.iter().filter_map(|line| defined(line, in_function)));
        names.defines.extend(new.iter().filter_map(|line| defined(line, in_function)));
        before.extend(old.iter().flat_map(|line| identifiers(line)));
        after.extend(new.iter().flat_map(|line| identifiers(line)));
    }
    names.keeps = before.intersection(&after).copied().collect();
    names.begins = after.difference(&before).copied().collect();
    names.ends = before.difference(&after).copied().collect();
    names
}

/// The name that a line defines or declares for others, if it does.
fn defined(line: &str, in_function: bool) -> Option<&str> {
    let text = line.trim_end();
    if let Some(rest) = text.strip_prefix("#define ") {
        return identifiers(rest).next();
    }
    let first = text.bytes().next()?;
    if first.is_ascii_alphabetic() || first == b'_' {
        let head = text.split(['=', '{', ';']).next()?;
        let before = head.split(['(', '[']).next()?;
        return identifiers(before).last().filter(|_| !text.ends_with(':'));
    }
    // A member of a structure or an enumeration.
    let body = text.trim_start();
    if in_function || !first.is_ascii_whitespace() || !(body.ends_with(';') || body.ends_with(',')) {
        return None;
    }
    let head = body.split(['=', ';', ',', '[', ':']).next()?;
    if let Some((_, pointer)) = head.split_once("(*") {
        return identifiers(pointer).next();
    }
    identifiers(head).last()
}

/// Whether a text has a name as a whole word.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.match_indices(name).any(|(at, _)| {
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).and_then(|at| bytes.get(at).copied());
        !is_part(before) && !is_part(bytes.get(at + name.len()).copied())
    })
}
