//! Whether this machine's clock can be believed: metadata that are out of date are told from current ones by nothing else. Pure.

use jiff::Timestamp;

/// When this program was written: a clock before it is wrong.
const WRITTEN: &str = "2026-11-01T00:00:00Z";
/// Clocks this far apart, in seconds, are worth a word.
const APART: i64 = 3600;

/// Whether the clock can be right.
pub(crate) fn can_be_right(now: Timestamp) -> bool {
    WRITTEN.parse::<Timestamp>().is_ok_and(|written| now >= written)
}

/// What to add when metadata have expired by this machine's clock. `server`: the time that the server's answer named. Nobody signed
/// that, so it decides nothing and only helps the owner to see which of the two is behind.
pub(crate) fn comparison(now: Timestamp, server: Option<Timestamp>) -> String {
    let ours = now.strftime("%Y-%m-%d %H:%M UTC");
    let Some(server) = server else { return format!("; this machine's clock says {ours}") };
    let theirs = server.strftime("%Y-%m-%d %H:%M UTC");
    let hint = if (now.as_second() - server.as_second()).abs() > APART {
        ": if this machine's clock is wrong, set it (`timedatectl set-ntp true`)"
    } else {
        ""
    };
    format!("; this machine's clock says {ours}, the server's {theirs}{hint}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn a_clock_from_before_this_program_is_wrong() {
        assert!(!can_be_right(Timestamp::UNIX_EPOCH));
        assert!(can_be_right("2026-11-24T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn the_owner_sees_which_clock_is_behind() {
        let (ours, theirs) =
            ("2038-01-01T00:00:00Z".parse().unwrap(), "2026-11-24T12:00:00Z".parse().unwrap());
        assert_eq!(
            comparison(ours, Some(theirs)),
            "; this machine's clock says 2038-01-01 00:00 UTC, the server's 2026-11-24 12:00 UTC: if this machine's clock is \
             wrong, set it (`timedatectl set-ntp true`)"
        );
        assert!(!comparison(ours, Some(ours)).contains("set it"));
        assert_eq!(comparison(ours, None), "; this machine's clock says 2038-01-01 00:00 UTC");
    }
}
