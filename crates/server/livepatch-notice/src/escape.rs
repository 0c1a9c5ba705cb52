//! Text that came from outside, made harmless for where it goes.

/// For the content of elements and for attribute values in HTML and XML. Characters that XML 1.0 does not allow are left out.
pub fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            '\u{fffe}' | '\u{ffff}' => {}
            control if control.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}

/// An address that may stand in a link: only these schemes are linked, all else is shown as text.
pub(crate) fn link(address: &str) -> Option<String> {
    let web = address.starts_with("https://") || address.starts_with("http://");
    (web && !address.contains(char::is_whitespace)).then(|| markup(address))
}

/// For plain text: no control characters, so that nobody's terminal obeys a CVE's description.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
