//! Signs of trouble, and how much of each a fleet shows by itself.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A sign of trouble on a machine that was given the livepatch. A machine counts once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// It went down between apply and the end of the soak.
    Crash,
    /// The kernel reported an oops, a warning or a lock-up during the soak.
    Oops,
    /// Another taint bit appeared during the soak.
    Taint,
    /// The transition did not end in time and was reverted.
    Stalled,
    /// The kernel refused the module.
    FailedLoad,
    /// It was given the livepatch, and has not been heard of since.
    Silence,
}

/// How far a signal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The fix is at fault: every kernel build stops.
    Release,
    /// The module is at fault: its kernel build stops.
    Build,
}

/// What is too much of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Machines in a million that show it in the same time without any livepatch.
    pub background: u32,
    /// Fewer machines than this never halt a rollout.
    pub least: u32,
}

/// A number for each signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
#[allow(missing_docs)] // the signals themselves are described above
pub struct Counts {
    pub crash: u32,
    pub oops: u32,
    pub taint: u32,
    pub stalled: u32,
    pub failed_load: u32,
    pub silence: u32,
}

/// With the background alone at work, a look at the fleet may halt a rollout with this probability at most.
const FALSE_ALARM: f64 = 0.005;

impl Signal {
    /// Every signal, gravest first.
    pub const ALL: [Self; 6] =
        [Self::Crash, Self::Oops, Self::Taint, Self::Stalled, Self::FailedLoad, Self::Silence];

    /// How far it reaches.
    pub fn scope(self) -> Scope {
        match self {
            Self::Crash | Self::Oops | Self::Silence => Scope::Release,
            Self::Taint | Self::Stalled | Self::FailedLoad => Scope::Build,
        }
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Oops => "oops",
            Self::Taint => "taint",
            Self::Stalled => "stalled",
            Self::FailedLoad => "failed-load",
            Self::Silence => "silence",
        }
    }

    /// The signal of that name.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.as_str() == word)
    }
}

impl Counts {
    /// The number of one signal.
    pub fn get(&self, signal: Signal) -> u32 {
        match signal {
            Signal::Crash => self.crash,
            Signal::Oops => self.oops,
            Signal::Taint => self.taint,
            Signal::Stalled => self.stalled,
            Signal::FailedLoad => self.failed_load,
            Signal::Silence => self.silence,
        }
    }

    /// One more of a signal, or more than one.
    pub fn add(&mut self, signal: Signal, more: u32) {
        let count = match signal {
            Signal::Crash => &mut self.crash,
            Signal::Oops => &mut self.oops,
            Signal::Taint => &mut self.taint,
            Signal::Stalled => &mut self.stalled,
            Signal::FailedLoad => &mut self.failed_load,
            Signal::Silence => &mut self.silence,
        };
        *count = count.saturating_add(more);
    }
}

impl Limit {
    /// Whether so many machines of those that were given the livepatch are too many: more than the least, and more than
    /// the background explains.
    pub fn is_exceeded(&self, count: u32, given: u32) -> bool {
        count >= self.least.max(1) && self.chance(count, given) < FALSE_ALARM
    }

    /// How likely at least so many are by the background alone.
    pub fn chance(&self, count: u32, given: u32) -> f64 {
        tail(count, f64::from(given) * f64::from(self.background) / 1e6)
    }
}

/// The probability that a Poisson variable of this mean is at least `count`.
pub fn tail(count: u32, mean: f64) -> f64 {
    // The sum of the terms from `count` on, each from its logarithm: 1 minus the others would lose small results.
    if count == 0 {
        return 1.0;
    }
    if mean <= 0.0 {
        return 0.0;
    }
    let log_factorial: f64 = (2..=count).map(|k| f64::from(k).ln()).sum();
    let mut term = (f64::from(count) * mean.ln() - mean - log_factorial).exp();
    let (mut sum, mut k) = (0.0, count);
    // Terms grow up to the mean; only beyond it a small one ends the sum.
    while f64::from(k) <= mean || term > sum * 1e-12 {
        sum += term;
        k += 1;
        term *= mean / f64::from(k);
    }
    sum.min(1.0)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_agrees_with_known_values() {
        // From tables of the Poisson distribution.
        for (count, mean, expected) in [
            (0, 3.0, 1.0),
            (1, 0.01, 0.009_950),
            (2, 0.05, 0.001_209),
            (5, 1.0, 0.003_660),
            (10, 10.0, 0.542_070),
        ] {
            let found = tail(count, mean);
            assert!((found - expected).abs() < 1e-5, "{count} {mean}: {found}");
        }
        assert_eq!(tail(1, 0.0), 0.0);
        assert!(tail(1200, 1000.0) < 1e-8 && tail(900, 1000.0) > 0.999);
    }

    #[test]
    fn words_read_back() {
        for signal in Signal::ALL {
            assert_eq!(Signal::of_word(signal.as_str()), Some(signal));
        }
    }
}
