//! Is the module what the source change means? Every unit that the change lies in must have been compiled and compared, and
//! every function that the change lies in must be replaced, be part of one that is, or be named as coming out the same.
//!
//! The builder compares compiled code; this looks from the other end, at the patch and at the symbols of the distribution's
//! own binaries, and so notices a change that got lost on the way.

use crate::candidates::{Job, Plan};
use anyhow::{Context as _, Result};
use livepatch_vm::CachedKernel;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// Names of the functions in a kernel's objects, read when they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    known: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

/// What became of the places that a source change lies in.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Units that the kernel is built from, but that the builder did not compare.
    pub(crate) lost: Vec<String>,
    /// Functions that the kernel has by themselves and that the module neither replaces nor explains as a part of what it
    /// replaces: the builder found their code to be the same, as for an assertion that this configuration leaves out.
    pub(crate) same: Vec<String>,
}

/// Compares the report with the patch.
pub(crate) fn account(plan: &Plan, job: &Job, report: &Value) -> Result<Account> {
    let mut account = Account::default();
    let units = report["units"].as_array().map(Vec::as_slice).unwrap_or_default();
    let replaced: BTreeSet<String> = units.iter().flat_map(replaced).collect();
    let explained: String = units.iter().flat_map(explanations).collect::<Vec<_>>().join("\n");
    for (file, functions) in &job.functions {
        // What a header changes shows in the units that include it, wherever those functions are inlined.
        let objects = units.iter().filter(|unit| unit["source"].as_str() == Some(file));
        let Some(object) = objects.filter_map(|unit| unit["object"].as_str()).next() else {
            if plan.compiled.is_unit(file) {
                account.lost.push(file.clone());
            }
            continue;
        };
        for function in functions {
            let is_replaced = replaced.iter().any(|name| is_same(name, function));
            if !is_replaced
                && !has_word(&explained, function)
                && plan.symbols.has(&plan.kernel, object, function)?
            {
                account.same.push(function.clone());
            }
        }
    }
    Ok(account)
}

fn replaced(unit: &Value) -> Vec<String> {
    let lists = ["changed", "added", "removed"].iter().filter_map(|key| unit[*key].as_array());
    lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn explanations(unit: &Value) -> Vec<String> {
    let list = unit["why"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|why| why["why"].as_str()).map(str::to_owned).collect()
}

/// Whether a symbol is a function of this name, or a part or form of it: `.cold`, `.isra.0`; `__do_sys_x` for a call `x`.
fn is_same(symbol: &str, function: &str) -> bool {
    let plain = symbol.split('.').next().unwrap_or(symbol);
    plain == function || plain.strip_suffix(function).is_some_and(|start| start.ends_with("_sys_"))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).any(|found| found == word)
}

impl Symbols {
    /// Whether an object (`vmlinux` or a module) has a function of this name.
    fn has(&self, kernel: &CachedKernel, object: &str, function: &str) -> Result<bool> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains_key(object) {
            known.insert(object.to_owned(), read(kernel, object)?);
        }
        Ok(known.get(object).is_some_and(|names| names.contains(function)))
    }
}

fn read(kernel: &CachedKernel, object: &str) -> Result<BTreeSet<String>> {
    let file =
        if object == "vmlinux" { kernel.directory.join("debug/vmlinux") } else { module(kernel, object)? };
    let answer = Command::new("nm")
        .args(["--defined-only"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .context("cannot run nm: install binutils")?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let functions = text.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let is_code = words.next().is_some_and(|kind| matches!(kind, "t" | "T"));
        words.next().filter(|_| is_code).map(str::to_owned)
    });
    Ok(functions.collect())
}

/// A module's file, by its name as the kernel knows it.
fn module(kernel: &CachedKernel, name: &str) -> Result<PathBuf> {
    let list = kernel.modules().join("modules.dep");
    let text = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let mut paths = text.lines().filter_map(|line| line.split(':').next());
    let is_wanted = |path: &&str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split('.').next().unwrap_or_default().replace('-', "_") == name
    };
    let path = paths.find(is_wanted).with_context(|| format!("{} has no module {name}", list.display()))?;
    Ok(kernel.modules().join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_forms_of_a_function_are_the_function() {
        assert!(is_same("lo_ioctl", "lo_ioctl") && is_same("lo_ioctl.cold", "lo_ioctl"));
        assert!(is_same("__do_sys_timer_create", "timer_create"));
        assert!(!is_same("lo_ioctl2", "lo_ioctl") && !is_same("my_timer_create", "timer_create"));
    }
}
