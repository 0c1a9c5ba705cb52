//! What a record says, in the form that verdicts are made from.

use super::{NotAffected, Pending};
use crate::record::{CveRecord, PackageState, PackageStatus};
use crate::{CveId, Family, Name, UpstreamRanges};
use livepatch_kernel::PackageVersion;
use std::collections::BTreeMap;

/// A CVE, as far as verdicts depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The CVE.
    pub cve: CveId,
    /// The identifier stands for no vulnerability.
    pub void: bool,
    /// In which upstream versions it is; none when unknown.
    pub upstream: Option<UpstreamRanges>,
    /// A kernel has it only when it sets one of these options; empty when unknown.
    pub configuration: Vec<Name>,
    /// A kernel has it only when one of these files is compiled into it; empty when unknown.
    pub files: Vec<Name>,
    /// What distributions say of their packages.
    pub families: BTreeMap<Family, Stance>,
}

/// What a distribution says of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stance {
    /// There is no such package.
    Absent,
    /// Never affected, or not from a version on.
    NotAffected {
        /// From this version; all when there is none.
        from: Option<PackageVersion>,
        /// Why.
        why: NotAffected,
        /// The distribution's words.
        evidence: Name,
    },
    /// Fixed from a version on.
    Fixed(PackageVersion),
    /// Said to be fixed, without a version.
    FixedSomewhere,
    /// A fix is prepared for this version, which may or may not be published: a build that is as new has it.
    Prepared {
        /// The version.
        version: PackageVersion,
        /// Where the distribution stands with builds before it.
        otherwise: Pending,
    },
    /// Open.
    Open(Pending),
}

impl Exposure {
    /// From a record, by the statements that count.
    pub fn from_record(record: &CveRecord) -> Self {
        let list = |field: Option<&Vec<String>>| {
            field.map(|list| list.iter().map(|item| Name::from(item.as_str())).collect()).unwrap_or_default()
        };
        let families = record.packages.iter().filter_map(|(family, field)| {
            field.value().map(|state| (family.clone(), Stance::from_state(state)))
        });
        Self {
            cve: record.id,
            void: record.is_void(),
            upstream: record.upstream.value().cloned(),
            configuration: list(record.configuration.value()),
            files: list(record.files.value()),
            families: families.collect(),
        }
    }
}

impl Stance {
    /// The version from which on something else holds.
    pub(super) fn version(&self) -> Option<&PackageVersion> {
        match self {
            Self::Fixed(version)
            | Self::Prepared { version, .. }
            | Self::NotAffected { from: Some(version), .. } => Some(version),
            _ => None,
        }
    }

    /// From a state as the distribution tells it.
    pub fn from_state(state: &PackageState) -> Self {
        let words = || state.note.clone().unwrap_or_else(|| Name::from(""));
        match (state.status, &state.version) {
            (PackageStatus::DoesNotExist, _) => Self::Absent,
            (PackageStatus::NotAffected, from) => {
                Self::NotAffected { from: from.clone(), why: reason(&words()), evidence: words() }
            }
            (PackageStatus::Released, Some(version)) => Self::Fixed(version.clone()),
            (PackageStatus::Released, None) => Self::FixedSomewhere,
            (PackageStatus::Pending, Some(version)) => {
                Self::Prepared { version: version.clone(), otherwise: Pending::Planned }
            }
            (PackageStatus::Pending | PackageStatus::Needed, _) => Self::Open(Pending::Planned),
            (PackageStatus::NotTriaged, _) => Self::Open(Pending::NotTriaged),
            (PackageStatus::Deferred, _) => Self::Open(Pending::Deferred),
            (PackageStatus::Ignored, _) => match former_version(&words()) {
                Some(version) => Self::Prepared { version, otherwise: Pending::WillNotBeFixed },
                None => Self::Open(Pending::WillNotBeFixed),
            },
        }
    }
}

/// The version in `was pending \[5.0.0-31.33\] now end-of-life`: the tracker's way to keep a state that the end of a release
/// overtook.
fn former_version(words: &str) -> Option<PackageVersion> {
    let former = words.strip_prefix("was pending ").or_else(|| words.strip_prefix("was released "))?;
    let (_, version) = former.split_once('[')?;
    let (version, _) = version.split_once(']')?;
    version.trim_end_matches('\\').parse().ok()
}

/// What words such as `CONFIG_PPC_PSERIES is not enabled`, `powerpc only` and `code not present` mean.
fn reason(words: &str) -> NotAffected {
    let has = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
    if has(&["CONFIG_", "option disabled", "config only", "not included/enabled", "not enabled", "not set"]) {
        NotAffected::Configuration
    } else if has(&["powerpc", "ppc", "SPARC", "ARM", "x86", "ntel", "not built", "not supported"]) {
        NotAffected::NotBuilt
    } else {
        NotAffected::Version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was() {
        let version = |text: &str| former_version(text).map(|version| version.to_string());
        assert_eq!(version(r"was pending \[5.0.0-31.33\] now end-of-life").as_deref(), Some("5.0.0-31.33"));
        assert_eq!(version("was released [4.4.0-1.2] now end-of-life").as_deref(), Some("4.4.0-1.2"));
        assert_eq!(version("was needed now end-of-life"), None);
        assert_eq!(version(r"was pending \[\]"), None);
    }

    #[test]
    fn words_of_trackers() {
        for (words, why) in [
            ("CONFIG_PPC_PSERIES is not enabled", NotAffected::Configuration),
            ("option disabled", NotAffected::Configuration),
            ("SGX not included/enabled", NotAffected::Configuration),
            ("powerpc only", NotAffected::NotBuilt),
            ("does not affect ARM processors", NotAffected::NotBuilt),
            ("not built for ppc64el architecture", NotAffected::NotBuilt),
            ("code not present", NotAffected::Version),
            ("debian: Vulnerable code introduced later", NotAffected::Version),
            ("", NotAffected::Version),
        ] {
            assert_eq!(reason(words), why, "{words}");
        }
    }
}
