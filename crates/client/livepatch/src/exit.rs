//! Exit codes, as the help text documents them.

use livepatch_agent::{ClientError, Failure, KernelState, Status, Upgrade, UpgradeAnswer};
use livepatch_api::PatchState;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine,
    Failed,
    Usage,
    Refused,
    NoDaemon,
    NotRoot,
    NotEnabled,
    Attention,
    /// `status --check`.
    Severity(Severity),
    /// `kernel-upgrade-required`.
    Upgrade(UpgradeAnswer),
}

/// How bad it is, in the numbers that monitoring systems agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Good = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

/// Days before the end of a kernel's window at which monitoring warns.
const WINDOW_WARNING: i32 = 30;

impl Exit {
    pub(crate) fn of_state(state: PatchState) -> Self {
        match state {
            PatchState::Disabled => Self::NotEnabled,
            PatchState::Unapplied
            | PatchState::ApplyFailed
            | PatchState::AppliedWithBug
            | PatchState::CheckFailed
            | PatchState::RebootNeeded => Self::Attention,
            PatchState::Unchecked
            | PatchState::NothingToApply
            | PatchState::Applying
            | PatchState::Soaking
            | PatchState::Applied => Self::Fine,
        }
    }

    pub(crate) fn of_failure(failure: &Failure) -> Self {
        match failure.code.as_str() {
            "not-enabled" => Self::NotEnabled,
            "malformed-token" | "malformed-server" | "no-server" => Self::Usage,
            "state-unusable" | "machine-unreadable" | "stopping" => Self::Failed,
            _ => Self::Refused,
        }
    }

    pub(crate) fn of_error(error: &ClientError) -> Self {
        match error {
            ClientError::NotRunning { .. } => Self::NoDaemon,
            ClientError::PermissionDenied => Self::NotRoot,
            ClientError::Refused(failure) => Self::of_failure(failure),
            ClientError::Broken(_) | ClientError::Mismatch(_) => Self::Failed,
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NoDaemon => 4,
            Self::NotRoot => 5,
            Self::NotEnabled => 6,
            Self::Attention => 7,
            Self::Severity(severity) => severity as u8,
            Self::Upgrade(answer) => answer as u8,
        }
    }
}

impl Severity {
    /// How bad a machine's status is.
    pub(crate) fn of(status: &Status, upgrade: &Upgrade) -> Self {
        let state = match status.state {
            PatchState::Disabled | PatchState::Unchecked => return Self::Unknown,
            PatchState::ApplyFailed | PatchState::AppliedWithBug | PatchState::RebootNeeded => Self::Critical,
            PatchState::Unapplied | PatchState::CheckFailed => Self::Warning,
            PatchState::NothingToApply | PatchState::Applying | PatchState::Soaking | PatchState::Applied => {
                Self::Good
            }
        };
        let kernel = match (status.kernel_status.state, status.kernel_status.days_left) {
            (KernelState::SeriesEnded | KernelState::WindowOver, _) => Self::Critical,
            (KernelState::SupportedUntil, Some(days)) if days <= WINDOW_WARNING => Self::Warning,
            _ => Self::Good,
        };
        let upgrade = if upgrade.answer == UpgradeAnswer::Required { Self::Critical } else { Self::Good };
        state.max(kernel).max(upgrade)
    }

    /// The word that monitoring systems show.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
