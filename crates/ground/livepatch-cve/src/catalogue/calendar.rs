//! The ends of windows as a calendar (iCalendar, RFC 5545), to subscribe to.

use super::Catalogue;
use jiff::{Timestamp, ToSpan as _, civil::Date};
use std::fmt::Write as _;

/// Lines are folded behind so many octets (RFC 5545, 3.1).
const LONGEST_LINE: usize = 75;

impl Catalogue {
    /// One all-day event for each build's last day in a matrix, with reminders 30 and 7 days before. The same catalogue gives
    /// the same identifiers, so that a subscriber's calendar is updated and not filled.
    ///
    /// `stamp` is when the calendar is made; `host` ends the identifiers.
    pub fn calendar(&self, matrix: &str, stamp: Timestamp, host: &str) -> String {
        let mut lines = Lines::default();
        lines.add("BEGIN:VCALENDAR");
        lines.add("VERSION:2.0");
        lines.add("PRODID:-//Open Livepatch//Kernel catalogue//EN");
        lines.add("CALSCALE:GREGORIAN");
        lines.add("X-WR-CALNAME:Livepatch windows");
        for (_, kernels, build, last) in self.windows().filter(|(of, ..)| of.name == matrix) {
            let Some(last) = last else { continue };
            let name = build.kernel.as_deref().unwrap_or(build.version.as_str());
            let flavours: Vec<&str> = kernels.flavours.iter().map(String::as_str).collect();
            lines.add("BEGIN:VEVENT");
            lines.add(&format!(
                "UID:{}-{}-{}@{host}",
                kernels.to_string().replace(' ', "-"),
                build.version,
                matrix
            ));
            lines.add(&format!("DTSTAMP:{}", stamp.strftime("%Y%m%dT%H%M%SZ")));
            lines.add(&format!("DTSTART;VALUE=DATE:{}", day(last)));
            lines.add(&format!("DTEND;VALUE=DATE:{}", day(last.saturating_add(1.day()))));
            lines.text("SUMMARY", &format!("Last day of livepatches for {name} ({kernels})"));
            let what = format!(
                "{} {} was released on {}. After {last} it gets no further livepatches: update and reboot before. Flavours: {}.",
                kernels.distribution,
                build.version,
                build.released,
                flavours.join(", ")
            );
            lines.text("DESCRIPTION", &what);
            lines.add("TRANSP:TRANSPARENT");
            for days in [30, 7] {
                lines.add("BEGIN:VALARM");
                lines.add("ACTION:DISPLAY");
                lines.add(&format!("TRIGGER:-P{days}D"));
                lines.text("DESCRIPTION", &format!("{days} days of livepatches left for {name}"));
                lines.add("END:VALARM");
            }
            lines.add("END:VEVENT");
        }
        lines.add("END:VCALENDAR");
        lines.0
    }
}

fn day(date: Date) -> String {
    date.strftime("%Y%m%d").to_string()
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A line, folded: a continuation starts with a blank, and no character is cut.
    fn add(&mut self, line: &str) {
        let mut length = 0;
        for character in line.chars() {
            if length + character.len_utf8() > LONGEST_LINE {
                self.0.push_str("\r\n ");
                length = 1;
            }
            self.0.push(character);
            length += character.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// A property of type TEXT: backslash, semicolon, comma and line ends are escaped (3.3.11).
    fn text(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for character in value.chars() {
            match character {
                '\\' | ';' | ',' => {
                    let _ = write!(line, "\\{character}");
                }
                '\n' => line.push_str("\\n"),
                control if control.is_control() => {}
                other => line.push(other),
            }
        }
        self.add(&line);
    }
}
