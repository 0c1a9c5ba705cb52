//! The slow word: signed with the release key, the same for every machine.

use crate::{Position, Reach, Seconds, Window};
use serde::{Deserialize, Serialize};

/// A schedule has no more waves.
pub const MOST_WAVES: usize = 32;
/// A schedule has no more windows.
pub const MOST_WINDOWS: usize = 32;

/// The earliest times at which parts of the fleet may have a livepatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Which release: positions depend on it. Livepatches of one fix for several kernels share it.
    pub release: String,
    /// The tiers whose machines wait for their wave; those of other tiers may have it at once. Empty: all wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<String>,
    /// When the rollout began.
    pub start: Seconds,
    /// How far it may go, and from when; in order.
    pub waves: Vec<Wave>,
    /// When machines may apply; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

/// A part of the fleet, and when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Seconds after the schedule's start.
    pub after: u32,
    /// Share of the positions from then on, in parts per million.
    pub share: u32,
}

/// Why a schedule is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The release's name.
    #[error("a release is named by 1 to 64 letters, digits, dots, dashes and underscores")]
    Release,
    /// The waves.
    #[error("1 to {MOST_WAVES} waves are needed, each later and wider than the one before it")]
    Waves,
    /// The windows.
    #[error("at most {MOST_WINDOWS} windows, each with days, a start below 1440 and 1 to 1440 minutes")]
    Windows,
}

impl Schedule {
    /// Whether it can be used.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn check(&self) -> Result<(), ScheduleError> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=64).contains(&self.release.len()) || !self.release.bytes().all(letter) {
            return Err(ScheduleError::Release);
        }
        let ordered = self.waves.windows(2).all(|pair| match pair {
            [one, next] => one.after <= next.after && one.share <= next.share,
            _ => true,
        });
        if !(1..=MOST_WAVES).contains(&self.waves.len()) || !ordered {
            return Err(ScheduleError::Waves);
        }
        if self.windows.len() > MOST_WINDOWS || !self.windows.iter().all(Window::is_sound) {
            return Err(ScheduleError::Windows);
        }
        Ok(())
    }

    /// Whether machines of this tier wait for their wave.
    pub fn applies_to(&self, tier: &str) -> bool {
        self.tiers.is_empty() || self.tiers.iter().any(|name| name == tier)
    }

    /// How far the release may have come by now, at most.
    pub fn reach(&self, now: Seconds) -> Reach {
        let due = |wave: &&Wave| now >= self.start.saturating_add(i64::from(wave.after));
        self.waves.iter().rev().find(due).map_or(Reach::NOBODY, |wave| Reach::of_share(wave.share))
    }

    /// The wave that lets a position in: its number, from 1, and when it opens at the earliest.
    pub fn wave_of(&self, position: Position) -> Option<(usize, Seconds)> {
        let waves = (1..).zip(&self.waves);
        let mut waves = waves.filter(|(_, wave)| Reach::of_share(wave.share).includes(position));
        waves.next().map(|(number, wave)| (number, self.start.saturating_add(i64::from(wave.after))))
    }

    /// Seconds until a window is open; 0 when one is, or none is asked for.
    pub fn opens_in(&self, now: Seconds) -> i64 {
        self.windows.iter().map(|window| window.opens_in(now)).min().unwrap_or(0)
    }
}
