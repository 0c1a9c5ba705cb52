//! Web-hooks: the server tells another program what happened.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a hook can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// A livepatch was published.
    Publish,
    /// A livepatch became available to further tiers.
    Promote,
    /// A rollout was halted, by a person or by itself.
    Halt,
    /// A rollout goes on.
    Resume,
    /// A machine crashed, or could not take a livepatch.
    MachineFailed,
}

/// There is no event of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no event '{0}': publish, promote, halt, resume or machine-failed")]
pub struct UnknownHookEvent(String);

impl HookEvent {
    /// All events.
    pub const ALL: [Self; 5] = [Self::Publish, Self::Promote, Self::Halt, Self::Resume, Self::MachineFailed];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Promote => "promote",
            Self::Halt => "halt",
            Self::Resume => "resume",
            Self::MachineFailed => "machine-failed",
        }
    }
}

impl FromStr for HookEvent {
    type Err = UnknownHookEvent;

    fn from_str(text: &str) -> Result<Self, UnknownHookEvent> {
        let found = Self::ALL.into_iter().find(|event| event.as_str() == text);
        found.ok_or_else(|| UnknownHookEvent(text.to_owned()))
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tell a program from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookRequest {
    /// What it is called.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub name: String,
    /// Where to POST to.
    pub url: String,
    /// Of what; empty: of everything.
    #[serde(default)]
    pub events: Vec<HookEvent>,
}

/// A new hook. The secret is shown this once: what is sent is signed with it (see [`HookMessage`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookCreated {
    /// Id, for lists.
    pub id: String,
    /// The key of the signatures.
    pub secret: String,
}

/// A hook in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookSummary {
    /// Id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it is told of.
    pub events: Vec<HookEvent>,
    /// Messages that wait to be taken.
    pub waiting: u32,
    /// Messages that were given up.
    pub given_up: u32,
}

/// What a hook gets, as the body of a POST. The header `Livepatch-Signature: t=SECONDS,v1=HEX` carries the time of sending
/// and HMAC-SHA256, with the hook's secret as key, over `SECONDS.` and the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookMessage {
    /// Differs for each message, and is the same when one is sent again.
    pub id: String,
    /// What happened.
    pub event: HookEvent,
    /// When, RFC 3339.
    pub at: String,
    /// To what: a livepatch, a release, a machine.
    pub subject: String,
    /// How.
    pub detail: String,
}
