//! What counts as a warning in the kernel's log.

/// Words of the kernel when something is wrong with itself, at whatever level they are logged.
const ALARMS: [&str; 14] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "general protection fault",
    "Call Trace:",
    "INFO: task ",
    "rcu: INFO",
    "UBSAN:",
    "KASAN:",
    "Unknown symbol",
    "invalid relocation",
    "Kernel panic",
    "livepatch: failed",
    "livepatch: cannot",
];

/// `KERN_WARNING` (include/linux/kern_levels.h): this level and those below it are warnings or worse.
const WARNING: u8 = 4;

/// What every livepatch brings: it taints the kernel, and an unsigned module out of tree does as well.
const EXPECTED: [&str; 3] = ["taints kernel", "tainting kernel", "Tainted:"];

/// The warnings of a log as `dmesg -r` prints it (`<LEVEL>[TIME] TEXT`), without level and time stamp.
pub(super) fn warnings(log: &str) -> Vec<String> {
    log.lines().filter_map(warning).collect()
}

fn warning(line: &str) -> Option<String> {
    let (level, rest) = match line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        // The facility is in the upper bits (Documentation/ABI/testing/dev-kmsg).
        Some((priority, rest)) => (priority.parse::<u32>().ok().map(|priority| (priority & 7) as u8), rest),
        None => (None, line),
    };
    let text = match rest.split_once("] ") {
        Some((stamp, text)) if stamp.starts_with('[') => text,
        _ => rest,
    };
    let alarming = ALARMS.iter().any(|alarm| text.contains(alarm));
    let expected = EXPECTED.iter().any(|words| text.contains(words));
    let loud = level.is_some_and(|level| level <= WARNING);
    ((alarming || loud) && !expected).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taint_is_expected_and_anything_else_that_is_loud_is_not() {
        let log = "<6>[    1.0] loop: module loaded\n\
                   <4>[    2.0] livepatch_x: loading out-of-tree module taints kernel.\n\
                   <5>[    2.1] livepatch: enabling patch 'livepatch_x'\n\
                   <4>[    3.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2\n\
                   <3>[    3.1] some driver: failed\n\
                   <6>[    3.2] INFO: task kworker blocked\n\
                   <12>[    3.3] a program's own words\n\
                   <11>[    3.4] a program's own error";
        let expected = [
            "WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2",
            "some driver: failed",
            "INFO: task kworker blocked",
            "a program's own words",
            "a program's own error",
        ];
        assert_eq!(warnings(log), expected);
    }
}
