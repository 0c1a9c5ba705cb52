//! Who keeps a transition from ending: `/proc/PID/task/TID/patch_state` (fs/proc/base.c, `proc_pid_patch_state`).

use crate::Host;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::Path};

/// Longest command line that is kept: arguments can be megabytes.
const LONGEST_COMMAND: usize = 200;
/// Innermost functions that are kept of a stack.
const MOST_FRAMES: usize = 16;

/// A task that has not reached the transition's target state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockingTask {
    /// Process id.
    #[serde(default)]
    pub pid: u32,
    /// Task id: the process id, or that of one of its threads.
    pub tid: u32,
    /// `comm`.
    pub name: String,
    /// The process's command line, cut at 200 characters; absent for a kernel thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The kernel function that it sleeps in, where the kernel says so.
    pub waits_in: Option<String>,
    /// The functions of its kernel stack, innermost first, at most 16; empty where the kernel does not show them, which
    /// needs CAP_SYS_ADMIN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stack: Vec<String>,
}

impl BlockingTask {
    /// Whether it is the same task and, by what the kernel shows, has not moved since `before`.
    pub fn still_waits_as(&self, before: &Self) -> bool {
        let same_task = (self.pid, self.tid, &self.name) == (before.pid, before.tid, &before.name);
        let shown = self.waits_in.is_some() || !self.stack.is_empty();
        same_task && shown && (&self.waits_in, &self.stack) == (&before.waits_in, &before.stack)
    }
}

impl fmt::Display for BlockingTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}", self.name, self.pid)?;
        if self.tid != self.pid {
            write!(f, ", task {}", self.tid)?;
        }
        f.write_str(")")?;
        self.command.iter().try_for_each(|command| write!(f, " `{command}`"))?;
        if self.stack.is_empty() {
            return self.waits_in.as_ref().map_or(Ok(()), |function| write!(f, " in {function}"));
        }
        let innermost: Vec<&str> = self.stack.iter().map(String::as_str).take(4).collect();
        write!(f, " in {}", innermost.join(" < "))
    }
}

/// `KLP_UNPATCHED` and `KLP_PATCHED` (include/linux/livepatch.h); -1 means that no transition runs.
const UNPATCHED: &str = "0";
const PATCHED: &str = "1";

pub(crate) fn blocking(host: &Host, patching: bool, limit: usize) -> Vec<BlockingTask> {
    let lagging = if patching { UNPATCHED } else { PATCHED };
    let mut found = Vec::new();
    for pid in numbers(&host.path("proc")) {
        for tid in numbers(&host.path(format!("proc/{pid}/task"))) {
            let directory = format!("proc/{pid}/task/{tid}");
            if host.line(format!("{directory}/patch_state")).is_ok_and(|state| state == lagging) {
                found.push(read(host, pid, tid, &directory));
            }
            if found.len() >= limit {
                return found;
            }
        }
    }
    found
}

pub(crate) fn look(host: &Host, pid: u32, tid: u32) -> Option<BlockingTask> {
    let directory = format!("proc/{pid}/task/{tid}");
    host.path(&directory).is_dir().then(|| read(host, pid, tid, &directory))
}

/// What is known of a task; it may be gone in the middle.
fn read(host: &Host, pid: u32, tid: u32, directory: &str) -> BlockingTask {
    let waits_in = host.line(format!("{directory}/wchan")).ok().filter(|function| function != "0");
    let stack = host.text(format!("{directory}/stack")).unwrap_or_default();
    BlockingTask {
        pid,
        tid,
        name: host.line(format!("{directory}/comm")).unwrap_or_else(|_| "?".into()),
        command: host.text(format!("proc/{pid}/cmdline")).ok().and_then(|text| command_of(&text)),
        waits_in,
        stack: stack.lines().filter_map(frame_of).take(MOST_FRAMES).collect(),
    }
}

/// Arguments end with a zero byte each. Control characters stay out of the messages that this goes into.
fn command_of(text: &str) -> Option<String> {
    let words: String = text.trim_end_matches('\0').chars().take(LONGEST_COMMAND).collect();
    let words: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    (!words.trim().is_empty()).then(|| words.trim().to_owned())
}

/// `[<0>] FUNCTION+0xOFFSET/0xSIZE [MODULE]` is a line of `/proc/PID/stack`.
fn frame_of(line: &str) -> Option<String> {
    let place = line.split_once(']')?.1.split_ascii_whitespace().next()?;
    let function = place.split_once('+').map_or(place, |(name, _)| name);
    (!function.is_empty()).then(|| function.to_owned())
}

fn numbers(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_with_what_it_does() {
        let stack = "[<0>] fifo_open+0x210/0x330\n[<0>] do_dentry_open+0x1e0/0x3f0\n[<0>] x [ext4]\n";
        let task = BlockingTask {
            pid: 99,
            tid: 99,
            name: "cat".into(),
            command: command_of("cat\0/fi\x1bfo\0"),
            waits_in: None,
            stack: stack.lines().filter_map(frame_of).collect(),
        };
        assert_eq!(task.to_string(), "cat (pid 99) `cat /fi fo` in fifo_open < do_dentry_open < x");
        let thread = BlockingTask { tid: 100, stack: vec![], waits_in: Some("poll".into()), ..task };
        assert_eq!(thread.to_string(), "cat (pid 99, task 100) `cat /fi fo` in poll");
    }

    #[test]
    fn a_kernel_thread_has_no_command_and_a_long_one_is_cut() {
        assert_eq!(command_of(""), None);
        assert_eq!(command_of(&"x".repeat(5000)).map(|command| command.len()), Some(LONGEST_COMMAND));
    }
}
