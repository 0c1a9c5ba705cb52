//! The only place of the server that asks for the time.

use livepatch_store::Seconds;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// RFC 3339, UTC; empty for a moment that cannot be written.
pub(crate) fn text(seconds: Seconds) -> String {
    livepatch_store::moment(seconds).unwrap_or_default()
}

/// Now, in seconds since 1970; 0 when the clock stands before that.
pub(crate) fn seconds() -> Seconds {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Seconds::try_from(since.as_secs()).unwrap_or(Seconds::MAX)
}
