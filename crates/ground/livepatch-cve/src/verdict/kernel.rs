//! A kernel build, as far as verdicts depend on it.

use crate::{Base, CveId, Distribution, Family, Name, UpstreamVersion};
use livepatch_kernel::PackageVersion;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// A family's number in an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyNumber(pub u32);

/// A build's number in an engine: builds of a family are numbered in a row, in the order of their versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildNumber(pub u32);

/// A build of a kernel: one version of a family for one flavour and architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelBuild {
    /// The family.
    pub family: Family,
    /// The package's version.
    pub version: PackageVersion,
    /// `generic`, `cloud`; empty when the family has only one.
    pub flavour: Name,
    /// Debian's name of the architecture: `amd64`.
    pub architecture: Name,
    /// The options of its `.config` that are set (`=y` and `=m`), with `CONFIG_`; none when unknown. Builds that share one
    /// may share the set.
    pub configuration: Option<Arc<HashSet<Name>>>,
    /// The source files that were compiled into it, as paths in the kernel's tree; none when unknown.
    pub files: Option<Arc<HashSet<Name>>>,
    /// CVEs that livepatches for this build mend, each with the first version that does.
    pub livepatched: BTreeMap<CveId, u32>,
}

impl KernelBuild {
    /// A build of which only the name is known.
    pub fn new(family: Family, version: PackageVersion) -> Self {
        let none = Name::from("");
        Self {
            family,
            version,
            flavour: none.clone(),
            architecture: none,
            configuration: None,
            files: None,
            livepatched: BTreeMap::new(),
        }
    }
}

/// Which upstream version a package is made from. Debian's kernels say exactly (`6.1.190-1`); Ubuntu's name the series, and take
/// stable updates without saying so in the version (`5.4.0-216.236`).
pub(super) fn base(distribution: Distribution, version: &PackageVersion) -> Option<Base> {
    let upstream = UpstreamVersion::at_start_of(version.upstream())?;
    Some(match distribution {
        Distribution::Debian => Base::Exactly(upstream),
        Distribution::Ubuntu => Base::Series(upstream),
    })
}

/// A flavour as verdict files name it: Debian's `cloud-amd64` is `cloud` there, its plain `amd64` is none.
pub fn flavour_name<'a>(flavour: &'a str, architecture: &str) -> &'a str {
    flavour.strip_suffix(architecture).map_or(flavour, |rest| rest.trim_end_matches('-'))
}
