//! Who traces a function of the kernel: kprobes of `/sys/kernel/debug/kprobes/list` (Documentation/trace/kprobes.rst), and ftrace's users,
//! fentry programs of BPF among them, of `enabled_functions` in tracefs (kernel/trace/ftrace.c, `t_show`).

use crate::Host;
use serde::{Deserialize, Serialize};
use std::fmt;

const KPROBES: &str = "sys/kernel/debug/kprobes/list";
const FUNCTIONS: [&str; 2] =
    ["sys/kernel/tracing/enabled_functions", "sys/kernel/debug/tracing/enabled_functions"];
/// What the livepatch core itself puts on a function (kernel/livepatch/patch.c).
const OWN_HANDLER: &str = "klp_ftrace_handler";

/// How a function is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TracingKind {
    /// A kprobe on the function's first instruction.
    Kprobe,
    /// A kprobe inside of the function.
    KprobeInside,
    /// A probe on the function's return.
    Kretprobe,
    /// A trampoline that is called directly: fentry and fexit programs of BPF.
    Direct,
    /// Another user of ftrace, such as the function tracer or perf.
    Ftrace,
}

/// Somebody who traces a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracingUser {
    /// The function.
    pub function: String,
    /// How.
    pub kind: TracingKind,
    /// What the kernel says of it: an offset, or the trampoline's or callback's name.
    pub detail: String,
}

impl TracingUser {
    /// Whether it still fires when the function is livepatched: what hangs at the entry does, since both are called there; what
    /// hangs inside of the old body does not, since that does not run any more.
    pub fn survives_livepatching(&self) -> bool {
        self.kind != TracingKind::KprobeInside
    }
}

impl fmt::Display for TracingUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, detail, .. } = self;
        match self.kind {
            TracingKind::Kprobe => write!(f, "a kprobe on {function}"),
            TracingKind::KprobeInside => write!(f, "a kprobe inside of {function} ({detail})"),
            TracingKind::Kretprobe => write!(f, "a return probe on {function}"),
            TracingKind::Direct => write!(f, "a BPF program or direct call on {function} ({detail})"),
            TracingKind::Ftrace => write!(f, "an ftrace user on {function} ({detail})"),
        }
    }
}

pub(crate) fn read(host: &Host, functions: &[&str]) -> Vec<TracingUser> {
    let kprobes = host.text(KPROBES).unwrap_or_default();
    let enabled = FUNCTIONS.iter().find_map(|path| host.text(path).ok()).unwrap_or_default();
    let mut users = parse_kprobes(&kprobes);
    users.extend(parse_enabled_functions(&enabled));
    users.retain(|user| functions.contains(&user.function.as_str()));
    users
}

/// `ADDRESS  k  FUNCTION+0xOFFSET  [MODULE] [DISABLED]…` is a line of the list; `r` stands for a return probe.
pub fn parse_kprobes(text: &str) -> Vec<TracingUser> {
    text.lines().filter_map(parse_kprobe).collect()
}

fn parse_kprobe(line: &str) -> Option<TracingUser> {
    let mut fields = line.split_ascii_whitespace();
    let (_address, letter, place) = (fields.next()?, fields.next()?, fields.next()?);
    let (function, offset) = place.split_once("+0x")?;
    let kind = match (letter, offset) {
        ("r", _) => TracingKind::Kretprobe,
        ("k", offset) if is_entry(offset) => TracingKind::Kprobe,
        ("k", _) => TracingKind::KprobeInside,
        _ => return None,
    };
    let disabled = line.contains("[DISABLED]") || line.contains("[GONE]");
    (!disabled).then(|| TracingUser { function: function.to_owned(), kind, detail: format!("+0x{offset}") })
}

/// At or right behind the landing pad for indirect branches, which is where a probe on the entry is put.
fn is_entry(offset: &str) -> bool {
    u64::from_str_radix(offset, 16).is_ok_and(|offset| offset <= 4)
}

/// `FUNCTION [MODULE] (COUNT) FLAGS… tramp: …` is a line, and names of handlers may be on those below it. Kprobes that use ftrace are
/// left to their own list.
pub fn parse_enabled_functions(text: &str) -> Vec<TracingUser> {
    let mut users = Vec::new();
    for line in text.lines() {
        let Some((function, rest)) = line.split_once(" (").filter(|_| !line.starts_with([' ', '\t'])) else {
            continue;
        };
        let function = function.split_ascii_whitespace().next().unwrap_or_default();
        let Some((count, flags)) = rest.split_once(')') else {
            continue;
        };
        let mut others: u32 = count.trim().parse().unwrap_or_default();
        let mut push = |kind: TracingKind, detail: String| {
            users.push(TracingUser { function: function.to_owned(), kind, detail });
        };
        if let Some(trampoline) =
            after(flags, "direct-->").or_else(|| after(flags, "direct(").map(|_| "direct"))
        {
            others = others.saturating_sub(1);
            push(TracingKind::Direct, trampoline.to_owned());
        }
        // The livepatch core changes the instruction pointer (I); kprobes name their handler.
        let modifies =
            flags.split_ascii_whitespace().take_while(|word| word.len() == 1).any(|word| word == "I");
        if modifies || flags.contains(OWN_HANDLER) {
            others = others.saturating_sub(1);
        }
        if flags.contains("kprobe_ftrace_handler") {
            others = others.saturating_sub(1);
        }
        if others > 0 {
            let handler = after(flags, "->").filter(|name| !name.starts_with("klp_")).unwrap_or("no name");
            push(TracingKind::Ftrace, handler.to_owned());
        }
    }
    users
}

/// The word behind a mark.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let word = text.split_once(mark)?.1.split(['+', ' ', '\t', ')', '(']).next()?;
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kprobes_at_the_entry_inside_and_on_return() {
        let text = "ffffffff81345670  k  cmdline_proc_show+0x0    [FTRACE]\n\
                    ffffffff81345684  k  cmdline_proc_show+0x14    \n\
                    ffffffff81345670  r  cmdline_proc_show+0x0    [FTRACE]\n\
                    ffffffff81345670  k  vfs_read+0x0    [DISABLED]\n\
                    ffffffffc0345670  k  ext4_read+0x4  ext4 [FTRACE]\n";
        let kinds: Vec<(String, TracingKind)> =
            parse_kprobes(text).into_iter().map(|user| (user.function, user.kind)).collect();
        let show = "cmdline_proc_show".to_owned();
        assert_eq!(
            kinds,
            [
                (show.clone(), TracingKind::Kprobe),
                (show.clone(), TracingKind::KprobeInside),
                (show, TracingKind::Kretprobe),
                ("ext4_read".to_owned(), TracingKind::Kprobe),
            ]
        );
        assert!(!parse_kprobes(text)[1].survives_livepatching());
    }

    #[test]
    fn users_of_ftrace_beside_the_livepatch_core() {
        let text = "vfs_read (1)           \ttramp: 0xffffffffc0367000 (function_trace_call+0x0/0x1a0) ->function_trace_call+0x0/0x1a0\n\
                    cmdline_proc_show (1) R I     \ttramp: 0xffffffffc03a1000 (klp_ftrace_handler+0x0/0x1d0) ->klp_ftrace_handler+0x0/0x1d0\n\
                    uptime_proc_show (2) R I D   \ttramp: ftrace_regs_caller+0x0/0x5e (call_direct_funcs+0x0/0x20)\n\
                    \tdirect-->bpf_trampoline_6442477731_0+0x0/0x1000\n\
                    do_open (1)         D   \ttramp: x ->y+0x0/0x1 direct-->bpf_trampoline_1_0+0x0/0x1\n\
                    fifo_open [pipes] (2) R   ->arch_ftrace_ops_list_func+0x0/0x1\n\
                    ext4_x (1) R   ->kprobe_ftrace_handler+0x0/0x1f0\n";
        let users = parse_enabled_functions(text);
        let found: Vec<(&str, TracingKind)> =
            users.iter().map(|user| (user.function.as_str(), user.kind)).collect();
        assert!(found.contains(&("vfs_read", TracingKind::Ftrace)), "{users:?}");
        assert!(!found.iter().any(|(function, _)| *function == "cmdline_proc_show"), "{users:?}");
        assert!(found.contains(&("do_open", TracingKind::Direct)), "{users:?}");
        assert!(found.contains(&("fifo_open", TracingKind::Ftrace)), "{users:?}");
        assert!(found.iter().any(|(function, _)| *function == "uptime_proc_show"), "{users:?}");
        assert!(!found.iter().any(|(function, _)| *function == "ext4_x"), "{users:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,400}") {
            parse_kprobes(&text);
            parse_enabled_functions(&text);
        }
    }
}
