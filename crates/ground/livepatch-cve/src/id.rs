//! CVE identifiers.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A CVE identifier: `CVE-` year `-` at least four digits (the CVE record format's pattern allows 19). Ordered by year,
/// then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CveId {
    /// The year in the identifier, which need not be the year of anything else.
    pub year: u16,
    /// The number within the year.
    pub number: u64,
}

/// Why a text is no CVE identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a CVE identifier, such as CVE-2024-26740")]
pub struct CveIdError(pub String);

impl CveId {
    /// Every identifier in a text, in order of appearance, each time that it appears.
    pub fn find_all(text: &str) -> impl Iterator<Item = Self> + '_ {
        text.match_indices("CVE-").filter_map(move |(at, _)| {
            let free = text[..at].chars().next_back().is_none_or(|before| !before.is_ascii_alphanumeric());
            let rest = &text[at..];
            let end =
                rest[4..].find(|c: char| !c.is_ascii_digit() && c != '-').map_or(rest.len(), |end| end + 4);
            free.then(|| rest[..end].trim_end_matches('-').parse().ok()).flatten()
        })
    }
}

impl FromStr for CveId {
    type Err = CveIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (year, number) = text.strip_prefix("CVE-")?.split_once('-')?;
            let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            let padded = number.len() > 4 && number.starts_with('0');
            if year.len() != 4
                || !digits(year)
                || !digits(number)
                || padded
                || !(4..=19).contains(&number.len())
            {
                return None;
            }
            Some(Self { year: year.parse().ok()?, number: number.parse().ok()? })
        };
        parse().ok_or_else(|| CveIdError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for CveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVE-{:04}-{:04}", self.year, self.number)
    }
}

impl TryFrom<String> for CveId {
    type Error = CveIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CveId> for String {
    fn from(id: CveId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for text in ["CVE-2019-0001", "CVE-2024-26740", "CVE-1999-9999999999999999999"] {
            assert_eq!(text.parse::<CveId>().unwrap().to_string(), text);
        }
        for text in ["", "CVE-2019-1", "cve-2019-1234", "CVE-19-1234", "CVE-2019-01234", "CVE-2019-12x4"] {
            assert!(text.parse::<CveId>().is_err(), "{text}");
        }
        assert!("CVE-2019-9999".parse::<CveId>().unwrap() < "CVE-2019-10000".parse().unwrap());
    }

    #[test]
    fn finds_them_in_prose() {
        let text =
            "fix (CVE-2024-1111,CVE-2024-22222) // CVE-2019-3333-1 UBUNTU-CVE-2024-4444 XCVE-2024-5555 CVE-";
        let found: Vec<String> = CveId::find_all(text).map(|id| id.to_string()).collect();
        assert_eq!(found, ["CVE-2024-1111", "CVE-2024-22222", "CVE-2024-4444"]);
    }
}
