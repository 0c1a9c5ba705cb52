//! Judges what the patch means for a kernel that runs: puts the rules of `livepatch-judge` to each unit.

use super::compare::Parts;
use super::compile::Compiled;
use super::{Build, BuildError, file_error, notices};
use livepatch_diff::{Difference, Refusal};
use livepatch_judge::{
    Case, DebugError, DebugInfo, DebugSections, Finding, FunctionWhy, Judgement, SourceFile, half_fix, judge,
    without_debug_info,
};
use std::path::{Path, PathBuf};

impl Build<'_> {
    /// The files that the patch touches, before and after.
    pub(super) fn sources(&self) -> Result<Vec<SourceFile>, BuildError> {
        let overlay = self.work.join("overlay");
        let mut sources = Vec::new();
        // Livepatch sources patch no file.
        if !overlay.exists() {
            return Ok(sources);
        }
        for path in files_below(&overlay)? {
            let Ok(relative) = path.strip_prefix(&overlay) else { continue };
            let original = read_text(&self.kernel.source().join(relative))?;
            let patched = read_text(&path)?;
            sources.push(SourceFile::new(&relative.display().to_string(), &original, &patched));
        }
        Ok(sources)
    }

    /// What is to be said of the patch as a whole.
    pub(super) fn judge_patch(&self, sources: &[SourceFile], parts: &mut Parts) {
        self.take(half_fix(sources), parts);
    }

    /// Judges one unit. What the author accepts is left out of the difference.
    pub(super) fn judge(
        &self,
        unit: &Compiled,
        sources: &[SourceFile],
        difference: &mut Difference<'_>,
        parts: &mut Parts,
    ) -> Result<Vec<FunctionWhy>, BuildError> {
        let Judgement { findings, whys } = self.judgement(unit, sources, difference)?;
        let findings = self.accepted(findings);
        let given_up = |name: &str| {
            let is_it = |finding: &Finding| finding.code == "init-code" && finding.subject == name;
            findings.iter().any(|finding| finding.accepted && is_it(finding))
        };
        if findings.iter().any(|finding| given_up(&finding.subject)) {
            difference.leave_out(given_up);
        }
        let told = |refusal: &Refusal| findings.iter().any(|finding| finding.tells(refusal));
        parts.refusals.extend(difference.refusals.iter().filter(|refusal| !told(refusal)).cloned());
        self.take(findings, parts);
        self.take(difference.notices.iter().map(notices::finding).collect(), parts);
        let changed: Vec<&str> = difference
            .changed
            .iter()
            .map(|&(index, _)| difference.original.symbols[index].name.as_str())
            .collect();
        Ok(whys.into_iter().filter(|why| changed.contains(&why.function.as_str())).collect())
    }

    fn judgement(
        &self,
        unit: &Compiled,
        sources: &[SourceFile],
        difference: &Difference<'_>,
    ) -> Result<Judgement, BuildError> {
        let source = unit.touched.source.as_str();
        let bytes = |path: &Path| std::fs::read(path).map_err(file_error(path));
        let sections = |path: &Path| Ok::<_, BuildError>(DebugSections::read(&bytes(path)?));
        let (original, patched) = rayon::join(|| sections(&unit.files.0), || sections(&unit.files.1));
        let (original, patched) = match (original?, patched?) {
            (Ok(original), Ok(patched)) => (original, patched),
            (Err(error), _) | (_, Err(error)) => return Ok(unjudged(source, &error)),
        };
        match rayon::join(|| DebugInfo::read(&original), || DebugInfo::read(&patched)) {
            (Ok(original), Ok(patched)) => {
                let case =
                    Case { source, difference, original: &original, patched: &patched, files: sources };
                Ok(judge(&case))
            }
            (Err(error), _) | (_, Err(error)) => Ok(unjudged(source, &error)),
        }
    }

    fn accepted(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        for acceptance in &self.request.accept {
            acceptance.apply(&mut findings);
        }
        findings
    }

    /// Several units may tell the same of a header: it is said once, with the greatest weight.
    pub(super) fn take(&self, findings: Vec<Finding>, parts: &mut Parts) {
        for finding in self.accepted(findings) {
            let same = parts
                .findings
                .iter_mut()
                .find(|other| (other.code, &other.subject) == (finding.code, &finding.subject));
            match same {
                Some(other) if other.severity < finding.severity => *other = finding,
                Some(_) => {}
                None => parts.findings.push(finding),
            }
        }
    }
}

fn unjudged(source: &str, error: &DebugError) -> Judgement {
    Judgement { findings: vec![without_debug_info(source, error)], whys: Vec::new() }
}

/// The text of a file; empty when there is none, as for a new file's original.
fn read_text(path: &Path) -> Result<String, BuildError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(file_error(path)(error)),
    }
}

/// C files and headers below a folder, in order.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(file_error(&folder))? {
            let entry = entry.map_err(file_error(&folder))?;
            let path = entry.path();
            if entry.file_type().map_err(file_error(&path))?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "c" || extension == "h") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
