//! What the kernel asks of a module before it takes it: signatures, lockdown, whether it takes any.

use crate::{Host, kernel_config::KernelConfig};
use serde::{Deserialize, Serialize};

/// The kernel lockdown level (`man 7 kernel_lockdown`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lockdown {
    /// The kernel has no lockdown, or shows none: securityfs is not mounted.
    #[default]
    Absent,
    /// Off.
    None,
    /// Nobody, root included, may change the kernel: modules must be signed.
    Integrity,
    /// Nor read its memory.
    Confidentiality,
}

/// What the kernel asks of modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The lockdown level.
    pub lockdown: Lockdown,
    /// `module.sig_enforce`: unsigned modules are refused. Absent when the kernel was built without signature checks.
    pub signatures: Option<bool>,
    /// `kernel.modules_disabled`: no module is taken until the next boot.
    pub modules_disabled: bool,
}

impl Enforcement {
    /// Whether a module whose signature the kernel does not trust is refused.
    pub fn refuses_unknown_keys(&self) -> bool {
        self.signatures == Some(true)
            || matches!(self.lockdown, Lockdown::Integrity | Lockdown::Confidentiality)
    }
}

pub(crate) fn read(host: &Host, config: Option<&KernelConfig>) -> Enforcement {
    let lockdown = host.line("sys/kernel/security/lockdown").map(|line| lockdown(&line)).unwrap_or_default();
    let parameter = host.line("sys/module/module/parameters/sig_enforce").ok().map(|line| line == "Y");
    let forced = config.map(|config| config.is_built_in("CONFIG_MODULE_SIG_FORCE"));
    let signatures = match (parameter, forced) {
        (_, Some(true)) => Some(true),
        (parameter, _) => parameter,
    };
    let modules_disabled = host.line("proc/sys/kernel/modules_disabled").is_ok_and(|line| line == "1");
    Enforcement { lockdown, signatures, modules_disabled }
}

/// `none [integrity] confidentiality`: the level in brackets holds.
fn lockdown(line: &str) -> Lockdown {
    let level = line.split(['[', ']']).nth(1).unwrap_or_default();
    match level {
        "none" => Lockdown::None,
        "integrity" => Lockdown::Integrity,
        "confidentiality" => Lockdown::Confidentiality,
        _ => Lockdown::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_in_brackets_holds() {
        assert_eq!(lockdown("[none] integrity confidentiality"), Lockdown::None);
        assert_eq!(lockdown("none [integrity] confidentiality"), Lockdown::Integrity);
        assert_eq!(lockdown("none integrity [confidentiality]"), Lockdown::Confidentiality);
        assert_eq!(lockdown("]["), Lockdown::Absent);
    }

    #[test]
    fn lockdown_enforces_signatures() {
        let with = |lockdown, signatures| Enforcement { lockdown, signatures, modules_disabled: false };
        assert!(!with(Lockdown::None, Some(false)).refuses_unknown_keys());
        assert!(with(Lockdown::Integrity, Some(false)).refuses_unknown_keys());
        assert!(with(Lockdown::Absent, Some(true)).refuses_unknown_keys());
    }
}
