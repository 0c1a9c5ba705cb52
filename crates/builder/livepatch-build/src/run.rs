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
    #[error("{program} failed ({status}); its output ends with:\n{tail}\nthe whole is in {}", log.display())]
    Failed {
        /// Program name.
        program: String,
        /// Exit status.
        status: std::process::ExitStatus,
        /// Last lines of its output.
        tail: String,
        /// Where all of it is.
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
const TAIL: usize = 15;

/// Runs a program to its end, appending its output to a log file.
///
/// # Errors
/// [`RunError`] when it cannot be started or ends with an error.
pub fn logged(command: &mut Command, log: &Path) -> Result<(), RunError> {
    let file_error = |source| RunError::File { path: log.to_owned(), source };
    let mut file = File::options().create(true).append(true).open(log).map_err(file_error)?;
    writeln!(file, "$ {command:?}").map_err(file_error)?;
    let start = file.metadata().map_err(file_error)?.len();
    command.stdin(Stdio::null());
    command.stdout(file.try_clone().map_err(file_error)?);
    command.stderr(file);
    let status = command.status().map_err(|source| RunError::Start { program: name(command), source })?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read(log).map_err(file_error)?;
    let output = String::from_utf8_lossy(text.get(usize::try_from(start).unwrap_or(0)..).unwrap_or_default())
        .into_owned();
    let lines: Vec<&str> = output.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    Err(RunError::Failed { program: name(command), status, tail, log: log.to_owned() })
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
