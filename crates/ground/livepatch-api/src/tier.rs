//! Tiers, and what is kept from livepatches.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A tier in the list, which is in order: the first gets a livepatch first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TierSummary {
    /// Its name.
    pub name: String,
    /// Machines in it that are not revoked.
    pub machines: u32,
    /// Enrolment tokens for it that are not revoked.
    pub tokens: u32,
    /// Livepatches that are available to it.
    pub livepatches: u32,
}

/// Change the tiers. What is published stays available where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum TierChange {
    /// A new tier. Nothing is available to it before it is promoted.
    Create {
        /// Its name.
        name: String,
        /// The tier that it comes after; absent: it comes first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Another name for a tier: machines, tokens and livepatches go with it.
    Rename {
        /// As it is.
        name: String,
        /// As it shall be.
        to: String,
    },
    /// Another order, for promotions from now on.
    Reorder {
        /// All names, in their new order.
        names: Vec<String>,
    },
    /// Take a tier away.
    Remove {
        /// Its name.
        name: String,
        /// The tier that its machines and tokens go to; needed when it has any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        move_to: Option<String>,
    },
}

/// Make everything that is available to one tier available to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromoteAllRequest {
    /// What this tier has …
    pub from: String,
    /// … this one gets, with those before it.
    pub tier: String,
}

/// What a block is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// One livepatch, by module name: no machine loads it.
    Patch,
    /// A kernel, by release or build id: no machine that runs it loads anything.
    Kernel,
    /// One machine, by its id: it is offered nothing.
    Machine,
    /// Machines that carry a tag: they are offered nothing.
    Tag,
}

/// There is no block of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no block of kind '{0}': patch, kernel, machine or tag")]
pub struct UnknownBlockKind(String);

impl BlockKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Patch, Self::Kernel, Self::Machine, Self::Tag];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Kernel => "kernel",
            Self::Machine => "machine",
            Self::Tag => "tag",
        }
    }
}

impl FromStr for BlockKind {
    type Err = UnknownBlockKind;

    fn from_str(text: &str) -> Result<Self, UnknownBlockKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownBlockKind(text.to_owned()))
    }
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Block something. What is confirmed on a machine stays there; nothing new is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockRequest {
    /// What it is about.
    pub kind: BlockKind,
    /// Module name, kernel release or build id, machine id, or tag.
    pub subject: String,
    /// Why; shown in lists and kept in the audit log.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub reason: String,
    /// Seconds until it ends by itself; absent: when it is lifted.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 316_224_000)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u64>,
}

/// A block in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockSummary {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub kind: BlockKind,
    /// Which one.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub actor: String,
    /// When, RFC 3339.
    pub created: String,
    /// When it ends by itself, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}
