//! What the livepatch leaves out although nothing forbids the rest, as findings.

use livepatch_diff::Notice;
use livepatch_judge::{Finding, Rule, Severity};

const EXPORT_ADDED: Rule = Rule {
    code: "export-added",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "the patch exports a symbol; a livepatch cannot add to the kernel's exports, so only its own units can use it",
    example: "EXPORT_SYMBOL_GPL(nf_check); together with a module that calls it: both in one livepatch, that works; a \
              module built later does not find the symbol",
    advice: "nothing to do when every user of the symbol is in this livepatch",
};

const EXPORT_REMOVED: Rule = Rule {
    code: "export-removed",
    severity: Severity::Note,
    acceptable: false,
    meaning: "the patch takes an export away; the running kernel keeps it, and modules go on using it",
    example: "the line EXPORT_SYMBOL(old_helper); goes with the function's last user",
    advice: "nothing to do, unless the fix rests on nobody calling the function any more",
};

const NEVER_RUNS: Rule = Rule {
    code: "never-runs",
    severity: Severity::Note,
    acceptable: false,
    meaning: "built-in exit code changes; no kernel ever runs it, so it is left out",
    example: "an __exit function of a driver that is built in",
    advice: "nothing to do",
};

const PASSED_OVER: Rule = Rule {
    code: "passed-over",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "the patch itself says that a change does not matter (KPATCH_IGNORE_FUNCTION, KPATCH_IGNORE_SECTION)",
    example: "KPATCH_IGNORE_SECTION(\"__tracepoints\");",
    advice: "make sure that the rest of the fix works without that change",
};

const STATIC_KEY_READ: Rule = Rule {
    code: "static-key-read",
    severity: Severity::Note,
    acceptable: false,
    meaning: "a patched function has a static branch on a key of a module; it cannot be set up before that module is \
              there, so the livepatch reads the key each time",
    example: "static_branch_unlikely(&kvm_has_noapic_vcpu) in a patched function of kvm_amd",
    advice: "nothing to do; a read and a jump in the place of a no-op",
};

const THROUGH_CALLERS: Rule = Rule {
    code: "through-callers",
    severity: Severity::Note,
    acceptable: false,
    meaning: "a changed function has no trace site, so the livepatch carries it and redirects all its callers",
    example: "the body of a system call, __do_sys_newuname: its entry points __x64_sys_newuname and __ia32_sys_newuname \
              are redirected",
    advice: "nothing to do",
};

const TRACE_POINT_OFF: Rule = Rule {
    code: "trace-point-off",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "a patched function of a module has a trace point of that module; its branch cannot be set up before the \
              module is there, so the trace point stays silent in the patched function",
    example: "trace_xfs_read_fault() in a patched function of xfs: events of it no longer come",
    advice: "nothing to do, unless somebody relies on the events; trace the function itself instead",
};

/// The rules of these findings, for whoever explains codes.
pub(crate) const RULES: [Rule; 7] = [
    EXPORT_ADDED,
    EXPORT_REMOVED,
    NEVER_RUNS,
    PASSED_OVER,
    STATIC_KEY_READ,
    THROUGH_CALLERS,
    TRACE_POINT_OFF,
];

/// A notice of the difference.
pub(super) fn finding(notice: &Notice) -> Finding {
    let rule = match notice {
        Notice::ExportAdded { .. } => &EXPORT_ADDED,
        Notice::ExportRemoved { .. } => &EXPORT_REMOVED,
        Notice::NeverRuns { .. } => &NEVER_RUNS,
        Notice::PassedOver { .. } => &PASSED_OVER,
        Notice::ThroughCallers { .. } => &THROUGH_CALLERS,
    };
    Finding::new(rule, notice.subject(), notice.to_string(), rule.advice).weighing(rule.severity)
}

/// A trace point that stays off.
pub(super) fn trace_point_off(function: &str, key: &str, module: &str) -> Finding {
    let event = key.trim_start_matches("__tracepoint_");
    let message = format!("the trace point '{event}' of {module} stays silent in the patched '{function}'");
    let rule = &TRACE_POINT_OFF;
    Finding::new(rule, format!("{function}/{event}"), message, rule.advice).weighing(rule.severity)
}

/// A branch that reads its key.
pub(super) fn static_key_read(function: &str, key: &str, module: &str) -> Finding {
    let message =
        format!("'{function}' reads the static key '{key}' of {module}, which cannot be set up beforehand");
    let rule = &STATIC_KEY_READ;
    Finding::new(rule, format!("{function}/{key}"), message, rule.advice).weighing(rule.severity)
}
