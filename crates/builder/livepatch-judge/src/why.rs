//! Why each changed function changed: the explanation that a reviewer would otherwise have to find.

use crate::case::{Case, Changed, callees, list};
use crate::debug::{DebugInfo, FunctionId};
use crate::source::has_word;
use livepatch_diff::names::source_name;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Why a function changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FunctionWhy {
    /// The function, as the object names it.
    pub function: String,
    /// The kind of reason: `edited`, `inlines`, `macro`, `layout`, `calls` or `moved`.
    pub reason: &'static str,
    /// The reason, in a few words with file and line.
    pub why: String,
}

/// Explains every changed function, in the difference's order. `layouts` names the types that changed.
pub(crate) fn explain(case: &Case<'_>, layouts: &[&str]) -> Vec<FunctionWhy> {
    case.changed().iter().map(|changed| one(case, changed, layouts)).collect()
}

fn one(case: &Case<'_>, changed: &Changed<'_>, layouts: &[&str]) -> FunctionWhy {
    let (reason, why) = edited(case, changed)
        .map(|why| ("edited", why))
        .or_else(|| inlines(case, changed).map(|why| ("inlines", why)))
        .or_else(|| uses_macro(case, changed).map(|why| ("macro", why)))
        .or_else(|| uses_layout(case, changed, layouts).map(|why| ("layout", why)))
        .or_else(|| calls(case, changed).map(|why| ("calls", why)))
        .unwrap_or_else(|| ("moved", moved(case, changed)));
    FunctionWhy { function: changed.symbol.to_owned(), reason, why }
}

fn edited(case: &Case<'_>, changed: &Changed<'_>) -> Option<String> {
    // A system call's body is inlined into its entry: the same function in the source.
    let (file, line) = case.edit_of(changed.name)?;
    Some(format!("edited at {file}:{line}"))
}

/// The shortest way from the function to something edited that is inlined into it.
fn inlines(case: &Case<'_>, changed: &Changed<'_>) -> Option<String> {
    let sides = [(case.patched, changed.new), (case.original, changed.old)];
    let ways = sides.iter().filter_map(|(info, function)| {
        let function = (*function)?;
        let calls = &info.functions[function].inlined;
        let edited =
            (0..calls.len()).filter(|&call| case.edit_of(info.name_at(calls[call].origin)).is_some());
        edited.map(|call| chain(info, function, call)).min_by_key(Vec::len).map(|way| (*info, function, way))
    });
    let (info, function, way) = ways.min_by_key(|(.., way)| way.len())?;
    let mut caller = changed.name;
    let mut text = String::new();
    for &call in &way {
        let call = &info.functions[function].inlined[call];
        let name = info.name_at(call.origin);
        let path = info.path(call.call);
        let file = case.files.iter().find(|file| file.path == path);
        let line = file.map_or(call.call.line, |file| file.line_of(call.call.line, file.function(caller)));
        let lead = if text.is_empty() { "inlines" } else { ", which inlines" };
        text += &format!("{lead} {name} at {path}:{line}");
        caller = name;
    }
    let (file, line) = case.edit_of(caller)?;
    Some(format!("{text}, edited at {file}:{line}"))
}

/// An inlined call with those that it is nested in, outermost first.
fn chain(info: &DebugInfo<'_>, function: FunctionId, call: usize) -> Vec<usize> {
    let calls = &info.functions[function].inlined;
    let mut way = vec![call];
    // A parent always stands before its children.
    while let Some(parent) = way.last().and_then(|&last| calls[last].parent.filter(|&parent| parent < last)) {
        way.push(parent);
    }
    way.reverse();
    way
}

/// Source names of a function and of all that is inlined into it.
fn names<'a>(case: &Case<'a>, changed: &Changed<'a>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::from([changed.name]);
    names.extend(Case::inlined_names(case.patched, changed.new).into_keys());
    names
}

fn uses_macro(case: &Case<'_>, changed: &Changed<'_>) -> Option<String> {
    let names = names(case, changed);
    for file in case.files {
        for (name, line) in file.macros() {
            let user = names.iter().find_map(|function| {
                let (text, extent) = case.text_of(function)?;
                text.text_of(extent).find(|(_, line)| has_word(line, name)).map(|(at, _)| (text, at))
            });
            if let Some((text, at)) = user {
                return Some(format!(
                    "uses the macro {name} at {}:{at}, edited at {}:{line}",
                    text.path, file.path
                ));
            }
        }
    }
    None
}

fn uses_layout(case: &Case<'_>, changed: &Changed<'_>, layouts: &[&str]) -> Option<String> {
    let mentioned = |name: &&&str| {
        let bare = name.rsplit(' ').next().unwrap_or_default();
        let spelled = |info: &DebugInfo<'_>, function: Option<FunctionId>| {
            function.is_some_and(|function| {
                let inlined =
                    info.functions[function].inlined.iter().filter_map(|call| info.function_of(call.origin));
                std::iter::once(function)
                    .chain(inlined)
                    .flat_map(|function| {
                        info.abstract_of(function).mentions.iter().chain(&info.functions[function].mentions)
                    })
                    .any(|&of| has_word(&info.spell(Some(of)), bare))
            })
        };
        spelled(case.patched, changed.new)
    };
    let used: Vec<&str> = layouts.iter().filter(mentioned).copied().collect();
    // Offsets differ also for those that reach it through another structure.
    let used = if used.is_empty() { return None } else { used };
    Some(format!("uses {}, whose layout changes", list(used)))
}

/// Calls that lead elsewhere: another clone, or other arguments.
fn calls(case: &Case<'_>, changed: &Changed<'_>) -> Option<String> {
    let old = callees(case.difference.original, changed.indices.0);
    let new = callees(case.difference.patched, changed.indices.1);
    let edited: Vec<&str> =
        new.keys().copied().filter(|name| case.edit_of(source_name(name)).is_some()).collect();
    let other: Vec<&str> = edited.iter().copied().filter(|name| !old.contains_key(name)).collect();
    match (edited.is_empty(), other.is_empty()) {
        (true, _) => None,
        (false, false) => Some(format!("calls {}, which it did not call before", list(other))),
        (false, true) => Some(format!(
            "calls {}, which is edited: the compiler passes arguments in another way",
            list(edited)
        )),
    }
}

fn moved(case: &Case<'_>, changed: &Changed<'_>) -> String {
    let old = Case::inlined_names(case.original, changed.old);
    let new = Case::inlined_names(case.patched, changed.new);
    let more = list(new.keys().copied().filter(|name| !old.contains_key(name)));
    let fewer = list(old.keys().copied().filter(|name| !new.contains_key(name)));
    let line = |info: &DebugInfo<'_>, function: Option<FunctionId>| {
        function.map(|function| info.abstract_of(function).place.line)
    };
    if more.is_empty()
        && fewer.is_empty()
        && line(case.original, changed.old) != line(case.patched, changed.new)
    {
        return "its line numbers move, and something in it carries them".into();
    }
    match (more.is_empty(), fewer.is_empty()) {
        (true, true) => "the compiler arranged its code in another way; no edit reaches it".into(),
        (false, true) => format!("the compiler inlines {more} now"),
        (true, false) => format!("the compiler does not inline {fewer} any more"),
        (false, false) => format!("the compiler inlines {more} now, and {fewer} not any more"),
    }
}
