//! A running guest: commands, console, end.

use crate::{
    Oops, VmError,
    channel::{Answer, Channel, Heard, encode},
    console,
};
use serde::Serialize;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Child,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Longer commands are refused: they must fit the guest's serial buffers, whatever its scheduler does.
const LONGEST_COMMAND: usize = 24 * 1024;
/// Bytes of a file that travel in one command.
const FILE_CHUNK: usize = 12 * 1024;
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(20);
const TAIL_LINES: usize = 15;

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It powered itself off (or rebooted, which counts as the same here).
    PoweredOff,
    /// Its kernel panicked.
    Panicked,
    /// QEMU ended with this status, or was killed (none).
    Failed(Option<i32>),
}

/// What a command in the guest gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status as the guest's shell gives it: above 128, a signal ended the command.
    pub status: i32,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, the same.
    pub stderr: String,
}

/// A booted guest. Dropping it kills its QEMU; so does the death of the thread that booted it.
pub struct Guest {
    state: Mutex<State>,
    console: PathBuf,
    artefacts: PathBuf,
    _scratch: tempfile::TempDir,
}

pub(crate) struct State {
    pub(crate) child: Child,
    pub(crate) channel: Channel,
    pub(crate) next_id: u64,
}

impl Guest {
    pub(crate) fn new(
        state: State,
        console: PathBuf,
        artefacts: PathBuf,
        scratch: tempfile::TempDir,
    ) -> Self {
        Self { state: Mutex::new(state), console, artefacts, _scratch: scratch }
    }

    /// Waits for the first program's word that it is up.
    pub(crate) fn wait_until_ready(&self, limit: Duration) -> Result<(), VmError> {
        self.listen("boot", limit, |line| (line == "ready").then_some(()))
    }

    /// Runs a command in the guest's shell (busybox) and waits for its end.
    ///
    /// A command that hangs is given up after `limit` and goes on in the guest; later commands are not blocked by it.
    /// The shell prefers its own applets to programs of the same name: name those by their absolute path.
    ///
    /// # Errors
    /// [`VmError::TimedOut`], [`VmError::Gone`] when the guest ends meanwhile, [`VmError::TooLong`].
    pub fn run(&self, command: &str, limit: Duration) -> Result<Output, VmError> {
        if command.len() > LONGEST_COMMAND {
            return Err(VmError::TooLong(command.len()));
        }
        let id = self.send(command)?;
        let mut answer = Answer::to(id);
        let (status, stdout, stderr) = self.listen(command, limit, |line| answer.take(line))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output { status, stdout: text(stdout), stderr: text(stderr) })
    }

    /// Runs a command that must succeed, and gives its standard output.
    ///
    /// # Errors
    /// [`VmError::Failed`] for another status than 0, and those of [`Guest::run`].
    pub fn check(&self, command: &str, limit: Duration) -> Result<String, VmError> {
        let Output { status, stdout, stderr } = self.run(command, limit)?;
        if status == 0 {
            return Ok(stdout);
        }
        let command = command.trim().lines().next().unwrap_or("").to_owned();
        Err(VmError::Failed { command, status, output: stdout + &stderr })
    }

    /// Starts a command in the background, in a session of its own, with both outputs in the guest's file `log`.
    ///
    /// # Errors
    /// As [`Guest::check`].
    pub fn spawn(&self, command: &str, log: &str) -> Result<(), VmError> {
        let quoted = command.replace('\'', r"'\''");
        self.check(&format!("setsid sh -c '{quoted}' > {log} 2>&1 < /dev/null &"), Duration::from_secs(30))
            .map(drop)
    }

    /// Writes a file in the guest. For large ones, [`crate::GuestBuilder::file`] is faster.
    ///
    /// # Errors
    /// As [`Guest::check`].
    pub fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), VmError> {
        let limit = Duration::from_secs(30);
        self.check(&format!("mkdir -p \"$(dirname '{path}')\" && : > '{path}'"), limit)?;
        for chunk in bytes.chunks(FILE_CHUNK) {
            self.check(&format!("echo '{}' | base64 -d >> '{path}'", encode(chunk)), limit)?;
        }
        Ok(())
    }

    /// Reads a text file of the guest.
    ///
    /// # Errors
    /// As [`Guest::check`].
    pub fn read_file(&self, path: &str) -> Result<String, VmError> {
        self.check(&format!("cat '{path}'"), Duration::from_secs(30))
    }

    /// Everything that the kernel wrote to its console so far.
    pub fn console(&self) -> String {
        fs::read(&self.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The file with the console's text.
    pub fn console_path(&self) -> &Path {
        &self.console
    }

    /// The directory with what this guest leaves behind: the console and QEMU's own messages.
    pub fn artefacts(&self) -> &Path {
        &self.artefacts
    }

    /// The first oops on the console, if there was one.
    pub fn oops(&self) -> Option<Oops> {
        console::oops(&self.console())
    }

    /// Waits until the guest ends by itself.
    ///
    /// # Errors
    /// [`VmError::TimedOut`] when it does not.
    pub fn wait_for_exit(&self, limit: Duration) -> Result<Exit, VmError> {
        let start = Instant::now();
        loop {
            if let Some(exit) = self.exit(&mut self.state()) {
                return Ok(exit);
            }
            if start.elapsed() > limit {
                return Err(self.timed_out("the guest's end", limit));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Powers the guest off, without asking its programs.
    ///
    /// # Errors
    /// [`VmError::TimedOut`] when it hangs; it is killed then all the same.
    pub fn shutdown(self) -> Result<Exit, VmError> {
        self.send("poweroff -f")?;
        self.wait_for_exit(SHUTDOWN_LIMIT)
    }

    /// Powers the guest off as its owner would: systemd stops what it started, disks are unmounted.
    ///
    /// # Errors
    /// [`VmError::TimedOut`] when it does not end in time; it is killed then all the same.
    pub fn shutdown_in_order(self, limit: Duration) -> Result<Exit, VmError> {
        // Not `systemctl poweroff`, which asks logind first, and nobody answers here.
        self.send("systemctl start --no-block poweroff.target")?;
        self.wait_for_exit(limit)
    }

    /// Ends the guest at once, as a power cut would: what it had not written is lost.
    pub fn cut_power(self) {
        drop(self);
    }

    fn send(&self, command: &str) -> Result<u64, VmError> {
        let mut state = self.state();
        state.next_id += 1;
        let line = format!("{} {}\n", state.next_id, encode(command.as_bytes()));
        state.channel.send(&line).map_err(|error| match self.exit(&mut state) {
            Some(exit) => self.gone(exit),
            None => VmError::Channel(error),
        })?;
        Ok(state.next_id)
    }

    /// Hands every line to `take` until it is satisfied.
    fn listen<T>(
        &self,
        what: &str,
        limit: Duration,
        mut take: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, VmError> {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            match state.channel.hear().map_err(VmError::Channel)? {
                Heard::Line(line) => {
                    if let Some(done) = take(&line) {
                        return Ok(done);
                    }
                }
                Heard::Closed => {
                    let exit = self.exit_soon(&mut state);
                    return Err(self.gone(exit));
                }
                Heard::Silence if start.elapsed() > limit => {
                    return Err(self.timed_out(what.trim().lines().next().unwrap_or(""), limit));
                }
                Heard::Silence => {}
            }
        }
    }

    /// The channel closes a moment before QEMU has ended.
    fn exit_soon(&self, state: &mut State) -> Exit {
        for _ in 0..100 {
            if let Some(exit) = self.exit(state) {
                return exit;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Exit::Failed(None)
    }

    /// A panic ends QEMU with status 1 through the panic device; without the device the console tells.
    fn exit(&self, state: &mut State) -> Option<Exit> {
        let status = state.child.try_wait().ok().flatten()?;
        Some(match status.code() {
            _ if console::panicked(&self.console()) => Exit::Panicked,
            Some(0) => Exit::PoweredOff,
            code => Exit::Failed(code),
        })
    }

    fn gone(&self, exit: Exit) -> VmError {
        VmError::Gone { exit, tail: self.tail(), console: self.console.clone() }
    }

    fn timed_out(&self, what: &str, limit: Duration) -> VmError {
        VmError::TimedOut { what: what.to_owned(), limit, tail: self.tail(), console: self.console.clone() }
    }

    fn tail(&self) -> String {
        console::tail(&self.console(), TAIL_LINES)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut state = self.state();
        // Both fail only when it has ended already.
        let _ = state.child.kill();
        let _ = state.child.wait();
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("artefacts", &self.artefacts).finish_non_exhaustive()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => f.write_str("powered off"),
            Self::Panicked => f.write_str("kernel panic"),
            Self::Failed(Some(code)) => write!(f, "QEMU ended with status {code}"),
            Self::Failed(None) => f.write_str("QEMU was killed"),
        }
    }
}
