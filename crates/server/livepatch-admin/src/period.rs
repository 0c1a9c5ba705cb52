//! Periods as people write them: `45m`, `12h`, `30d`.

use std::str::FromStr;

/// A number of seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) u64);

impl Period {
    /// As a count of 32 bits: 136 years at most.
    pub(crate) fn as_seconds(self) -> Result<u32, PeriodError> {
        u32::try_from(self.0).map_err(|_| PeriodError)
    }
}

/// Why a text is no period.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a number and a unit expected: s, m, h, d or w, such as 30d")]
pub(crate) struct PeriodError;

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = text.chars().next_back().ok_or(PeriodError)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return Err(PeriodError),
        };
        let digits = text.strip_suffix(unit).ok_or(PeriodError)?;
        // The integer parser would take a sign as well.
        let count: u64 = match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().map_err(|_| PeriodError)?,
            false => return Err(PeriodError),
        };
        count.checked_mul(seconds).filter(|total| *total > 0).map(Self).ok_or(PeriodError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_count() {
        for (text, seconds) in
            [("1s", 1), ("45m", 2700), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)]
        {
            assert_eq!(text.parse(), Ok(Period(seconds)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "30", "d", "0d", "-1d", "+1d", "1.5h", "30dd", "30 d", "1y", "99999999999999999999d", "é"]
        {
            assert_eq!(text.parse::<Period>(), Err(PeriodError), "{text}");
        }
    }
}
