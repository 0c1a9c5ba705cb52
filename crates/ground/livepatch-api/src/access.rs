//! Who may do what, and who did what.

use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What the holder of an API key may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See everything.
    Viewer,
    /// Care for machines: enrolment tokens, revoking machines, halting a rollout.
    Operator,
    /// Decide what machines get: publish, promote, begin and resume rollouts, withdraw.
    Releaser,
    /// Everything: API keys and certificates too.
    Admin,
}

/// There is no role of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role '{0}': viewer, operator, releaser or admin")]
pub struct UnknownRole(String);

/// Make an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyRequest {
    /// Who or what holds it; stands in the audit log.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Seconds until it expires; absent: never.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 316_224_000)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<u64>,
}

/// A new API key. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyCreated {
    /// Id, for lists.
    pub id: String,
    /// The bearer secret.
    pub key: String,
}

/// An API key in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeySummary {
    /// Id.
    pub id: String,
    /// Who or what holds it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it expires, RFC 3339.
    pub expires: Option<String>,
    /// When it was revoked, RFC 3339.
    pub revoked: Option<String>,
    /// When it was used last, RFC 3339, to the minute.
    pub used: Option<String>,
}

/// Make a user, who signs in at the dashboard with a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserRequest {
    /// The name: letters, digits and `. _ - @`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// The password, of 12 characters or more; absent: the server makes one.
    #[cfg_attr(feature = "schema", schemars(length(min = 12)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Give a user another password: the sessions that were begun with the old one end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PasswordRequest {
    /// The password, of 12 characters or more; absent: the server makes one.
    #[cfg_attr(feature = "schema", schemars(length(min = 12)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A user's password was set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PasswordSet {
    /// The user.
    pub name: String,
    /// The password, where the server made it: it is shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl fmt::Debug for UserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserRequest({}, {}, password withheld)", self.name, self.role)
    }
}

impl fmt::Debug for PasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordRequest(password withheld)")
    }
}

impl fmt::Debug for PasswordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordSet({}, password withheld)", self.name)
    }
}

/// A user in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserSummary {
    /// The name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was made, RFC 3339.
    pub created: String,
    /// When the user signed in last, RFC 3339.
    pub used: Option<String>,
    /// Until when the user cannot sign in, RFC 3339: wrong passwords lock out for a while, an admin until it is lifted (then this
    /// is the last day that there is a date for).
    pub locked_until: Option<String>,
}

/// A one-time sign-in at the dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoginCreated {
    /// Path and query, below the server's URL. Whoever opens it first is signed in.
    pub path: String,
    /// When it expires, RFC 3339.
    pub expires: String,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its number; later entries have greater ones.
    pub id: i64,
    /// Seconds since 1970, UTC.
    pub at: i64,
    /// Who: the name of an API key, or `admin.key`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How.
    pub detail: String,
    /// The chain: see [`AuditEntry::hash_after`]. Empty: from before the chain began.
    pub hash: String,
}

/// Where the chain of an audit log is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log was altered: entry {id} does not continue the chain of those before it")]
pub struct BrokenChain {
    /// The first entry that does not fit.
    pub id: i64,
}

impl AuditEntry {
    /// SHA-256 over the hash of the entry before (empty for the first) and this entry's fields, each with its length
    /// before it, so that no two entries have the same bytes.
    pub fn hash_after(&self, before: &str) -> String {
        let at = self.at.to_string();
        let mut bytes = Vec::new();
        for field in [before, &at, &self.actor, &self.action, &self.subject, &self.detail] {
            bytes.extend_from_slice(field.len().to_string().as_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(field.as_bytes());
        }
        Digest::of(&bytes).to_string()
    }

    /// Follows the chain through entries, oldest first, from the first of the log on: the hash of the last.
    ///
    /// # Errors
    /// [`BrokenChain`] at the first entry that was altered, or before which one was taken out.
    pub fn verify_chain<'a>(entries: impl Iterator<Item = &'a Self>) -> Result<String, BrokenChain> {
        let mut head = String::new();
        for entry in entries {
            let is_old = entry.hash.is_empty() && head.is_empty();
            if is_old {
                continue;
            }
            if entry.hash != entry.hash_after(&head) {
                return Err(BrokenChain { id: entry.id });
            }
            head.clone_from(&entry.hash);
        }
        Ok(head)
    }
}

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Releaser => "releaser",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let all = [Self::Viewer, Self::Operator, Self::Releaser, Self::Admin];
        all.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn log() -> Vec<AuditEntry> {
        let mut log: Vec<AuditEntry> = Vec::new();
        for id in 1..=4 {
            let (actor, action) = ("ada".to_owned(), "promote".to_owned());
            let entry = AuditEntry {
                id,
                at: 1_800_000_000 + id,
                actor,
                action,
                subject: "livepatch_1".into(),
                detail: "to stable".into(),
                hash: String::new(),
            };
            let before = log.last().map_or("", |last| last.hash.as_str());
            let hash = entry.hash_after(before);
            log.push(AuditEntry { hash, ..entry });
        }
        log
    }

    #[test]
    fn chain_holds_and_breaks_where_it_was_touched() {
        let sound = log();
        assert_eq!(AuditEntry::verify_chain(sound.iter()).unwrap(), sound[3].hash);
        let mut altered = log();
        altered[1].detail = "to edge".into();
        assert_eq!(AuditEntry::verify_chain(altered.iter()), Err(BrokenChain { id: 2 }));
        let mut shortened = log();
        shortened.remove(1);
        assert_eq!(AuditEntry::verify_chain(shortened.iter()), Err(BrokenChain { id: 3 }));
        let mut emptied = log();
        emptied[2].hash.clear();
        assert_eq!(AuditEntry::verify_chain(emptied.iter()), Err(BrokenChain { id: 3 }));
    }

    #[test]
    fn roles_are_ordered() {
        assert!(
            Role::Viewer < Role::Operator && Role::Operator < Role::Releaser && Role::Releaser < Role::Admin
        );
        assert_eq!("releaser".parse(), Ok(Role::Releaser));
        assert!("root".parse::<Role>().is_err());
    }
}
