//! The release string (`uname -r`): its parts and its order.

use crate::version::compare_versions;
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

/// A kernel release such as `6.1.0-55-cloud-amd64` or `6.12.117+deb12-amd64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct KernelRelease(String);

/// Why a text is no kernel release.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReleaseError {
    /// It does not start with a version, or holds characters that no release has.
    #[error("'{0}' is not a kernel release, such as 6.1.0-55-cloud-amd64")]
    Malformed(String),
}

/// `__NEW_UTS_LEN` (include/uapi/linux/utsname.h): no release is longer.
const LONGEST: usize = 64;

impl KernelRelease {
    /// The text, as `uname -r` prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `6.1` of `6.1.0-55-cloud-amd64`.
    pub fn series(&self) -> &str {
        let end =
            self.0.match_indices(|c: char| !c.is_ascii_digit()).nth(1).map_or(self.0.len(), |(at, _)| at);
        &self.0[..end]
    }

    /// `cloud-amd64` of `6.1.0-55-cloud-amd64`, `generic` of `5.15.0-25-generic`: what follows the ABI number.
    pub fn flavour(&self) -> &str {
        let mut rest = self.0.as_str();
        while let Some((head, tail)) = rest.split_once('-') {
            if !head.starts_with(|c: char| c.is_ascii_digit()) {
                return rest;
            }
            rest = tail;
        }
        if rest.starts_with(|c: char| c.is_ascii_digit()) { "" } else { rest }
    }

    /// A module name may hold letters, digits and underscores: the release in that alphabet.
    pub fn as_identifier(&self) -> String {
        self.0.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    }
}

impl FromStr for KernelRelease {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, rest) = text.split_once('.').unwrap_or_default();
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let sound = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_~".contains(&b));
        if number(major) && number(minor) && sound && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReleaseError::Malformed(text.chars().take(LONGEST).collect()))
        }
    }
}

impl fmt::Display for KernelRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Orders as dpkg orders versions (deb-version(7)), so that `6.1.0-9` comes before `6.1.0-10`.
impl Ord for KernelRelease {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_versions(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for KernelRelease {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for KernelRelease {
    type Error = ReleaseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KernelRelease> for String {
    fn from(release: KernelRelease) -> Self {
        release.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn parts_of_real_releases() {
        for (text, series, flavour) in [
            ("6.1.0-55-cloud-amd64", "6.1", "cloud-amd64"),
            ("6.12.117+deb12-amd64", "6.12", "amd64"),
            ("5.15.0-25-generic", "5.15", "generic"),
            ("6.9", "6.9", ""),
        ] {
            let release: KernelRelease = text.parse().unwrap();
            assert_eq!((release.series(), release.flavour()), (series, flavour), "{text}");
        }
    }

    #[test]
    fn later_abi_is_greater() {
        let parse = |text: &str| text.parse::<KernelRelease>().unwrap();
        for (earlier, later) in [
            ("6.1.0-9-cloud-amd64", "6.1.0-55-cloud-amd64"),
            ("6.9", "6.12"),
            ("6.12~rc1", "6.12"),
            ("6.12", "6.12.1"),
            ("6.12.95+deb12-amd64", "6.12.117+deb12-amd64"),
            ("5.10.0-46-amd64", "5.10.0-46-cloud-amd64"),
        ] {
            assert!(parse(earlier) < parse(later), "{earlier} {later}");
        }
        assert_eq!(compare_versions("6.01", "6.1"), Ordering::Equal);
    }

    #[test]
    fn paths_and_blanks_are_refused() {
        for text in ["", "linux", "6", "6.", "../6.1", "6.1.0 x", "6.1/../../etc", &"6.1".repeat(40)] {
            assert!(text.parse::<KernelRelease>().is_err(), "{text}");
        }
    }
}
