//! Which translation units a patch touches, and the patched texts.
//!
//! [`files`] puts the patches on the texts of the files that they name and sorts those out that are not compiled;
//! [`graph`] knows which file includes which; [`headers`] finds the units that a changed header reaches. The prepared tree is
//! never written. Each patched file gets `#line` directives where its lines move, so that code below an edit keeps its line
//! numbers: otherwise every warning below would look changed.

mod error;
mod files;
mod graph;
mod headers;
mod makefile;

pub use error::{FileRefusal, ScopeError};
pub use files::{Patched, PatchedFile, apply};

use crate::kernel::Kernel;
use crate::overlay::Overlay;
use crate::units::Units;
use graph::Graph;
use livepatch_source::keep_lines;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A translation unit to compile, original and patched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// Source path within the tree.
    pub source: String,
    /// Object path within the tree.
    pub object: String,
    /// For a file that the patch adds: the object of a unit that is compiled into the same thing, whose command it gets.
    pub like: Option<String>,
}

/// Units beyond which a header is wide: whether the first of them refuse the patch is asked before the rest is looked at.
const WIDE: usize = 48;
/// As many units of a wide header are looked at to tell how many it reaches.
const SAMPLE: usize = 64;
/// As many units are asked first when a patch names none.
const FIRST: usize = 4;

impl Touched {
    fn new(source: &str, like: Option<String>, kernel: &Kernel, units: &Units) -> Self {
        Self { source: source.to_owned(), object: units.object_of(source, &kernel.source()), like }
    }

    /// The source as the compiler is given it: with the object's detour.
    pub fn compiled(&self) -> String {
        format!("{}.c", self.object.strip_suffix(".o").unwrap_or(&self.object))
    }
}

/// What a patch comes down to in a kernel.
#[derive(Debug)]
pub struct Scope {
    /// The units to compile.
    pub touched: Vec<Touched>,
    /// The patched texts.
    pub overlay: Overlay,
    /// What is to be said of the patch: parts that are left out, hunks that moved, how far a header reaches.
    pub notes: Vec<String>,
}

/// Finds the units that patched files reach in a kernel. Where a header reaches many, `is_refused` is asked about a few of
/// them; when these alone speak against the livepatch, they are the answer. `most` units may be reached.
///
/// # Errors
/// [`ScopeError::File`] when a file is no part of this kernel or cannot be handled; others when something fails.
pub fn find<E: From<ScopeError>>(
    kernel: &Kernel,
    units: &Units,
    patched: Patched,
    most: usize,
    (work, log): (&Path, &Path),
    is_refused: impl FnOnce(&[Touched], &Overlay) -> Result<bool, E>,
) -> Result<Scope, E> {
    let Patched { files, mut notes, added_objects } = patched;
    let unit = |source: &str, like| Touched::new(source, like, kernel, units);
    let mut touched = BTreeSet::new();
    let (mut shared, mut absent) = (Vec::new(), Vec::new());
    for (name, file) in &files {
        let is_c = name.ends_with(".c");
        if is_c && (!units.owners(name).is_empty() || !units.is_complete() && file.old.is_some()) {
            touched.insert(unit(name, None));
        } else if is_c && let Some(like) = makefile::sibling(&added_objects, name, units) {
            notes.push(format!("{name} is new and compiled as {like} is"));
            touched.insert(unit(name, Some(like)));
        } else {
            shared.push(name.clone());
        }
    }
    let texts: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(name, file)| (name.clone(), keep_lines(file.old.as_deref().unwrap_or(&file.new), &file.new)))
        .collect();
    let overlay = Overlay::write(&kernel.source(), work, &texts).map_err(error::io(work))?;
    if let (Some(file), false) = (shared.first(), units.is_complete()) {
        return Err(ScopeError::from(FileRefusal::units_unknown(file, kernel)).into());
    }
    if !shared.is_empty() {
        let mut graph = Graph::of(kernel, units)?;
        for (name, file) in &files {
            graph.add_text(name, &file.new);
        }
        // What is neither a unit nor included anywhere is no part of this kernel.
        shared.retain(|name| {
            let is_part = !name.ends_with(".c") || graph.is_included(name);
            if !is_part {
                absent.push(name.clone());
            }
            is_part
        });
        let changed: BTreeMap<&str, &PatchedFile> =
            shared.iter().filter_map(|name| Some((name.as_str(), files.get(name)?))).collect();
        let search = headers::Search { kernel, units, graph: &graph, overlay: &overlay, work, log };
        let candidates = search.candidates(&changed)?;
        let first = first(kernel, units, &touched, &candidates.narrowed);
        if candidates.narrowed.len() > WIDE && is_refused(&first, &overlay)? {
            let notes = vec![candidates.refused_early(&first)];
            return Ok(Scope { touched: first, overlay, notes });
        }
        bound(&search, &candidates.narrowed, most, &candidates.names())?;
        let reached = search.compare(&candidates.narrowed)?;
        if reached.len() > most {
            return Err(
                ScopeError::from(FileRefusal::too_wide(&candidates.names(), reached.len(), most)).into()
            );
        }
        notes.extend(candidates.note(reached.len()));
        touched.extend(reached.iter().map(|name| unit(name, None)));
    }
    if touched.is_empty()
        && let Some(file) = absent.first()
    {
        return Err(ScopeError::from(FileRefusal::not_built(file, kernel)).into());
    }
    notes.extend(absent.iter().map(|name| format!("{name} is no part of this kernel and is left out")));
    Ok(Scope { touched: touched.into_iter().collect(), overlay, notes })
}

/// Refuses a header that more units see than a livepatch may have. Of very many a sample tells.
fn bound(search: &headers::Search<'_>, narrowed: &[&str], most: usize, file: &str) -> Result<(), ScopeError> {
    if narrowed.len() <= most.max(SAMPLE) {
        return Ok(());
    }
    let sample: Vec<&str> = narrowed.iter().copied().step_by(narrowed.len() / SAMPLE).collect();
    let likely = search.compare(&sample)?.len() * narrowed.len() / sample.len();
    if likely > most { Err(FileRefusal::too_wide(file, likely, most).into()) } else { Ok(()) }
}

/// The units to ask first: those that the patch names, or the shortest of those that its headers reach.
fn first(kernel: &Kernel, units: &Units, named: &BTreeSet<Touched>, reached: &[&str]) -> Vec<Touched> {
    if !named.is_empty() {
        return named.iter().cloned().collect();
    }
    let length =
        |name: &str| std::fs::metadata(kernel.source().join(name)).map_or(u64::MAX, |file| file.len());
    let mut shortest = reached.to_vec();
    shortest.sort_by_key(|name| (length(name), *name));
    shortest.iter().take(FIRST).map(|name| Touched::new(name, None, kernel, units)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;
