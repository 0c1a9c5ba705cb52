//! The document.

use crate::LsnNumber;
use jiff::{Timestamp, civil::Date};
use livepatch_cve::{CveId, Distribution, Priority};
use livepatch_kernel::PackageVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A Livepatch Security Notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Its number.
    pub number: LsnNumber,
    /// What it is about, in a few words: `Linux kernel vulnerabilities`.
    pub title: String,
    /// Livepatch, or none possible.
    #[serde(flatten)]
    pub kind: Kind,
    /// When the first revision was published.
    pub published: Timestamp,
    /// Every revision, the first first; the last has the notice's own number.
    pub revisions: Vec<Revision>,
    /// What happened, in a sentence or two.
    pub summary: String,
    /// The kernels concerned.
    pub affected: Vec<Affected>,
    /// The vulnerabilities.
    pub details: Vec<Detail>,
    /// What to have for each kernel.
    pub instructions: Vec<Instruction>,
    /// Addresses to read more, beside those of the CVEs.
    #[serde(default)]
    pub references: Vec<String>,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "alert", rename_all = "kebab-case")]
pub enum Kind {
    /// A livepatch is there.
    Livepatch,
    /// There is none, for ever or for now.
    Alert(Alert),
}

/// Why there is no livepatch, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The builder's reason code, or [`Alert::NOT_YET`].
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// What helps meanwhile.
    pub mitigation: Option<String>,
}

impl Alert {
    /// The code of an alert that comes before the livepatch.
    pub const NOT_YET: &str = "not-yet";

    /// Whether a livepatch may still come.
    pub fn is_for_now(&self) -> bool {
        self.code == Self::NOT_YET
    }

    /// The alert in a few words.
    pub fn headline(&self) -> &'static str {
        if self.is_for_now() { "No livepatch yet" } else { "No livepatch: update and reboot" }
    }

    /// Why, as a sentence or two.
    pub fn explanation(&self) -> String {
        if self.is_for_now() {
            format!("There is no livepatch yet. {}", self.reason)
        } else {
            format!("This cannot be livepatched ({}). {}", self.code, self.reason)
        }
    }

    /// What to do.
    pub fn advice(&self) -> &'static str {
        if self.is_for_now() {
            "A notice will announce the livepatch. A kernel that has the fix needs none: update and reboot where you can."
        } else {
            "Update the kernel and reboot. The livepatch client warns until that is done."
        }
    }
}

/// A change of a published notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// From 1.
    pub revision: u32,
    /// Its day.
    pub date: Date,
    /// What changed.
    pub note: String,
}

/// A row of the table of affected kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affected {
    /// `Ubuntu 18.04 LTS`.
    pub release: String,
    /// The kernel's series: `4.15`.
    pub series: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Its flavours.
    pub flavours: Vec<String>,
}

/// A vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// The CVE.
    pub cve: CveId,
    /// What it is, for readers who are no kernel developers.
    pub text: String,
    /// Its priority.
    pub priority: Priority,
}

/// What a kernel needs. Each names the CVEs that matter for it: not every vulnerability is in every kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// Who builds the kernel.
    pub distribution: Distribution,
    /// The release's number: `18.04`.
    pub release: String,
    /// Source package.
    pub package: String,
    /// Flavour.
    pub flavour: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Version of the livepatch to have; none in an alert.
    pub livepatch: Option<u32>,
    /// Name of the livepatch's module, as in `/sys/kernel/livepatch`, with `{build}` for the build's own part; none in an alert.
    pub module: Option<String>,
    /// The lowest build that can get the livepatch.
    pub lowest_build: Option<PackageVersion>,
    /// The first build that has the fixes itself; none when there is none yet.
    pub fixed_build: Option<PackageVersion>,
    /// The vulnerabilities that this kernel has.
    pub cves: BTreeSet<CveId>,
}

/// Why a notice cannot be published.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoticeError {
    /// Something is blank that readers need.
    #[error("the {0} is missing")]
    Blank(&'static str),
    /// The revisions are not 1, 2, … up to the notice's own.
    #[error("the revisions must be numbered from 1 up to the notice's own, {0}")]
    Revisions(u32),
    /// An instruction for a vulnerability that the details do not have.
    #[error("{0} is in the instructions and not in the details")]
    Unexplained(CveId),
    /// A vulnerability that no instruction names.
    #[error("{0} is in the details, and no kernel has it")]
    Unused(CveId),
    /// The same vulnerability twice.
    #[error("{0} is in the details twice")]
    Repeated(CveId),
    /// An announcement without a livepatch for a kernel.
    #[error("{0} has no livepatch version or no lowest build; only an alert may leave them out")]
    NoLivepatch(String),
    /// An alert that names a livepatch.
    #[error("{0} names a livepatch in an alert that there is none")]
    Livepatch(String),
}

impl Notice {
    /// Whether it can be published.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), NoticeError> {
        for (name, text) in [("title", &self.title), ("summary", &self.summary)] {
            if text.trim().is_empty() {
                return Err(NoticeError::Blank(name));
            }
        }
        if let Kind::Alert(alert) = &self.kind
            && (alert.reason.trim().is_empty() || alert.code.trim().is_empty())
        {
            return Err(NoticeError::Blank("reason why there is no livepatch"));
        }
        let numbered = self.revisions.iter().map(|revision| revision.revision).eq(1..=self.number.revision);
        if !numbered {
            return Err(NoticeError::Revisions(self.number.revision));
        }
        self.check_cves()?;
        self.instructions.iter().try_for_each(|instruction| self.check_instruction(instruction))
    }

    fn check_cves(&self) -> Result<(), NoticeError> {
        if self.details.is_empty() || self.instructions.is_empty() || self.affected.is_empty() {
            return Err(NoticeError::Blank("list of vulnerabilities, kernels or instructions"));
        }
        let mut explained = BTreeSet::new();
        for detail in &self.details {
            if !explained.insert(detail.cve) {
                return Err(NoticeError::Repeated(detail.cve));
            }
        }
        let used: BTreeSet<CveId> = self.instructions.iter().flat_map(|one| &one.cves).copied().collect();
        if let Some(cve) = used.difference(&explained).next() {
            return Err(NoticeError::Unexplained(*cve));
        }
        explained.difference(&used).next().map_or(Ok(()), |cve| Err(NoticeError::Unused(*cve)))
    }

    fn check_instruction(&self, instruction: &Instruction) -> Result<(), NoticeError> {
        let livepatch = instruction.livepatch.is_some() && instruction.module.is_some();
        match self.kind {
            Kind::Livepatch if !livepatch || instruction.lowest_build.is_none() => {
                Err(NoticeError::NoLivepatch(instruction.kernel()))
            }
            Kind::Alert(_) if instruction.livepatch.is_some() => {
                Err(NoticeError::Livepatch(instruction.kernel()))
            }
            _ => Ok(()),
        }
    }

    /// The day of the last revision; of the publication when there is none.
    pub fn updated(&self) -> Date {
        let published = jiff::tz::TimeZone::UTC.to_datetime(self.published).date();
        self.revisions.last().map_or(published, |revision| revision.date)
    }

    /// A livepatch, or none possible.
    pub fn is_alert(&self) -> bool {
        matches!(self.kind, Kind::Alert(_))
    }
}

impl Instruction {
    /// `linux-aws 18.04 amd64 aws`.
    pub fn kernel(&self) -> String {
        format!("{} {} {} {}", self.package, self.release, self.architecture, self.flavour)
    }
}
