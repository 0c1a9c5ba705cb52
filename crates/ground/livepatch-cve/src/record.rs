//! A CVE's record: every field with who says so.

use crate::ubuntu_tracker::BreakFix;
use crate::{CveId, Family, Name, Rating, UpstreamRanges};
use jiff::{Timestamp, civil::Date};
use livepatch_kernel::PackageVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who makes a statement. The order is that of authority: where sources differ, the first of these counts, and the others
/// are kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A person of this service.
    Reviewer,
    /// A file of the Ubuntu CVE tracker.
    UbuntuTracker,
    /// The changelog of a distribution's kernel package.
    Changelog,
    /// An OSV record.
    Osv,
    /// A CVE JSON 5 record.
    CveRecord,
    /// CISA's list of known exploited vulnerabilities.
    Kev,
    /// FIRST's exploit prediction scores.
    Epss,
}

/// A document, by its number in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentId(pub u32);

/// One source's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim<T> {
    /// What it says.
    pub value: T,
    /// Who says so.
    pub source: Source,
    /// In which document.
    pub document: DocumentId,
}

/// A field: all statements about it, the most authoritative first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Field<T>(Vec<Claim<T>>);

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Field<T> {
    /// The statement that counts.
    pub fn best(&self) -> Option<&Claim<T>> {
        self.0.first()
    }

    /// What counts.
    pub fn value(&self) -> Option<&T> {
        self.best().map(|claim| &claim.value)
    }

    /// Every statement.
    pub fn claims(&self) -> &[Claim<T>] {
        &self.0
    }

    /// Whether sources differ.
    pub fn is_contested(&self) -> bool {
        self.0.windows(2).any(|pair| pair[0].value != pair[1].value)
    }

    /// Whether nobody says anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a statement; a document's earlier one about the same field is replaced.
    pub(crate) fn assert(&mut self, claim: Claim<T>) {
        self.retract(claim.document);
        let key = (claim.source, claim.document);
        let at = self.0.partition_point(|known| (known.source, known.document) < key);
        self.0.insert(at, claim);
    }

    pub(crate) fn retract(&mut self, document: DocumentId) {
        self.0.retain(|claim| claim.document != document);
    }
}

/// Whether the identifier stands for a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    /// It does.
    Published,
    /// It never did (CVE's `REJECTED`).
    Rejected,
    /// Its record was taken back (OSV's `withdrawn`).
    Withdrawn,
}

/// That it is used in attacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploited {
    /// When it was put on the list.
    pub since: Date,
    /// By when the listing authority wants it mended.
    pub due: Option<Date>,
    /// Whether it serves extortion, as far as is known.
    pub ransomware: bool,
}

/// EPSS's forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Chance of exploitation within 30 days, 0 to 1.
    pub chance: f64,
    /// Share of all CVEs with a chance no greater, 0 to 1.
    pub percentile: f64,
}

/// The state of a package as its distribution tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PackageState {
    /// The state.
    pub status: PackageStatus,
    /// The version that the state is about: the first with the fix, or the first that never had the fault.
    pub version: Option<PackageVersion>,
    /// Words in its place.
    pub note: Option<Name>,
}

/// The kinds of state that distributions tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageStatus {
    /// The release does not have the package.
    DoesNotExist,
    /// Nobody has looked.
    NotTriaged,
    /// It does not have the fault.
    NotAffected,
    /// To be fixed.
    Needed,
    /// A fix is under way.
    Pending,
    /// Put off.
    Deferred,
    /// Will not be fixed here.
    Ignored,
    /// Fixed.
    Released,
}

/// The fields are listed once; everything that goes over all of them is made from the list.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident: $kind:ty,)*) => {
        /// What one document says about one CVE.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Assertions {
            $($(#[$doc])* pub $field: Option<$kind>,)*
            /// The states of packages.
            pub packages: Vec<(Family, PackageState)>,
        }

        /// All that is known about a CVE.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct CveRecord {
            /// The CVE.
            pub id: CveId,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Field::is_empty")] pub $field: Field<$kind>,)*
            /// The states of packages.
            #[serde(default, with = "package_list")]
            pub packages: BTreeMap<Family, Field<PackageState>>,
        }

        impl CveRecord {
            /// A record that says nothing yet.
            pub fn new(id: CveId) -> Self {
                Self { id, $($field: Field::default(),)* packages: BTreeMap::new() }
            }

            /// Adds a document's statements.
            pub(crate) fn assert(&mut self, assertions: Assertions, source: Source, document: DocumentId) {
                $(if let Some(value) = assertions.$field {
                    self.$field.assert(Claim { value, source, document });
                })*
                for (family, value) in assertions.packages {
                    self.packages.entry(family).or_default().assert(Claim { value, source, document });
                }
            }

            /// Takes a document's statements back.
            pub(crate) fn retract(&mut self, document: DocumentId) {
                $(self.$field.retract(document);)*
                self.packages.retain(|_, field| {
                    field.retract(document);
                    !field.is_empty()
                });
            }

            /// Whether no source says anything any more.
            pub fn is_empty(&self) -> bool {
                self.packages.is_empty() $(&& self.$field.is_empty())*
            }

            /// The sources of all statements, with repetitions.
            pub fn sources(&self) -> impl Iterator<Item = Source> + '_ {
                let packages = self.packages.values().flat_map(|field| field.claims().iter().map(|claim| claim.source));
                packages$(.chain(self.$field.claims().iter().map(|claim| claim.source)))*
            }

            /// The names of the fields about which sources differ, and the packages about whose state they do.
            pub fn contested(&self) -> Vec<String> {
                let mut found = Vec::new();
                $(if self.$field.is_contested() { found.push(stringify!($field).to_owned()); })*
                let packages = self.packages.iter().filter(|(_, field)| field.is_contested());
                found.extend(packages.map(|(family, _)| family.to_string()));
                found
            }
        }
    };
}

fields! {
    /// Whether it stands for a vulnerability.
    state: RecordState,
    /// A line about it.
    title: String,
    /// What it is.
    description: String,
    /// The distribution's own description.
    summary: String,
    /// When it became public.
    published: Timestamp,
    /// When it was to become public by agreement.
    embargo: Timestamp,
    /// When the distribution's notice named it.
    announced: Timestamp,
    /// Its priority.
    rating: Rating,
    /// CVSS vectors.
    severities: Vec<String>,
    /// Addresses to read more.
    references: Vec<String>,
    /// Addresses of bug reports.
    bugs: Vec<String>,
    /// Notes: who, what.
    notes: Vec<(String, String)>,
    /// What helps without a fix.
    mitigation: String,
    /// Who found it.
    discovered_by: String,
    /// Who works on it.
    assigned_to: String,
    /// Commits that brought and that removed it.
    break_fixes: Vec<BreakFix>,
    /// In which upstream versions it is.
    upstream: UpstreamRanges,
    /// Source files that have it, as paths in the kernel's tree.
    files: Vec<String>,
    /// Configuration options of which at least one must be set for a kernel to have it, such as `CONFIG_KSMBD`.
    configuration: Vec<String>,
    /// Whether it is used in attacks.
    exploited: Exploited,
    /// How likely attacks are.
    forecast: Forecast,
}

impl CveRecord {
    /// Whether the identifier stands for no vulnerability (any more), by the source that counts.
    pub fn is_void(&self) -> bool {
        self.state.value().is_some_and(|state| *state != RecordState::Published)
    }
}

/// JSON keys are texts: the packages are a list of pairs there.
mod package_list {
    use super::{Family, Field, PackageState};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    type Packages = BTreeMap<Family, Field<PackageState>>;

    pub(super) fn serialize<S: Serializer>(packages: &Packages, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(packages)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Packages, D::Error> {
        Vec::<(Family, Field<PackageState>)>::deserialize(deserializer).map(|list| list.into_iter().collect())
    }
}
