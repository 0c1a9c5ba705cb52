//! Which file of a kernel's tree includes which, as the texts say.
//!
//! The lists of `#include` lines are kept beside the kernel: reading the whole tree takes some seconds.

use super::error::{ScopeError, io};
use crate::kernel::Kernel;
use crate::narrate::step;
use crate::units::Units;
use livepatch_source::includes::{Include, includes, may_mean};
use livepatch_source::narrow::pieces;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// Version of the kept lists.
const SCHEMA: u32 = 3;
/// Folders of the tree that no unit of a kernel includes from.
const BESIDE: [&str; 6] = ["Documentation", "samples", "tools", "scripts", "LICENSES", ".git"];

/// What each file includes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Lists {
    schema: u32,
    /// Names in `"…"` and in `<…>`.
    files: BTreeMap<String, (Vec<String>, Vec<String>)>,
    /// What macros paste names together with.
    pieces: BTreeSet<String>,
}

/// Who includes whom.
#[derive(Debug, Default)]
pub(super) struct Graph {
    files: HashSet<String>,
    /// By the last component of the included name: who, and how.
    includers: HashMap<String, Vec<(String, Include)>>,
    /// What macros paste names together with.
    pub(super) pieces: HashSet<Vec<u8>>,
}

impl Graph {
    /// The graph of a prepared kernel.
    pub(super) fn of(kernel: &Kernel, units: &Units) -> Result<Self, ScopeError> {
        let path = kernel.folder.join("includes.json");
        let kept = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Lists>(&text).ok());
        if let Some(lists) = kept.filter(|lists| lists.schema == SCHEMA) {
            return Ok(Self::from_lists(lists));
        }
        let step = step("read which file includes which");
        let lists = read_tree(&kernel.source(), units)?;
        let text = serde_json::to_vec(&lists).map_err(|error| io(&path)(error.into()))?;
        crate::sign::replace(&path, &text).map_err(io(&path))?;
        step.done(format!("{} files", lists.files.len()));
        Ok(Self::from_lists(lists))
    }

    fn from_lists(lists: Lists) -> Self {
        let mut graph = Self {
            files: lists.files.keys().cloned().collect(),
            pieces: lists.pieces.into_iter().map(String::into_bytes).collect(),
            ..Self::default()
        };
        for (file, (quoted, angled)) in lists.files {
            for name in quoted {
                graph.add(&file, Include::Quoted(name));
            }
            for name in angled {
                graph.add(&file, Include::Angled(name));
            }
        }
        graph
    }

    fn add(&mut self, file: &str, include: Include) {
        let (Include::Quoted(name) | Include::Angled(name)) = &include else { return };
        let last = name.rsplit('/').next().unwrap_or(name).to_owned();
        self.includers.entry(last).or_default().push((file.to_owned(), include));
    }

    /// Takes a patched text's includes in, too.
    pub(super) fn add_text(&mut self, file: &str, text: &[u8]) {
        self.files.insert(file.to_owned());
        for include in includes(text) {
            self.add(file, include);
        }
        self.pieces.extend(pieces(text));
    }

    /// All headers and other texts that C files include, in order.
    pub(super) fn headers(&self) -> Vec<&str> {
        let mut headers: Vec<&str> = self
            .files
            .iter()
            .map(String::as_str)
            .filter(|file| !file.ends_with(".c") && !file.ends_with(".S"))
            .collect();
        headers.sort_unstable();
        headers
    }

    /// Whether any file may include this one.
    pub(super) fn is_included(&self, file: &str) -> bool {
        !self.includers_of(file).is_empty()
    }

    /// All files that may include one of these, directly or through others, and these themselves.
    pub(super) fn reached_from<'a>(&'a self, files: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut queue: Vec<&str> = files.collect();
        while let Some(file) = queue.pop() {
            if reached.insert(file) {
                queue.extend(self.includers_of(file));
            }
        }
        reached
    }

    fn includers_of(&self, file: &str) -> Vec<&str> {
        let last = file.rsplit('/').next().unwrap_or(file);
        let exists = |path: &str| self.files.contains(path);
        let known = self.includers.get(last).into_iter().flatten();
        known
            .filter(|(includer, include)| may_mean(include, includer, file, &exists))
            .map(|(includer, _)| includer.as_str())
            .collect()
    }
}

/// Reads units, headers, and whatever else is included by name.
fn read_tree(source: &Path, units: &Units) -> Result<Lists, ScopeError> {
    let mut all = Vec::new();
    walk(source, "", &mut all)?;
    let known: BTreeSet<&str> = units.sources().collect();
    let is_first = |file: &&String| {
        file.ends_with(".h") || known.contains(file.as_str()) || !units.is_complete() && file.ends_with(".c")
    };
    let (first, rest): (Vec<&String>, Vec<&String>) = all.iter().partition(is_first);
    let mut lists = Lists { schema: SCHEMA, ..Lists::default() };
    read_files(source, &first, &mut lists)?;
    let mut rest: Vec<&String> = rest;
    loop {
        let named: HashSet<&str> = lists
            .files
            .values()
            .flat_map(|(quoted, angled)| quoted.iter().chain(angled))
            .map(|name| name.rsplit('/').next().unwrap_or(name))
            .collect();
        let is_named = |file: &&String| named.contains(file.rsplit('/').next().unwrap_or(file.as_str()));
        let (more, others): (Vec<&String>, Vec<&String>) = rest.iter().copied().partition(is_named);
        if more.is_empty() {
            return Ok(lists);
        }
        read_files(source, &more, &mut lists)?;
        rest = others;
    }
}

fn read_files(source: &Path, files: &[&String], lists: &mut Lists) -> Result<(), ScopeError> {
    let read = |file: &&String| {
        let path = source.join(file.as_str());
        let text = std::fs::read(&path).map_err(io(&path))?;
        let (mut quoted, mut angled) = (Vec::new(), Vec::new());
        for include in includes(&text) {
            match include {
                Include::Quoted(name) => quoted.push(name),
                Include::Angled(name) => angled.push(name),
                Include::Computed => {}
            }
        }
        let pastes = memchr::memmem::find(&text, b"##").is_some();
        let pasted = if pastes { pieces(&text) } else { HashSet::new() };
        Ok::<_, ScopeError>(((*file).clone(), (quoted, angled), pasted))
    };
    let read: Result<Vec<_>, ScopeError> = files.par_iter().map(read).collect();
    for (file, includes, pasted) in read? {
        lists.files.insert(file, includes);
        lists.pieces.extend(pasted.into_iter().filter_map(|piece| String::from_utf8(piece).ok()));
    }
    Ok(())
}

/// All files below a folder, as paths within the tree; other machines' folders are left out.
fn walk(source: &Path, folder: &str, found: &mut Vec<String>) -> Result<(), ScopeError> {
    let path = source.join(folder);
    for entry in std::fs::read_dir(&path).map_err(io(&path))? {
        let entry = entry.map_err(io(&path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let inside = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type().map_err(io(&path))?;
        if kind.is_dir() {
            let is_other_machine = folder == "arch" && name != "x86";
            if !BESIDE.contains(&inside.as_str()) && !is_other_machine {
                walk(source, &inside, found)?;
            }
        } else if kind.is_file() && !name.ends_with(".o") && !name.ends_with(".cmd") {
            found.push(inside);
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn includers_are_found_through_others() {
        let tree = tempfile::tempdir().unwrap();
        let files = [
            ("include/linux/a.h", "#include <linux/b.h>\n"),
            ("include/linux/b.h", ""),
            ("fs/x/local.h", "#include <linux/a.h>\n"),
            ("fs/x/unit.c", "#include \"local.h\"\n#include \"part.c\"\n"),
            ("fs/x/part.c", ""),
            ("fs/y/unit.c", "#include \"b.h\"\n"),
            ("fs/y/b.h", "#include MACRO(x)\n"),
            ("fs/y/unused.c", "#include <linux/b.h>\n"),
        ];
        for (name, text) in files {
            std::fs::create_dir_all(tree.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(tree.path().join(name), text).unwrap();
        }
        let units = Units::with("vmlinux", &["fs/x/unit.c", "fs/y/unit.c"]);
        let graph = Graph::from_lists(read_tree(tree.path(), &units).unwrap());
        let reached = graph.reached_from(["include/linux/b.h"].into_iter());
        assert_eq!(
            reached.into_iter().collect::<Vec<_>>(),
            ["fs/x/local.h", "fs/x/unit.c", "include/linux/a.h", "include/linux/b.h"]
        );
        assert!(graph.is_included("fs/x/part.c") && !graph.is_included("fs/x/unit.c"));
    }
}
