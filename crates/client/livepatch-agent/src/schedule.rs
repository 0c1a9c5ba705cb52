//! When to look at the repository: each machine has its own moment in the interval and keeps it, so that a fleet does
//! not come back as one after an outage. Pure: time and randomness are arguments.

use crate::records::Schedule;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// After a boot the first look comes within this time, so that a new livepatch need not wait for the interval.
const AFTER_BOOT: Duration = Duration::from_secs(300);

/// After a window opened the machines look within this time.
const AFTER_OPENING: Duration = Duration::from_secs(120);

/// After a failed look the next one comes after this time, then twice as long, up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(60);

impl Schedule {
    /// The schedule of a machine whose random number is `phase`, when its daemon starts.
    pub fn at_start(phase: u32, now: Timestamp, interval: Duration) -> Self {
        let within = AFTER_BOOT.min(interval);
        Self { phase, next_refresh: later(now, part_of(phase, within)), failures: 0 }
    }

    /// Whether it is time. A clock that was set back must not stop the looks: then it is time as well.
    pub fn is_due(&self, now: Timestamp, interval: Duration) -> bool {
        now >= self.next_refresh || self.next_refresh > later(now, 2 * interval.max(AFTER_BOOT))
    }

    /// After a look that worked: this machine's moment in the next interval, and not before the server wants it.
    pub fn after_success(&self, now: Timestamp, interval: Duration, not_before: Option<Duration>) -> Self {
        // A server cannot silence its machines for more than a day.
        let not_before = not_before.unwrap_or_default().min(Duration::from_secs(86_400));
        Self {
            phase: self.phase,
            next_refresh: next_slot(self.phase, later(now, not_before), interval),
            failures: 0,
        }
    }

    /// After a look that failed: soon, then later and later, never later than the next moment of its own.
    /// `not_before`: how long the server asked to be left alone.
    pub fn after_failure(&self, now: Timestamp, interval: Duration, not_before: Option<Duration>) -> Self {
        let failures = self.failures.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(16)).min(interval);
        // Up to a quarter more, so that machines that failed together do not retry together.
        let wait = wait + part_of(self.phase, wait / 4);
        Self {
            phase: self.phase,
            next_refresh: later(now, wait).min(next_slot(self.phase, later(now, FIRST_RETRY), interval)).max(
                later(
                    now,
                    not_before.map(|asked| asked + part_of(self.phase, asked / 4)).unwrap_or_default(),
                ),
            ),
            failures,
        }
    }

    /// There is news: not later than this machine's moment `within` that time.
    pub fn sooner(&self, now: Timestamp, within: Duration) -> Self {
        let at = later(now, part_of(self.phase, within));
        Self { next_refresh: self.next_refresh.min(at), ..self.clone() }
    }

    /// Not later than at `opening` (of a window, the end of a delay), when a livepatch may be applied that may not be now; a little
    /// after it, so that machines with the same window do not come as one.
    pub fn not_later_than(&self, opening: Timestamp) -> Self {
        let at = later(opening, part_of(self.phase, AFTER_OPENING));
        Self { next_refresh: self.next_refresh.min(at), ..self.clone() }
    }
}

/// The first moment after `after` that is this machine's in an interval counted from 1970.
fn next_slot(phase: u32, after: Timestamp, interval: Duration) -> Timestamp {
    let length = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
    let offset = i64::try_from(part_of(phase, interval).as_secs()).unwrap_or_default();
    let past = (after.as_second() - offset).rem_euclid(length);
    later(after, Duration::from_secs(u64::try_from(length - past).unwrap_or_default()))
}

/// `phase` / 2^32 of `whole`.
fn part_of(phase: u32, whole: Duration) -> Duration {
    whole.mul_f64(f64::from(phase) / f64::from(u32::MAX) * 0.999_999)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seconds_until(schedule: &Schedule, now: Timestamp) -> i64 {
        schedule.next_refresh.as_second() - now.as_second()
    }

    proptest! {
        #[test]
        fn moments_are_an_interval_apart_and_keep_their_place(phase: u32, second in 1_000_000i64..4_000_000_000) {
            let schedule = Schedule::at_start(phase, time(second), HOUR);
            prop_assert!((0..=300).contains(&seconds_until(&schedule, time(second))));
            let first = schedule.after_success(time(second), HOUR, None);
            prop_assert!((1..=3600).contains(&seconds_until(&first, time(second))));
            let second = first.after_success(first.next_refresh, HOUR, None);
            prop_assert_eq!(seconds_until(&second, first.next_refresh), 3600);
        }

        #[test]
        fn failures_back_off_and_never_exceed_the_interval(phase: u32) {
            let now = time(1_800_000_000);
            let mut schedule = Schedule::at_start(phase, now, HOUR);
            for _ in 0..40 {
                schedule = schedule.after_failure(now, HOUR, None);
                prop_assert!((60..=3660).contains(&seconds_until(&schedule, now)));
            }
        }
    }

    #[test]
    fn phases_spread_over_the_interval() {
        let now = time(1_800_000_000);
        let at =
            |phase: u32| Schedule::at_start(phase, now, HOUR).after_success(now, HOUR, None).next_refresh;
        assert!(at(0) != at(u32::MAX / 2) && at(u32::MAX / 2) != at(u32::MAX));
    }

    #[test]
    fn the_server_can_ask_for_patience_but_not_for_silence() {
        let now = time(1_800_000_000);
        let schedule = Schedule::at_start(7, now, HOUR);
        let patient = schedule.after_success(now, HOUR, Some(Duration::from_secs(7200)));
        assert!((7200..=10_800).contains(&seconds_until(&patient, now)));
        let silenced = schedule.after_success(now, HOUR, Some(Duration::MAX));
        assert!(seconds_until(&silenced, now) <= 86_400 + 3600);
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it() {
        let now = time(1_800_000_000);
        let schedule = Schedule::at_start(1 << 31, now, HOUR);
        let wait = seconds_until(&schedule.after_failure(now, HOUR, Some(Duration::from_secs(7200))), now);
        assert!((7200..=9000).contains(&wait), "{wait}");
        let sooner = schedule.after_failure(now, HOUR, Some(Duration::from_secs(1)));
        assert!(seconds_until(&sooner, now) >= 60, "but not sooner than we would");
    }

    #[test]
    fn news_bring_the_look_forward_and_never_put_it_off() {
        let now = time(1_800_000_000);
        let schedule = Schedule::at_start(1 << 31, now, HOUR).after_success(now, HOUR, None);
        let soon = schedule.sooner(now, Duration::from_secs(600));
        assert!((290..=310).contains(&seconds_until(&soon, now)), "{soon:?}");
        assert_eq!(soon.sooner(now, HOUR), soon);
        assert!(schedule.sooner(now, Duration::ZERO).is_due(now, HOUR));
    }

    #[test]
    fn a_window_s_opening_is_not_missed() {
        let now = time(1_800_000_000);
        let schedule = Schedule::at_start(1 << 31, now, HOUR).after_success(now, HOUR, None);
        let soon = schedule.not_later_than(time(1_800_000_060));
        assert!((60..=180).contains(&seconds_until(&soon, now)), "{soon:?}");
        assert_eq!(schedule.not_later_than(time(1_900_000_000)), schedule);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_looks() {
        let now = time(1_800_000_000);
        let schedule = Schedule::at_start(0, now, HOUR).after_success(now, HOUR, None);
        assert!(!schedule.is_due(now, HOUR));
        assert!(schedule.is_due(time(1_800_003_601), HOUR));
        assert!(schedule.is_due(time(1_000_000_000), HOUR));
    }
}
