//! The kernel's own versions, and in which of them a vulnerability is.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An upstream version such as `5.3-rc5`, `6.1.55` or `2.6.32`: up to four numbers, and a release candidate's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamVersion {
    numbers: [u32; 4],
    /// A candidate comes before its release, so a release has the greatest number.
    candidate: u32,
}

/// The text is no version of the kernel.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no version of the kernel, such as 6.1.55 or 5.3-rc5")]
pub struct UpstreamError(pub String);

const RELEASED: u32 = u32::MAX;

impl UpstreamVersion {
    /// Before everything.
    pub const ZERO: Self = Self { numbers: [0; 4], candidate: 0 };

    /// The version at the start of a longer text, such as a package's version: `5.4.0` of `5.4.0-216.236`, `6.1~rc3` of
    /// `6.1~rc3-1~exp1`.
    pub fn at_start_of(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        let candidate = ["-rc", "~rc"].iter().find_map(|mark| {
            let digits = rest.strip_prefix(mark)?;
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok()
        });
        let mut version = Self { numbers: [0; 4], candidate: candidate.unwrap_or(RELEASED) };
        let mut count = 0;
        for part in numbers.trim_end_matches('.').split('.') {
            *version.numbers.get_mut(count)? = part.parse().ok()?;
            count += 1;
        }
        // `0` in a record means: from the beginning.
        if version.numbers == [0; 4] {
            version = Self::ZERO;
        }
        (count >= 2 || (count == 1 && rest.is_empty())).then_some(version)
    }

    /// The first version of the same series: `6.1` of `6.1.55`; of 2.6 kernels `2.6.32` of `2.6.32.5`.
    pub fn series_start(self) -> Self {
        let kept = if self.numbers[0] < 3 { 3 } else { 2 };
        let mut numbers = [0; 4];
        numbers[..kept].copy_from_slice(&self.numbers[..kept]);
        Self { numbers, candidate: RELEASED }
    }

    /// Whether both are of one series.
    pub fn same_series(self, other: Self) -> bool {
        self.series_start().numbers == other.series_start().numbers
    }
}

impl FromStr for UpstreamVersion {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || UpstreamError(text.chars().take(40).collect());
        let version = Self::at_start_of(text).ok_or_else(wrong)?;
        let written = text.find("-rc").or_else(|| text.find("~rc")).unwrap_or(text.len());
        let tail = text[written..].trim_start_matches(['-', '~', 'r', 'c']);
        let sound = text[..written].bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && tail.bytes().all(|byte| byte.is_ascii_digit());
        if sound { Ok(version) } else { Err(wrong()) }
    }
}

impl fmt::Display for UpstreamVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, fourth] = self.numbers;
        write!(f, "{major}.{minor}")?;
        if patch != 0 || fourth != 0 {
            write!(f, ".{patch}")?;
        }
        if fourth != 0 {
            write!(f, ".{fourth}")?;
        }
        if self.candidate == RELEASED { Ok(()) } else { write!(f, "-rc{}", self.candidate) }
    }
}

impl TryFrom<String> for UpstreamVersion {
    type Error = UpstreamError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UpstreamVersion> for String {
    fn from(version: UpstreamVersion) -> Self {
        version.to_string()
    }
}

/// Which upstream version a kernel package is made from, as far as its version tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Exactly this stable release (Debian: `6.1.190-1`).
    Exactly(UpstreamVersion),
    /// This series, with an unknown number of stable updates (Ubuntu: `5.4.0-216.236`).
    Series(UpstreamVersion),
}

/// Versions from `from` up to an end, all affected or all unaffected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First version of the span.
    pub from: UpstreamVersion,
    /// Where the span ends.
    pub end: SpanEnd,
    /// Whether these versions are affected.
    pub affected: bool,
}

/// The end of a span of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanEnd {
    /// Before this version.
    Before(UpstreamVersion),
    /// This version is the last.
    Through(UpstreamVersion),
    /// The rest of the series that the span starts in (`6.1.*`).
    Series,
    /// All that follow (`*`).
    Open,
    /// Just the one version that it starts with.
    Alone,
}

/// In which upstream versions a vulnerability is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpstreamRanges {
    /// What holds for a version in no span.
    pub otherwise_affected: bool,
    /// The spans; the first that holds a version decides.
    pub spans: Vec<Span>,
}

/// What the ranges say of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamAnswer {
    /// The fault came later.
    NotYetIntroduced,
    /// The base has the fix.
    Fixed,
    /// The base has the fault, or may have it.
    Affected,
}

impl UpstreamRanges {
    /// Fixed in a version, there from the beginning.
    pub fn fixed_in(version: UpstreamVersion) -> Self {
        let span = Span { from: UpstreamVersion::ZERO, end: SpanEnd::Before(version), affected: true };
        Self { otherwise_affected: false, spans: vec![span] }
    }

    /// What holds for a kernel made from `base`. Where stable updates are unknown, a series counts as affected when any
    /// version of it is.
    pub fn answer(&self, base: Base) -> UpstreamAnswer {
        let (version, affected) = match base {
            Base::Exactly(version) => (version, self.affects(version)),
            Base::Series(version) => (version.series_start(), self.affects_series(version)),
        };
        if affected {
            return UpstreamAnswer::Affected;
        }
        if self.affected_before(version) { UpstreamAnswer::Fixed } else { UpstreamAnswer::NotYetIntroduced }
    }

    fn affects(&self, version: UpstreamVersion) -> bool {
        self.spans
            .iter()
            .find(|span| span.holds(version))
            .map_or(self.otherwise_affected, |span| span.affected)
    }

    fn affects_series(&self, version: UpstreamVersion) -> bool {
        let inside = self.edges().filter(|edge| edge.same_series(version));
        inside.chain([version.series_start()]).any(|point| self.affects(point))
    }

    /// Whether some version before this one is affected: then the fault was there and went.
    fn affected_before(&self, version: UpstreamVersion) -> bool {
        self.edges().filter(|edge| *edge < version).any(|edge| self.affects(edge))
    }

    /// Every version at which the answer may change, and one below all.
    fn edges(&self) -> impl Iterator<Item = UpstreamVersion> + '_ {
        let ends = self.spans.iter().filter_map(|span| match span.end {
            SpanEnd::Before(end) | SpanEnd::Through(end) => Some(end),
            SpanEnd::Series | SpanEnd::Open | SpanEnd::Alone => None,
        });
        self.spans.iter().map(|span| span.from).chain(ends).chain([UpstreamVersion::ZERO])
    }
}

impl Span {
    fn holds(&self, version: UpstreamVersion) -> bool {
        let below = match self.end {
            SpanEnd::Before(end) => version < end,
            SpanEnd::Through(end) => version <= end,
            SpanEnd::Series => version.same_series(self.from),
            SpanEnd::Open => true,
            SpanEnd::Alone => version == self.from,
        };
        self.from <= version && below
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn version(text: &str) -> UpstreamVersion {
        text.parse().unwrap()
    }

    #[test]
    fn order_and_text() {
        for (earlier, later) in
            [("5.3-rc5", "5.3"), ("5.3", "5.3.1"), ("2.6.32", "3.2"), ("5.9", "5.10"), ("5.3-rc5", "5.3-rc6")]
        {
            assert!(version(earlier) < version(later), "{earlier} {later}");
            assert_eq!(version(earlier).to_string(), earlier);
        }
        assert_eq!(version("5.3~rc5"), version("5.3-rc5"));
        assert_eq!(UpstreamVersion::at_start_of("5.4.0-216.236~18.04.1"), Some(version("5.4")));
        assert_eq!(UpstreamVersion::at_start_of("6.1~rc3-1~exp1"), Some(version("6.1-rc3")));
        for text in ["", "linux", "5.x", "1.2.3.4.5", "99999999999.1", "5.3-rc5x"] {
            assert!(text.parse::<UpstreamVersion>().is_err(), "{text}");
        }
    }

    /// In the form of the kernel's own CVE records: introduced in 5.10, fixed in 5.15.100, 6.1.55 and 6.6.
    fn ranges() -> UpstreamRanges {
        let span = |from: &str, end, affected| Span { from: version(from), end, affected };
        UpstreamRanges {
            otherwise_affected: true,
            spans: vec![
                span("5.10", SpanEnd::Alone, true),
                span("0", SpanEnd::Before(version("5.10")), false),
                span("5.15.100", SpanEnd::Series, false),
                span("6.1.55", SpanEnd::Series, false),
                span("6.6", SpanEnd::Open, false),
            ],
        }
    }

    #[test]
    fn exact_bases() {
        for (base, answer) in [
            ("5.4.200", UpstreamAnswer::NotYetIntroduced),
            ("5.10", UpstreamAnswer::Affected),
            ("5.10.237", UpstreamAnswer::Affected),
            ("5.15.99", UpstreamAnswer::Affected),
            ("5.15.100", UpstreamAnswer::Fixed),
            ("6.1.54", UpstreamAnswer::Affected),
            ("6.1.190", UpstreamAnswer::Fixed),
            ("6.5.3", UpstreamAnswer::Affected),
            ("6.12.1", UpstreamAnswer::Fixed),
        ] {
            assert_eq!(ranges().answer(Base::Exactly(version(base))), answer, "{base}");
        }
    }

    #[test]
    fn a_series_with_unknown_updates_is_affected_when_a_part_is() {
        for (base, answer) in [
            ("5.4.0", UpstreamAnswer::NotYetIntroduced),
            ("5.15.0", UpstreamAnswer::Affected),
            ("6.1.0", UpstreamAnswer::Affected),
            ("6.8.0", UpstreamAnswer::Fixed),
        ] {
            assert_eq!(ranges().answer(Base::Series(version(base))), answer, "{base}");
        }
        let fixed = UpstreamRanges::fixed_in(version("5.3-rc5"));
        assert_eq!(fixed.answer(Base::Series(version("5.3.0"))), UpstreamAnswer::Fixed);
        assert_eq!(fixed.answer(Base::Series(version("4.15.0"))), UpstreamAnswer::Affected);
    }
}
