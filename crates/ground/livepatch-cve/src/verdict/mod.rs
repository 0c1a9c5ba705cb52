//! For every CVE and every kernel build: one true answer.
//!
//! [`Exposure`] is what a record says in the form that the engine reads; [`KernelBuild`] is a build with what is known of its
//! configuration and code; [`Engine`] holds both and gives the [`Verdict`]; [`VerdictFile`] carries one family's verdicts to the
//! machines that run it. The order in which evidence counts is in `decide.rs`.

mod decide;
mod engine;
mod exposure;
mod file;
mod kernel;

pub use engine::{Engine, Run, Verdicts};
pub use exposure::{Exposure, Stance};
pub use file::{FileBuild, LARGEST_VERDICT_FILE, VerdictFile, VerdictFileError};
pub use kernel::{BuildNumber, FamilyNumber, KernelBuild, flavour_name};

use crate::Name;
use livepatch_kernel::PackageVersion;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What holds for one CVE and one kernel build.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The build does not have the fault.
    NotAffected {
        /// Why not.
        why: NotAffected,
        /// The evidence: a configuration option, a file, the distribution's words; may be empty.
        evidence: Name,
    },
    /// The build has the fix.
    FixedInBuild {
        /// The first build of the family that has it.
        first: PackageVersion,
    },
    /// A livepatch for this build mends it.
    Livepatched {
        /// The first version of the build's cumulative livepatch that does.
        version: u32,
    },
    /// No livepatch can mend it: update and reboot.
    CannotBeLivepatched {
        /// The builder's reason code.
        reason: Name,
        /// The first build that has the fix, when there is one.
        first_safe: Option<PackageVersion>,
        /// What helps until then.
        mitigation: Option<Name>,
    },
    /// Neither fix nor livepatch yet, but something helps.
    Mitigated {
        /// The mitigation's name.
        mitigation: Name,
        /// The first build that has the fix, when there is one.
        first_safe: Option<PackageVersion>,
    },
    /// Open.
    Pending {
        /// Where the distribution stands.
        why: Pending,
        /// The first build that has the fix, when there is one.
        first_safe: Option<PackageVersion>,
    },
}

/// Why a build does not have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotAffected {
    /// The identifier stands for no vulnerability.
    NoVulnerability,
    /// This version does not have the faulty code, or never had it without the fix.
    Version,
    /// The configuration leaves the code out.
    Configuration,
    /// The code is not built for this architecture or flavour.
    NotBuilt,
}

/// Where a distribution stands with a fault that its build has, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// A later build has the fix.
    FixAvailable,
    /// To be fixed, or being fixed.
    Planned,
    /// Put off.
    Deferred,
    /// Nobody has looked yet.
    NotTriaged,
    /// The distribution will not fix it.
    WillNotBeFixed,
}

/// A verdict without its details: the columns of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// [`Verdict::NotAffected`].
    NotAffected,
    /// [`Verdict::FixedInBuild`].
    FixedInBuild,
    /// [`Verdict::Livepatched`].
    Livepatched,
    /// [`Verdict::CannotBeLivepatched`].
    CannotBeLivepatched,
    /// [`Verdict::Mitigated`].
    Mitigated,
    /// [`Verdict::Pending`].
    Pending,
}

impl Verdict {
    /// The verdict without its details.
    pub fn kind(&self) -> VerdictKind {
        match self {
            Self::NotAffected { .. } => VerdictKind::NotAffected,
            Self::FixedInBuild { .. } => VerdictKind::FixedInBuild,
            Self::Livepatched { .. } => VerdictKind::Livepatched,
            Self::CannotBeLivepatched { .. } => VerdictKind::CannotBeLivepatched,
            Self::Mitigated { .. } => VerdictKind::Mitigated,
            Self::Pending { .. } => VerdictKind::Pending,
        }
    }

    /// Whether the build, with its newest livepatch loaded, is safe from the fault.
    pub fn is_safe(&self) -> bool {
        matches!(self.kind(), VerdictKind::NotAffected | VerdictKind::FixedInBuild | VerdictKind::Livepatched)
    }

    /// Whether the build alone, without a livepatch, is safe from the fault.
    pub fn is_safe_unpatched(&self) -> bool {
        matches!(self.kind(), VerdictKind::NotAffected | VerdictKind::FixedInBuild)
    }
}

/// One plain sentence.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |f: &mut fmt::Formatter<'_>, first: &Option<PackageVersion>| match first {
            Some(version) => write!(f, "; fixed from {version}"),
            None => Ok(()),
        };
        match self {
            Self::NotAffected { why, evidence } => {
                write!(f, "not affected: {why}")?;
                if evidence.is_empty() { Ok(()) } else { write!(f, " ({})", evidence.trim()) }
            }
            Self::FixedInBuild { first } => write!(f, "fixed in this build, since {first}"),
            Self::Livepatched { version } => write!(f, "livepatched in version {version}"),
            Self::CannotBeLivepatched { reason, first_safe, mitigation } => {
                write!(f, "cannot be livepatched ({reason}): update and reboot")?;
                until(f, first_safe)?;
                mitigation.as_ref().map_or(Ok(()), |name| write!(f, "; until then: {name}"))
            }
            Self::Mitigated { mitigation, first_safe } => {
                write!(f, "mitigated by {mitigation}")?;
                until(f, first_safe)
            }
            Self::Pending { why, first_safe } => {
                write!(f, "open: {why}")?;
                until(f, first_safe)
            }
        }
    }
}

impl fmt::Display for NotAffected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoVulnerability => "the identifier stands for no vulnerability",
            Self::Version => "not in this version",
            Self::Configuration => "left out by the configuration",
            Self::NotBuilt => "the code is not built",
        })
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FixAvailable => "a later build has the fix",
            Self::Planned => "the distribution is to fix it",
            Self::Deferred => "the distribution has put it off",
            Self::NotTriaged => "the distribution has not looked yet",
            Self::WillNotBeFixed => "the distribution will not fix it",
        })
    }
}

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAffected => "not affected",
            Self::FixedInBuild => "fixed in build",
            Self::Livepatched => "livepatched",
            Self::CannotBeLivepatched => "cannot be livepatched",
            Self::Mitigated => "mitigated",
            Self::Pending => "pending",
        })
    }
}
