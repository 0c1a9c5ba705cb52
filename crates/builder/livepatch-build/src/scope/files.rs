//! Puts patches on the texts of the files that they name.

use super::error::{FileRefusal, Misfit, ScopeError, io};
use super::makefile::{self, AddedObject};
use livepatch_source::{FilePatch, HunkFailure, Series, apply as apply_hunks};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What patches make of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patched {
    /// The files that change and may be compiled, by path within the tree.
    pub files: BTreeMap<String, PatchedFile>,
    /// What is left out, and hunks that moved.
    pub notes: Vec<String>,
    /// Objects that Makefiles get.
    pub added_objects: Vec<AddedObject>,
}

/// A file before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchedFile {
    /// Text before; `None` for a new file.
    pub old: Option<Vec<u8>>,
    /// Text after.
    pub new: Vec<u8>,
}

/// What a file is to a kernel that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// C, or included in C.
    Code,
    /// `Makefile`, `Kbuild`.
    Makefile,
    /// Not compiled into any kernel.
    Beside,
}

/// Folders that hold nothing of a kernel.
const BESIDE: [&str; 6] = ["Documentation/", "tools/", "samples/", "LICENSES/", "debian/", ".github/"];
/// Files by themselves that hold nothing of a kernel.
const BESIDE_FILES: [&str; 6] = ["MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap", ".gitignore"];
/// Texts that C files include.
const CODE: [&str; 6] = ["c", "h", "inc", "def", "tbl", "ch"];

/// Applies patches, one after the other, to the texts of a tree. Nothing is written: when one does not apply nothing
/// has happened.
///
/// # Errors
/// [`ScopeError`] when one does not apply or touches what cannot be livepatched.
pub fn apply(source: &Path, patches: &[PathBuf]) -> Result<Patched, ScopeError> {
    let mut work =
        Work { source, patched: Patched::default(), makefiles: BTreeMap::new(), misfits: Vec::new() };
    for path in patches {
        let text = std::fs::read(path).map_err(io(path))?;
        let series =
            Series::parse(&text).map_err(|source| ScopeError::Patch { path: path.clone(), source })?;
        for file in &series.files {
            work.apply_file(path, file)?;
        }
    }
    work.finish()
}

struct Work<'a> {
    source: &'a Path,
    patched: Patched,
    makefiles: BTreeMap<String, PatchedFile>,
    misfits: Vec<Misfit>,
}

impl Work<'_> {
    fn apply_file(&mut self, patch: &Path, file: &FilePatch) -> Result<(), ScopeError> {
        let (old, new) = self.names(file);
        let Some(name) = new.clone().or(old.clone()) else { return Ok(()) };
        check_path(&name)?;
        let kind = kind_of(&name)?;
        if kind == Kind::Beside {
            self.note(format!("{name} is not compiled into the kernel and is left out"));
            return Ok(());
        }
        match (&old, &new) {
            (Some(_), None) => {
                return Err(refusal(
                    "file-removed",
                    &name,
                    "a livepatch cannot take a file's functions away",
                ));
            }
            (Some(old), Some(new)) if old != new => {
                return Err(refusal(
                    "file-renamed",
                    old,
                    "the running kernel knows its functions by the old file",
                ));
            }
            _ => {}
        }
        let before = match (&old, self.current(&name)?) {
            (Some(_), None) => {
                return Err(refusal("no-such-file", &name, "this kernel's source has no such file"));
            }
            (_, before) => before,
        };
        if file.hunks.is_empty() {
            if file.mode_changes {
                self.note(format!("{name} only gets another mode, which means nothing to a kernel"));
            }
            return Ok(());
        }
        match apply_hunks(before.as_deref().unwrap_or_default(), file) {
            Ok(applied) => {
                for (number, lines) in &applied.moved {
                    self.note(format!(
                        "hunk {number} of {name} applies {lines:+} lines from where the patch has it"
                    ));
                }
                self.set(&name, kind, applied.text)
            }
            Err(failure) => {
                self.misfit(patch, &name, failure);
                Ok(())
            }
        }
    }

    /// The paths before and after, without their first component unless only with it they are in the tree (`-p0`).
    fn names(&self, file: &FilePatch) -> (Option<String>, Option<String>) {
        let is_known = |name: &Option<String>| {
            name.as_deref().is_some_and(|name| check_path(name).is_ok() && self.source.join(name).is_file())
        };
        let (old, new) = (&file.old, &file.new);
        let (full_old, full_new) = &file.unstripped;
        let is_full = !is_known(old) && !is_known(new) && (is_known(full_old) || is_known(full_new));
        if is_full { (full_old.clone(), full_new.clone()) } else { (old.clone(), new.clone()) }
    }

    /// The text as the patches before have left it.
    fn current(&self, name: &str) -> Result<Option<Vec<u8>>, ScopeError> {
        if let Some(file) = self.patched.files.get(name).or_else(|| self.makefiles.get(name)) {
            return Ok(Some(file.new.clone()));
        }
        let path = self.source.join(name);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(&path)(error)),
            Ok(text) => Ok(Some(text)),
        }
    }

    fn set(&mut self, name: &str, kind: Kind, text: Vec<u8>) -> Result<(), ScopeError> {
        let files = if kind == Kind::Makefile { &mut self.makefiles } else { &mut self.patched.files };
        if let Some(file) = files.get_mut(name) {
            file.new = text;
            return Ok(());
        }
        let path = self.source.join(name);
        let old = if path.is_file() { Some(std::fs::read(&path).map_err(io(&path))?) } else { None };
        files.insert(name.to_owned(), PatchedFile { old, new: text });
        Ok(())
    }

    fn note(&mut self, note: String) {
        if !self.patched.notes.contains(&note) {
            self.patched.notes.push(note);
        }
    }

    fn misfit(&mut self, patch: &Path, file: &str, failure: HunkFailure) {
        self.misfits.push(Misfit { patch: patch.to_owned(), file: file.to_owned(), failure });
    }

    fn finish(mut self) -> Result<Patched, ScopeError> {
        if !self.misfits.is_empty() {
            return Err(ScopeError::Apply(self.misfits));
        }
        // Patches may undo one another.
        self.patched.files.retain(|_, file| file.old.as_ref() != Some(&file.new));
        for (name, file) in &self.makefiles {
            let added = makefile::added_objects(name, file.old.as_deref().unwrap_or_default(), &file.new);
            let Some(added) = added else {
                let reason =
                    "it changes how the kernel is built otherwise than by adding an object to a list";
                return Err(refusal("build-file", name, reason));
            };
            for object in &added {
                self.patched.notes.push(format!("{name} adds {} to {}", object.object, object.list));
            }
            self.patched.added_objects.extend(added);
        }
        Ok(self.patched)
    }
}

fn refusal(code: &'static str, file: &str, reason: &str) -> ScopeError {
    FileRefusal::new(code, file, reason).into()
}

fn check_path(name: &str) -> Result<(), FileRefusal> {
    let leads_out = Path::new(name).components().any(|part| !matches!(part, Component::Normal(_)));
    if leads_out || name.is_empty() {
        return Err(FileRefusal::new("bad-path", name, "the path leads out of the tree"));
    }
    Ok(())
}

fn kind_of(name: &str) -> Result<Kind, FileRefusal> {
    let (file, extension) =
        (name.rsplit('/').next().unwrap_or(name), name.rsplit('.').next().unwrap_or_default());
    if BESIDE.iter().any(|folder| name.starts_with(folder))
        || BESIDE_FILES.contains(&file)
        || matches!(extension, "rst" | "txt" | "yaml" | "md")
    {
        return Ok(Kind::Beside);
    }
    match extension {
        _ if matches!(file, "Makefile" | "Kbuild") => Ok(Kind::Makefile),
        _ if CODE.contains(&extension) => Ok(Kind::Code),
        "S" => Err(FileRefusal::new("assembly-patch", name, "assembly cannot be livepatched")),
        _ => Err(FileRefusal::new("not-code", name, "only C files and what they include can be livepatched")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;
