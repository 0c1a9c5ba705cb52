//! Rules about source files: length, a word at the front door, unsafe code only where it is listed, clocks outside ground.

use super::crates::Member;
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Nobody reads longer files from top to bottom. The aim is 500; past this it is an error.
const LONGEST: usize = 600;
/// Where exceptions from `unsafe_code = "deny"` are listed with their reason.
const EXCEPTIONS: &str = "ARCHITECTURE.md";
/// Built from parts, or this file would find itself.
const UNSAFE_ALLOWANCE: &str = concat!("allow(", "unsafe_code");
const CLOCKS: [&str; 2] = [concat!("SystemTime", "::now"), concat!("Instant", "::now")];
/// Loading a module is the one act that cannot be taken back, so one crate does it.
const LOADER_CALLS: [&str; 3] =
    [concat!("finit_", "module("), concat!("::init_", "module("), concat!("delete_", "module(")];
const LOADER: &str = "livepatch-host";

/// A source file.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the workspace.
    path: String,
    crate_name: String,
    group: String,
    text: String,
}

impl Source {
    /// What the file holds.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Every `.rs` file of the crates.
pub(super) fn files(root: &Path, members: &[Member]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for member in members {
        for path in rust_files(&member.directory)? {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            found.push(Source { path, crate_name: member.name.clone(), group: member.group.clone(), text });
        }
    }
    Ok(found)
}

/// The text of the file that lists exceptions; empty when there is none, so that every exception is a violation.
pub(super) fn listed_exceptions(root: &Path) -> String {
    fs::read_to_string(root.join(EXCEPTIONS)).unwrap_or_default()
}

/// Every violation, one line each.
pub(super) fn check(files: &[Source], exceptions: &str) -> Vec<String> {
    let broken = |file: &Source| {
        [length(file), front_door(file), unlisted_unsafe(file, exceptions), clock(file), loader(file)]
    };
    files
        .iter()
        .flat_map(|file| broken(file).into_iter().flatten().map(|rule| format!("{}: {rule}", file.path)))
        .collect()
}

fn length(file: &Source) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > LONGEST).then(|| format!("{lines} lines, more than {LONGEST}: split it by story"))
}

fn front_door(file: &Source) -> Option<String> {
    let is_door = ["lib.rs", "main.rs"].iter().any(|name| file.path.ends_with(&format!("/{name}")));
    let text = file.text.trim_start();
    (is_door && !text.starts_with("//! "))
        .then(|| "a front door begins with a module comment (//!)".to_owned())
}

/// Listed by the path from the crate's name on: `livepatch-build/src/kernel.rs`.
fn unlisted_unsafe(file: &Source, exceptions: &str) -> Option<String> {
    let listed = exceptions.contains(file.path.splitn(3, '/').last().unwrap_or(&file.path));
    (file.text.contains(UNSAFE_ALLOWANCE) && !listed)
        .then(|| format!("allows unsafe code, and {EXCEPTIONS} does not list it with a reason"))
}

/// Ground takes time as an argument. Its tests, below the mark, may ask the clock; the crate that runs TUF must.
fn clock(file: &Source) -> Option<String> {
    let own = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    let asked = CLOCKS.iter().find(|clock| own.contains(*clock))?;
    let pure =
        file.group == "ground" && file.crate_name != "livepatch-trust" && !file.path.contains("/tests/");
    pure.then(|| format!("{asked}: ground crates take the time as an argument"))
}

fn loader(file: &Source) -> Option<String> {
    let call = LOADER_CALLS
        .iter()
        .find(|call| file.text.lines().any(|line| is_code(line) && line.contains(*call)))?;
    (file.crate_name != LOADER).then(|| format!("{call}): only {LOADER} loads and unloads modules"))
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let (mut pending, mut found) = (vec![directory.to_owned()], Vec::new());
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, group: &str, text: &str) -> Source {
        Source { path: path.into(), crate_name: "livepatch-x".into(), group: group.into(), text: text.into() }
    }

    #[test]
    fn each_rule_bites() {
        let allowance = format!("#![{UNSAFE_ALLOWANCE})]");
        let clock = format!("let t = {}();", CLOCKS[0]);
        let call = format!("    {}file)", LOADER_CALLS[0]);
        for (path, group, text, word) in [
            ("crates/g/x/src/long.rs", "server", "//\n".repeat(LONGEST + 1).as_str(), "lines"),
            ("crates/g/x/src/lib.rs", "server", "mod a;\n", "module comment"),
            ("crates/g/x/src/a.rs", "client", allowance.as_str(), "unsafe"),
            ("crates/g/x/src/a.rs", "ground", clock.as_str(), "time as an argument"),
            ("crates/g/x/src/a.rs", "client", call.as_str(), "only livepatch-host"),
        ] {
            let wrong = check(&[source(path, group, text)], "");
            assert!(wrong.len() == 1 && wrong[0].contains(word), "{path}: {wrong:?}");
        }
    }

    #[test]
    fn listed_and_tested_things_pass() {
        let listed = source("crates/g/x/src/a.rs", "client", &format!("#![{UNSAFE_ALLOWANCE})]"));
        let tested = source(
            "crates/g/y/src/b.rs",
            "ground",
            &format!("#[cfg(test)]\nmod tests {{ {}() }}", CLOCKS[1]),
        );
        assert!(check(&[listed, tested], "* `x/src/a.rs`: the call has no safe wrapper").is_empty());
    }
}
