//! Who keeps a transition from ending: `/proc/PID/task/TID/patch_state` (fs/proc/base.c, `proc_pid_patch_state`).

use crate::Host;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::Path};

/// A task that has not reached the transition's target state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockingTask {
    /// Task id.
    pub tid: u32,
    /// `comm`.
    pub name: String,
    /// The kernel function that it sleeps in, where the kernel says so.
    pub waits_in: Option<String>,
}

impl fmt::Display for BlockingTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.tid)?;
        self.waits_in.as_ref().map_or(Ok(()), |function| write!(f, " in {function}"))
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
                let name = host.line(format!("{directory}/comm")).unwrap_or_else(|_| "?".into());
                let waits_in =
                    host.line(format!("{directory}/wchan")).ok().filter(|function| function != "0");
                found.push(BlockingTask { tid, name, waits_in });
            }
            if found.len() >= limit {
                return found;
            }
        }
    }
    found
}

fn numbers(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
