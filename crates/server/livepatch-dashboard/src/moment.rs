//! Points in time, and lengths of it, for people.

use crate::Seconds;
use maud::{Markup, html};

/// `2026-11-24 17:30 UTC`, and how long ago that is.
pub(crate) fn moment(at: Seconds, now: Seconds) -> Markup {
    html! { time datetime=(rfc3339(at)) { (text(at)) } " " span.ago { "(" (relative(at, now)) ")" } }
}

/// The same for a moment in RFC 3339; what is none (a machine wrote it) is shown as it is.
pub(crate) fn moment_of(text: &str, now: Seconds) -> Markup {
    match seconds(text) {
        Some(at) => moment(at, now),
        None => html! { (text) },
    }
}

/// Seconds since 1970 of RFC 3339.
pub(crate) fn seconds(text: &str) -> Option<Seconds> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// RFC 3339, UTC.
pub(crate) fn rfc3339(at: Seconds) -> String {
    jiff::Timestamp::from_second(at).map(|moment| moment.to_string()).unwrap_or_default()
}

/// `2026-11-24 17:30 UTC`.
pub fn text(at: Seconds) -> String {
    // 2026-11-24T17:30:00Z
    let precise = rfc3339(at);
    match (precise.get(..10), precise.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => precise,
    }
}

/// `5 min ago`, `in 3 h`.
pub(crate) fn relative(at: Seconds, now: Seconds) -> String {
    let distance = now.saturating_sub(at);
    match distance {
        -59..=59 => "now".to_owned(),
        60.. => format!("{} ago", length(distance)),
        _ => format!("in {}", length(distance.saturating_neg())),
    }
}

/// `45 s`, `5 min`, `3 h`, `3.5 h`, `12 d`.
pub fn length(seconds: Seconds) -> String {
    let tenths = |unit: i64| {
        let tenths = seconds.saturating_mul(10) / unit;
        if tenths % 10 == 0 || tenths >= 100 {
            (tenths / 10).to_string()
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        }
    };
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", tenths(3600)),
        _ => format!("{} d", tenths(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_lengths_are_short() {
        assert_eq!(text(1_800_000_000), "2027-01-15 08:00 UTC");
        assert_eq!(relative(1000, 1000 + 3 * 60), "3 min ago");
        assert_eq!(relative(1000 + 5400, 1000), "in 1.5 h");
        assert_eq!(relative(1000, 1030), "now");
        assert_eq!(
            (length(59), length(86_400), length(12 * 86_400)),
            ("59 s".into(), "24 h".into(), "12 d".into())
        );
        assert_eq!(seconds("2027-01-15T08:00:00Z"), Some(1_800_000_000));
        assert_eq!(moment_of("<yesterday>", 0).into_string(), "&lt;yesterday&gt;");
    }
}
