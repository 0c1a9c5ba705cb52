//! Changed functions that some task never leaves.

use crate::case::{Case, Changed, callees, function};
use crate::finding::{Finding, Rule, Severity};
use livepatch_diff::names::source_name;
use livepatch_diff::reference::{Reference, references};
use livepatch_diff::{Object, SymbolIndex, SymbolKind};
use std::collections::BTreeMap;

pub(super) const RULE: Rule = Rule {
    code: "sleeps-forever",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "a changed function is on some task's stack for ever or for very long, so the transition does not end",
    example: "worker_thread(): each kworker's main loop; no kernel thread ever returns from it",
    advice: "move the change into a function that the loop calls, so that the loop itself stays as it is; else reboot into the \
             fixed kernel",
};

/// Functions that kernel threads or sleeping tasks never leave: (name, who).
const FOR_EVER: [(&str, &str); 30] = [
    ("schedule", "every sleeping task"),
    ("__schedule", "every sleeping task"),
    ("schedule_idle", "the idle tasks"),
    ("do_idle", "the idle tasks"),
    ("cpu_startup_entry", "the idle tasks"),
    ("kthread", "every kernel thread"),
    ("kthreadd", "kthreadd"),
    ("kthread_worker_fn", "kernel thread workers"),
    ("worker_thread", "every kworker"),
    ("rescuer_thread", "every workqueue's rescuer"),
    ("smpboot_thread_fn", "ksoftirqd, migration and other per-CPU threads"),
    ("irq_thread", "interrupt threads"),
    ("ret_from_fork", "every task"),
    ("rcu_gp_kthread", "the RCU grace-period thread"),
    ("rcu_nocb_gp_kthread", "RCU callback threads"),
    ("rcu_nocb_cb_kthread", "RCU callback threads"),
    ("rcu_tasks_kthread", "the RCU tasks thread"),
    ("kswapd", "kswapd"),
    ("kcompactd", "kcompactd"),
    ("khugepaged", "khugepaged"),
    ("ksm_scan_thread", "ksmd"),
    ("oom_reaper", "the OOM reaper"),
    ("kauditd_thread", "kauditd"),
    ("devtmpfsd", "kdevtmpfs"),
    ("kjournald2", "ext4's journal threads"),
    ("schedule_timeout", "sleeping kernel threads"),
    ("io_schedule", "tasks that wait for a disk"),
    ("io_schedule_timeout", "tasks that wait for a disk"),
    ("io_sq_thread", "io_uring's polling threads"),
    ("io_wqe_worker", "io_uring's workers"),
];

/// Where tasks sleep until a signal: the kernel wakes those that hold up a transition after 15 seconds
/// (kernel/livepatch/transition.c, SIGNALS_TIMEOUT).
const FOR_LONG: [&str; 21] = [
    "do_wait",
    "kernel_wait4",
    "do_sys_poll",
    "do_poll",
    "do_select",
    "core_sys_select",
    "ep_poll",
    "do_epoll_wait",
    "futex_wait",
    "futex_wait_queue",
    "do_nanosleep",
    "hrtimer_nanosleep",
    "common_nsleep",
    "do_sigtimedwait",
    "sigsuspend",
    "do_syslog",
    "pipe_read",
    "unix_stream_read_generic",
    "inet_csk_accept",
    "n_tty_read",
    "do_msgrcv",
];

/// What makes a kernel thread (include/linux/kthread.h): `kthread_create` and `kthread_run` are macros around these.
const MAKERS: [&str; 6] = [
    "kthread_create_on_node",
    "kthread_create_on_cpu",
    "kthread_create",
    "kernel_thread",
    "create_io_thread",
    "vhost_task_create",
];

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let threads = threads(case);
    case.changed().iter().filter_map(|changed| one(case, changed, &threads)).collect()
}

fn one(case: &Case<'_>, changed: &Changed<'_>, threads: &BTreeMap<SymbolIndex, String>) -> Option<Finding> {
    let name = changed.name;
    let place =
        case.edit_of(name).map(|(file, line)| (file.to_owned(), line)).or_else(|| case.place_of(name));
    let thread = threads.get(&changed.indices.0);
    let known = FOR_EVER.iter().find(|(known, _)| *known == name);
    let message = match (thread, known) {
        (Some(maker), _) => {
            format!(
                "'{name}' is what a kernel thread runs ({maker} starts it): while one lives, it is on its stack"
            )
        }
        (None, Some((_, who))) => format!("'{name}' is on the stack of {who} for ever"),
        (None, None) if FOR_LONG.contains(&name) => {
            let message = format!(
                "tasks sleep in '{name}' for as long as they like: the transition waits until they wake, or for the kernel's \
                 signal after 15 seconds"
            );
            let advice = "nothing: the transition takes longer than usual; kernel threads that sleep there get no signal";
            return Some(Finding::new(&RULE, name, message, advice).weighing(Severity::Note).at(place));
        }
        _ => return None,
    };
    let advice = format!(
        "move the change out of '{name}' into a function that its loop calls; as it is, the transition ends only when the \
         threads end"
    );
    Some(Finding::new(&RULE, name, message, advice).at(place))
}

/// Functions of the original that a function makes a kernel thread of: it refers to a maker, and takes the address of what
/// returns `int` for a `void *`.
fn threads(case: &Case<'_>) -> BTreeMap<SymbolIndex, String> {
    let object = case.difference.original;
    let mut found = BTreeMap::new();
    if !object.symbols.iter().any(|symbol| MAKERS.contains(&symbol.name.as_str())) {
        return found;
    }
    for (index, symbol) in object.symbols.iter().enumerate() {
        if symbol.kind != SymbolKind::Function || object.section_of(index).is_none() || symbol.size == 0 {
            continue;
        }
        let called = callees(object, index);
        if !MAKERS.iter().any(|maker| called.contains_key(maker)) {
            continue;
        }
        for target in taken(object, index) {
            if is_thread_function(case, target) {
                found.entry(target).or_insert_with(|| source_name(&symbol.name).to_owned());
            }
        }
    }
    found
}

/// Functions whose address a function takes.
fn taken(object: &Object, index: SymbolIndex) -> Vec<SymbolIndex> {
    let Some(section) = object.section_of(index) else { return Vec::new() };
    let symbol = &object.symbols[index];
    let references = references(object, section, symbol.value, symbol.size);
    let taken = references.iter().filter_map(|resolved| match resolved.reference {
        Reference::Symbol(target, 0) if !resolved.branch => Some(target),
        _ => None,
    });
    taken.filter(|&target| object.symbols[target].kind == SymbolKind::Function).collect()
}

fn is_thread_function(case: &Case<'_>, index: SymbolIndex) -> bool {
    let Some(id) = function(case.difference.original, case.original, index) else { return false };
    let prototype = &case.original.abstract_of(id).prototype;
    let spelled: Vec<String> = prototype.parameters.iter().map(|of| case.original.spell(*of)).collect();
    spelled == ["void *"] && case.original.spell(prototype.result) == "int"
}
