//! The quick word: in the document that every poll reads.

use crate::Reach;
use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What holds for running rollouts now. Digests are named by their first 16 digits, so that a poll stays small; a module
/// made to share them with another would be held with it, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// Modules that no machine may load, whatever else is signed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub denied: BTreeSet<String>,
    /// Modules that no machine may load for now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub blocked: BTreeSet<String>,
    /// How far each running rollout may go, by module.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rollouts: BTreeMap<String, Directive>,
}

/// How far a rollout may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// The machines that may have it.
    pub reach: Reach,
    /// It was stopped: nobody new may have it, whatever `reach` says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub halted: bool,
}

/// The name of a module in a [`Steering`].
pub fn key_of(sha256: &Digest) -> String {
    sha256.as_str().chars().take(16).collect()
}

impl Steering {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.denied.is_empty() && self.blocked.is_empty() && self.rollouts.is_empty()
    }

    /// Whether no machine may load this module, for good or for now.
    pub fn denies(&self, sha256: &Digest) -> bool {
        self.withdraws(sha256) || self.blocked.contains(&key_of(sha256))
    }

    /// Whether no machine may ever load this module.
    pub fn withdraws(&self, sha256: &Digest) -> bool {
        self.denied.contains(&key_of(sha256))
    }

    /// What holds for this module's rollout.
    pub fn directive(&self, sha256: &Digest) -> Option<Directive> {
        self.rollouts.get(&key_of(sha256)).copied()
    }
}
