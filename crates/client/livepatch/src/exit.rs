//! Exit codes, as the help text documents them.

use livepatch_agent::{ClientError, Failure};
use livepatch_api::PatchState;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine = 0,
    Failed = 1,
    Usage = 2,
    Refused = 3,
    NoDaemon = 4,
    NotRoot = 5,
    NotEnabled = 6,
    Attention = 7,
}

impl Exit {
    pub(crate) fn of_state(state: PatchState) -> Self {
        match state {
            PatchState::Disabled => Self::NotEnabled,
            PatchState::Unapplied | PatchState::ApplyFailed | PatchState::CheckFailed => Self::Attention,
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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
