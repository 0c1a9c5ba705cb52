//! Every way in which the client says no, with a code that programs may rely on.

use crate::{records::Failure, state_dir::StateError};
use livepatch_api::{ApiError, ErrorCode};
use livepatch_host::{BlockingTask, HostError, LoadError, TracingUser};
use livepatch_manifest::Digest;
use livepatch_module::VerifyError;
use livepatch_schedule::Hold;
use livepatch_trust::TrustError;

/// Why something was not done. [`Refusal::code`] is stable.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The enrolment token has the wrong shape.
    #[error("{0}")]
    MalformedToken(String),
    /// The server does not know the enrolment token.
    #[error("the server does not know this enrolment token: ask its operator for a new one")]
    UnknownToken,
    /// The server said no for another reason.
    #[error("the server refused: {}", .0.message)]
    Server(ApiError),
    /// The server cannot be reached, or does not speak our API.
    #[error("the server at {server} cannot be reached: {reason}")]
    ServerUnreachable {
        /// Scheme, host and port.
        server: String,
        /// Why.
        reason: String,
    },
    /// What the server calls its trust anchor is not what the token pins.
    #[error(
        "the server's trust anchor is not the one that the token pins: wrong server, old token, or an attack"
    )]
    TrustAnchorMismatch,
    /// The pinned trust anchor is missing or unusable.
    #[error("the trust anchor is unusable: {0}; enable livepatching again with a new token")]
    TrustAnchorUnusable(String),
    /// The repository cannot be read or trusted.
    #[error("{}", chain(.0))]
    Repository(#[from] TrustError),
    /// The module's signature does not vouch for it.
    #[error("{0}")]
    Signature(#[from] VerifyError),
    /// The module's bytes are not those that the signed metadata name.
    #[error("the module's digest is {found}, and the signed metadata say {expected}: it was altered")]
    ModuleAltered {
        /// By the metadata.
        expected: Digest,
        /// Of the bytes.
        found: Digest,
    },
    /// The file is no livepatch module, or not the one that its manifest describes.
    #[error("the module is not what its manifest says: {0}")]
    ModuleMalformed(String),
    /// It was built for another kernel.
    #[error("it was built for another kernel: {what} is {found}, the running kernel's is {running}")]
    WrongKernel {
        /// Which fact differs.
        what: &'static str,
        /// In the livepatch.
        found: String,
        /// In the running kernel.
        running: String,
    },
    /// The livepatch's rollout does not let this machine have it now.
    #[error("{0}")]
    Held(#[from] Hold),
    /// The digest is blocked on this machine.
    #[error("{name} is blocked on this machine: {reason}")]
    BlockedDigest {
        /// Module name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The kernel cannot be livepatched.
    #[error("this kernel was built without livepatch support")]
    KernelUnsupported,
    /// Somebody else's livepatch is active, and ours would replace it.
    #[error("the livepatch {0} is active and does not come from this client: disable it first")]
    OtherLivepatch(String),
    /// The functions that it replaces are traced, and the owner does not want that.
    #[error("functions that it replaces are traced ({}): end that, or set `tracing_users = \"warn\"`", list(.0))]
    Traced(Vec<TracingUser>),
    /// The kernel belongs to somebody else.
    #[error("this is a container ({0}): its kernel is its host's to patch, enable livepatching there")]
    Container(String),
    /// The kernel said no.
    #[error("{0}")]
    Kernel(#[from] LoadError),
    /// The transition did not end in time; it was reverted.
    #[error("the transition did not end in time and was reverted{}", blockers(.0))]
    TransitionStalled(Vec<BlockingTask>),
    /// The kernel reported trouble during the soak; the livepatch was taken back.
    #[error(
        "the kernel reported trouble after the livepatch was applied; it was taken back and is blocked: {0}"
    )]
    SoakTrouble(String),
    /// The machine is not enabled.
    #[error("livepatching is not enabled on this machine: run `livepatch enable TOKEN --server URL`")]
    NotEnabled,
    /// The machine is enabled already.
    #[error("this machine is enabled already, at {0}: run `livepatch disable` first")]
    AlreadyEnabled(String),
    /// The clock is wrong, so nothing new can be trusted.
    #[error(
        "this machine's clock says {}, which is before this program was made, and without the time outdated metadata cannot be \
         told from current ones: set it (`timedatectl set-ntp true`); what is applied stays",
        .0.strftime("%Y-%m-%d %H:%M UTC")
    )]
    ClockWrong(jiff::Timestamp),
    /// No server is given or configured.
    #[error("no server is known: give --server URL, or set `server` in livepatchd.toml")]
    NoServer,
    /// The server's URL is none that the client can use.
    #[error("'{0}' is not the URL of a server: http://HOST[:PORT] or https://HOST[:PORT] expected")]
    MalformedServer(String),
    /// There is no version to step back to.
    #[error("there is no version before {0} to step back to: `livepatch undo` goes back to none")]
    NoPrevious(String),
    /// There is nothing to undo.
    #[error("no livepatch of this client's is applied: there is nothing to undo")]
    NothingToUndo,
    /// The digest is not blocked.
    #[error("no blocked livepatch matches '{0}': see `livepatch blocked list`")]
    NotBlocked(String),
    /// No such mitigation is issued for this machine.
    #[error("no mitigation '{0}' is issued for this machine: see `livepatch mitigation list`")]
    UnknownMitigation(String),
    /// The configuration file cannot be used.
    #[error("the configuration was not read again: {0}")]
    Configuration(String),
    /// The machine does not show something that is needed.
    #[error("{}", chain(.0))]
    Machine(#[from] HostError),
    /// The state directory does not work.
    #[error("{}", chain(.0))]
    State(#[from] StateError),
}

impl Refusal {
    /// A stable word for programs: in events, in JSON and in the command's messages.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedToken(_) => "malformed-token",
            Self::UnknownToken => "unknown-token",
            Self::Server(error) => server_code(error.code),
            Self::ServerUnreachable { .. } => "server-unreachable",
            Self::TrustAnchorMismatch => "trust-anchor-mismatch",
            Self::TrustAnchorUnusable(_) => "trust-anchor-unusable",
            Self::Repository(error) => error.code(),
            Self::Signature(VerifyError::Unsigned) => "module-unsigned",
            Self::Signature(VerifyError::UnknownKey { .. }) => "module-signer-unknown",
            Self::Signature(_) => "module-signature-invalid",
            Self::ModuleAltered { .. } => "target-altered",
            Self::ModuleMalformed(_) => "module-malformed",
            Self::WrongKernel { .. } => "wrong-kernel",
            Self::Held(_) => "rollout-held",
            Self::BlockedDigest { .. } => "blocked-digest",
            Self::KernelUnsupported => "kernel-unsupported",
            Self::OtherLivepatch(_) => "other-livepatch",
            Self::Traced(_) => "functions-traced",
            Self::Container(_) => "container",
            Self::Kernel(_) => "kernel-refused",
            Self::TransitionStalled(_) => "transition-stalled",
            Self::SoakTrouble(_) => "soak-trouble",
            Self::NotEnabled => "not-enabled",
            Self::AlreadyEnabled(_) => "already-enabled",
            Self::ClockWrong(_) => "clock-wrong",
            Self::NoServer => "no-server",
            Self::MalformedServer(_) => "malformed-server",
            Self::NothingToUndo => "nothing-to-undo",
            Self::NoPrevious(_) => "no-previous",
            Self::NotBlocked(_) => "not-blocked",
            Self::UnknownMitigation(_) => "unknown-mitigation",
            Self::Configuration(_) => "configuration-wrong",
            Self::Machine(_) => "machine-unreadable",
            Self::State(_) => "state-unusable",
        }
    }

    /// As it is kept, shown and reported.
    pub fn to_failure(&self) -> Failure {
        Failure { code: self.code().to_owned(), message: self.to_string() }
    }

    /// Whether the kernel was asked: then it is a failure, before that it is a refusal.
    pub fn touched_the_kernel(&self) -> bool {
        matches!(self, Self::Kernel(_) | Self::TransitionStalled(_) | Self::SoakTrouble(_))
    }
}

/// An error of the server's API.
impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        if error.code == ErrorCode::UnknownToken { Self::UnknownToken } else { Self::Server(error) }
    }
}

fn server_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Unauthorized => "unauthorized",
        ErrorCode::UnknownToken => "unknown-token",
        ErrorCode::TokenExpired => "token-expired",
        ErrorCode::TokenExhausted => "token-exhausted",
        ErrorCode::NotFound => "server-not-found",
        ErrorCode::TooMany | ErrorCode::Internal | ErrorCode::Unavailable => "server-error",
        ErrorCode::Forbidden
        | ErrorCode::Conflict
        | ErrorCode::TooLarge
        | ErrorCode::Invalid
        | ErrorCode::ModuleRefused => "server-refused",
    }
}

fn list(users: &[TracingUser]) -> String {
    users.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn blockers(tasks: &[BlockingTask]) -> String {
    let names: Vec<String> = tasks.iter().map(ToString::to_string).collect();
    if names.is_empty() { String::new() } else { format!("; it waited for {}", names.join(", ")) }
}

/// An error with its causes, for messages that travel as text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_the_reason() {
        let source = std::io::Error::from_raw_os_error(28); // ENOSPC
        let refusal = Refusal::from(TrustError::Datastore { path: "/var/lib/livepatch/tuf".into(), source });
        assert!(refusal.to_failure().message.contains("No space left on device"), "{refusal}");
    }
}
