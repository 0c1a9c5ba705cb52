//! Maintenance windows: times of the week at which livepatches may be applied.

use crate::Seconds;
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60;
const DAY: i64 = 1440 * MINUTE;
const WEEK: i64 = 7 * DAY;
/// 1970 began on a Thursday; from Monday, three days earlier, weeks are counted.
const TO_MONDAY: i64 = 3 * DAY;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A span of time that begins on each of some days. UTC: no night is an hour short or long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// The days on which it begins.
    pub days: Vec<Day>,
    /// Minute of the day at which it begins, below 1440.
    pub start: u16,
    /// How long it lasts, in minutes, from 1 to 1440; it may go past midnight.
    pub minutes: u16,
}

impl Day {
    /// Every day, from Monday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    fn offset(self) -> i64 {
        self as i64 * DAY
    }
}

impl Window {
    /// Whether its numbers make sense.
    pub fn is_sound(&self) -> bool {
        !self.days.is_empty()
            && self.days.len() <= 7
            && self.start < 1440
            && (1..=1440).contains(&self.minutes)
    }

    /// Whether it is open.
    pub fn contains(&self, now: Seconds) -> bool {
        let length = i64::from(self.minutes) * MINUTE;
        self.begins().any(|begin| since(begin, now) < length)
    }

    /// Seconds until it is open; 0 when it is.
    pub fn opens_in(&self, now: Seconds) -> i64 {
        if self.contains(now) {
            return 0;
        }
        self.begins().map(|begin| WEEK - since(begin, now)).min().unwrap_or(WEEK)
    }

    /// The seconds after Monday's midnight at which it begins.
    fn begins(&self) -> impl Iterator<Item = i64> + '_ {
        self.days.iter().map(|day| day.offset() + i64::from(self.start) * MINUTE)
    }
}

/// Seconds since the week's `begin` came last.
fn since(begin: i64, now: Seconds) -> i64 {
    (now.rem_euclid(WEEK) + TO_MONDAY - begin).rem_euclid(WEEK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24 00:00 UTC, a Tuesday.
    const TUESDAY: i64 = 1_795_478_400;

    #[test]
    fn window_opens_and_closes_and_goes_past_midnight() {
        let night = Window { days: vec![Day::Mon], start: 23 * 60, minutes: 120 };
        assert!(night.contains(TUESDAY) && night.contains(TUESDAY + 3599) && !night.contains(TUESDAY + 3600));
        assert!(night.contains(TUESDAY - 3600) && !night.contains(TUESDAY - 3601));
        assert_eq!(night.opens_in(TUESDAY), 0);
        assert_eq!(night.opens_in(TUESDAY - 3601), 1);
        assert_eq!(night.opens_in(TUESDAY + 3600), 7 * DAY - 2 * 3600);
        let sunday = Window { days: vec![Day::Sun], start: 0, minutes: 1440 };
        assert!(sunday.contains(TUESDAY + 5 * DAY) && !sunday.contains(TUESDAY + 6 * DAY));
    }

    #[test]
    fn impossible_windows_are_seen() {
        let sound = Window { days: vec![Day::Sat], start: 0, minutes: 60 };
        assert!(sound.is_sound());
        for wrong in [
            Window { days: vec![], ..sound.clone() },
            Window { start: 1440, ..sound.clone() },
            Window { minutes: 0, ..sound.clone() },
            Window { minutes: 1441, ..sound },
        ] {
            assert!(!wrong.is_sound(), "{wrong:?}");
        }
    }
}
