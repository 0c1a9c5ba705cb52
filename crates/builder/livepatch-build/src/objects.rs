//! What the compiler made, kept for the next time: a unit's original is compiled once for each kernel.
//!
//! Below `objects/` of a kernel, two files an entry: `KEY` holds the result and `KEY.json` its digest and the files of the
//! tree that were read for it. The key is a digest of the command, further flags, the compiler's version, what is wanted,
//! and the patched files with their texts; an entry holds as long as the files of the tree are what they were. Entries are
//! written whole, the note last; a damaged one is made again.

use crate::compile::{CompileError, SavedCommand};
use crate::kernel::Kernel;
use crate::overlay::Overlay;
use crate::run::RunError;
use livepatch_manifest::Digest;
use livepatch_source::reach;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Version of the way entries are made.
const SCHEMA: &str = "1";

/// The kept results of a kernel.
#[derive(Clone, Debug)]
pub struct Objects {
    folder: PathBuf,
    source: PathBuf,
    compiler: String,
}

/// What is to be made of a unit.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The kernel's command.
    pub command: &'a SavedCommand,
    /// The unit, as a path within the tree.
    pub unit: &'a str,
    /// Further flags.
    pub flags: &'a [String],
    /// The patched files; `None` for the original.
    pub overlay: Option<&'a Overlay>,
    /// A folder of headers that is searched last: a kernel that has one of them itself goes first.
    pub include: Option<&'a Path>,
}

impl<'a> Job<'a> {
    /// The unit as it is in the tree.
    pub fn of_original(command: &'a SavedCommand, unit: &'a str, flags: &'a [String]) -> Self {
        Self { command, unit, flags, overlay: None, include: None }
    }
}

/// A way to run a command: folder, input, output, further flags, log.
type Runner = fn(&SavedCommand, &Path, &Path, &Path, &[String], &Path) -> Result<(), RunError>;

/// What is kept of an entry besides the result.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    sha256: String,
    read: Vec<Read>,
}

/// A file of the tree that was read: path, bytes, and time of its last change in seconds and nanoseconds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Read(String, u64, i64, i64);

impl Objects {
    /// Those of a kernel.
    pub fn of(kernel: &Kernel) -> Self {
        Self::at(&kernel.folder.join("objects"), &kernel.source(), &kernel.compiler_version)
    }

    /// Those in a folder, of a tree and a compiler.
    pub fn at(folder: &Path, source: &Path, compiler: &str) -> Self {
        Self { folder: folder.to_owned(), source: source.to_owned(), compiler: compiler.to_owned() }
    }

    /// Compiles a unit to `output`, or takes what was compiled before; answers the seconds that the compiler took.
    ///
    /// # Errors
    /// [`CompileError`] with the compiler's last words.
    pub fn compile(&self, job: &Job<'_>, output: &Path) -> Result<f64, CompileError> {
        let key = self.key("object", job)?;
        if let Some(bytes) = self.kept(&key) {
            std::fs::write(output, bytes).map_err(file_error(output))?;
            return Ok(0.0);
        }
        let start = Instant::now();
        let read = self.run(job, output, SavedCommand::compile)?;
        let seconds = start.elapsed().as_secs_f64();
        self.keep(&key, &std::fs::read(output).map_err(file_error(output))?, &own(job, read))?;
        Ok(seconds)
    }

    /// A digest of what the compiler would make something of in a unit; `scratch` is a file of the caller's for a moment.
    ///
    /// # Errors
    /// [`CompileError`] with the preprocessor's last words.
    pub fn relevant(&self, job: &Job<'_>, scratch: &Path) -> Result<String, CompileError> {
        let key = self.key("relevant", job)?;
        if let Some(bytes) = self.kept(&key) {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        let read = self.run(job, scratch, SavedCommand::preprocess)?;
        let text = std::fs::read(scratch).map_err(file_error(scratch))?;
        std::fs::remove_file(scratch).map_err(file_error(scratch))?;
        let digest = Digest::of(&reach::relevant(&text)).to_string();
        self.keep(&key, digest.as_bytes(), &own(job, read))?;
        Ok(digest)
    }

    /// Preprocesses a unit to `output`, without line marks.
    ///
    /// # Errors
    /// [`CompileError`] with the preprocessor's last words.
    pub fn preprocess(&self, job: &Job<'_>, output: &Path) -> Result<(), CompileError> {
        self.run(job, output, SavedCommand::preprocess).map(drop)
    }

    /// Runs the compiler in the tree, or in the mirror with the patched files; answers what it read.
    fn run(&self, job: &Job<'_>, output: &Path, how: Runner) -> Result<Vec<String>, CompileError> {
        let (list, log) = (output.with_extension("d"), output.with_extension("log"));
        let compiler = |tree: &Path| -> Result<Vec<String>, CompileError> {
            let mut flags = job.flags.to_vec();
            flags.extend(["-MD".to_owned(), "-MF".to_owned(), list.display().to_string()]);
            if let Some(include) = job.include {
                flags.extend(["-idirafter".to_owned(), include.display().to_string()]);
            }
            // Debug information names the folder of the compilation, which is another each time.
            flags.push(format!("-fdebug-prefix-map={}=.", tree.display()));
            how(job.command, tree, Path::new(job.unit), output, &flags, &log)?;
            let text = std::fs::read_to_string(&list).map_err(file_error(&list))?;
            Ok(dependencies(&text))
        };
        let read = match job.overlay {
            None => compiler(&self.source)?,
            Some(overlay) => overlay.compile(compiler)?,
        };
        std::fs::remove_file(&list).map_err(file_error(&list))?;
        Ok(read)
    }

    fn key(&self, kind: &str, job: &Job<'_>) -> Result<String, RunError> {
        let mut text = Vec::new();
        for path in job.include.map(headers_in).transpose()?.into_iter().flatten() {
            text.extend(std::fs::read(&path).map_err(file_error(&path))?);
        }
        let overlay = job.overlay.map_or("", Overlay::digest);
        let parts = [SCHEMA, kind, &self.compiler, job.command.text(), job.unit, overlay];
        for part in parts.into_iter().chain(job.flags.iter().map(String::as_str)) {
            text.extend((part.len() as u64).to_le_bytes());
            text.extend(part.as_bytes());
        }
        Ok(Digest::of(&text).to_string())
    }

    fn kept(&self, key: &str) -> Option<Vec<u8>> {
        let note: Note = serde_json::from_slice(&std::fs::read(self.note_path(key)).ok()?).ok()?;
        let bytes = std::fs::read(self.folder.join(key)).ok()?;
        let holds = Digest::of(&bytes).to_string() == note.sha256
            && note.read.iter().all(|read| self.stamp(&read.0).as_ref() == Some(read));
        holds.then_some(bytes)
    }

    fn keep(&self, key: &str, bytes: &[u8], read: &[String]) -> Result<(), CompileError> {
        let error = file_error(&self.folder);
        let read = read.iter().filter_map(|path| self.stamp(path)).collect();
        let note = Note { sha256: Digest::of(bytes).to_string(), read };
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&self.folder)?;
            write_whole(&self.folder, &self.folder.join(key), bytes)?;
            write_whole(&self.folder, &self.note_path(key), &serde_json::to_vec(&note)?)
        };
        Ok(write().map_err(error)?)
    }

    fn note_path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }

    /// What a file of the tree is now; `None` for one that the tree does not have, which is then a patched one.
    fn stamp(&self, path: &str) -> Option<Read> {
        let metadata = std::fs::metadata(self.source.join(path)).ok()?;
        Some(Read(path.to_owned(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    }
}

/// The files in a list that the compiler made for make (gcc, `-MD`), as it named them.
pub fn dependencies(text: &str) -> Vec<String> {
    let text = text.split_once(": ").map_or(text, |(_, files)| files).replace("\\\n", " ");
    // A blank within a name is escaped; the kernel's tree has none.
    text.split_whitespace().map(str::to_owned).collect()
}

/// What is not of the tree is in the key already.
fn own(job: &Job<'_>, mut read: Vec<String>) -> Vec<String> {
    if let Some(include) = job.include {
        read.retain(|path| !Path::new(path).starts_with(include));
    }
    read
}

/// The files below a folder, in order.
fn headers_in(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(file_error(&folder))? {
            let path = entry.map_err(file_error(&folder))?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> RunError + use<> {
    let path = path.to_owned();
    move |source| RunError::File { path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;
