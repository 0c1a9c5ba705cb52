//! Maintenance windows: `DAYS HH:MM-HH:MM`, in the machine's time zone. Pure.

use jiff::{ToSpan as _, ZonedDateTime, civil::Weekday};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const DAY: u16 = 24 * 60;

/// A span of time that comes every week, on some days: `Sat,Sun 01:00-05:00`, `Mon-Fri 22:00-04:00`, `daily 03:00-04:00`. One that
/// ends before it begins ends on the next day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Monday first.
    days: [bool; 7],
    /// Minutes since midnight.
    begins: u16,
    /// Minutes since midnight of the day on which it begins.
    ends: u16,
}

/// A text that names no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no maintenance window: write DAYS HH:MM-HH:MM, such as `Sat,Sun 01:00-05:00` or `daily 22:00-04:00`"
)]
pub struct WindowError(String);

impl Window {
    /// Whether it is open at this moment.
    pub fn is_open(&self, now: &ZonedDateTime) -> bool {
        let today = minute_of(now);
        let begun_today = self.days[day_of(now)] && (self.begins..self.ends).contains(&today);
        let yesterday = (day_of(now) + 6) % 7;
        begun_today || self.days[yesterday] && today + DAY < self.ends
    }

    /// The next moment after `now` at which it opens.
    pub fn next_opening(&self, now: &ZonedDateTime) -> Option<ZonedDateTime> {
        (0..=7).find_map(|days| {
            let day = now.checked_add(i64::from(days).days()).ok()?;
            let (hour, minute) = (i8::try_from(self.begins / 60).ok()?, i8::try_from(self.begins % 60).ok()?);
            let opening =
                day.date().at(hour, minute, 0, 0).to_zoned_datetime(now.time_zone().clone()).ok()?;
            (self.days[day_of(&opening)] && opening > *now).then_some(opening)
        })
    }

    /// How long it stays open.
    pub fn minutes(&self) -> u16 {
        self.ends - self.begins
    }
}

fn day_of(time: &ZonedDateTime) -> usize {
    usize::try_from(time.weekday().to_monday_zero_offset()).unwrap_or_default()
}

fn minute_of(time: &ZonedDateTime) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| WindowError(text.chars().take(60).collect()))
    }
}

fn parse(text: &str) -> Option<Window> {
    let (days, times) = text.trim().split_once(char::is_whitespace)?;
    let (begins, ends) = times.trim().split_once('-')?;
    let (begins, ends) = (minutes(begins)?, minutes(ends)?);
    let ends = if ends <= begins { ends + DAY } else { ends };
    let mut window = Window { days: [false; 7], begins, ends };
    for part in days.to_ascii_lowercase().split(',') {
        add_days(part, &mut window.days)?;
    }
    (begins < DAY && ends - begins <= DAY).then_some(window)
}

fn add_days(part: &str, days: &mut [bool; 7]) -> Option<()> {
    let number = |name: &str| DAYS.iter().position(|(day, _)| name.starts_with(day) && name.len() <= 9);
    if part == "daily" || part == "*" {
        *days = [true; 7];
        return Some(());
    }
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (number(first)?, number(last)?);
    // Fri-Mon goes over the week's end.
    let count = (last + 7 - first) % 7;
    (0..=count).for_each(|step| days[(first + step) % 7] = true);
    Some(())
}

/// `HH:MM`, up to 24:00.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days: Vec<&str> =
            names.iter().zip(self.days).filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let days = if days.len() == 7 { "daily".to_owned() } else { days.join(",") };
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let ends = if self.ends > DAY { self.ends - DAY } else { self.ends };
        write!(f, "{days} {}-{}", clock(self.begins), clock(ends))
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> ZonedDateTime {
        format!("{text}[Europe/Berlin]").parse().unwrap()
    }

    fn window(text: &str) -> Window {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_opens_and_closes() {
        let night = window("Mon-Fri 22:00-04:00");
        for (time, open) in [
            ("2026-11-24T21:59", false), // a Tuesday
            ("2026-11-24T22:00", true),
            ("2026-11-25T03:59", true),
            ("2026-11-25T04:00", false),
            ("2026-11-28T03:00", true), // Saturday, begun on Friday
            ("2026-11-28T22:30", false),
            ("2026-11-30T03:00", false), // Monday, not begun on Sunday
        ] {
            assert_eq!(night.is_open(&at(time)), open, "{time}");
        }
    }

    #[test]
    fn the_next_opening_is_found_over_the_week_and_the_change_of_the_clocks() {
        let weekend = window("Sat 01:00-05:00");
        let opening = |time: &str| weekend.next_opening(&at(time)).unwrap().to_string();
        assert_eq!(opening("2026-11-24T12:00"), "2026-11-28T01:00:00+01:00[Europe/Berlin]");
        assert_eq!(opening("2026-11-28T01:00"), "2026-12-05T01:00:00+01:00[Europe/Berlin]");
        // 02:30 does not exist on that day; it counts as 03:30.
        let opening = window("daily 02:30-03:30").next_opening(&at("2026-03-29T01:00")).unwrap();
        assert_eq!(opening.to_string(), "2026-03-29T03:30:00+02:00[Europe/Berlin]");
    }

    #[test]
    fn texts_read_back() {
        for (text, shown) in [
            ("Sat,Sun 01:00-05:00", "Sat,Sun 01:00-05:00"),
            ("daily 00:00-24:00", "daily 00:00-24:00"),
            ("monday-friday 22:00-04:00", "Mon,Tue,Wed,Thu,Fri 22:00-04:00"),
            ("Fri-Mon 10:00-11:00", "Mon,Fri,Sat,Sun 10:00-11:00"),
        ] {
            assert_eq!(window(text).to_string(), shown);
        }
        for text in [
            "",
            "Sat",
            "Sat 25:00-26:00",
            "Sat 1:00-2:00",
            "Xyz 01:00-02:00",
            "Sat 01:60-02:00",
            "Sat 24:00-01:00",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}") {
            let _ = text.parse::<Window>();
        }

        #[test]
        fn a_window_is_open_right_after_its_opening(begins in 0u16..1440, length in 1u16..1440, second in 1_700_000_000i64..1_900_000_000) {
            let ends = (begins + length) % 1440;
            let text = format!("Tue,Thu {:02}:{:02}-{:02}:{:02}", begins / 60, begins % 60, ends / 60, ends % 60);
            let now = jiff::Timestamp::from_second(second).unwrap().to_zoned_datetime(jiff::tz::TimeZone::UTC);
            let opening = window(&text).next_opening(&now).unwrap();
            prop_assert!(opening > now && window(&text).is_open(&opening));
        }
    }
}
