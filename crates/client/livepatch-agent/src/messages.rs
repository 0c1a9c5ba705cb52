//! What people are told when they log in, and what desktops and upgrades are told of a reboot: files that are written in
//! advance, so that a login reads them and waits for nothing. The rendering is pure.

use crate::{
    coverage::KernelState,
    mitigations::{MitigationList, MitigationState, MitigationStatus},
    status::Status,
    upgrade::{Upgrade, UpgradeAnswer},
};
use livepatch_api::PatchState;
use std::{fs, io, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

/// The login message's file, in the directory of the daemon's socket. `/etc/update-motd.d/99-livepatch` prints it.
pub const LOGIN_MESSAGE: &str = "motd";

/// The verdict's file beside it, empty while no reboot is needed. `livepatch-reboot-required.path` watches it and makes
/// `/run/reboot-required` follow, where the daemon itself may not write.
pub(crate) const REBOOT_REQUIRED: &str = "reboot-required";

/// The mitigations that wait for root's hand, empty while there are none. `livepatch-mitigations.path` watches it and has
/// `livepatch mitigation settle` carry them out, which the daemon itself may not.
pub(crate) const MITIGATIONS: &str = "mitigations";

/// A line for each mitigation that is to be put in force or taken back.
pub(crate) fn mitigations_message(list: &MitigationList) -> String {
    let waits =
        |one: &&MitigationStatus| matches!(one.state, MitigationState::Wanted | MitigationState::ToRetire);
    list.mitigations.iter().filter(waits).map(|one| format!("{}: {}\n", one.name, one.sentence)).collect()
}

/// The verdict on a reboot: one sentence; empty while none is needed, or nobody can tell.
pub(crate) fn reboot_message(status: &Status, upgrade: &Upgrade) -> String {
    let required = upgrade.answer == UpgradeAnswer::Required && status.state != PatchState::Disabled;
    if required { format!("{}\n", upgrade.sentence) } else { String::new() }
}

/// The login message; empty when there is nothing that somebody who logs in must know.
pub(crate) fn login_message(status: &Status, upgrade: &Upgrade) -> String {
    let mut lines = Vec::new();
    match status.state {
        PatchState::ApplyFailed
        | PatchState::CheckFailed
        | PatchState::AppliedWithBug
        | PatchState::Unapplied => {
            lines.push(format!("Livepatch: {}.", status.sentence));
            lines.push(format!("  Next step: {}", status.next_step));
        }
        _ => {}
    }
    let ending = matches!(status.kernel_status.state, KernelState::SupportedUntil)
        && status.kernel_status.next_step != "nothing";
    if upgrade.answer == UpgradeAnswer::Required && status.state != PatchState::Disabled {
        lines.push(format!("Livepatch: {}.", upgrade.sentence));
        lines.push(format!("  Next step: {}", upgrade.next_step));
    } else if ending && status.state != PatchState::Disabled {
        lines.push(format!("Livepatch: {}.", status.kernel_status.sentence));
        lines.push(format!("  Next step: {}", status.kernel_status.next_step));
    }
    if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" }
}

/// Puts a message where everybody may read it; an unchanged one is not written again.
///
/// # Errors
/// What the file system reports.
pub(crate) fn publish(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = directory.join(name);
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn status(state: &str) -> Status {
        serde_json::from_value(serde_json::json!({
            "schema": 2, "client_version": "0.1.0", "machine_id": null, "server": null, "tier": null,
            "kernel": {"release": "6.1.0-55-cloud-amd64", "build_id": "ab".repeat(20), "arch": "x86_64"},
            "kernel_status": {"state": "supported-until", "sentence": "livepatches are made for it until 2027-01-01",
                "next_step": "nothing", "distribution": null, "package_version": null, "until": null, "days_left": null},
            "state": state, "sentence": "it failed", "livepatch": null,
            "taint": {"value": 0, "letters": "", "flags": [], "explanation": ""},
            "last_check": null, "next_check": null, "last_failure": null, "tuf": null, "blocked": [],
            "next_step": "look"
        }))
        .unwrap()
    }

    fn upgrade(answer: UpgradeAnswer) -> Upgrade {
        Upgrade {
            schema: 1,
            answer,
            sentence: "the kernel must be updated: it is old".into(),
            reasons: Vec::new(),
            running: "6.1.0-55-cloud-amd64".parse().unwrap(),
            next_boot: None,
            next_boot_why: String::new(),
            basis: String::new(),
            next_step: "reboot".into(),
        }
    }

    #[test]
    fn good_news_is_no_news() {
        for state in ["applied", "soaking", "nothing-to-apply", "disabled", "applying"] {
            assert_eq!(login_message(&status(state), &upgrade(UpgradeAnswer::CanWait)), "", "{state}");
        }
        assert_eq!(login_message(&status("applied"), &upgrade(UpgradeAnswer::CannotTell)), "");
        assert_eq!(login_message(&status("disabled"), &upgrade(UpgradeAnswer::Required)), "");
    }

    #[test]
    fn trouble_is_told_with_the_next_step() {
        let text = login_message(&status("apply-failed"), &upgrade(UpgradeAnswer::Required));
        assert_eq!(
            text,
            "Livepatch: it failed.\n  Next step: look\nLivepatch: the kernel must be updated: it is old.\n  Next step: reboot\n"
        );
        let mut ending = status("applied");
        ending.kernel_status.next_step = "update".into();
        let text = login_message(&ending, &upgrade(UpgradeAnswer::CanWait));
        assert!(text.contains("until 2027-01-01") && text.contains("Next step: update"), "{text}");
    }

    #[test]
    fn a_reboot_is_asked_for_by_the_same_verdict() {
        let message = |state: &str, answer| reboot_message(&status(state), &upgrade(answer));
        assert!(message("applied", UpgradeAnswer::Required).contains("must be updated"));
        assert_eq!(message("disabled", UpgradeAnswer::Required), "");
        assert_eq!(message("applied", UpgradeAnswer::CanWait), "");
        assert_eq!(message("applied", UpgradeAnswer::CannotTell), "");
    }

    #[test]
    fn roots_hand_is_asked_for_when_a_mitigation_waits() {
        let one = |name: &str, state: &str| serde_json::json!({"name": name, "state": state, "sentence": "it waits", "next_step": "", "measures": [], "issued": null});
        let list = serde_json::json!({"schema": 1, "mitigations": [one("a", "offered"), one("b", "wanted"),
            one("c", "in-force"), one("d", "to-retire"), one("e", "not-needed")]});
        let text = mitigations_message(&serde_json::from_value(list).unwrap());
        assert_eq!(text, "b: it waits\nd: it waits\n");
    }

    #[test]
    fn a_message_is_for_everybody_and_written_once() {
        let directory = tempfile::tempdir().unwrap();
        publish(directory.path(), LOGIN_MESSAGE, "one\n").unwrap();
        let path = directory.path().join(LOGIN_MESSAGE);
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.permissions().mode() & 0o777, 0o644);
        publish(directory.path(), LOGIN_MESSAGE, "one\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first.modified().unwrap());
        publish(directory.path(), LOGIN_MESSAGE, "").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
