//! The two sentences of the status that explain: what the taint means, and what the owner should do. Pure.

use crate::{
    facts::Snapshot,
    status::{Status, offer},
    upgrade::{Upgrade, UpgradeReason},
};
use livepatch_api::PatchState;
use livepatch_kernel::Taint;

/// CVEs that a sentence names; the rest is counted.
const MOST_NAMED: usize = 5;

/// What the taint mask means on a machine whose kernel is (`livepatched`) or is not livepatched now.
pub(crate) fn explain_taint(taint: Taint, livepatched: bool) -> String {
    if taint.0 == 0 {
        return "the kernel is not tainted".to_owned();
    }
    let mut sentences = Vec::new();
    if taint.has(Taint::LIVEPATCH) {
        sentences.push(own_flags(taint, livepatched));
    }
    let own = if taint.has(Taint::LIVEPATCH) { taint.from_livepatch() } else { Taint(0) };
    let foreign: Vec<String> =
        taint.since(own).flags().map(|flag| format!("{}: {}", flag.letter, flag.meaning)).collect();
    if !foreign.is_empty() {
        sentences.push(format!("not from livepatching: {}", foreign.join("; ")));
    }
    sentences.join(". ")
}

fn own_flags(taint: Taint, livepatched: bool) -> String {
    let letters = if taint.has(Taint::OUT_OF_TREE) { "O and K are" } else { "K is" };
    let mut text = if livepatched {
        format!("{letters} the livepatch's own and harmless")
    } else {
        format!(
            "{letters} of a livepatch that was applied earlier; the kernel keeps them until the next boot"
        )
    };
    if taint.has(Taint::UNSIGNED) {
        text += "; E: signed by a key that this kernel's keyring does not know, the client verified the signature \
                 itself";
    }
    text
}

/// The state in a sentence's end.
pub(crate) fn sentence(state: PatchState) -> &'static str {
    match state {
        PatchState::Disabled => "disabled: this machine is not enrolled with a livepatch server",
        PatchState::Unchecked => "unchecked: enrolled, and the repository was not looked at yet",
        PatchState::NothingToApply => "nothing to apply: there is no livepatch for this kernel and tier",
        PatchState::Unapplied => "unapplied: there is a livepatch, and it is not applied",
        PatchState::Applying => "applying: the kernel's transition is running",
        PatchState::Soaking => "applied, and watched for trouble for a while",
        PatchState::Applied => "applied and confirmed",
        PatchState::AppliedWithBug => "applied, and the kernel has reported trouble since",
        PatchState::ApplyFailed => "apply failed: the kernel runs as it did before the attempt",
        PatchState::CheckFailed => "check failed: what was applied stays applied, and nothing new comes in",
        PatchState::RebootNeeded => "reboot needed: this kernel gets no more livepatches",
    }
}

/// A machine where nothing is left to livepatch is not safe from what only another kernel mends: its owner is told so.
pub(crate) fn with_upgrade(mut status: Status, upgrade: &Upgrade) -> Status {
    let at_rest =
        matches!(status.state, PatchState::NothingToApply | PatchState::Soaking | PatchState::Applied);
    let is_open =
        |reason: &&UpgradeReason| matches!(reason.code.as_str(), "cannot-be-livepatched" | "missing-fixes");
    let open: Vec<_> = upgrade.reasons.iter().filter(is_open).collect();
    if at_rest && !open.is_empty() {
        let why: Vec<&str> = open.iter().map(|reason| reason.sentence.as_str()).collect();
        let mut cves: Vec<&str> = open.iter().flat_map(|reason| &reason.cves).map(String::as_str).collect();
        cves.sort_unstable();
        cves.dedup();
        let more = cves.len().saturating_sub(MOST_NAMED);
        let more =
            if more > 0 { format!(" and {more} more, see `livepatch cves --open`") } else { String::new() };
        let named = cves.get(..cves.len().min(MOST_NAMED)).unwrap_or_default().join(", ");
        status.next_step = format!("{}: {} ({named}{more})", upgrade.next_step, why.join("; "));
    }
    status
}

/// What the owner should do now.
pub(crate) fn next_step(status: &Status, snapshot: &Snapshot) -> String {
    let text = match status.state {
        PatchState::Disabled => "run `livepatch enable TOKEN --server URL` with a token from your operator",
        PatchState::Unchecked => "nothing: the first check is due soon (`livepatch refresh` makes it now)",
        PatchState::NothingToApply => "nothing: there is no livepatch for this kernel and tier",
        PatchState::Applying => "wait a moment: the kernel is moving its tasks",
        PatchState::Soaking => "nothing: the livepatch is applied and watched for a while",
        PatchState::Applied => "nothing: the machine is protected",
        PatchState::AppliedWithBug => {
            "look at the kernel's log (dmesg); `livepatch undo` takes the livepatch out, if you suspect it"
        }
        PatchState::RebootNeeded => return status.kernel_status.next_step.clone(),
        PatchState::Unapplied => return unapplied(snapshot),
        PatchState::ApplyFailed => return after_failure(status),
        PatchState::CheckFailed => return after_failed_check(status),
    };
    text.to_owned()
}

fn unapplied(snapshot: &Snapshot) -> String {
    match offer(snapshot) {
        None => "the livepatch is blocked on this machine: look at `livepatch blocked list`, and tell your operator; \
                 `livepatch blocked clear DIGEST` allows it again"
            .to_owned(),
        Some(manifest) if snapshot.undone.as_ref().is_some_and(|undone| undone.version >= manifest.version) => {
            "the livepatch was undone: `livepatch refresh --apply` applies it again; a newer one comes by itself"
                .to_owned()
        }
        Some(_) => "run `livepatch refresh` to apply the livepatch now".to_owned(),
    }
}

fn after_failure(status: &Status) -> String {
    let code = status.last_failure.as_ref().map_or("", |failure| failure.code.as_str());
    match code {
        "transition-stalled" => "look at the tasks named above; the client tries again at the next check",
        "kernel-refused" => "look at the kernel's log (dmesg); the client tries again at the next check",
        "soak-trouble" => {
            "look at the kernel's log (dmesg) and tell your operator; the livepatch is blocked here"
        }
        "other-livepatch" => {
            "disable the other livepatch, or this client; the client tries again at the next check"
        }
        "state-unusable" => "check the disk that holds /var/lib/livepatch, and make room there",
        "kernel-unsupported" => "boot a kernel with CONFIG_LIVEPATCH, or run `livepatch disable`",
        _ => "the livepatch was refused and the kernel not touched: tell your operator",
    }
    .to_owned()
}

fn after_failed_check(status: &Status) -> String {
    let code = status.last_check.as_ref().and_then(|check| check.code.as_deref()).unwrap_or_default();
    match code {
        "repository-unreachable" | "server-unreachable" => {
            "check the network and the server's address; the client tries again by itself"
        }
        "metadata-expired" => {
            "check this machine's clock, then tell your operator that the repository is out of date"
        }
        "trust-anchor-unusable" | "root-chain-too-long" => {
            "run `livepatch disable`, and `enable` with a new token"
        }
        "state-unusable" => "check the disk that holds /var/lib/livepatch",
        _ => "tell your operator: the repository is not what it should be, and may be under attack",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taint_is_explained_as_it_was_measured() {
        assert_eq!(explain_taint(Taint(0), false), "the kernel is not tainted");
        assert_eq!(explain_taint(Taint(36864), true), "O and K are the livepatch's own and harmless");
        assert!(explain_taint(Taint(45056), true).contains("keyring does not know"));
        assert!(explain_taint(Taint(45056), false).contains("until the next boot"));
        let crashed = explain_taint(Taint(45184), true);
        assert!(crashed.contains("not from livepatching: D: the kernel died"), "{crashed}");
    }

    #[test]
    fn flags_of_other_modules_are_not_claimed() {
        let text = explain_taint(Taint(12288), false);
        assert!(text.starts_with("not from livepatching: O: "), "{text}");
    }
}
