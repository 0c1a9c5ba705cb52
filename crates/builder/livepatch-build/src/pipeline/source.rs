//! Livepatch sources: C files that are no patch of the kernel's, but whole translation units of the livepatch.
//!
//! Such a file is compiled with the command of a unit of the kernel, in whose place it stands: it may refer to that
//! unit's own variables and functions (declared `extern`), replace functions of it (`LIVEPATCH_REPLACE`), and give the
//! unit's object callbacks. Without a unit it belongs to vmlinux. From there on it takes the road of patched units.

use super::compare::Parts;
use super::compile::Compiled;
use super::{Build, BuildError, file_error, notices};
use crate::scope::Touched;
use livepatch_diff::names::source_name;
use livepatch_diff::{Difference, Refusal};
use livepatch_judge::{DebugInfo, DebugSections};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The unit of a source that names none: modules_prepare compiles it for every kernel, and nothing is in it.
const EMPTY_UNIT: &str = "scripts/mod/empty.c";

/// A livepatch source, as `FILE.c` or `FILE.c=UNIT.c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Source path of the kernel's unit in whose place it stands; `None` for vmlinux at large.
    pub unit: Option<String>,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, unit) = match text.split_once('=') {
            Some((file, unit)) => (file, Some(unit.to_owned())),
            None => (text, None),
        };
        let is_c = |name: &str| name.ends_with(".c") && name.len() > 2;
        let inside =
            |unit: &String| is_c(unit) && !unit.starts_with('/') && !unit.split('/').any(|part| part == "..");
        if !is_c(file) || !unit.as_ref().is_none_or(inside) {
            return Err("FILE.c or FILE.c=UNIT.c expected, such as mend.c=drivers/block/loop.c".into());
        }
        Ok(Self { file: file.into(), unit })
    }
}

impl Compiled {
    /// Whether it is a livepatch source.
    pub(super) fn is_source(&self) -> bool {
        self.own_source.is_some()
    }

    /// Whether the running kernel has nothing of it: a livepatch source that stands in no unit's place, or a file that the
    /// patch adds.
    pub(super) fn stands_alone(&self) -> bool {
        self.touched.like.is_some() || self.is_source() && self.touched.source == EMPTY_UNIT
    }

    /// Its name in reports: a livepatch source's own.
    pub(super) fn source_name(&self) -> String {
        self.own_source.clone().unwrap_or_else(|| self.touched.source.clone())
    }
}

impl Build<'_> {
    /// The livepatch sources: the unit in whose place each stands, and a copy of the file, so that no path of the user's
    /// gets into the module.
    pub(super) fn source_units(&self) -> Result<Vec<(Touched, PathBuf)>, BuildError> {
        let mut units = Vec::new();
        for (number, source) in self.request.sources.iter().enumerate() {
            let name = source.file.file_name().unwrap_or_default();
            let copy = self.work.join("sources").join(number.to_string()).join(name);
            let folder = copy.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(folder).map_err(file_error(folder))?;
            std::fs::copy(&source.file, &copy).map_err(file_error(&source.file))?;
            let unit = source.unit.clone().unwrap_or_else(|| EMPTY_UNIT.to_owned());
            if !self.kernel.source().join(&unit).is_file() {
                return Err(BuildError::NoSuchUnit(unit));
            }
            let object = format!("{}o", unit.strip_suffix('c').unwrap_or(&unit));
            units.push((Touched { source: unit, object, like: None }, copy));
        }
        Ok(units)
    }

    /// Takes what is against a livepatch source. The judgement compares an old text with a new one, and here is none.
    pub(super) fn take_source(
        &self,
        unit: &Compiled,
        difference: &Difference<'_>,
        parts: &mut Parts,
    ) -> Result<(), BuildError> {
        parts.refusals.extend(difference.refusals.iter().cloned());
        parts.findings.extend(difference.notices.iter().map(notices::finding));
        for (function, callers) in inlined(unit, difference)? {
            let why = format!("is inlined into {callers} too, so replace these as well");
            parts.refusals.push(Refusal::NothingToReplace { function, why });
        }
        Ok(())
    }
}

/// Replaced functions that have copies in other functions which are not replaced, with those.
fn inlined(unit: &Compiled, difference: &Difference<'_>) -> Result<Vec<(String, String)>, BuildError> {
    let path = &unit.files.0;
    let bytes = std::fs::read(path).map_err(file_error(path))?;
    let Ok(sections) = DebugSections::read(&bytes) else { return Ok(Vec::new()) };
    let Ok(info) = DebugInfo::read(&sections) else { return Ok(Vec::new()) };
    let replaced: Vec<&str> = difference
        .changed
        .iter()
        .map(|&(original, _)| source_name(&difference.original.symbols[original].name))
        .collect();
    let mut found = Vec::new();
    for name in &replaced {
        let mut callers: Vec<&str> = info
            .functions
            .iter()
            .enumerate()
            .filter(|(_, function)| function.inlined.iter().any(|call| info.name_at(call.origin) == *name))
            .map(|(index, _)| info.name_of(index))
            .filter(|caller| !replaced.contains(caller))
            .collect();
        callers.sort_unstable();
        callers.dedup();
        if !callers.is_empty() {
            found.push(((*name).to_owned(), callers.join(", ")));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_a_file_and_perhaps_a_unit() {
        let parsed = |text: &str| text.parse::<Source>().ok().map(|source| source.unit);
        assert_eq!(parsed("a/mend.c"), Some(None));
        assert_eq!(parsed("mend.c=drivers/block/loop.c"), Some(Some("drivers/block/loop.c".to_owned())));
        for wrong in ["mend", "mend.c=loop", "mend.c=../loop.c", "mend.c=/loop.c", "=loop.c", ".c"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
