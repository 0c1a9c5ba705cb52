//! How long what was not taken waits before it is tried again.

use livepatch_store::Seconds;
use std::time::Duration;

const LONGEST_WAIT: Seconds = 4 * 3600;

/// Doubles from the first wait to four hours.
pub(crate) fn wait(first: Duration, attempts: u32) -> Seconds {
    let first = Seconds::try_from(first.as_secs()).unwrap_or(LONGEST_WAIT).max(1);
    first.saturating_mul(1 << attempts.min(20)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let wait = |first, attempts| wait(Duration::from_secs(first), attempts);
        assert_eq!((wait(30, 0), wait(30, 1), wait(30, 40), wait(0, 0)), (30, 60, LONGEST_WAIT, 1));
        assert_eq!(wait(u64::MAX, 0), LONGEST_WAIT);
    }
}
