//! What a machine's report says about running rollouts. Pure.

use livepatch_api::{CheckInRequest, Event, EventKind, PatchState};
use livepatch_kernel::Taint;
use livepatch_manifest::Digest;
use livepatch_rollout::Signal;
use livepatch_store::{RolloutResult, STALL_CAUSES};

/// A module that is being rolled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningModule {
    pub(crate) release: String,
    pub(crate) name: String,
    pub(crate) sha256: Digest,
}

/// The client's codes, as they stand at the beginning of an event's detail (`CODE: NAME: …`).
const STALLED: &str = "transition-stalled";
const SOAK_TROUBLE: &str = "soak-trouble";
/// A machine whose turn has not come says so, and means to take the livepatch later.
const HELD: &str = "rollout-held";

/// What the report says about each of these modules; `before` is the machine's taint as it was reported last.
pub(crate) fn results(
    report: &CheckInRequest,
    before: Taint,
    modules: &[RunningModule],
) -> Vec<RolloutResult> {
    let results = modules.iter().map(|module| result(report, before, module));
    results.filter(|result| result.given || result.out || !result.signals.is_empty()).collect()
}

fn result(report: &CheckInRequest, before: Taint, module: &RunningModule) -> RolloutResult {
    let mut result = RolloutResult { release: module.release.clone(), ..RolloutResult::default() };
    if report.applied.as_ref().is_some_and(|applied| applied.sha256 == module.sha256) {
        result.given = true;
        result.soaked = report.state == PatchState::Applied;
        result.signals.extend(taint_signal(report, before));
    }
    for event in report.events.iter().filter(|event| tells_of(event, &module.name)) {
        read(event, &mut result);
    }
    result
}

/// A taint bit that appeared while the livepatch soaks, and that no livepatch causes by itself.
fn taint_signal(report: &CheckInRequest, before: Taint) -> Option<Signal> {
    let new = report.taint.since(before);
    let own = new.from_livepatch();
    let trouble = [Taint::DIED, Taint::WARNED, Taint::LOCKUP].into_iter().any(|bit| new.has(bit));
    match report.state {
        PatchState::Soaking | PatchState::Applied if trouble => Some(Signal::Oops),
        PatchState::Soaking if new != own => Some(Signal::Taint),
        _ => None,
    }
}

fn read(event: &Event, result: &mut RolloutResult) {
    let code = event.detail.split(':').next().unwrap_or_default();
    match event.kind {
        EventKind::Applied => {
            result.given = true;
            result.transition_ms = transition_ms(&event.detail);
        }
        EventKind::Confirmed => (result.given, result.soaked) = (true, true),
        EventKind::Undone => result.out = true,
        EventKind::Refused => result.out |= code != HELD,
        EventKind::Crashed => result.signals.push(Signal::Crash),
        EventKind::Failed if code == STALLED => {
            result.signals.push(Signal::Stalled);
            result.stall_causes = stall_causes(&event.detail);
        }
        EventKind::Failed if code == SOAK_TROUBLE => result.signals.push(Signal::Oops),
        EventKind::Failed => result.signals.push(Signal::FailedLoad),
    }
}

/// What the client says behind the name of what it applied, before the seconds.
const TOOK: &str = " is applied; the transition took ";

/// How long a transition took, in milliseconds, out of an event's detail.
pub(crate) fn transition_ms(detail: &str) -> Option<u32> {
    let (_, took) = detail.split_once(TOOK)?;
    let (whole, tenths) = took.strip_suffix(" s")?.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(tenths) || tenths.len() != 1 {
        return None;
    }
    let (whole, tenths): (u32, u32) = (whole.parse().ok()?, tenths.parse().ok()?);
    whole.checked_mul(1000)?.checked_add(tenths * 100)
}

/// What the client says before the tasks that held a transition back.
const WAITED: &str = "; it waited for ";
/// Characters of a cause: a task's name has 15, a kernel function's rarely more than 40.
const LONGEST_CAUSE: usize = 64;

/// The tasks that held a transition back, each with the kernel function that it slept in: out of an event's detail, which has
/// them as `NAME (pid 7, task 9) \`COMMAND\` in FUNCTION < CALLER, NAME (pid …`.
pub(crate) fn stall_causes(detail: &str) -> Vec<String> {
    let Some((_, tasks)) = detail.split_once(WAITED) else { return Vec::new() };
    let mut causes: Vec<String> = Vec::new();
    let mut parts = tasks.split(" (pid ").peekable();
    let mut name = parts.next().unwrap_or_default();
    while let Some(part) = parts.next() {
        let (_, rest) = part.split_once(')').unwrap_or_default();
        // Behind the function of this task stands the name of the next one.
        let (own, next) = match parts.peek() {
            Some(_) => rest.rsplit_once(", ").unwrap_or((rest, "")),
            None => (rest, ""),
        };
        let function =
            own.rsplit_once(" in ").map(|(_, functions)| functions.split(' ').next().unwrap_or_default());
        let cause = match function.filter(|function| is_symbol(function)) {
            Some(function) => format!("{name} in {function}"),
            None => name.to_owned(),
        };
        let cause: String = cause.chars().filter(|c| !c.is_control()).take(LONGEST_CAUSE).collect();
        if !cause.trim().is_empty() && !causes.contains(&cause) && causes.len() < STALL_CAUSES {
            causes.push(cause);
        }
        name = next;
    }
    causes
}

fn is_symbol(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}

/// Whether the detail names the module, as a word of its own.
fn tells_of(event: &Event, name: &str) -> bool {
    let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    event.detail.split(part).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module() -> RunningModule {
        RunningModule { release: "r".into(), name: "livepatch_x_1".into(), sha256: Digest::of(b"ko") }
    }

    fn read_one(kind: EventKind, detail: &str) -> RolloutResult {
        let mut result = RolloutResult::default();
        let event = Event { at: String::new(), kind, detail: detail.into() };
        if tells_of(&event, &module().name) {
            read(&event, &mut result);
        }
        result
    }

    #[test]
    fn events_become_facts() {
        let signal = |kind, detail| read_one(kind, detail).signals;
        assert_eq!(
            signal(EventKind::Crashed, "the machine went down before livepatch_x_1 was confirmed"),
            [Signal::Crash]
        );
        assert_eq!(signal(EventKind::Failed, "transition-stalled: livepatch_x_1: …"), [Signal::Stalled]);
        assert_eq!(signal(EventKind::Failed, "soak-trouble: livepatch_x_1: …"), [Signal::Oops]);
        assert_eq!(signal(EventKind::Failed, "kernel-refused: livepatch_x_1: …"), [Signal::FailedLoad]);
        assert!(read_one(EventKind::Confirmed, "livepatch_x_1 ran for 900 s").soaked);
        assert!(read_one(EventKind::Undone, "livepatch_x_1 was taken back").out);
        assert!(!read_one(EventKind::Refused, "rollout-held: livepatch_x_1: not yet").out);
        assert!(read_one(EventKind::Refused, "wrong-kernel: livepatch_x_1: no").out);
        assert!(!read_one(EventKind::Undone, "livepatch_x_10 was taken back").out, "another livepatch");
    }

    #[test]
    fn transitions_tell_how_long_they_took_and_what_they_waited_for() {
        let applied =
            |took: &str| transition_ms(&format!("livepatch_x_1 is applied; the transition took {took}"));
        assert_eq!((applied("0.0 s"), applied("17.3 s")), (Some(0), Some(17_300)));
        for odd in
            ["", "1 s", "-1.0 s", "+1.0 s", "1.00 s", "1.x s", "9999999.0 s", "1.0 s, he said", "1.0 ms"]
        {
            assert_eq!(applied(odd), None, "{odd}");
        }
        assert_eq!(
            transition_ms("livepatch_x_1 is applied; the transition is complete"),
            None,
            "an older client"
        );

        let stalled = |tasks: &str| {
            stall_causes(&format!(
                "transition-stalled: livepatch_x_1: it was reverted; it waited for {tasks}"
            ))
        };
        let tasks = "kworker/u8:2 (pid 47) in unix_stream_read < sock_read, nginx (pid 7, task 9) `nginx: worker, busy` in do_poll.part.0, \
                     kworker/u8:2 (pid 47) in unix_stream_read < sock_read, sh (pid 3), \
                     vim (pid 4, task 5) `vim a, b` in n_tty_read";
        let causes =
            ["kworker/u8:2 in unix_stream_read", "nginx in do_poll.part.0", "sh", "vim in n_tty_read"];
        assert_eq!(stalled(tasks), causes);
        assert_eq!(stalled("<b> (pid 1) in <script>"), ["<b>"], "a function is a symbol");
        assert_eq!(
            stalled(&"x (pid 1), y (pid 2), z (pid 3), a (pid 4), b (pid 5), c (pid 6)".repeat(9)).len(),
            STALL_CAUSES
        );
        assert!(
            stalled(&"long".repeat(99)).is_empty()
                && stalled(&format!("{} (pid 1)", "é".repeat(99)))[0].chars().count() == 64
        );
    }
}
