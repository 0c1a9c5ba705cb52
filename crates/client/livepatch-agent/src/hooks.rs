//! Event hooks: programs in `/etc/livepatch/hooks.d` that are run, in the order of their names, when something happens to a livepatch.
//!
//! A hook gets the event in its environment (`LIVEPATCH_EVENT`, `LIVEPATCH_DETAIL`, `LIVEPATCH_AT`) and as one JSON object on its standard
//! input. It has ten seconds. Hooks are run beside the daemon's work, so none of them can hold it up; a failing one is logged
//! and that is all.

use livepatch_api::Event;
use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
/// Group and others may not write.
const FOREIGN_WRITE: u32 = 0o022;

/// Runs the hooks of a directory, on a thread of its own.
#[derive(Debug)]
pub struct Hooks {
    events: Option<Sender<Event>>,
}

impl Hooks {
    /// Hooks of this directory, which need not exist. `owner`: whom directory and programs must belong to.
    pub fn new(directory: PathBuf, owner: u32) -> Self {
        let (events, queue) = channel::<Event>();
        let run = move || queue.into_iter().for_each(|event| run_all(&directory, owner, &event));
        let started = thread::Builder::new().name("hooks".into()).spawn(run);
        if let Err(error) = &started {
            tracing::warn!(%error, "hooks are not run");
        }
        Self { events: started.is_ok().then_some(events) }
    }

    /// No hooks.
    pub fn none() -> Self {
        Self { events: None }
    }

    /// Has the hooks run for this event, soon.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(events) = &self.events {
            // Its end can only be that of the thread, which has said why.
            let _ = events.send(event.clone());
        }
    }
}

fn run_all(directory: &Path, owner: u32, event: &Event) {
    for program in programs(directory, owner) {
        let name = program.display();
        match run(&program, event) {
            Ok(true) => tracing::info!(hook = %name, kind = ?event.kind, "hook ran"),
            Ok(false) => tracing::warn!(hook = %name, kind = ?event.kind, "the hook failed or took too long"),
            Err(error) => tracing::warn!(hook = %name, %error, "the hook cannot be run"),
        }
    }
}

/// The executable files, by name. What others than the owner can write is passed over: it would run as root.
fn programs(directory: &Path, owner: u32) -> Vec<PathBuf> {
    let safe = |path: &Path| {
        fs::metadata(path).is_ok_and(|file| file.uid() == owner && file.mode() & FOREIGN_WRITE == 0)
    };
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut programs: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_program(path)).collect();
    programs.sort();
    let (programs, unsafe_ones): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|path| safe(directory) && safe(path));
    for path in unsafe_ones {
        tracing::warn!(hook = %path.display(), "not run: others can write to it, or it is not root's");
    }
    programs
}

/// Executable, and no editor's or package manager's left-over.
fn is_program(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    plain
        && !name.is_empty()
        && fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Whether it ended well and in time.
fn run(program: &Path, event: &Event) -> std::io::Result<bool> {
    let kind = serde_json::to_value(event.kind).unwrap_or_default();
    let mut child = Command::new(program)
        .env("LIVEPATCH_EVENT", kind.as_str().unwrap_or_default())
        .env("LIVEPATCH_DETAIL", &event.detail)
        .env("LIVEPATCH_AT", &event.at)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let (Some(mut input), Ok(text)) = (child.stdin.take(), serde_json::to_vec(event)) {
        // An event is smaller than a pipe's buffer; a hook that does not read it is none the worse.
        let _ = input.write_all(&text);
    }
    wait(&mut child)
}

fn wait(child: &mut Child) -> std::io::Result<bool> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use livepatch_api::EventKind;
    use rustix::process::geteuid;

    fn hook(directory: &Path, name: &str, mode: u32, text: &str) {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn hooks_run_in_order_and_hear_of_the_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let output = path.join("out.txt");
        let write = |word: &str| format!("echo {word} $LIVEPATCH_EVENT $(cat) >> {}", output.display());
        hook(path, "20-second", 0o755, &write("second"));
        hook(path, "10-first", 0o700, &format!("{}; exit 3", write("first")));
        hook(path, "30-off", 0o644, &write("off"));
        hook(path, "40-anyone", 0o777, &write("anyone"));
        hook(path, "50-left.dpkg-new", 0o755, &write("left"));
        let event = Event { at: "2026-11-24T12:00:00Z".into(), kind: EventKind::Crashed, detail: "d".into() };
        run_all(path, geteuid().as_raw(), &event);
        let said = fs::read_to_string(&output).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(
            lines[0].starts_with("first crashed {") && lines[1].starts_with("second crashed {"),
            "{said}"
        );
        assert!(lines[0].contains("\"detail\":\"d\""), "{said}");
        assert_eq!(programs(path, geteuid().as_raw() + 1), Vec::<PathBuf>::new(), "somebody else's");
        assert_eq!(programs(Path::new("/nonexistent"), 0), Vec::<PathBuf>::new());
    }
}
