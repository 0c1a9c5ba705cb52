//! How long to wait: for an overloaded server, and before a livepatch that could not get in is tried again. Pure.

use crate::records::Attempt;
use jiff::Timestamp;
use livepatch_host::BlockingTask;
use std::time::Duration;

/// No server can silence its machines for longer.
const LONGEST: Duration = Duration::from_secs(86_400);
/// After a transition that was reverted the next try comes after this time, then twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(300);

/// The value of `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
pub(crate) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait = Duration::try_from(date.duration_since(now)).ok()?;
    Some(wait.min(LONGEST))
}

/// Whether the time has come to try again what failed. `tasks`: those that held the transition back, as they are now; while one
/// of them has not moved the transition would stall again, so the try waits for a better moment, but not for ever.
pub(crate) fn may_retry(attempt: &Attempt, uptime: Duration, tasks: &[Option<BlockingTask>]) -> bool {
    if attempt.failure.code != "transition-stalled" {
        return true;
    }
    let waited = uptime.saturating_sub(Duration::from_millis(attempt.uptime_ms));
    let pause = FIRST_RETRY.saturating_mul(1 << attempt.count.saturating_sub(1).min(16)).min(LONGEST);
    let moved = attempt
        .tasks
        .iter()
        .zip(tasks)
        .all(|(before, now)| now.as_ref().is_none_or(|now| !now.still_waits_as(before)));
    waited >= LONGEST || waited >= pause && moved
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::records::Failure;
    use livepatch_manifest::Digest;
    use proptest::prelude::*;

    fn seconds(value: &str) -> Option<u64> {
        let now = "1994-11-06T08:49:37Z".parse().unwrap();
        parse_retry_after(value, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn servers_ask_in_seconds_or_with_a_date() {
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 09:49:37 GMT"), Some(3600));
        assert_eq!(seconds("Sun, 06 Nov 1994 07:49:37 GMT"), None, "past");
        assert_eq!(seconds("99999999999"), Some(86_400), "nobody is silenced");
        assert_eq!(seconds("Mon, 30 Dec 2999 23:59:59 GMT"), Some(86_400));
        for value in ["", "-1", "soon", "1.5"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }

    fn stalled(count: u32) -> Attempt {
        Attempt {
            boot_id: String::new(),
            at: Timestamp::UNIX_EPOCH,
            sha256: Digest::of(b""),
            name: "x".into(),
            failure: Failure { code: "transition-stalled".into(), message: String::new() },
            retry: false,
            tasks: vec![sleeper("fifo_open")],
            count,
            uptime_ms: 1_000_000,
        }
    }

    fn sleeper(function: &str) -> BlockingTask {
        let waits_in = Some(function.to_owned());
        BlockingTask { pid: 9, tid: 9, name: "cat".into(), waits_in, ..BlockingTask::default() }
    }

    #[test]
    fn a_stalled_livepatch_waits_for_a_better_moment() {
        let after = |wait: u64| Duration::from_secs(1000 + wait);
        let (there, moved) = ([Some(sleeper("fifo_open"))], [Some(sleeper("pipe_read"))]);
        assert!(may_retry(&stalled(1), after(300), &[None]), "the task is gone");
        assert!(!may_retry(&stalled(1), after(299), &[None]));
        assert!(may_retry(&stalled(1), after(300), &moved));
        assert!(!may_retry(&stalled(1), after(80_000), &there));
        assert!(may_retry(&stalled(1), after(86_400), &there), "not for ever");
        assert!(!may_retry(&stalled(4), after(2000), &moved), "later and later");
        let other = Failure { code: "kernel-refused".into(), message: String::new() };
        assert!(may_retry(&Attempt { failure: other, ..stalled(9) }, after(0), &there));
    }

    proptest! {
        #[test]
        fn any_value_is_survived(value in ".{0,60}") {
            let _ = parse_retry_after(&value, Timestamp::UNIX_EPOCH);
        }
    }
}
