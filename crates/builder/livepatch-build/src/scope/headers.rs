//! The units that a changed header, or another text that units include, reaches.
//!
//! 1. Candidates are the units that may include it, directly or through others.
//! 2. Of these, the ones whose own text mentions none of the names that the change can reach are left out
//!    ([`livepatch_source::narrow`]), unless the change is of a kind that cannot be told from the text.
//! 3. The rest is preprocessed with the unit's own command, with and without the patch, and compared in what the compiler
//!    makes something of ([`livepatch_source::reach`]).

use super::Touched;
use super::error::{ScopeError, io};
use super::files::PatchedFile;
use super::graph::Graph;
use crate::kbuild::{anew, commands_of, with_generated};
use crate::kernel::Kernel;
use crate::narrate::{progress, step};
use crate::objects::{Job, Objects};
use crate::overlay::Overlay;
use crate::units::Units;
use aho_corasick::AhoCorasick;
use livepatch_source::narrow::{Names, Reach, Wanted, changed, handed_on};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Names beyond which telling from the text costs more than it saves.
const MOST_NAMES: usize = 600;

/// What a search needs.
pub(super) struct Search<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) units: &'a Units,
    pub(super) graph: &'a Graph,
    pub(super) overlay: &'a Overlay,
    pub(super) work: &'a Path,
    pub(super) log: &'a Path,
}

/// The units that changed files may reach, from the texts alone.
pub(super) struct Candidates<'a> {
    files: Vec<&'a str>,
    /// Units that include one of the files.
    including: usize,
    /// Those that mention what changes.
    pub(super) narrowed: Vec<&'a str>,
}

impl Candidates<'_> {
    /// The files, for a sentence.
    pub(super) fn names(&self) -> String {
        self.files.join(", ")
    }

    fn them(&self) -> &'static str {
        if self.files.len() == 1 { "it" } else { "them" }
    }

    /// What is to be said when `reached` of them compile to something else.
    pub(super) fn note(&self, reached: usize) -> Option<String> {
        (!self.files.is_empty()).then(|| {
            format!(
                "{}: {} of the {} units that may include {} mention what changes, and {reached} compile to something else",
                self.names(),
                self.narrowed.len(),
                self.including,
                self.them()
            )
        })
    }

    /// What is to be said when the first units alone speak against a livepatch.
    pub(super) fn refused_early(&self, first: &[Touched]) -> String {
        let first: Vec<&str> = first.iter().map(|unit| unit.source.as_str()).collect();
        format!(
            "{}: {} units mention what changes in {}; {} alone will not be livepatched, so the others were not looked at",
            self.names(),
            self.narrowed.len(),
            self.them(),
            first.join(", ")
        )
    }
}

/// Which units a change may reach, from the texts alone.
enum Narrowed<'a> {
    To(Vec<&'a str>),
    NotAtAll,
}

impl Search<'_> {
    /// The units that changed files may reach.
    pub(super) fn candidates<'u>(
        &'u self,
        changed: &BTreeMap<&'u str, &PatchedFile>,
    ) -> Result<Candidates<'u>, ScopeError> {
        let files: Vec<&str> = changed.keys().copied().collect();
        if files.is_empty() {
            return Ok(Candidates { files, including: 0, narrowed: Vec::new() });
        }
        let including = self.graph.reached_from(changed.keys().copied());
        let is_unit = |file: &&str| file.ends_with(".c") && !self.units.owners(file).is_empty();
        let candidates: Vec<&str> = including.iter().copied().filter(is_unit).collect();
        let looking = step(format!("look for what {} reaches", files.join(", ")));
        let narrowed = match self.narrow(changed, &candidates)? {
            Narrowed::To(units) => units,
            Narrowed::NotAtAll => candidates.clone(),
        };
        looking.done(format!("{} of {} units may be", narrowed.len(), candidates.len()));
        Ok(Candidates { files, including: candidates.len(), narrowed })
    }

    fn narrow<'u>(
        &self,
        files: &BTreeMap<&str, &PatchedFile>,
        candidates: &[&'u str],
    ) -> Result<Narrowed<'u>, ScopeError> {
        let mut names = Names::new();
        for file in files.values() {
            match changed(file.old.as_deref().unwrap_or_default(), &file.new) {
                Reach::Names(more) => names.extend(more),
                Reach::Everything => return Ok(Narrowed::NotAtAll),
            }
        }
        let mut opaque: BTreeSet<&str> = BTreeSet::new();
        let mut headers = self.graph.headers();
        loop {
            if names.len() > MOST_NAMES {
                return Ok(Narrowed::NotAtAll);
            }
            let wanted = Wanted::new(&names, &self.graph.pieces);
            let finder = AhoCorasick::new(wanted.signs());
            let finder = finder.map_err(|error| io(self.work)(std::io::Error::other(error)))?;
            let hand = |header: &str| -> Result<Option<Reach>, ScopeError> {
                let text = self.text(header)?;
                // Taking a text apart takes a hundred times as long as looking for a name in it.
                Ok(finder.is_match(&text).then(|| handed_on(&text, &wanted)))
            };
            let handed: Result<Vec<Option<Reach>>, ScopeError> =
                headers.par_iter().map(|header| hand(header)).collect();
            let before = names.len();
            let handed = headers.iter().zip(handed?).filter_map(|(header, reach)| Some((*header, reach?)));
            for (header, reach) in handed {
                match reach {
                    Reach::Names(more) => names.extend(more),
                    Reach::Everything => {
                        opaque.insert(header);
                    }
                }
            }
            headers.retain(|header| !opaque.contains(header));
            if names.len() == before {
                break;
            }
        }
        let wanted = Wanted::new(&names, &self.graph.pieces);
        let through_opaque = self.graph.reached_from(opaque.into_iter());
        let is_reached = |unit: &&&str| -> Result<bool, ScopeError> {
            if through_opaque.contains(**unit) {
                return Ok(true);
            }
            // A unit's own text is its file and whatever C files that includes.
            Ok(wanted.is_in(&self.text(unit)?))
        };
        let flags: Result<Vec<bool>, ScopeError> =
            candidates.par_iter().map(|unit| is_reached(&unit)).collect();
        let kept = candidates.iter().zip(flags?).filter(|(_, is_reached)| *is_reached);
        Ok(Narrowed::To(kept.map(|(unit, _)| *unit).collect()))
    }

    /// The text as it was and, where it is patched, as it becomes.
    fn text(&self, file: &str) -> Result<Vec<u8>, ScopeError> {
        let read = |path: &Path| match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(io(path)),
        };
        let mut text = read(&self.kernel.source().join(file))?;
        if self.overlay.files().contains(file) {
            text.push(b'\n');
            text.extend(read(&self.overlay.path(file))?);
        }
        Ok(text)
    }

    /// The units whose relevant text changes.
    pub(super) fn compare(&self, units: &[&str]) -> Result<Vec<String>, ScopeError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let tree = self.kernel.source();
        let objects: Vec<String> = units.iter().map(|unit| self.units.object_of(unit, &tree)).collect();
        let bar = progress("preprocess what includes the changed files", units.len());
        let commands = commands_of(self.kernel, self.units, &objects, self.log)?;
        let cache = Objects::of(self.kernel);
        let folder = self.work.join("preprocessed");
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        let differs = |(index, (unit, command)): (usize, (&&str, _))| -> Result<Option<String>, ScopeError> {
            let job = |overlay| Job { overlay, ..Job::of_original(command, unit, &[]) };
            let scratch = |side: &str| folder.join(format!("{index}.{side}"));
            let original = with_generated(self.kernel, &objects[index], self.log, || {
                cache.relevant(&job(None), &scratch("original"))
            })?;
            let of_patched = || cache.relevant(&job(Some(self.overlay)), &scratch("patched"));
            let again = |_| anew(self.kernel, self.overlay, &objects[index], self.log, of_patched);
            let patched = of_patched().or_else(again)?;
            bar.advance();
            Ok((original != patched).then(|| (*unit).to_owned()))
        };
        let pairs: Vec<_> = units.iter().zip(&commands).enumerate().collect();
        let found: Result<Vec<Option<String>>, ScopeError> = pairs.into_par_iter().map(differs).collect();
        let found: Vec<String> = found?.into_iter().flatten().collect();
        bar.done(format!("{} of {} units change", found.len(), units.len()));
        Ok(found)
    }
}
