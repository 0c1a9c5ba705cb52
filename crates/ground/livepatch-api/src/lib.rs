//! The wire types of the HTTP API: what `livepatch-server`, `livepatchd` and `livepatch-admin` say to each other.
//!
//! JSON both ways. Secrets travel in the `Authorization: Bearer` header only, never in a URL or body; but for a password that
//! is set, and for what is handed out the one time that it is made. Errors come as [`ApiError`] with a stable `code`. Paths
//! stand in [`paths`].

mod access;
mod admin;
mod approval;
mod client;
mod cve;
mod error;
mod hook;
mod notice;
pub mod paths;
mod rollout;
mod tier;
mod trust_anchor;
mod upstream;

pub use access::{
    ApiKeyCreated, ApiKeyRequest, ApiKeySummary, AuditEntry, BrokenChain, LoginCreated, PasswordRequest,
    PasswordSet, Role, UnknownRole, UserRequest, UserSummary,
};
pub use admin::{
    BuildDocumentKind, BuildDocumentSummary, CertificateAdded, CertificateRequest, LARGEST_BUILD_DOCUMENT,
    LivepatchSummary, MachineDetail, MachineSummary, PromoteRequest, PublishAnswer, PublishHeader,
    TokenCreated, TokenRequest, TokenSummary, UnknownBuildDocumentKind, WithdrawRequest,
};
pub use approval::{ApprovalRequest, ApprovalSummary, ApprovalTakeBack};
pub use client::{
    AppliedLivepatch, CheckInAnswer, CheckInRequest, EnrolAnswer, EnrolRequest, Event, EventKind, News,
    PatchState,
};
pub use cve::{
    ClockPage, ClockStep, CveClock, CveDetail, CveImport, CveImportDocument, CveImported, CvePage,
    CveProposal, CveRating, CveRefusal, CveRefusalRequest, CveSummary, CveVerdict, FamilyVerdicts,
    MitigationView, VerdictRequest, VerdictsPublished,
};
pub use error::{ApiError, ErrorCode};
pub use hook::{HookCreated, HookEvent, HookMessage, HookRequest, HookSummary, UnknownHookEvent};
pub use notice::{MailReport, NoticeDraft, NoticePage, NoticeState, NoticeView, SubscriberRequest};
pub use rollout::{RolloutBuild, RolloutHalt, RolloutOrder, RolloutRequest, RolloutVerb, RolloutView};
pub use tier::{
    BlockKind, BlockRequest, BlockSummary, PromoteAllRequest, TierChange, TierSummary, UnknownBlockKind,
};
pub use trust_anchor::{AnchoredOrigin, EnrolmentToken, TokenError, TrustAnchor};
pub use upstream::{
    AnchorView, BundleImported, Selection, Skip, SkippedLivepatch, SyncReport, TakenLivepatch,
    UpstreamRequest, UpstreamSummary,
};
