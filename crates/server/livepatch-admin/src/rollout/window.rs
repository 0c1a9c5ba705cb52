//! Maintenance windows as people write them: `sat,sun 02:00+4h`, UTC.

use crate::period::Period;
use livepatch_schedule::{Day, Window};
use std::str::FromStr;

/// A window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowText(pub(crate) Window);

/// Why a text is no window.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "days, time and length expected, UTC, such as 'sat,sun 02:00+4h' or 'daily 01:30+90m'; at most a day long"
)]
pub(crate) struct WindowError;

impl FromStr for WindowText {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let (days, rest) = text.trim().split_once(' ').ok_or(WindowError)?;
        let (time, length) = rest.trim().split_once('+').ok_or(WindowError)?;
        let (hour, minute) = time.split_once(':').ok_or(WindowError)?;
        let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 2).ok_or(WindowError);
        let (hour, minute) = (number(hour)?, number(minute)?);
        let length: Period = length.parse().map_err(|_| WindowError)?;
        let minutes = u16::try_from(length.0 / 60).map_err(|_| WindowError)?;
        let window = Window { days: days_of(days)?, start: hour * 60 + minute, minutes };
        if hour < 24 && minute < 60 && window.is_sound() { Ok(Self(window)) } else { Err(WindowError) }
    }
}

fn days_of(text: &str) -> Result<Vec<Day>, WindowError> {
    if text == "daily" {
        return Ok(Day::ALL.to_vec());
    }
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day =
        |name: &str| names.iter().position(|known| *known == name).and_then(|at| Day::ALL.get(at).copied());
    text.split(',').map(|name| day(name).ok_or(WindowError)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_judged() {
        let window = "sat,sun 02:00+4h".parse::<WindowText>().unwrap().0;
        assert_eq!(window, Window { days: vec![Day::Sat, Day::Sun], start: 120, minutes: 240 });
        assert_eq!("daily 23:30+90m".parse::<WindowText>().unwrap().0.days.len(), 7);
        for wrong in [
            "",
            "sat",
            "sat 2:00+4h",
            "sat 24:00+1h",
            "sat 02:60+1h",
            "sat 02:00+2d",
            "fry 02:00+1h",
            "sat 02:00",
        ] {
            assert_eq!(wrong.parse::<WindowText>(), Err(WindowError), "{wrong}");
        }
    }
}
