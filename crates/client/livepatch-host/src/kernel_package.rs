//! Which package the running kernel comes from, as the kernel itself says it: never from the package database, which knows
//! what is installed and not what runs.

use crate::{Host, HostError};
use jiff::civil::Date;
use livepatch_kernel::PackageVersion;
use serde::{Deserialize, Serialize};

/// The package of the running kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPackage {
    /// `debian`, `ubuntu`; absent when the kernel names nobody that is known.
    pub distribution: Option<String>,
    /// Version of the package, such as `6.1.192-1`.
    pub version: Option<PackageVersion>,
    /// The day of the build.
    pub built: Option<Date>,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `/proc/version` and, where there is one, `/proc/version_signature`.
pub(crate) fn read(host: &Host) -> Result<KernelPackage, HostError> {
    let version = host.line("proc/version")?;
    let signature = host.line("proc/version_signature").ok();
    Ok(KernelPackage::parse(&version, signature.as_deref()))
}

impl KernelPackage {
    /// Reads the texts. Debian's kernels say `… Debian 6.1.192-1 (2026-11-14)` in `/proc/version`; Ubuntu's have
    /// `Ubuntu 5.4.0-216.236-generic 5.4.291` in `/proc/version_signature` and the time of the build in `/proc/version`
    /// (`#236-Ubuntu SMP Fri Apr 11 19:53:21 UTC 2025`).
    pub fn parse(version: &str, signature: Option<&str>) -> Self {
        if let Some(found) = signature.and_then(ubuntu) {
            return Self {
                distribution: Some("ubuntu".into()),
                version: Some(found),
                built: built_in_text(version),
            };
        }
        if let Some((found, built)) = debian(version) {
            return Self { distribution: Some("debian".into()), version: Some(found), built };
        }
        Self { distribution: None, version: None, built: built_in_text(version) }
    }
}

fn ubuntu(signature: &str) -> Option<PackageVersion> {
    let mut words = signature.split(' ');
    let full = words.next().filter(|word| *word == "Ubuntu").and(words.next())?;
    // `ABI.UPLOAD[~RELEASE]-FLAVOUR`: the flavour starts with a letter behind the last dash that one follows.
    let end = full
        .match_indices('-')
        .find(|(at, _)| full[at + 1..].starts_with(|first: char| first.is_ascii_lowercase()));
    full[..end.map_or(full.len(), |(at, _)| at)].parse().ok()
}

fn debian(version: &str) -> Option<(PackageVersion, Option<Date>)> {
    let (_, rest) = version.rsplit_once(" Debian ")?;
    let mut words = rest.split(' ');
    let found = words.next()?.parse().ok()?;
    let day = words.next().map(|word| word.trim_matches(['(', ')']));
    Some((found, day.and_then(|day| day.parse().ok())))
}

/// `Fri Apr 11 19:53:21 UTC 2025` somewhere in the text: what `date` prints in the C locale.
fn built_in_text(text: &str) -> Option<Date> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.windows(5).find_map(|window| {
        let [month, day, time, _zone, year] = window else { return None };
        let month = MONTHS.iter().position(|name| name == month)?;
        let sound = time.split(':').count() == 3;
        let date = Date::new(year.parse().ok()?, i8::try_from(month + 1).ok()?, day.parse().ok()?);
        date.ok().filter(|_| sound)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(version: &str, signature: Option<&str>) -> (String, String, String) {
        let package = KernelPackage::parse(version, signature);
        (
            package.distribution.unwrap_or_default(),
            package.version.map(|version| version.to_string()).unwrap_or_default(),
            package.built.map(|day| day.to_string()).unwrap_or_default(),
        )
    }

    fn expect(one: &str, two: &str, three: &str) -> (String, String, String) {
        (one.into(), two.into(), three.into())
    }

    #[test]
    fn debian_kernels_say_everything() {
        let text = "Linux version 6.1.0-55-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) \
                    12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-14)";
        assert_eq!(parse(text, None), expect("debian", "6.1.192-1", "2026-11-14"));
        let text = "Linux version 6.12.117+deb12-cloud-amd64 (debian-kernel@lists.debian.org) (x) #1 SMP PREEMPT_DYNAMIC \
                    Debian 6.12.117-1~deb12u1 (2026-11-02)";
        assert_eq!(parse(text, None), expect("debian", "6.12.117-1~deb12u1", "2026-11-02"));
    }

    #[test]
    fn ubuntu_kernels_have_a_signature() {
        let text = "Linux version 5.4.0-216-generic (buildd@lcy02-amd64-046) (gcc version 9.4.0 (Ubuntu \
                    9.4.0-1ubuntu1~20.04.2)) #236-Ubuntu SMP Fri Apr 11 19:53:21 UTC 2025";
        let signature = Some("Ubuntu 5.4.0-216.236-generic 5.4.291");
        assert_eq!(parse(text, signature), expect("ubuntu", "5.4.0-216.236", "2025-04-11"));
        let hwe = Some("Ubuntu 5.15.0-1108.115~20.04.1-aws 5.15.201");
        assert_eq!(parse("", hwe), expect("ubuntu", "5.15.0-1108.115~20.04.1", ""));
    }

    #[test]
    fn others_are_not_guessed() {
        let text =
            "Linux version 6.9.3 (me@home) (gcc 14) #1 SMP PREEMPT_DYNAMIC Sun Jun  2 10:00:00 CEST 2024";
        assert_eq!(parse(text, None), expect("", "", "2024-06-02"));
        assert_eq!(parse("", Some("Ubuntu")), expect("", "", ""));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(version in ".{0,200}", signature in ".{0,100}", more in "Ubuntu [0-9a-z.~-]{0,20}") {
            KernelPackage::parse(&version, Some(&signature));
            KernelPackage::parse(&version, Some(&more));
        }
    }
}
