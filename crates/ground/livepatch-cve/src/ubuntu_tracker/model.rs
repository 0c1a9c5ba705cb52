//! The content of a tracker file.

use crate::{CveId, Priority};
use livepatch_kernel::PackageVersion;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A tracker file: its entries in order. The accessors give meaning to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackerFile {
    /// Everything in the file, in order.
    pub entries: Vec<Entry>,
}

/// A part of a tracker file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One or more empty lines.
    Blank,
    /// A comment: the line as it stands.
    Comment(String),
    /// A field of the head, or one that we do not know: `Description`, `Tags_linux`.
    Field {
        /// What stands before the colon.
        name: String,
        /// What stands behind it; often empty.
        value: String,
        /// The continuation lines, without their first blank.
        more: Vec<String>,
    },
    /// `Priority`, `Priority_PACKAGE` or `Priority_PACKAGE_RELEASE`.
    Priority {
        /// What follows `Priority_`; none for the CVE's own.
        scope: Option<String>,
        /// None for `untriaged`, and for nothing.
        priority: Option<Priority>,
        /// The word as it stands.
        word: String,
        /// The continuation lines: why.
        reason: Vec<String>,
    },
    /// `Patches_PACKAGE`.
    Patches {
        /// The source package.
        package: String,
        /// What stands behind the colon: nothing, but for slips.
        value: String,
        /// The lines below it.
        patches: Vec<PatchLine>,
    },
    /// The state of a package in a release.
    State(StateLine),
    /// A line of no known form, kept as it stands.
    Unreadable(String),
}

/// A line below `Patches_PACKAGE`: `break-fix: COMMIT COMMIT`, `upstream: ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchLine(pub String);

/// `bionic_linux-hwe: released (5.0.0-31.33~18.04.1)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateLine {
    /// `bionic`, `trusty/esm`, `upstream`, `devel`.
    pub release: String,
    /// The source package.
    pub package: String,
    /// The state.
    pub state: TrackerState,
    /// What stands in parentheses: a version, a date, or words.
    pub note: Option<String>,
}

/// The states of a package that the tracker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackerState {
    /// The release does not have the package.
    #[serde(rename = "DNE")]
    DoesNotExist,
    /// Nobody has looked.
    NeedsTriage,
    /// The package does not have the fault.
    NotAffected,
    /// To be fixed.
    Needed,
    /// Somebody is at it.
    Active,
    /// Will not be fixed here.
    Ignored,
    /// A fix is prepared, not yet published.
    Pending,
    /// Put off.
    Deferred,
    /// Fixed in a published version.
    Released,
    /// The same, for subscribers of extended maintenance.
    ReleasedEsm,
}

const STATES: [(TrackerState, &str); 10] = [
    (TrackerState::DoesNotExist, "DNE"),
    (TrackerState::NeedsTriage, "needs-triage"),
    (TrackerState::NotAffected, "not-affected"),
    (TrackerState::Needed, "needed"),
    (TrackerState::Active, "active"),
    (TrackerState::Ignored, "ignored"),
    (TrackerState::Pending, "pending"),
    (TrackerState::Deferred, "deferred"),
    (TrackerState::Released, "released"),
    (TrackerState::ReleasedEsm, "released-esm"),
];

impl TrackerState {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for TrackerState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        STATES.iter().find(|(_, word)| *word == text).map(|(state, _)| *state).ok_or(())
    }
}

/// Which commits broke it, and which mended it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BreakFix {
    /// Any of these brought the fault; empty when unknown.
    pub breaks: Vec<Commit>,
    /// Any of these removes it; empty when there is none.
    pub fixes: Vec<Commit>,
}

/// A commit, as the tracker names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Commit {
    /// A commit of Linus Torvalds's tree: hexadecimal digits, 7 to 40.
    Upstream(String),
    /// A patch that is only in Ubuntu (`local-2018-3639-fix`), or another note.
    Local(String),
}

impl PatchLine {
    /// `break-fix`, `upstream`, `vendor`, …; empty when the line has no such word.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or("", |(kind, _)| kind)
    }

    /// What follows the kind.
    pub fn value(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(_, value)| value).trim()
    }

    /// The commits of a `break-fix` line: two words, each a list separated by bars; `-` stands for none.
    pub fn break_fix(&self) -> Option<BreakFix> {
        let mut words = (self.kind() == "break-fix").then(|| self.value().split_whitespace())?;
        let (breaks, fixes) = (words.next()?, words.next()?);
        words.next().is_none().then(|| BreakFix { breaks: Commit::list(breaks), fixes: Commit::list(fixes) })
    }
}

impl Commit {
    fn list(text: &str) -> Vec<Self> {
        let named = text.split('|').filter(|name| !matches!(*name, "" | "-"));
        named
            .map(|name| if is_hash(name) { Self::Upstream(name.into()) } else { Self::Local(name.into()) })
            .collect()
    }
}

fn is_hash(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl StateLine {
    /// The version in the note, for the states that have one. A note in words is none.
    pub fn version(&self) -> Option<Result<PackageVersion, String>> {
        let versioned = matches!(
            self.state,
            TrackerState::Released
                | TrackerState::ReleasedEsm
                | TrackerState::Pending
                | TrackerState::NotAffected
        );
        let note = self.note.as_deref().filter(|_| versioned)?;
        let looks_like_one =
            note.starts_with(|c: char| c.is_ascii_digit()) && !note.contains(char::is_whitespace);
        looks_like_one.then(|| note.parse().map_err(|_| note.to_owned()))
    }
}

impl TrackerFile {
    /// The CVE that the file is about; none in the tracker's template.
    pub fn candidate(&self) -> Option<CveId> {
        self.value("Candidate").and_then(|value| value.parse().ok())
    }

    /// A field's value on its own line.
    pub fn value(&self, field: &str) -> Option<&str> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Field { name, value, .. } if name == field => Some(value.as_str()),
            _ => None,
        })
    }

    /// A field's lines: its value, when there is one, and its continuation lines.
    pub fn lines(&self, field: &str) -> Vec<&str> {
        let found = self.entries.iter().find_map(|entry| match entry {
            Entry::Field { name, value, more } if name == field => Some((value, more)),
            _ => None,
        });
        let Some((value, more)) = found else { return Vec::new() };
        let first = Some(value.as_str()).filter(|value| !value.is_empty());
        first.into_iter().chain(more.iter().map(String::as_str)).collect()
    }

    /// A field's lines as one paragraph.
    pub fn paragraph(&self, field: &str) -> String {
        let lines = self.lines(field);
        lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The CVE's own priority, and why.
    pub fn priority(&self) -> Option<(Priority, String)> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Priority { scope: None, priority: Some(priority), reason, .. } => {
                let reason = reason.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
                Some((*priority, reason))
            }
            _ => None,
        })
    }

    /// The states of all packages.
    pub fn states(&self) -> impl Iterator<Item = &StateLine> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::State(line) => Some(line),
            _ => None,
        })
    }

    /// Every break-fix line, of whatever package.
    pub fn break_fixes(&self) -> impl Iterator<Item = BreakFix> + '_ {
        let patches = self.entries.iter().filter_map(|entry| match entry {
            Entry::Patches { patches, .. } => Some(patches),
            _ => None,
        });
        patches.flatten().filter_map(PatchLine::break_fix)
    }

    /// The notes: who wrote, and what. `nick> ` starts a note, further lines belong to it.
    pub fn notes(&self) -> Vec<(String, String)> {
        let mut notes: Vec<(String, String)> = Vec::new();
        for line in self.lines("Notes") {
            let line = line.trim();
            match line.split_once(['>', '|']) {
                Some((nick, text)) if !nick.is_empty() && !nick.contains(char::is_whitespace) => {
                    notes.push((nick.to_owned(), text.trim().to_owned()));
                }
                _ => match notes.last_mut() {
                    Some((_, text)) => {
                        text.push(' ');
                        text.push_str(line);
                    }
                    None => notes.push((String::new(), line.to_owned())),
                },
            }
        }
        notes
    }
}
