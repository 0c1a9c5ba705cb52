//! Approvals: tiers that nothing comes to by one person's word.

use serde::{Deserialize, Serialize};

/// Somebody approves a livepatch for a tier, so that somebody else may take it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalRequest {
    /// Module name of a published livepatch.
    pub livepatch: String,
    /// The tier.
    pub tier: String,
    /// What was looked at; stands in the audit log.
    pub reason: String,
}

/// Somebody takes an approval of theirs back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalTakeBack {
    /// Module name.
    pub livepatch: String,
    /// The tier.
    pub tier: String,
}

/// An approval in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalSummary {
    /// Module name.
    pub livepatch: String,
    /// The tier.
    pub tier: String,
    /// Who, as the audit log names them.
    pub actor: String,
    /// What was looked at.
    pub reason: String,
    /// When; RFC 3339, UTC.
    pub created: String,
}
