//! Which translation units a patch touches, and their patched text, beside the tree.
//!
//! The pristine tree is never written. Each patched file gets `#line` directives where its lines move, so that code
//! below an edit keeps its line numbers: otherwise every warning below would look changed.

use crate::run::{self, RunError};
use similar::{ChangeTag, TextDiff};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Why a patch cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// It names no file.
    #[error("{} is no unified diff: no line starts with +++", .0.display())]
    NoFiles(PathBuf),
    /// It touches something that cannot be livepatched.
    #[error(transparent)]
    File(#[from] FileRefusal),
    /// It does not apply.
    #[error("the patch does not apply to this kernel's source")]
    Apply(#[source] RunError),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A file that rules a patch out: it is no C file, or not in the tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the patch touches {file}: {reason}")]
pub struct FileRefusal {
    /// Stable code of the refusal.
    pub code: &'static str,
    /// Path in the patch.
    pub file: String,
    /// Why that does not do.
    pub reason: &'static str,
}

/// A touched translation unit.
#[derive(Clone, Debug)]
pub struct Touched {
    /// Source path within the tree.
    pub source: String,
    /// Object path within the tree.
    pub object: String,
    /// The patched text on the overlay.
    pub patched: PathBuf,
}

/// Applies patches, one after the other, to copies of the files that they name, below `overlay`.
///
/// # Errors
/// [`ScopeError`] when one does not apply or touches what this builder cannot handle yet.
pub fn apply(
    source: &Path,
    patches: &[PathBuf],
    overlay: &Path,
    log: &Path,
) -> Result<Vec<Touched>, ScopeError> {
    let mut files = Vec::new();
    for patch in patches {
        for file in apply_one(source, patch, overlay, log)? {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    files.into_iter().map(|file| touched(source, overlay, file)).collect()
}

/// Answers the files that the patch names.
fn apply_one(source: &Path, patch: &Path, overlay: &Path, log: &Path) -> Result<Vec<String>, ScopeError> {
    let text = std::fs::read(patch).map_err(io_error(patch))?;
    let files = files_of(&String::from_utf8_lossy(&text));
    if files.is_empty() {
        return Err(ScopeError::NoFiles(patch.to_owned()));
    }
    for file in &files {
        check_file(source, file)?;
        let target = overlay.join(file);
        // An earlier patch has changed it already.
        if target.exists() {
            continue;
        }
        std::fs::create_dir_all(target.parent().unwrap_or(overlay)).map_err(io_error(&target))?;
        std::fs::copy(source.join(file), &target).map_err(io_error(&target))?;
    }
    let mut command = Command::new("patch");
    command.args(["-p1", "--fuzz=0", "--no-backup-if-mismatch", "--force", "-d"]).arg(overlay).arg("-i");
    command.arg(std::path::absolute(patch).map_err(io_error(patch))?);
    run::logged(&mut command, log).map_err(ScopeError::Apply)?;
    Ok(files)
}

/// Gives the patched text the line numbers of the original.
fn touched(source: &Path, overlay: &Path, file: String) -> Result<Touched, ScopeError> {
    let patched = overlay.join(&file);
    let old = std::fs::read(source.join(&file)).map_err(io_error(&source.join(&file)))?;
    let new = std::fs::read(&patched).map_err(io_error(&patched))?;
    let kept = keep_lines(&String::from_utf8_lossy(&old), &String::from_utf8_lossy(&new));
    std::fs::write(&patched, kept).map_err(io_error(&patched))?;
    let object = format!("{}o", file.strip_suffix('c').unwrap_or(&file));
    Ok(Touched { source: file, object, patched })
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> ScopeError + use<> {
    let path = path.to_owned();
    move |source| ScopeError::Io { path, source }
}

/// The files that a unified diff names, without their first path component, each once.
fn files_of(text: &str) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    let mut old = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("--- ") {
            old = rest;
        }
        let Some(new) = line.strip_prefix("+++ ") else { continue };
        // A removed file is named by its old side only.
        let name = if new.starts_with("/dev/null") { old } else { new };
        let name = name.split('\t').next().unwrap_or_default().trim();
        let name = name.split_once('/').map_or(name, |(_, rest)| rest).to_owned();
        if !files.contains(&name) {
            files.push(name);
        }
    }
    files
}

fn check_file(source: &Path, file: &str) -> Result<(), FileRefusal> {
    let refuse = |code, reason| Err(FileRefusal { code, file: file.to_owned(), reason });
    let path = Path::new(file);
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return refuse("bad-path", "the path leads out of the tree");
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("c") if source.join(file).is_file() => Ok(()),
        Some("c") => {
            refuse("no-such-file", "this kernel's source has no such file; new files are not supported yet")
        }
        Some("h") => refuse("header-patch", "patches to headers are not supported yet"),
        Some("S") => refuse("assembly-patch", "assembly cannot be livepatched"),
        _ => refuse("not-code", "only C files can be livepatched; leave documentation and build files out"),
    }
}

/// The patched text with `#line` directives such that unchanged lines keep the number that they had.
fn keep_lines(old: &str, new: &str) -> String {
    let mut text = String::with_capacity(new.len() + 256);
    let mut scanner = Scanner::default();
    let (mut old_line, mut new_line) = (0usize, 0usize);
    let mut shift = 0isize;
    for change in TextDiff::from_lines(old, new).iter_all_changes() {
        let line = change.value();
        match change.tag() {
            ChangeTag::Delete => {
                old_line += 1;
                continue;
            }
            ChangeTag::Insert => new_line += 1,
            ChangeTag::Equal => {
                old_line += 1;
                new_line += 1;
                let wanted = old_line as isize - new_line as isize;
                if wanted != shift && scanner.at_line_of_code() {
                    text.push_str(&format!("#line {old_line}\n"));
                    shift = wanted;
                }
            }
        }
        scanner.read(line);
        text.push_str(line);
    }
    text
}

/// Follows comments and continued lines, so that no directive lands inside one.
#[derive(Default)]
struct Scanner {
    in_comment: bool,
    continued: bool,
}

impl Scanner {
    fn at_line_of_code(&self) -> bool {
        !self.in_comment && !self.continued
    }

    fn read(&mut self, line: &str) {
        let bytes = line.as_bytes();
        let mut at = 0;
        let mut quote = None;
        while at < bytes.len() {
            let pair = (bytes[at], bytes.get(at + 1).copied().unwrap_or(0));
            match (self.in_comment, quote, pair) {
                (true, _, (b'*', b'/')) => {
                    self.in_comment = false;
                    at += 1;
                }
                (true, _, _) => {}
                (false, Some(_), (b'\\', _)) => at += 1,
                (false, Some(open), (byte, _)) if byte == open => quote = None,
                (false, Some(_), _) => {}
                (false, None, (b'/', b'*')) => {
                    self.in_comment = true;
                    at += 1;
                }
                (false, None, (b'/', b'/')) => break,
                (false, None, (b'"' | b'\'', _)) => quote = Some(bytes[at]),
                _ => {}
            }
            at += 1;
        }
        self.continued = line.trim_end_matches(['\n', '\r']).ends_with('\\');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_lines_keep_their_numbers() {
        let old = "a\nb\nc\nd\n";
        assert_eq!(keep_lines(old, "a\nx\nb\nc\nd\n"), "a\nx\n#line 2\nb\nc\nd\n");
        assert_eq!(keep_lines(old, "a\nd\n"), "a\n#line 4\nd\n");
        assert_eq!(keep_lines(old, "a\nB\nc\nd\n"), "a\nB\nc\nd\n");
    }

    #[test]
    fn no_directive_in_comment_or_continued_line() {
        let old = "/* a\n b */\nc\n";
        assert_eq!(keep_lines(old, "/* new\n a\n b */\nc\n"), "/* new\n a\n b */\n#line 3\nc\n");
        let old = "#define M \\\n 1\nc\n";
        assert_eq!(
            keep_lines(old, "#define M \\\n 0 + \\\n 1\nc\n"),
            "#define M \\\n 0 + \\\n 1\n#line 3\nc\n"
        );
    }

    #[test]
    fn files_lose_their_first_component() {
        let diff = "--- a/fs/x.c\t2026\n+++ b/fs/x.c\n@@\n--- a/gone.c\n+++ /dev/null\n";
        assert_eq!(files_of(diff), ["fs/x.c", "gone.c"]);
    }

    #[test]
    fn paths_out_of_the_tree_are_refused() {
        for file in ["../etc/x.c", "/etc/x.c", "a/../../x.c"] {
            assert!(matches!(check_file(Path::new("/"), file), Err(FileRefusal { code: "bad-path", .. })));
        }
    }
}
