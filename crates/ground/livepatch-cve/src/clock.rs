//! The clock of a vulnerability: how long it took from the day on which it became public until machines were protected.

/// Seconds since 1970, UTC.
type Seconds = i64;

/// The shares of the machines whose protection the clock tells, in percent.
const SHARES: [u64; 3] = [50, 95, 99];

/// Machines that became protected at about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// When the first of them did.
    pub first: Seconds,
    /// When the last of them did.
    pub last: Seconds,
    /// How many.
    pub machines: u32,
}

/// What happened, when. Steps that were not taken yet are absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// It became public.
    pub public: Option<Seconds>,
    /// The first mitigation was issued.
    pub mitigation: Option<Seconds>,
    /// The first livepatch that mends it was published.
    pub livepatch: Option<Seconds>,
    /// The first machine was protected.
    pub first_machine: Option<Seconds>,
    /// 50, 95 and 99 % of the machines that need it were protected, at the latest.
    pub shares: [Option<Seconds>; 3],
    /// Machines that need protection: those that got it, and those that still wait.
    pub needing: u64,
    /// Those of them that got it.
    pub protected: u64,
}

impl Clock {
    /// The same clock with what machines did: `arrivals` in any order, and how many still wait.
    #[must_use]
    pub fn with_machines(self, mut arrivals: Vec<Arrival>, waiting: u64) -> Self {
        arrivals.sort_unstable();
        let protected: u64 = arrivals.iter().map(|arrival| u64::from(arrival.machines)).sum();
        let needing = protected.saturating_add(waiting);
        Self {
            first_machine: arrivals.first().map(|arrival| arrival.first),
            shares: SHARES.map(|share| reached(&arrivals, needing, share)),
            needing,
            protected,
            ..self
        }
    }

    /// The part of the machines that are protected, in percent, rounded down: 100 means all. `None` when none needs it.
    pub fn percent(&self) -> Option<u8> {
        let percent = self.protected.saturating_mul(100).checked_div(self.needing)?;
        u8::try_from(percent).ok()
    }
}

/// When a share of the machines was protected.
fn reached(arrivals: &[Arrival], needing: u64, share: u64) -> Option<Seconds> {
    let wanted = needing.saturating_mul(share).div_ceil(100).max(1);
    let mut so_far = 0;
    let arrival = arrivals.iter().find(|arrival| {
        so_far += u64::from(arrival.machines);
        so_far >= wanted
    })?;
    // Of those that came together only the first and the last are known.
    let before = so_far - u64::from(arrival.machines);
    Some(if before + 1 == wanted { arrival.first } else { arrival.last })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn at(first: Seconds, last: Seconds, machines: u32) -> Arrival {
        Arrival { first, last, machines }
    }

    #[test]
    fn shares_are_reached_by_the_machine_that_fills_them() {
        let one_by_one: Vec<Arrival> = (1..=99).rev().map(|number| at(number, number, 1)).collect();
        let clock = Clock::default().with_machines(one_by_one, 1);
        assert_eq!(clock.first_machine, Some(1));
        assert_eq!(clock.shares, [Some(50), Some(95), Some(99)]);
        assert_eq!((clock.protected, clock.needing, clock.percent()), (99, 100, Some(99)));
    }

    #[test]
    fn a_share_that_was_not_reached_has_no_time() {
        let clock = Clock::default().with_machines(vec![at(10, 20, 6)], 4);
        assert_eq!(clock.shares, [Some(20), None, None], "within a group, the latest that it can have been");
        assert_eq!(clock.percent(), Some(60));
        let alone = Clock::default().with_machines(vec![at(10, 20, 2)], 0);
        assert_eq!(alone.shares, [Some(10), Some(20), Some(20)], "one of two is half");
    }

    #[test]
    fn nobody_is_no_share() {
        let nobody = Clock { public: Some(1), ..Clock::default() }.with_machines(vec![], 0);
        assert_eq!((nobody.first_machine, nobody.shares, nobody.percent()), (None, [None; 3], None));
        assert_eq!(nobody.public, Some(1));
        assert_eq!(Clock::default().with_machines(vec![], 3).percent(), Some(0));
    }
}
