//! What changed lines do with names: define them, stop to, begin or end to use them.

use crate::change::{Change, FileChange, is_constant};
use crate::groups::Group;
use crate::terms::identifiers;
use std::collections::{BTreeMap, BTreeSet};

/// Lines above a change in which a declaration may begin that it is the end of.
const DECLARATION_LINES: usize = 10;

/// What may stand alone on the line above a function's name.
const TYPES: [&str; 8] = ["void", "int", "long", "unsigned", "bool", "char", "static", "inline"];

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function, type, variable or macro.
    Global,
    /// A member of a structure or an enumeration.
    Member,
    /// A member that points to a function.
    Operation,
}

/// What a group's lines do with names.
#[derive(Default)]
pub(crate) struct Names<'a> {
    pub(crate) defines: BTreeMap<&'a str, Kind>,
    pub(crate) undefines: BTreeMap<&'a str, Kind>,
    pub(crate) begins: BTreeSet<&'a str>,
    pub(crate) ends: BTreeSet<&'a str>,
    pub(crate) keeps: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// Names that come or go.
    fn turning(&self) -> impl Iterator<Item = &&'a str> {
        self.begins.iter().chain(&self.ends)
    }

    /// Whether some of the names that come or go do so there, too.
    pub(crate) fn shares_with(&self, other: &Names<'_>) -> bool {
        self.turning().any(|name| other.begins.contains(name) || other.ends.contains(name))
    }

    /// Whether all of the names that come or go do so there, too.
    pub(crate) fn is_within(&self, other: &Names<'_>) -> bool {
        self.shares_with(other)
            && self.turning().all(|name| other.begins.contains(name) || other.ends.contains(name))
    }
}

/// What a group's lines do with names.
pub(crate) fn names<'a>(file: &'a FileChange, group: &Group) -> Names<'a> {
    let mut names = Names::default();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for at in &group.changes {
        let change = &file.changes[*at];
        let (old, new) = file.lines(change);
        let in_function = change.scopes.first().is_some_and(|scope| scope.is_function);
        names.undefines.extend(old.iter().filter_map(|line| defined(line, in_function)));
        names.defines.extend(new.iter().filter_map(|line| defined(line, in_function)));
        if let Some((name, kind)) = continued(file, change) {
            names.undefines.insert(name, kind);
            names.defines.insert(name, kind);
        }
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
        // DEFINE_LOCK_GUARD_0(name, …) and its like.
        let inside = head.split_once('(').filter(|_| is_constant(name)).map(|(_, inside)| inside);
        let name = inside.and_then(|inside| identifiers(inside).next()).unwrap_or(name);
        return Some((name, Kind::Global));
    }
    // A member of a structure or an enumeration.
    let body = text.trim_start();
    if in_function || !first.is_ascii_whitespace() {
        return None;
    }
    let head = body.split(['=', ';', ',', '[', ':']).next()?;
    // The last of an enumeration may come without a comma.
    if !body.ends_with([';', ',']) && !is_constant(head.trim()) {
        return None;
    }
    if let Some((_, pointer)) = head.split_once("(*") {
        return identifiers(pointer).next().map(|name| (name, Kind::Operation));
    }
    identifiers(head).last().map(|name| (name, Kind::Member))
}

/// A line without the comment at its end.
fn without_comment(line: &str) -> &str {
    let end = [line.find("/*"), line.find("//")].into_iter().flatten().min();
    &line[..end.unwrap_or(line.len())]
}

/// The declaration whose arguments go on in a change, when it began above.
fn continued<'a>(file: &'a FileChange, change: &Change) -> Option<(&'a str, Kind)> {
    let from = change.new.start.saturating_sub(DECLARATION_LINES);
    let above = file.new.as_deref()?.lines().skip(from).take(change.new.start - from);
    let mut open = 0_i64;
    for line in above.collect::<Vec<_>>().into_iter().rev() {
        let count = |letter: char| line.matches(letter).count() as i64;
        open += count('(') - count(')');
        if line.contains([';', '{', '}']) {
            return None;
        }
        let is_start = line.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            || line.contains("(*");
        if open > 0 && is_start {
            return defined(line, false).filter(|(_, kind)| *kind != Kind::Member);
        }
    }
    None
}
