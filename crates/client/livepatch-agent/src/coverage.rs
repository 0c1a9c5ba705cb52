//! Whether this kernel is one that livepatches are made for, and until when. Pure: the kernel's own words, the support
//! matrix and the day are arguments.

use jiff::{civil::Date, tz::TimeZone};
use livepatch_cve::{
    Distribution,
    catalogue::{Catalogue, KernelQuery, Kernels},
};
use livepatch_host::{KernelPackage, Surroundings};
use livepatch_kernel::{KernelIdentity, PackageVersion};
use serde::{Deserialize, Serialize};

/// The state of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KernelState {
    /// Livepatches are made for it; no end is known.
    Supported,
    /// Livepatches are made for it until a day that is known.
    SupportedUntil,
    /// Nobody makes livepatches for it.
    NotCovered,
    /// Support for its whole series has ended.
    SeriesEnded,
    /// Its series is supported, but this build is too old: it gets no more livepatches.
    WindowOver,
    /// It cannot be told.
    Unknown,
}

/// The running kernel's state, with the reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KernelStatus {
    /// In a word.
    pub state: KernelState,
    /// One sentence.
    pub sentence: String,
    /// What the owner should do.
    pub next_step: String,
    /// Who built the kernel, such as `debian`.
    pub distribution: Option<String>,
    /// The version of its package.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub package_version: Option<PackageVersion>,
    /// The last day on which livepatches are made for it, `YYYY-MM-DD`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub until: Option<Date>,
    /// Days left until then; negative when it has passed.
    pub days_left: Option<i32>,
}

/// What is known of the kernel and what is promised for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoverageFacts<'a> {
    /// The running kernel.
    pub(crate) kernel: &'a KernelIdentity,
    /// Where it comes from; absent when the kernel does not say.
    pub(crate) package: Option<&'a KernelPackage>,
    /// Where it runs.
    pub(crate) surroundings: &'a Surroundings,
    /// What is promised.
    pub(crate) catalogue: &'a Catalogue,
    /// Whether the signed repository has a livepatch for exactly this build.
    pub(crate) offered: bool,
    /// Now.
    pub(crate) today: Date,
}

/// Days before the end at which the owner is told to plan the update.
const NOTICE: i32 = 60;

/// The day of a moment, in UTC: windows end for everybody at once.
pub(crate) fn day(now: jiff::Timestamp) -> Date {
    TimeZone::UTC.to_datetime(now).date()
}

/// Judges the running kernel.
pub(crate) fn judge(facts: &CoverageFacts<'_>) -> KernelStatus {
    let row = row(facts);
    let last = row.and_then(|row| Some((row, row.last_day(released(facts)?)?)));
    let state = match (row, last) {
        _ if facts.package.is_none() && !facts.offered => KernelState::Unknown,
        (_, Some((row, day))) if day < facts.today => {
            if row.ends.is_some_and(|end| end < facts.today) {
                KernelState::SeriesEnded
            } else {
                KernelState::WindowOver
            }
        }
        (_, Some(_)) => KernelState::SupportedUntil,
        (Some(row), None) if row.ends.is_some_and(|end| end < facts.today) => KernelState::SeriesEnded,
        (Some(_), None) => KernelState::Supported,
        (None, None) if facts.offered => KernelState::Supported,
        (None, None) => KernelState::NotCovered,
    };
    let until = last.map(|(_, day)| day);
    let days_left = until.and_then(|day| facts.today.until(day).ok()).map(|span| span.get_days());
    KernelStatus {
        state,
        sentence: sentence(state, until, facts),
        next_step: next_step(state, days_left),
        distribution: facts.package.and_then(|package| package.distribution.clone()),
        package_version: facts.package.and_then(|package| package.version.clone()),
        until,
        days_left,
    }
}

fn distribution(facts: &CoverageFacts<'_>) -> Option<Distribution> {
    match facts.package?.distribution.as_deref()? {
        "debian" => Some(Distribution::Debian),
        "ubuntu" => Some(Distribution::Ubuntu),
        _ => None,
    }
}

/// The matrix row that promises something for this kernel. A kernel of a release that os-release does not name, such as
/// Debian's on a derivative, is not what the promise was made for.
fn row<'a>(facts: &CoverageFacts<'a>) -> Option<&'a Kernels> {
    let release = &facts.kernel.release;
    let query = KernelQuery {
        distribution: distribution(facts)?,
        release: facts.surroundings.release.as_deref().or(facts.surroundings.code_name.as_deref())?,
        series: release.series(),
        flavour: release.flavour(),
        architecture: debian_architecture(&facts.kernel.arch),
    };
    // The newest matrix first: what was promised long ago does not count any more.
    let mut matrices: Vec<_> = facts.catalogue.matrices.iter().collect();
    matrices.sort_by_key(|matrix| std::cmp::Reverse(matrix.as_of));
    matrices.into_iter().find_map(|matrix| matrix.find(&query))
}

/// The day of the build's release: the catalogue's, else the day on which the kernel says that it was built.
fn released(facts: &CoverageFacts<'_>) -> Option<Date> {
    let package = facts.package?;
    let known = facts.catalogue.builds.iter().find(|build| Some(&build.version) == package.version.as_ref());
    known.map(|build| build.released).or(package.built)
}

/// Debian's name of an architecture.
pub fn debian_architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "ppc64le" => "ppc64el",
        other => other,
    }
}

fn sentence(state: KernelState, until: Option<Date>, facts: &CoverageFacts<'_>) -> String {
    let release = &facts.kernel.release;
    let series = release.series();
    let day = until.map(|day| day.to_string()).unwrap_or_default();
    match state {
        KernelState::Supported => format!("livepatches are made for {release}"),
        KernelState::SupportedUntil => format!("livepatches are made for {release} until {day}"),
        KernelState::NotCovered => format!("livepatches are not made for {release}"),
        KernelState::SeriesEnded => format!("the {series} series is not livepatched any more"),
        KernelState::WindowOver => format!("{release} is too old: livepatches for this build ended on {day}"),
        KernelState::Unknown => "whether livepatches are made for this kernel cannot be told".to_owned(),
    }
}

fn next_step(state: KernelState, days_left: Option<i32>) -> String {
    match (state, days_left) {
        (KernelState::SupportedUntil, Some(days)) if days <= NOTICE => {
            format!("update the kernel and reboot within {days} days")
        }
        (KernelState::Supported | KernelState::SupportedUntil, _) => "nothing".to_owned(),
        (KernelState::NotCovered, _) => {
            "boot a kernel that your operator makes livepatches for; `livepatch check` says what this machine needs".to_owned()
        }
        (KernelState::SeriesEnded, _) => "update to a newer kernel series and reboot".to_owned(),
        (KernelState::WindowOver, _) => "update the kernel and reboot".to_owned(),
        (KernelState::Unknown, _) => "look whether /proc/version can be read".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    const VERSION: &str =
        "Linux version 6.1.0-55-cloud-amd64 (x) (gcc) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-14)";

    fn kernel(release: &str) -> KernelIdentity {
        KernelIdentity {
            release: release.parse().unwrap(),
            build_id: "ab".repeat(20).parse().unwrap(),
            arch: "x86_64".into(),
        }
    }

    fn bookworm() -> Surroundings {
        Surroundings {
            release: Some("12".into()),
            code_name: Some("bookworm".into()),
            ..Surroundings::default()
        }
    }

    fn status(release: &str, version: Option<&str>, offered: bool, today: &str) -> KernelStatus {
        let package = version.map(|version| KernelPackage::parse(version, None));
        let catalogue = Catalogue::read(Catalogue::BUILT_IN.as_bytes()).unwrap();
        judge(&CoverageFacts {
            kernel: &kernel(release),
            package: package.as_ref(),
            surroundings: &bookworm(),
            catalogue: &catalogue,
            offered,
            today: today.parse().unwrap(),
        })
    }

    #[test]
    fn a_build_has_a_window() {
        let now = status("6.1.0-55-cloud-amd64", Some(VERSION), false, "2026-11-24");
        assert_eq!(now.state, KernelState::SupportedUntil);
        assert_eq!(now.until.unwrap().to_string(), "2027-12-14");
        assert_eq!(now.next_step, "nothing");
        let late = status("6.1.0-55-cloud-amd64", Some(VERSION), true, "2027-12-10");
        assert_eq!((late.state, late.days_left), (KernelState::SupportedUntil, Some(4)));
        assert_eq!(late.next_step, "update the kernel and reboot within 4 days");
        let over = status("6.1.0-55-cloud-amd64", Some(VERSION), true, "2027-12-15");
        assert_eq!(over.state, KernelState::WindowOver);
        assert!(over.sentence.contains("ended on 2027-12-14"), "{}", over.sentence);
    }

    #[test]
    fn a_build_that_the_catalogue_does_not_know_says_its_day_itself() {
        let version = VERSION.replace("6.1.192-1 (2026-11-14)", "6.1.170-1 (2026-01-10)");
        let status = status("6.1.0-40-cloud-amd64", Some(&version), false, "2026-11-24");
        assert_eq!(status.until.unwrap().to_string(), "2027-02-10");
    }

    #[test]
    fn other_kernels_are_not_covered_unless_the_repository_has_something() {
        let own = "Linux version 6.9.3 (me@home) (gcc 14) #1 SMP Sun Jun  2 10:00:00 CEST 2024";
        assert_eq!(status("6.9.3", Some(own), false, "2026-11-24").state, KernelState::NotCovered);
        assert_eq!(status("6.9.3", Some(own), true, "2026-11-24").state, KernelState::Supported);
        assert_eq!(
            status("6.1.0-55-rt-amd64", Some(VERSION), false, "2026-11-24").state,
            KernelState::NotCovered
        );
        assert_eq!(status("6.1.0-55-cloud-amd64", None, false, "2026-11-24").state, KernelState::Unknown);
    }

    #[test]
    fn a_series_ends() {
        let text = Catalogue::BUILT_IN.replace(
            r#""series": "6.1", "track": "ga", "#,
            r#""series": "6.1", "track": "ga", "ends": "2026-06-30", "#,
        );
        let package = KernelPackage::parse(VERSION, None);
        let status = judge(&CoverageFacts {
            kernel: &kernel("6.1.0-55-cloud-amd64"),
            package: Some(&package),
            surroundings: &bookworm(),
            catalogue: &Catalogue::read(text.as_bytes()).unwrap(),
            offered: true,
            today: "2026-11-24".parse().unwrap(),
        });
        assert_eq!(status.state, KernelState::SeriesEnded);
        assert_eq!(status.sentence, "the 6.1 series is not livepatched any more");
    }
}
