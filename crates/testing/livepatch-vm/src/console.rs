//! Reads what the kernel said on its console.

use serde::Serialize;

/// The kernel hit a bug of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Oops {
    /// The line that names it, without the time stamp: `BUG: kernel NULL pointer dereference, address: …`.
    pub message: String,
    /// Where the processor was: `ext4_mb_load_buddy_gfp+0x2a/0x470`; with ` [module]` when it was in one.
    pub location: Option<String>,
}

const BUGS: [&str; 6] = [
    "BUG: kernel NULL pointer dereference",
    "BUG: unable to handle page fault",
    "general protection fault",
    "kernel BUG at ",
    "divide error:",
    "stack segment:",
];
const PANIC: &str = "Kernel panic - not syncing";

/// The first oops in a kernel log.
pub(crate) fn oops(log: &str) -> Option<Oops> {
    let mut lines = log.lines().skip_while(|line| !BUGS.iter().any(|bug| line.contains(bug)));
    let first = lines.next()?;
    let location =
        lines.find_map(|line| line.split_once("RIP: 0010:")).map(|(_, place)| place.trim().to_owned());
    Some(Oops { message: without_stamp(first).to_owned(), location })
}

/// Whether the kernel gave up.
pub(crate) fn panicked(log: &str) -> bool {
    log.contains(PANIC)
}

/// The last `count` lines.
pub(crate) fn tail(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Without the escape sequences (ECMA-48) with which firmware and MokManager draw their screens.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\x1b' {
            plain.push(character);
        } else if rest.next() == Some('[') {
            // Parameters, then a final byte.
            let _ = rest.by_ref().find(|character| ('@'..='~').contains(character));
        }
    }
    plain
}

/// `[    3.141592] text` or `<6>[    3.1] text` to `text`.
fn without_stamp(line: &str) -> &str {
    match line.split_once("] ") {
        Some((stamp, rest)) if stamp.contains('[') => rest.trim(),
        _ => line.trim(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn an_oops_is_named_with_its_place() {
        let log = "[    1.0] fine\n[   15.4] BUG: kernel NULL pointer dereference, address: 0000000000000008\n\
                   [   15.4] #PF: supervisor read access in kernel mode\n[   15.5] Oops: 0000 [#1] PREEMPT SMP PTI\n\
                   [   15.6] RIP: 0010:ext4_mb_load_buddy_gfp+0x2a/0x470\n";
        let oops = oops(log).unwrap();
        assert_eq!(oops.message, "BUG: kernel NULL pointer dereference, address: 0000000000000008");
        assert_eq!(oops.location.as_deref(), Some("ext4_mb_load_buddy_gfp+0x2a/0x470"));
    }

    #[test]
    fn drawings_are_read_as_text() {
        assert_eq!(plain("\x1b[2J\x1b[01;01HPress any \x1b[1;37mkey\x1b["), "Press any key");
    }

    #[test]
    fn a_quiet_log_has_none() {
        assert_eq!(oops("[    1.0] BUG-free\n"), None);
        assert!(!panicked("no panic here"));
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
    }
}
