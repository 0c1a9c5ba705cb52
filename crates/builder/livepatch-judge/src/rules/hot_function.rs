//! Changed functions where a slip is felt at once everywhere.

use crate::case::{Case, list};
use crate::finding::{Finding, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    code: "hot-function",
    severity: Severity::Note,
    acceptable: false,
    meaning: "a changed function belongs to a part of the kernel that runs all the time: each call of it goes through the \
              redirection, and a fault shows at once",
    example: "dst_release() in net/core: every packet",
    advice: "try the livepatch under load before it goes to many machines",
};

/// Parts of the tree, by the start of the path, and what they are for.
const PARTS: [(&str, &str); 22] = [
    ("kernel/locking/", "locks"),
    ("kernel/sched/", "the scheduler"),
    ("kernel/rcu/", "RCU"),
    ("kernel/entry/", "entry into the kernel"),
    ("arch/x86/entry/", "entry into the kernel"),
    ("arch/x86/kernel/traps.c", "exceptions"),
    ("arch/x86/mm/fault.c", "page faults"),
    ("arch/x86/mm/tlb.c", "address space switches"),
    ("kernel/softirq.c", "soft interrupts"),
    ("kernel/irq/", "interrupts"),
    ("kernel/time/timer.c", "timers"),
    ("kernel/time/hrtimer.c", "timers"),
    ("kernel/time/tick", "the clock tick"),
    ("kernel/workqueue.c", "work queues"),
    ("kernel/futex/", "futexes"),
    ("mm/slub.c", "memory allocation"),
    ("mm/page_alloc.c", "memory allocation"),
    ("mm/memory.c", "page faults"),
    ("net/core/", "every packet"),
    ("net/ipv4/tcp", "every TCP packet"),
    ("block/blk-mq.c", "every disk request"),
    ("fs/namei.c", "every path name"),
];

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let Some((_, what)) = PARTS.iter().find(|(part, _)| case.source.starts_with(part)) else {
        return Vec::new();
    };
    let changed = case.changed();
    let Some(first) = changed.first() else { return Vec::new() };
    let message = format!("{} in {}: {what}", list(changed.iter().map(|changed| changed.name)), case.source);
    vec![Finding::new(&RULE, case.source, message, RULE.advice).at(case.place_of(first.name))]
}
