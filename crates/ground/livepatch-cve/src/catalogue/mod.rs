//! Which kernels are livepatched, and for how long: one data file for documents, API, client and calendar.
//!
//! The file is `data/kernel-catalogue.json`, its form `data/kernel-catalogue.schema.json`. It holds matrices (what is promised,
//! by whom, as of which day) and builds with the days of their release; end dates are computed, never written down.

mod calendar;

use crate::Distribution;
use jiff::{ToSpan as _, civil::Date};
use livepatch_kernel::PackageVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The schema version that is read.
const SCHEMA: u32 = 1;

/// The catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    schema_file: Option<String>,
    /// Always 1.
    schema: u32,
    /// What is promised.
    pub matrices: Vec<Matrix>,
    /// Known builds.
    #[serde(default)]
    pub builds: Vec<CatalogueBuild>,
}

/// What is promised, as of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// `ubuntu`, `tested`.
    pub name: String,
    /// The day.
    pub as_of: Date,
    /// What it is, in a sentence.
    pub about: String,
    /// The kernels.
    pub kernels: Vec<Kernels>,
}

/// The kernels of one series in a release for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    /// Who builds them.
    pub distribution: Distribution,
    /// The release's number: `24.04`, `12`.
    pub release: String,
    /// The release's name: `noble`, `bookworm`.
    pub code_name: String,
    /// `6.8`.
    pub series: String,
    /// Whether it is the release's own kernel.
    pub track: Track,
    /// Debian's name: `amd64`.
    pub architecture: String,
    /// `generic`, `aws`.
    pub flavours: BTreeSet<String>,
    /// Months for which a build is livepatched after its release; none when no bound is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_months: Option<u8>,
    /// When support of the series ends, whatever the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Date>,
}

/// How a series came into a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// General availability: the release's own kernel.
    Ga,
    /// Hardware enablement: a later one.
    Hwe,
}

/// A build, for whose flavours the same day counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueBuild {
    /// Who built it.
    pub distribution: Distribution,
    /// The release's number.
    pub release: String,
    /// `6.1`.
    pub series: String,
    /// The package's version.
    pub version: PackageVersion,
    /// The start of `uname -r`, without the flavour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The day of its release.
    pub released: Date,
}

/// A kernel to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelQuery<'a> {
    /// Who builds it.
    pub distribution: Distribution,
    /// The release's number or name.
    pub release: &'a str,
    /// `6.8`.
    pub series: &'a str,
    /// `generic`.
    pub flavour: &'a str,
    /// Debian's name of the architecture.
    pub architecture: &'a str,
}

/// Whether a build is livepatched on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "coverage", rename_all = "kebab-case")]
pub enum Coverage {
    /// It is.
    Covered {
        /// The last day; none when no bound is given.
        until: Option<Date>,
    },
    /// It was, until this day.
    Ended {
        /// The last day.
        on: Date,
    },
    /// Its kind never is.
    NotCovered,
}

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not JSON, or of another form.
    #[error("the kernel catalogue is not of schema {SCHEMA}")]
    Form(#[source] serde_json::Error),
    /// Another schema version.
    #[error("the kernel catalogue has schema {0}; this program reads schema {SCHEMA}")]
    Schema(u32),
    /// A row without flavours, or with a window of no months.
    #[error("matrix {matrix}: {kernels} has no flavours, or a window of no months")]
    Empty {
        /// The matrix.
        matrix: String,
        /// The row.
        kernels: String,
    },
    /// Two rows of a matrix promise something for the same kernel.
    #[error("matrix {matrix}: {kernels} is there twice with flavour {flavour}")]
    Repeated {
        /// The matrix.
        matrix: String,
        /// The row.
        kernels: String,
        /// The flavour.
        flavour: String,
    },
    /// A build of a series that no matrix has.
    #[error("build {0} is of a release and series that no matrix has")]
    Stray(PackageVersion),
}

impl Catalogue {
    /// The catalogue that comes with this version of the project, as text.
    pub const BUILT_IN: &'static str = include_str!("../../../../../data/kernel-catalogue.json");

    /// A catalogue that promises nothing.
    pub fn empty() -> Self {
        Self { schema_file: None, schema: SCHEMA, matrices: Vec::new(), builds: Vec::new() }
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    /// When it is not of the form, or contradicts itself.
    pub fn read(bytes: &[u8]) -> Result<Self, CatalogueError> {
        let catalogue: Self = serde_json::from_slice(bytes).map_err(CatalogueError::Form)?;
        if catalogue.schema != SCHEMA {
            return Err(CatalogueError::Schema(catalogue.schema));
        }
        catalogue.matrices.iter().try_for_each(Matrix::check)?;
        let known = |build: &&CatalogueBuild| !catalogue.all().any(|kernels| kernels.is_of(build));
        match catalogue.builds.iter().find(known) {
            Some(stray) => Err(CatalogueError::Stray(stray.version.clone())),
            None => Ok(catalogue),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Kernels> {
        self.matrices.iter().flat_map(|matrix| &matrix.kernels)
    }

    /// The matrix with this name.
    pub fn matrix(&self, name: &str) -> Option<&Matrix> {
        self.matrices.iter().find(|matrix| matrix.name == name)
    }

    /// Each known build with the kernels of each matrix that it belongs to, and its last day.
    pub fn windows(&self) -> impl Iterator<Item = (&Matrix, &Kernels, &CatalogueBuild, Option<Date>)> {
        self.matrices.iter().flat_map(move |matrix| {
            let of_matrix = matrix.kernels.iter().flat_map(move |kernels| {
                let builds = self.builds.iter().filter(|build| kernels.is_of(build));
                builds.map(move |build| (kernels, build, kernels.last_day(build.released)))
            });
            of_matrix.map(move |(kernels, build, last)| (matrix, kernels, build, last))
        })
    }
}

impl Matrix {
    /// The row of a kernel.
    pub fn find(&self, query: &KernelQuery<'_>) -> Option<&Kernels> {
        self.kernels.iter().find(|kernels| {
            kernels.distribution == query.distribution
                && (kernels.release == query.release || kernels.code_name == query.release)
                && kernels.series == query.series
                && kernels.architecture == query.architecture
                && kernels.flavours.contains(query.flavour)
        })
    }

    /// Whether a build of a kernel, released on a day, is livepatched on another.
    pub fn coverage(&self, query: &KernelQuery<'_>, released: Date, today: Date) -> Coverage {
        match self.find(query).map(|kernels| kernels.last_day(released)) {
            None => Coverage::NotCovered,
            Some(Some(last)) if last < today => Coverage::Ended { on: last },
            Some(until) => Coverage::Covered { until },
        }
    }

    fn check(&self) -> Result<(), CatalogueError> {
        let mut seen = BTreeSet::new();
        for kernels in &self.kernels {
            let (matrix, name) = (self.name.clone(), kernels.to_string());
            if kernels.flavours.is_empty() || kernels.window_months == Some(0) {
                return Err(CatalogueError::Empty { matrix, kernels: name });
            }
            for flavour in &kernels.flavours {
                if !seen.insert((kernels.to_string(), flavour)) {
                    return Err(CatalogueError::Repeated { matrix, kernels: name, flavour: flavour.clone() });
                }
            }
        }
        Ok(())
    }
}

impl Kernels {
    /// The last day on which a build released on a day is livepatched: its window's, or the series' own end when that is before.
    pub fn last_day(&self, released: Date) -> Option<Date> {
        let window = self.window_months.map(|months| released.saturating_add(i32::from(months).months()));
        match (window, self.ends) {
            (Some(window), Some(end)) => Some(window.min(end)),
            (window, end) => window.or(end),
        }
    }

    /// The source package of a flavour, by the distribution's custom: Debian's `linux` and `linux-6.12`; Ubuntu's `linux`,
    /// `linux-hwe-5.15`, `linux-aws`, `linux-aws-5.15`.
    pub fn package(&self, flavour: &str) -> String {
        let series = &self.series;
        match (self.distribution, self.track) {
            (Distribution::Debian, Track::Ga) => "linux".to_owned(),
            (Distribution::Debian, Track::Hwe) => format!("linux-{series}"),
            (Distribution::Ubuntu, track) => {
                let own = !matches!(flavour, "generic" | "lowlatency");
                match (own, track, self.code_name.as_str()) {
                    (true, Track::Ga, _) => format!("linux-{flavour}"),
                    (true, Track::Hwe, _) => format!("linux-{flavour}-{series}"),
                    (false, Track::Ga, _) => "linux".to_owned(),
                    (false, Track::Hwe, "trusty") => "linux-lts-xenial".to_owned(),
                    (false, Track::Hwe, "xenial") => "linux-hwe".to_owned(),
                    (false, Track::Hwe, _) => format!("linux-hwe-{series}"),
                }
            }
        }
    }

    fn is_of(&self, build: &CatalogueBuild) -> bool {
        self.distribution == build.distribution
            && self.release == build.release
            && self.series == build.series
    }
}

/// `ubuntu 24.04 6.8 amd64`.
impl std::fmt::Display for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.distribution, self.release, self.series, self.architecture)
    }
}
