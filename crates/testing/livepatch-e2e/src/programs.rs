//! Finds the programs that cargo built, and runs them.

use anyhow::{Context as _, Result, bail};
use std::{
    collections::VecDeque,
    env,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How much of a failed command's words its error repeats; the log has them all.
const LAST_LINES: usize = 8;
const NAMES: [&str; 5] =
    ["livepatch-build", "livepatch-server", "livepatch-admin", "livepatchd", "livepatch"];

/// The directory with the programs of this workspace, as `cargo build --workspace --bins` leaves them.
#[derive(Clone, Debug)]
pub struct Programs {
    directory: PathBuf,
}

/// The workspace's root directory.
pub fn workspace_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")); // crates/testing/livepatch-e2e
    own.ancestors().nth(3).unwrap_or(own).to_owned()
}

impl Programs {
    /// The programs of the dev profile.
    ///
    /// # Errors
    /// When one of them is missing; the message says how to build them.
    pub fn find() -> Result<Self> {
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from);
        let this = Self { directory: target.join("debug") };
        for name in NAMES {
            if !this.path(name).is_file() {
                bail!("{} is not built: run 'cargo build --workspace --bins'", this.path(name).display());
            }
        }
        Ok(this)
    }

    /// Where a program is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A command that runs it.
    pub fn command(&self, name: &str) -> Command {
        Command::new(self.path(name))
    }
}

/// Runs a command to its end and gives its standard output. Both outputs go to `log`, and each line of its standard error
/// to `hear`.
///
/// # Errors
/// When it does not start or ends with another status than 0; the message holds the last lines and the log's path.
pub fn run_logged(command: &mut Command, log: &Path, hear: &dyn Fn(&str)) -> Result<String> {
    let shown = format!("{command:?}").replace('"', "");
    let mut file =
        File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
    writeln!(file, "$ {shown}")?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {shown}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || stdout.map(std::io::read_to_string).transpose());
    let mut last = VecDeque::new();
    for line in stderr.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
        let line = line?;
        writeln!(file, "{line}")?;
        hear(&line);
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    let output = reader.join().ok().context("reading its output failed")??.unwrap_or_default();
    file.write_all(output.as_bytes())?;
    let status = child.wait()?;
    if !status.success() {
        // Some programs give their reasons on standard output.
        last.extend(
            output.lines().rev().take(LAST_LINES).collect::<Vec<_>>().into_iter().rev().map(str::to_owned),
        );
        bail!("{shown}\nended with {status}:\n{}\nlog: {}", Vec::from(last).join("\n"), log.display());
    }
    Ok(output)
}
