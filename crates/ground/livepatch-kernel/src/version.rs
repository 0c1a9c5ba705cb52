//! A distribution package's version (deb-version(7)) and its order.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt, str::FromStr};

/// The version of a kernel package, such as `6.1.190-1` or `5.4.0-216.236~18.04.1`: what the distribution's notices and
/// trackers compare, where `uname -r` shows only a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageVersion(Box<str>);

/// Why a text is no package version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VersionError {
    /// It does not start with a digit, holds characters that no version has, or is absurdly long.
    #[error("'{0}' is not a package version, such as 6.1.190-1")]
    Malformed(String),
}

/// Longer than any version that an archive accepts.
const LONGEST: usize = 128;

impl PackageVersion {
    /// The text as the package carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Epoch (0 when none is written), upstream version, and revision (empty when there is none).
    fn parts(&self) -> (u32, &str, &str) {
        let (epoch, rest) = match self.0.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, &*self.0),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }

    /// `6.1.190` of `6.1.190-1`, `5.4.0` of `5.4.0-216.236~18.04.1`.
    pub fn upstream(&self) -> &str {
        self.parts().1
    }

    /// `1` of `6.1.190-1`, `216.236~18.04.1` of `5.4.0-216.236~18.04.1`; empty when there is none.
    pub fn revision(&self) -> &str {
        self.parts().2
    }
}

impl FromStr for PackageVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || VersionError::Malformed(text.chars().take(LONGEST).collect());
        let (epoch, rest) = text.split_once(':').map_or((None, text), |(epoch, rest)| (Some(epoch), rest));
        let sound_epoch = epoch.is_none_or(|epoch| {
            !epoch.is_empty()
                && epoch.bytes().all(|byte| byte.is_ascii_digit())
                && epoch.parse::<u32>().is_ok()
        });
        let sound = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+~-:".contains(&byte));
        let starts = rest.starts_with(|c: char| c.is_ascii_digit());
        if sound_epoch && sound && starts && !rest.ends_with('-') && text.len() <= LONGEST {
            Ok(Self(text.into()))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// dpkg's order: epoch, upstream version, revision; texts that dpkg takes for equal are told apart by their bytes.
impl Ord for PackageVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (self.parts(), other.parts());
        (one.0.cmp(&two.0))
            .then_with(|| compare_versions(one.1, two.1))
            .then_with(|| compare_versions(one.2, two.2))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for PackageVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for PackageVersion {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PackageVersion> for String {
    fn from(version: PackageVersion) -> Self {
        version.0.into()
    }
}

/// The rule of deb-version(7): stretches of other characters and numbers in turn; letters before everything else, a
/// tilde before even the end.
pub(crate) fn compare_versions(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (left, right) =
            (take(&mut one, |b| !b.is_ascii_digit()), take(&mut other, |b| !b.is_ascii_digit()));
        let weight = |text: &str, at: usize| match text.as_bytes().get(at) {
            Some(b'~') => -1,
            None => 0,
            Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
            Some(sign) => i32::from(*sign) + 256,
        };
        let words = (0..left.len().max(right.len())).map(|at| weight(left, at).cmp(&weight(right, at)));
        let words = words.fold(Ordering::Equal, Ordering::then);
        let (left, right) =
            (take(&mut one, |b| b.is_ascii_digit()), take(&mut other, |b| b.is_ascii_digit()));
        let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        let numbers = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
        match words.then(numbers) {
            Ordering::Equal => {}
            decided => return decided,
        }
    }
    Ordering::Equal
}

/// Takes the longest start of which every byte is of a kind.
fn take<'a>(text: &mut &'a str, kind: impl Fn(&u8) -> bool) -> &'a str {
    let end = text.bytes().position(|byte| !kind(&byte)).unwrap_or(text.len());
    let (start, rest) = text.split_at(end);
    *text = rest;
    start
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn version(text: &str) -> PackageVersion {
        text.parse().unwrap()
    }

    #[test]
    fn orders_as_dpkg_does() {
        // Each pair was put to `dpkg --compare-versions`.
        for (earlier, later) in [
            ("4.15.0-65.74~16.04.1", "4.15.0-65.74"),
            ("5.3.0-9.10", "5.3.0-10.11"),
            ("5.3~rc5", "5.3"),
            ("6.1.190-1", "6.1.192-1"),
            ("6.1.192-1", "6.1.192-1+b1"),
            ("6.1.192-1~deb11u1", "6.1.192-1"),
            ("9.0-1", "1:1.0-1"),
            ("5.4-1", "5.4.0-1"),
            ("4.4.0-1056.60", "4.4.0-1096.107"),
        ] {
            assert!(version(earlier) < version(later), "{earlier} {later}");
        }
    }

    #[test]
    fn parts() {
        let hwe = version("5.4.0-216.236~18.04.1");
        assert_eq!((hwe.upstream(), hwe.revision()), ("5.4.0", "216.236~18.04.1"));
        assert_eq!((version("2:6.12").upstream(), version("2:6.12").revision()), ("6.12", ""));
    }

    #[test]
    fn impossible_versions_are_refused() {
        for text in [
            "",
            "-1",
            "abc",
            "1.0 2",
            "1:",
            ":1",
            "x:1.0",
            "1.0-",
            "99999999999:1",
            "1.0/..",
            &"1".repeat(129),
        ] {
            assert!(text.parse::<PackageVersion>().is_err(), "{text}");
        }
    }
}
