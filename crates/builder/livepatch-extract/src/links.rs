//! Which changes cannot stand without which others.
//!
//! A patch that takes a call of a new function must take the function too; one that changes a function's arguments must
//! change all its callers. Told from the text: who defines a name anew, who begins to use it, who stops.

use crate::change::FileChange;
use crate::groups::Group;
use crate::names::{Kind, Names, names};
use crate::terms::identifiers;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Names used in more places than this are too common to mean one thing.
const MANY: usize = 60;
/// Names that so many of the changed files knew before are common words.
const COMMON: usize = 5;

/// For each group, the groups that it needs.
pub(crate) type Needs = Vec<BTreeSet<usize>>;

/// How groups hang together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    pub(crate) needs: Needs,
    /// Groups that do nothing but go along with an operation's other arguments, and the group of the operation: whoever
    /// owns that owns them, however well a fix beside them fits.
    pub(crate) follows: BTreeMap<usize, usize>,
}

/// Finds what needs what.
pub(crate) fn links(files: &[FileChange], groups: &[Group]) -> Links {
    let names: Vec<Names<'_>> = groups.par_iter().map(|group| names(&files[group.file], group)).collect();
    let search = Search {
        files,
        groups,
        common: common_names(files, &names),
        begins: index(&names, |names| &names.begins),
        ends: index(&names, |names| &names.ends),
        keeps: index(&names, |names| &names.keeps),
    };
    let mut needs = vec![BTreeSet::new(); groups.len()];
    let mut follows = BTreeMap::new();
    for (definer, own) in names.iter().enumerate() {
        for (name, kind) in &own.defines {
            match own.undefines.get(name) {
                // A member's type seldom matters to those who use it.
                Some(_) if *kind == Kind::Member => {}
                Some(_) if *kind == Kind::Operation => {
                    let (pure, all) = search.of_operation(name, definer, &names);
                    for user in all {
                        needs[user].insert(definer);
                        needs[definer].insert(user);
                    }
                    follows.extend(pure.into_iter().map(|user| (user, definer)));
                }
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
    // What declares such a function goes the same way.
    let declares = |(group, own): (usize, &Names<'_>)| {
        let tied = needs[group].iter().filter(|other| needs[**other].contains(&group));
        let operation = *tied.filter_map(|other| follows.get(other)).next()?;
        let is_other = group != operation && !follows.contains_key(&group);
        (is_other && own.is_within(&names[operation])).then_some((group, operation))
    };
    let declarations: Vec<(usize, usize)> = names.iter().enumerate().filter_map(declares).collect();
    follows.extend(declarations);
    Links { needs, follows }
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
    /// Groups that must go along with an operation's other arguments: those that do nothing else, and all of them.
    fn of_operation(
        &self,
        member: &str,
        definer: usize,
        names: &[Names<'_>],
    ) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let turns = |user: &usize| {
            let group = &self.groups[*user];
            let file = &self.files[group.file];
            let function = group.changes.first().and_then(|at| file.changes[*at].scopes.first());
            let function =
                function.filter(|function| function.is_function).map(|function| function.name.as_str());
            let is_one = function.is_some_and(|function| {
                let stem = function.strip_suffix(member);
                let has_signature = names[*user].undefines.contains_key(function);
                stem.is_some_and(|stem| stem.ends_with('_')) && has_signature
            });
            *user != definer && is_one && names[*user].shares_with(&names[definer])
        };
        let turning: BTreeSet<usize> = (0..self.groups.len()).filter(turns).collect();
        let pure = turning.iter().copied().filter(|user| names[*user].is_within(&names[definer])).collect();
        let callers = self.users(&self.keeps, member, definer).into_iter().filter(|user| {
            let text = self.files[self.groups[*user].file].new.as_deref().unwrap_or_default();
            names[*user].shares_with(&names[definer]) && text.contains(&format!("->{member}("))
        });
        (pure, turning.iter().copied().chain(self.implementers(member, definer)).chain(callers).collect())
    }

    fn old_text(&self, group: usize) -> &str {
        self.files[self.groups[group].file].old.as_deref().unwrap_or_default()
    }

    /// Groups of functions that a member of a structure is set to, where the structure is known.
    fn implementers(&self, member: &str, definer: usize) -> Vec<usize> {
        let place = &self.files[self.groups[definer].file];
        let owner = self.groups[definer].changes.first().and_then(|at| place.changes[*at].scopes.first());
        let Some(owner) = owner.filter(|owner| !owner.is_function) else { return Vec::new() };
        let is_one = |user: &usize| {
            let group = &self.groups[*user];
            let file = &self.files[group.file];
            let text = file.new.as_deref().unwrap_or_default();
            let function = group.changes.first().and_then(|at| file.changes[*at].scopes.first());
            function.is_some_and(|function| function.is_function && sets(text, member, &function.name))
                && has_word(text, &owner.name)
        };
        (0..self.groups.len()).filter(|user| *user != definer).filter(is_one).collect()
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

/// Whether a text sets a member to a function: `.member = function`.
fn sets(text: &str, member: &str, function: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.match_indices(member).any(|(at, _)| {
        let value = text[at + member.len()..].trim_start().strip_prefix('=').map(str::trim_start);
        let value = value.and_then(|value| value.strip_prefix(function));
        text[..at].ends_with('.') && value.is_some_and(|rest| !rest.starts_with(is_part))
    })
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
        let needs = super::links(files, &groups).needs;
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
    fn an_operation_s_arguments_tie_all_its_functions() {
        let text =
            |arguments: &str| format!("struct ops {{\n\tint one;\n\tint (*check)({arguments});\n}};\n");
        let header = file("include/x.h", &text("int a, int b"), &text("int a"));
        let text = |arguments: &str| {
            format!(
                "static int x_check({arguments})\n{{\n}}\n\nstatic struct ops x = {{\n\t.check = x_check,\n}};\n"
            )
        };
        let user = file("net/y.c", &text("int a, int b"), &text("int a"));
        assert_eq!(links(&[header, user]), [pair("include/x.h", "net/y.c"), pair("net/y.c", "include/x.h")]);
    }

    #[test]
    fn what_only_goes_along_with_an_operation_follows_it() {
        let text = |more: &str| format!("struct ops {{\n\tint one;\n\tint (*dump)(int a{more});\n}};\n");
        let header = file("include/x.h", &text(""), &text(", bool reset"));
        let user = |more: &str, body: &str| {
            format!(
                "static int x_dump(int a{more})\n{{\n\treturn a;\n}}\n\nint fixed(struct ops *ops)\n{{\n\tops->dump = x_dump;\n\treturn {body};\n}}\n"
            )
        };
        let user = file("net/y.c", &user("", "0"), &user(", bool reset", "1"));
        let declared = file("net/y.h", "int x_dump(int a);\n", "int x_dump(int a, bool reset);\n");
        let files = [header, user, declared];
        let groups = groups(&files);
        let found = super::links(&files, &groups);
        let name = |group: &usize| {
            let group = &groups[*group];
            let scope = files[group.file].changes[group.changes[0]].scopes.first();
            (files[group.file].path.as_str(), scope.map(|scope| scope.name.as_str()).unwrap_or_default())
        };
        let pairs: Vec<_> =
            found.follows.iter().map(|(user, operation)| (name(user), name(operation))).collect();
        let operation = ("include/x.h", "ops");
        assert_eq!(pairs, [(("net/y.c", "x_dump"), operation), (("net/y.h", ""), operation)]);
    }

    #[test]
    fn arguments_that_go_on_below_are_the_function_s() {
        let definition = |last: &str| format!("int g(int a,\n      int {last})\n{{\n}}\n");
        let definition = file("fs/x/x.c", &definition("b"), &definition("b, int c"));
        let caller =
            file("fs/x/y.c", "int f(void)\n{\n\tg(1, 2);\n}\n", "int f(void)\n{\n\tg(1, 2, 3);\n}\n");
        let both = [pair("fs/x/x.c", "fs/x/y.c"), pair("fs/x/y.c", "fs/x/x.c")];
        assert_eq!(links(&[definition, caller]), both);
    }

    #[test]
    fn enumerators_and_what_macros_define_are_names_too() {
        let header = file(
            "include/x.h",
            "enum a {\n\tONE_A = 1,\n};\n",
            "enum a {\n\tONE_A = 1,\n\tTWO_A = 2 /* last */\n};\n",
        );
        let guard = file("include/y.h", "", "DEFINE_LOCK_GUARD_0(quiet, a(), b())\n");
        let body = |word: &str| format!("int f(void)\n{{\n\treturn {word};\n}}\n");
        let user = file("net/z.c", &body("0"), &body("TWO_A + quiet"));
        let both = [pair("net/z.c", "include/x.h"), pair("net/z.c", "include/y.h")];
        assert_eq!(links(&[header, guard, user]), both);
    }

    #[test]
    fn what_is_far_away_and_private_is_not_meant() {
        let definition = file("fs/x/x.h", "", "#define FRESH 1\n");
        let user =
            file("net/y.c", "int f(void)\n{\n\treturn 0;\n}\n", "int f(void)\n{\n\treturn FRESH;\n}\n");
        assert_eq!(links(&[definition, user]), []);
    }
}
