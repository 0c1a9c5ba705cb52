//! What a machine's report says about running rollouts. Pure.

use livepatch_api::{CheckInRequest, Event, EventKind, PatchState};
use livepatch_kernel::Taint;
use livepatch_manifest::Digest;
use livepatch_rollout::Signal;
use livepatch_store::RolloutResult;

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
        EventKind::Applied => result.given = true,
        EventKind::Confirmed => (result.given, result.soaked) = (true, true),
        EventKind::Undone => result.out = true,
        EventKind::Refused => result.out |= code != HELD,
        EventKind::Crashed => result.signals.push(Signal::Crash),
        EventKind::Failed if code == STALLED => result.signals.push(Signal::Stalled),
        EventKind::Failed if code == SOAK_TROUBLE => result.signals.push(Signal::Oops),
        EventKind::Failed => result.signals.push(Signal::FailedLoad),
    }
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
}
