//! What the kernel complains of in its log, and which functions it names: oopses, BUGs, warnings, lock-ups and stalls, as
//! the x86 and arm64 kernels of the series 5.10 to 6.12 print them (arch/x86/kernel/dumpstack.c, kernel/panic.c, kernel/watchdog.c,
//! kernel/rcu/tree_stall.h, kernel/hung_task.c). Pure.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A complaint's report ends after this many lines at the latest.
const LONGEST_REPORT: usize = 200;
/// No more complaints are kept of one look: a kernel that warns in a loop says nothing new.
const MOST_INCIDENTS: usize = 32;
/// Frames that are kept of a report.
const MOST_FRAMES: usize = 64;
/// Longest headline that is kept.
const LONGEST_HEADLINE: usize = 300;

/// The kinds of complaint, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// `WARNING:`, and the kernel went on.
    Warning,
    /// A task that waits for more than two minutes.
    HungTask,
    /// Read-copy-update waits for a processor that does not get on.
    RcuStall,
    /// A processor that is stuck in the kernel.
    SoftLockup,
    /// A processor that does not even take interrupts.
    HardLockup,
    /// `BUG:` or `kernel BUG at`: an assertion that does not hold.
    Bug,
    /// A fault in kernel code; the task that ran it was killed.
    Oops,
    /// The kernel gave up.
    Panic,
}

impl IncidentKind {
    /// Whether the kernel cannot be trusted any more after it: all but warnings and waiting.
    pub fn is_severe(self) -> bool {
        self > Self::RcuStall
    }
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::HungTask => "hung task",
            Self::RcuStall => "RCU stall",
            Self::SoftLockup => "soft lockup",
            Self::HardLockup => "hard lockup",
            Self::Bug => "BUG",
            Self::Oops => "oops",
            Self::Panic => "panic",
        })
    }
}

/// A function that a report names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Its name.
    pub function: String,
    /// The module that it is in; absent: vmlinux.
    pub module: Option<String>,
    /// Whether the unwinder vouches for it; others may be left over from earlier calls.
    pub reliable: bool,
}

/// A complaint of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its kind.
    pub kind: IncidentKind,
    /// The line that names it.
    pub headline: String,
    /// Number of that line; for a log that has none, its place.
    pub sequence: u64,
    /// The functions that the report names, innermost first.
    pub frames: Vec<Frame>,
}

/// How a livepatch has to do with a complaint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// It happened in this function of the livepatch.
    In(String),
    /// It happened in something that this function of the livepatch called.
    Below(String),
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(function) => write!(f, "in its function {function}"),
            Self::Below(function) => write!(f, "in what its function {function} called"),
        }
    }
}

impl Incident {
    /// Whether a function of this livepatch module ran when it happened. The kernel names the module behind each function
    /// of one, so the functions that a livepatch replaces are not confused with those that it brings.
    pub fn blame(&self, module: &str) -> Option<Blame> {
        let own = |frame: &&Frame| frame.module.as_deref() == Some(module);
        let mut reliable = self.frames.iter().filter(|frame| frame.reliable);
        match reliable.next() {
            Some(first) if own(&first) => Some(Blame::In(first.function.clone())),
            _ => reliable.find(own).map(|frame| Blame::Below(frame.function.clone())),
        }
    }
}

/// Finds the complaints in lines of the kernel's log, each with its number, oldest first. The lines of a report that is
/// cut off are what there is.
pub fn find_incidents<'a>(lines: impl IntoIterator<Item = (u64, &'a str)>) -> Vec<Incident> {
    let mut found: Vec<Incident> = Vec::new();
    let mut open = 0;
    for (sequence, line) in lines {
        if ends_report(line) {
            open = 0;
        } else if let Some(kind) = headline(line) {
            let full = found.len() >= MOST_INCIDENTS;
            match found.last_mut().filter(|_| open > 0) {
                // "Oops: 0002" follows "BUG: unable to handle": one complaint, whose gravest word counts.
                Some(last) if continues(last.kind, kind) => last.kind = last.kind.max(kind),
                _ if full => break,
                _ => found.push(start(kind, sequence, line)),
            }
            open = LONGEST_REPORT;
        } else if open > 0 {
            open -= 1;
            if let Some(last) = found.last_mut() {
                add_frames(line, &mut last.frames);
            }
        }
    }
    found
}

fn start(kind: IncidentKind, sequence: u64, line: &str) -> Incident {
    let mut frames = Vec::new();
    add_frames(line, &mut frames);
    let headline = without_prefix(line).chars().take(LONGEST_HEADLINE).collect();
    Incident { kind, headline, sequence, frames }
}

/// The line in which a report says which of an incident's kinds it is.
fn headline(line: &str) -> Option<IncidentKind> {
    let text = without_prefix(line);
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if begins(&["Kernel panic - not syncing"]) {
        Some(IncidentKind::Panic)
    } else if has(&["Watchdog detected hard LOCKUP"]) {
        Some(IncidentKind::HardLockup)
    } else if has(&["BUG: soft lockup"]) {
        Some(IncidentKind::SoftLockup)
    } else if begins(&["rcu: INFO:", "INFO: rcu_"]) && has(&["stall"]) {
        Some(IncidentKind::RcuStall)
    } else if begins(&["INFO: task "]) && has(&["blocked for more than"]) {
        Some(IncidentKind::HungTask)
    } else if begins(&["WARNING: CPU:", "WARNING: possible", "WARNING: suspicious", "WARNING: "])
        && has(&[" at ", "possible", "suspicious", "inconsistent"])
    {
        Some(IncidentKind::Warning)
    } else if begins(&["BUG: kernel NULL pointer", "BUG: unable to handle", "Oops", "Internal error: Oops"])
        || has(&[": 0000 [#", "Unable to handle kernel"])
        || begins(&["general protection fault"])
    {
        Some(IncidentKind::Oops)
    } else if begins(&["BUG: ", "kernel BUG at ", "Internal error: BUG"]) {
        Some(IncidentKind::Bug)
    } else {
        None
    }
}

/// The second line of a report names its kind again: `kernel BUG at` and `invalid opcode: 0000 [#1]`, `BUG: unable to handle
/// page fault` and `Oops: 0002`, and a panic comes at the end of what led to it.
fn continues(before: IncidentKind, now: IncidentKind) -> bool {
    use IncidentKind::{Bug, HardLockup, Oops, Panic, SoftLockup};
    match now {
        Oops => matches!(before, Bug | Oops),
        Panic => matches!(before, Bug | Oops | SoftLockup | HardLockup),
        _ => false,
    }
}

fn ends_report(line: &str) -> bool {
    line.contains("---[ end trace") || line.contains("---[ end Kernel panic")
}

/// Adds the functions of a line: `NAME+0xOFFSET/0xSIZE`, behind it `[MODULE]`, before it `? ` when the unwinder is not sure. The
/// list of modules names every module, so it says nothing.
fn add_frames(line: &str, frames: &mut Vec<Frame>) {
    let text = without_prefix(line);
    if text.starts_with("Modules linked in:") {
        return;
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        if frames.len() >= MOST_FRAMES {
            return;
        }
        let Some(function) = function_of(word) else {
            continue;
        };
        let module = words.get(at + 1).and_then(|next| next.strip_prefix('[')?.split([']', ' ']).next());
        let reliable = at == 0 || words.get(at - 1).is_none_or(|before| *before != "?");
        let frame = Frame { function: function.to_owned(), module: module.map(ToOwned::to_owned), reliable };
        // The place is named in the headline, again in RIP, and again at the top of some traces.
        if frames.last() != Some(&frame) {
            frames.push(frame);
        }
    }
}

/// The name in `NAME+0xOFFSET/0xSIZE`, behind a segment (`0010:`) or a label (`pc`) that is no part of it.
fn function_of(word: &str) -> Option<&str> {
    let (name, place) = word.split_once("+0x")?;
    let (offset, size) = place.split_once("/0x")?;
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = size.trim_end_matches([',', ')']);
    let name = name.rsplit(':').next().unwrap_or(name).trim_start_matches(['(', '<']);
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte);
    (hex(offset) && hex(size) && !name.is_empty() && name.bytes().all(sound)).then_some(name)
}

/// Without the time stamp and caller of `dmesg` and pstore (`<1>[   12.3][  T99] `), and without the watchdog's prefix.
fn without_prefix(line: &str) -> &str {
    let mut text = line.trim_start();
    if let Some(rest) = text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        text = rest.1.trim_start();
    }
    while let Some((inside, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let stamp = inside.trim_start();
        let is_prefix = stamp.starts_with(|first: char| first.is_ascii_digit())
            || stamp.strip_prefix(['T', 'C']).is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_prefix {
            break;
        }
        text = rest.trim_start();
    }
    text
}

#[cfg(test)]
mod tests;
