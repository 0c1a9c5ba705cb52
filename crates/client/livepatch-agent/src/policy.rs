//! What the machine's owner allows, and whether a livepatch may be applied now. Pure: time and mode are arguments.

use crate::window::Window;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use livepatch_host::Mode;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// What the owner configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// No livepatch that is new to this machine is applied.
    pub hold: bool,
    /// Nothing that was published after this moment is applied, whatever it proved to be.
    pub cutoff: Option<Timestamp>,
    /// How long a livepatch must have been published before it is applied.
    pub delay: Duration,
    /// When livepatches that are new to this machine are applied; empty: at any time.
    pub windows: Vec<Window>,
}

/// The circumstances of a decision.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Now.
    pub now: Timestamp,
    /// The machine's time zone, for windows.
    pub zone: TimeZone,
    /// The emergency switch.
    pub mode: Mode,
    /// Whether the owner asks for it at this moment: hold, delay and windows are for what the client does by itself.
    pub owner_asks: bool,
}

impl Circumstances {
    /// Nothing out of the ordinary.
    pub fn ordinary(now: Timestamp, mode: Mode) -> Self {
        Self { now, zone: TimeZone::system(), mode, owner_asks: false }
    }
}

/// Why a livepatch is not applied now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Postponed {
    /// The mode forbids it.
    Mode {
        /// The mode.
        mode: Mode,
    },
    /// It was published after the cut-off date.
    CutOff {
        /// When it was published.
        published: Timestamp,
    },
    /// It is not old enough.
    Delay {
        /// When it is.
        until: Timestamp,
    },
    /// Livepatches are held.
    Held,
    /// No maintenance window is open.
    Window {
        /// When the next one opens.
        until: Timestamp,
    },
}

impl Postponed {
    /// When it may be applied, if that is a question of time.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Delay { until } | Self::Window { until } => Some(*until),
            Self::Mode { .. } | Self::CutOff { .. } | Self::Held => None,
        }
    }
}

impl fmt::Display for Postponed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode { mode } => write!(f, "the mode is {mode}"),
            Self::CutOff { published } => write!(f, "it was published {published}, after the cut-off date"),
            Self::Delay { until } => write!(f, "the patch delay ends {until}"),
            Self::Held => f.write_str("livepatches are on hold"),
            Self::Window { until } => write!(f, "the next maintenance window opens {until}"),
        }
    }
}

/// Whether a livepatch may be applied now. `published`: when it was, where that is known; what has no date counts as old.
/// `proven`: it soaked without trouble on this machine, so to apply it again is no change that hold, delay or windows are
/// about.
pub(crate) fn gate(
    policy: &Policy,
    at: &Circumstances,
    published: Option<Timestamp>,
    proven: bool,
) -> Result<(), Postponed> {
    if !at.mode.may_apply() {
        return Err(Postponed::Mode { mode: at.mode });
    }
    if let (Some(published), Some(cutoff)) = (published, policy.cutoff)
        && published > cutoff
    {
        return Err(Postponed::CutOff { published });
    }
    if proven || at.owner_asks {
        return Ok(());
    }
    if policy.hold {
        return Err(Postponed::Held);
    }
    let delay = SignedDuration::try_from(policy.delay).unwrap_or(SignedDuration::MAX);
    // Without a delay the machine's clock, which may be wrong, has no say.
    if let Some(until) = published.map(|at| at.saturating_add(delay).unwrap_or(Timestamp::MAX))
        && !delay.is_zero()
        && until > at.now
    {
        return Err(Postponed::Delay { until });
    }
    match closed_until(policy, at) {
        Some(until) => Err(Postponed::Window { until }),
        None => Ok(()),
    }
}

/// When the next window opens; `None` when one is open, or there are none.
fn closed_until(policy: &Policy, at: &Circumstances) -> Option<Timestamp> {
    let now = at.now.to_zoned_datetime(at.zone.clone());
    if policy.windows.is_empty() || policy.windows.iter().any(|window| window.is_open(&now)) {
        return None;
    }
    let openings = policy.windows.iter().filter_map(|window| window.next_opening(&now));
    Some(openings.map(|opening| opening.timestamp()).min().unwrap_or(Timestamp::MAX))
}

/// `30m`, `12h`, `3d`, `2w` or a number of seconds with `s`.
pub(crate) fn parse_delay(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number: u64 = text[..text.len() - unit.len_utf8()].trim().parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn at(mode: Mode, owner_asks: bool) -> Circumstances {
        // A Tuesday.
        Circumstances { now: time("2026-11-24T12:00:00Z"), zone: TimeZone::UTC, mode, owner_asks }
    }

    #[test]
    fn what_is_configured_holds_unless_it_is_proven_or_asked_for() {
        let published = Some(time("2026-11-23T12:00:00Z"));
        let (held, delayed, windowed) = (
            Policy { hold: true, ..Policy::default() },
            Policy { delay: parse_delay("3d").unwrap(), ..Policy::default() },
            Policy { windows: vec!["Sat 01:00-05:00".parse().unwrap()], ..Policy::default() },
        );
        let normal = at(Mode::Normal, false);
        assert_eq!(gate(&Policy::default(), &normal, published, false), Ok(()));
        assert_eq!(gate(&held, &normal, published, false), Err(Postponed::Held));
        let until = time("2026-11-26T12:00:00Z");
        assert_eq!(gate(&delayed, &normal, published, false), Err(Postponed::Delay { until }));
        let until = time("2026-11-28T01:00:00Z");
        assert_eq!(gate(&windowed, &normal, published, false), Err(Postponed::Window { until }));
        for policy in [held, delayed, windowed] {
            assert_eq!(gate(&policy, &normal, published, true), Ok(()), "proven");
            assert_eq!(gate(&policy, &at(Mode::Normal, true), published, false), Ok(()), "asked for");
            assert!(gate(&policy, &at(Mode::Stop, true), published, true).is_err(), "the switch is stronger");
        }
    }

    #[test]
    fn the_cut_off_date_is_for_everything() {
        let published = time("2026-11-23T12:00:00Z");
        let policy = Policy { cutoff: Some(time("2026-11-01T00:00:00Z")), ..Policy::default() };
        let refused = Err(Postponed::CutOff { published });
        assert_eq!(gate(&policy, &at(Mode::Normal, true), Some(published), true), refused);
        assert_eq!(
            gate(&policy, &at(Mode::Normal, false), Some(time("2026-10-31T00:00:00Z")), false),
            Ok(())
        );
    }

    #[test]
    fn delays_have_units() {
        for (text, seconds) in
            [("0", 0), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("3d", 259_200), ("2w", 1_209_600)]
        {
            assert_eq!(parse_delay(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "3", "d", "3y", "-1d", "99999999999999999999w", "3µ"] {
            assert_eq!(parse_delay(text), None, "{text}");
        }
    }
}
