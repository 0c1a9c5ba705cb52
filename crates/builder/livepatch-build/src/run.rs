//! Running other programs: one place, so that failures always say what ran and where its output is.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that could not be run or that failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error("cannot run {program}: is it installed?")]
    Start {
        /// Program name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("{program} failed ({status}):\n{words}\nthe whole is in {}", log.display())]
    Failed {
        /// Program name.
        program: String,
        /// Exit status.
        status: std::process::ExitStatus,
        /// The lines of its output that tell errors; the last lines when none does.
        words: String,
        /// Where all of it is.
        log: PathBuf,
    },
    /// It ended for want of space.
    #[error("the disk is full: {program} could not write; free some space, then start again ({})", log.display())]
    DiskFull {
        /// Program name.
        program: String,
        /// Where its output is.
        log: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Lines of output that an error repeats.
const LINES: usize = 15;

/// Words of lines that tell an error: the compiler's, the linker's, objtool's and modpost's, and make's own. When make runs
/// several commands at once, the last lines may be those of another one.
const TELLING: [&str; 7] =
    ["error:", "ERROR:", "fatal:", "undefined reference", "*** ", "Killed", "internal compiler error"];

/// What programs say when the disk is full (strerror of `ENOSPC`).
const NO_SPACE: &str = "No space left on device";

/// Runs a program to its end, appending its output to a log file.
///
/// # Errors
/// [`RunError`] when it cannot be started or ends with an error.
pub fn logged(command: &mut Command, log: &Path) -> Result<(), RunError> {
    let file_error = |source| RunError::File { path: log.to_owned(), source };
    let mut file = File::options().create(true).append(true).open(log).map_err(file_error)?;
    writeln!(file, "$ {command:?}").map_err(file_error)?;
    let start = file.metadata().map_err(file_error)?.len();
    // Its words are read below: they must not be in the user's language.
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    command.stdout(file.try_clone().map_err(file_error)?);
    command.stderr(file);
    let status = command.status().map_err(|source| RunError::Start { program: name(command), source })?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read(log).map_err(file_error)?;
    let output = String::from_utf8_lossy(text.get(usize::try_from(start).unwrap_or(0)..).unwrap_or_default())
        .into_owned();
    let (program, log) = (name(command), log.to_owned());
    if output.contains(NO_SPACE) {
        return Err(RunError::DiskFull { program, log });
    }
    Err(RunError::Failed { program, status, words: telling(&output), log })
}

/// The first lines that tell errors, since later ones often follow from them; the last lines when none does.
fn telling(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let errors: Vec<&str> =
        lines.iter().filter(|line| TELLING.iter().any(|word| line.contains(word))).copied().collect();
    if errors.is_empty() {
        return lines[lines.len().saturating_sub(LINES)..].join("\n");
    }
    errors[..errors.len().min(LINES)].join("\n")
}

/// Runs a program and gives its standard output; its errors go where ours go.
///
/// # Errors
/// [`RunError::Start`]; a failing program gives its status with whatever it printed.
pub fn output(command: &mut Command) -> Result<(bool, String), RunError> {
    let answer = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| RunError::Start { program: name(command), source })?;
    Ok((answer.status.success(), String::from_utf8_lossy(&answer.stdout).into_owned()))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Writes a line to a log; where that cannot be done nothing is lost but the line.
pub fn note(log: &Path, line: &str) {
    if let Ok(mut file) = File::options().create(true).append(true).open(log) {
        let _ = writeln!(file, "{line}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn fail(script: &str) -> RunError {
        let folder = tempfile::tempdir().unwrap();
        logged(Command::new("sh").args(["-c", script]), &folder.path().join("log")).unwrap_err()
    }

    #[test]
    fn an_error_in_the_midst_of_parallel_output_is_shown() {
        let script = "echo \"fs/x.c:3:5: error: 'y' undeclared\"; seq -f '  CC  fs/%g.o' 100; \
                      echo 'make[1]: *** [fs/x.o] Error 1'; seq -f '  CC  mm/%g.o' 100; exit 2";
        let text = fail(script).to_string();
        assert!(
            text.contains("fs/x.c:3:5: error: 'y' undeclared\nmake[1]: *** [fs/x.o] Error 1\n"),
            "{text}"
        );
        assert!(!text.contains("CC  mm"), "{text}");
    }

    #[test]
    fn without_telling_lines_the_end_is_shown() {
        let text = fail("seq 100; exit 1").to_string();
        assert!(text.contains("\n86\n") && text.contains("\n100\n") && !text.contains("\n85\n"), "{text}");
    }

    #[test]
    fn a_full_disk_is_called_by_its_name() {
        let error = fail("head -c 1 /dev/zero > /dev/full");
        assert!(matches!(error, RunError::DiskFull { .. }), "{error}");
    }
}
