//! Changes that belong together by their place: those of one function, or of one line between functions.

use crate::change::FileChange;
use crate::terms::ChangeTerms;
use std::collections::BTreeMap;

/// The smallest thing that is given to an entry: two fixes to one function cannot be told apart by their words.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Index of the file.
    pub(crate) file: usize,
    /// Indices of changes in the file, from top to bottom.
    pub(crate) changes: Vec<usize>,
    /// What they say.
    pub(crate) terms: ChangeTerms,
    /// Nothing but comments, blank lines and `#include`: goes along with whatever else is taken of the file.
    pub(crate) is_inert: bool,
}

/// All groups of all files, in order.
pub(crate) fn groups(files: &[FileChange]) -> Vec<Group> {
    let mut found = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let mut by_scope: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, change) in file.changes.iter().enumerate() {
            // A file that goes for good is a driver taken out, which nothing else needs.
            let inert = file.new.is_none() || is_inert(file, at);
            let scope = change.scopes.first().map(|scope| scope.name.as_str()).filter(|_| !inert);
            let position = match scope.and_then(|scope| by_scope.get(scope)) {
                Some(position) => *position,
                None => {
                    found.push(Group {
                        file: index,
                        changes: Vec::new(),
                        terms: ChangeTerms::default(),
                        is_inert: inert,
                    });
                    if let Some(scope) = scope {
                        by_scope.insert(scope, found.len() - 1);
                    }
                    found.len() - 1
                }
            };
            found[position].changes.push(at);
            found[position].terms.take(file, change);
        }
    }
    found
}

fn is_inert(file: &FileChange, at: usize) -> bool {
    let (old, new) = file.lines(&file.changes[at]);
    old.iter().chain(&new).all(|line| {
        let line = line.trim();
        line.is_empty()
            || line.starts_with("#include")
            || line.starts_with("//")
            || line.starts_with("/*") && (line.ends_with("*/") || !line.contains("*/"))
            || line.starts_with("* ")
            || line == "*"
            || line == "*/"
    })
}
