//! Which changes cannot stand without which others.
//!
//! A patch that takes a call of a new function must take the function too; one that changes a function's arguments must
//! change all its callers. Told from the text: who defines a name anew, who begins to use it, who stops.

use crate::change::FileChange;
use crate::groups::Group;
use crate::terms::identifiers;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Names used in more places than this are too common to mean one thing.
const MANY: usize = 60;
/// Names that so many of the changed files knew before are common words.
const COMMON: usize = 5;

/// For each group, the groups that it needs.
pub(crate) type Needs = Vec<BTreeSet<usize>>;

/// What may stand alone on the line above a function's name.
const TYPES: [&str; 8] = ["void", "int", "long", "unsigned", "bool", "char", "static", "inline"];

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A function, type, variable or macro.
    Global,
    /// A member of a structure or an enumeration.
    Member,
}

/// What a group's lines do with names.
#[derive(Default)]
struct Names<'a> {
    defines: BTreeMap<&'a str, Kind>,
    undefines: BTreeMap<&'a str, Kind>,
    begins: BTreeSet<&'a str>,
    ends: BTreeSet<&'a str>,
    keeps: BTreeSet<&'a str>,
}

/// Finds what needs what.
pub(crate) fn needs(files: &[FileChange], groups: &[Group]) -> Needs {
    let names: Vec<Names<'_>> = groups.iter().map(|group| names(&files[group.file], group)).collect();
    let search = Search {
        files,
        groups,
        common: common_names(files, &names),
        begins: index(&names, |names| &names.begins),
        ends: index(&names, |names| &names.ends),
        keeps: index(&names, |names| &names.keeps),
    };
    let mut needs = vec![BTreeSet::new(); groups.len()];
    for (definer, own) in names.iter().enumerate() {
        for (name, kind) in &own.defines {
            match own.undefines.get(name) {
                // A member's type seldom matters to those who use it.
                Some(_) if *kind == Kind::Member => {}
                // Other arguments: definition and callers change together.
                Some(_) => {
                    for user in search.users(&search.keeps, name, definer) {
                        needs[user].insert(definer);
                        needs[definer].insert(user);
                    }
                }
                None => {
                    for user in search.users(&search.begins, name, definer) {
                        if !has_word(search.old_text(user), name) {
                            needs[user].insert(definer);
                        }
                    }
                }
            }
        }
        for (name, _) in own.undefines.iter().filter(|(name, _)| !own.defines.contains_key(*name)) {
            for user in search.users(&search.ends, name, definer) {
                needs[definer].insert(user);
            }
        }
    }
    needs
}

struct Search<'a> {
    files: &'a [FileChange],
    groups: &'a [Group],
    common: BTreeSet<&'a str>,
    begins: Index<'a>,
    ends: Index<'a>,
    keeps: Index<'a>,
}

impl Search<'_> {
    fn old_text(&self, group: usize) -> &str {
        self.files[self.groups[group].file].old.as_deref().unwrap_or_default()
    }

    /// Those of an index that can mean the name that a group defines.
    fn users(&self, index: &Index<'_>, name: &str, definer: usize) -> Vec<usize> {
        let found = index.get(name).map(Vec::as_slice).unwrap_or_default();
        if found.len() > MANY {
            return Vec::new();
        }
        let place = &self.files[self.groups[definer].file];
        let owner = self.groups[definer].changes.first().and_then(|at| place.changes[*at].scopes.first());
        let reaches = |user: &usize| {
            let file = &self.files[self.groups[*user].file];
            // Who knows the structure by name knows its members, however common their names are.
            let knows_owner = || {
                let text = file.new.as_deref().unwrap_or_default();
                owner.is_some_and(|owner| !owner.is_function && has_word(text, &owner.name))
            };
            let is_common = self.common.contains(name) && !knows_owner();
            *user != definer && can_see(&file.path, &place.path, is_common)
        };
        found.iter().copied().filter(reaches).collect()
    }
}

/// Defined names that many files used before: they mean different things in different places.
fn common_names<'a>(files: &'a [FileChange], names: &[Names<'a>]) -> BTreeSet<&'a str> {
    let defined: HashSet<&str> =
        names.iter().flat_map(|names| names.defines.keys().chain(names.undefines.keys())).copied().collect();
    let used: Vec<HashSet<&str>> = files
        .par_iter()
        .map(|file| {
            let text = file.old.as_deref().unwrap_or_default();
            identifiers(text).filter(|name| defined.contains(name)).collect()
        })
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in used.into_iter().flatten() {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count >= COMMON).map(|(name, _)| name).collect()
}

type Index<'a> = BTreeMap<&'a str, Vec<usize>>;

fn index<'a>(
    names: &[Names<'a>],
    which: impl for<'b> Fn(&'b Names<'a>) -> &'b BTreeSet<&'a str>,
) -> Index<'a> {
    let mut index = Index::new();
    for (group, names) in names.iter().enumerate() {
        for name in which(names) {
            index.entry(name).or_default().push(group);
        }
    }
    index
}

/// Whether code in one file can mean what another defines: public headers are for all, the rest for the neighbourhood.
/// A common name reaches no further than its folder.
fn can_see(user: &str, definer: &str, is_common: bool) -> bool {
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let home = |path: &str| path.split('/').take(2).map(str::to_owned).collect::<Vec<_>>();
    let is_public = definer.split('/').any(|component| component == "include");
    user == definer
        || folder(user) == folder(definer)
        || !is_common && (is_public || home(user) == home(definer))
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
fn defined(line: &str, in_function: bool) -> Option<(&str, Kind)> {
    let text = without_comment(line).trim_end();
    if let Some(rest) = text.strip_prefix("#define ") {
        return identifiers(rest).next().map(|name| (name, Kind::Global));
    }
    let first = text.bytes().next()?;
    if first.is_ascii_alphabetic() || first == b'_' {
        let head = text.split(['=', '{', ';']).next()?;
        let before = head.split(['(', '[']).next()?;
        let name = identifiers(before).last().filter(|name| !text.ends_with(':') && !TYPES.contains(name))?;
        return Some((name, Kind::Global));
    }
    // A member of a structure or an enumeration.
    let body = text.trim_start();
    if in_function || !first.is_ascii_whitespace() || !(body.ends_with(';') || body.ends_with(',')) {
        return None;
    }
    let head = body.split(['=', ';', ',', '[', ':']).next()?;
    if let Some((_, pointer)) = head.split_once("(*") {
        return identifiers(pointer).next().map(|name| (name, Kind::Member));
    }
    identifiers(head).last().map(|name| (name, Kind::Member))
}

/// A line without the comment at its end.
fn without_comment(line: &str) -> &str {
    let end = [line.find("/*"), line.find("//")].into_iter().flatten().min();
    &line[..end.unwrap_or(line.len())]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::groups;

    fn file(path: &str, old: &str, new: &str) -> FileChange {
        FileChange::new(path.into(), Some(old.into()), Some(new.into()))
    }

    fn links(files: &[FileChange]) -> Vec<(String, String)> {
        let groups = groups(files);
        let name = |group: usize| files[groups[group].file].path.clone();
        let needs = needs(files, &groups);
        let pairs = needs.iter().enumerate().flat_map(|(from, to)| to.iter().map(move |to| (from, *to)));
        pairs.map(|(from, to)| (name(from), name(to))).collect()
    }

    fn pair(one: &str, other: &str) -> (String, String) {
        (one.into(), other.into())
    }

    #[test]
    fn a_user_needs_the_new_member_and_not_the_other_way_round() {
        let header = file(
            "fs/x/x.h",
            "struct a {\n\tint one;\n};\n",
            "struct a {\n\tint one;\n\tint fresh; /* why */\n};\n",
        );
        let user = file(
            "fs/x/y.c",
            "int f(struct a *a)\n{\n\treturn 0;\n}\n",
            "int f(struct a *a)\n{\n\treturn a->fresh;\n}\n",
        );
        assert_eq!(links(&[header, user]), [pair("fs/x/y.c", "fs/x/x.h")]);
    }

    #[test]
    fn other_arguments_tie_definition_and_caller_together() {
        let definition = file("fs/x/x.c", "int g(int a)\n{\n}\n", "int g(int a, int b)\n{\n}\n");
        let caller = file("fs/x/y.c", "int f(void)\n{\n\tg(1);\n}\n", "int f(void)\n{\n\tg(1, 2);\n}\n");
        let both = [pair("fs/x/x.c", "fs/x/y.c"), pair("fs/x/y.c", "fs/x/x.c")];
        assert_eq!(links(&[definition, caller]), both);
    }

    #[test]
    fn what_is_far_away_and_private_is_not_meant() {
        let definition = file("fs/x/x.h", "", "#define FRESH 1\n");
        let user =
            file("net/y.c", "int f(void)\n{\n\treturn 0;\n}\n", "int f(void)\n{\n\treturn FRESH;\n}\n");
        assert_eq!(links(&[definition, user]), []);
    }
}
