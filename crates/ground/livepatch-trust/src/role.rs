//! The four roles of a repository, how long their signatures last and how far their versions have come.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A role of TUF (specification 2.1); each has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Names the keys of all roles. Its key may be kept offline.
    Root,
    /// Names the modules.
    Targets,
    /// Names the current version of the targets metadata.
    Snapshot,
    /// Names the current snapshot; short-lived, so that a machine notices when it is held back.
    Timestamp,
}

/// How long metadata stay valid from the moment of signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the root metadata.
    pub root: Duration,
    /// Of the targets metadata.
    pub targets: Duration,
    /// Of the snapshot metadata.
    pub snapshot: Duration,
    /// Of the timestamp metadata.
    pub timestamp: Duration,
}

/// The versions of the metadata that a repository consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of the root metadata.
    pub root: u64,
    /// Of the targets metadata: grows with each change of what is published.
    pub targets: u64,
    /// Of the snapshot metadata.
    pub snapshot: u64,
    /// Of the timestamp metadata.
    pub timestamp: u64,
}

impl Role {
    /// Every role, most powerful first.
    pub const ALL: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// The role's name in file names and metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// The role that a metadata file such as `7.snapshot.json` or `timestamp.json` belongs to.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".json")?;
        let kind = stem.split_once('.').map_or(stem, |(_, kind)| kind);
        Self::ALL.into_iter().find(|role| role.as_str() == kind)
    }
}

impl Lifetimes {
    /// How long metadata of this role stay valid.
    pub fn of(&self, role: Role) -> Duration {
        match role {
            Role::Root => self.root,
            Role::Targets => self.targets,
            Role::Snapshot => self.snapshot,
            Role::Timestamp => self.timestamp,
        }
    }
}

impl Default for Lifetimes {
    /// Two years, half a year, two weeks, three days: a server that is down over a weekend holds nobody up.
    fn default() -> Self {
        let days = |count: u64| Duration::from_secs(count * 86_400);
        Self { root: days(730), targets: days(180), snapshot: days(14), timestamp: days(3) }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, targets, snapshot, timestamp } = self;
        write!(f, "root {root}, targets {targets}, snapshot {snapshot}, timestamp {timestamp}")
    }
}
