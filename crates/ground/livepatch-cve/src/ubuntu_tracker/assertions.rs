//! What a tracker file says about its CVE.

use super::{StateLine, TrackerFile, TrackerState};
use crate::record::{Assertions, PackageState, PackageStatus, RecordState};
use crate::upstream::{UpstreamRanges, UpstreamVersion};
use crate::{Distribution, Family, Names, Rating};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The tracker's word for upstream's own state, in the place of a release.
const UPSTREAM: &str = "upstream";

impl TrackerFile {
    /// The file's statements, in the form in which all sources make them.
    pub fn assertions(&self, names: &mut Names) -> Assertions {
        let text = |field| Some(self.paragraph(field)).filter(|text| !text.is_empty());
        let lines = |field| {
            let lines: Vec<String> = self.lines(field).iter().map(|line| line.trim().to_owned()).collect();
            Some(lines).filter(|lines| !lines.is_empty())
        };
        Assertions {
            state: Some(self.record_state()),
            description: text("Description"),
            summary: text("Ubuntu-Description"),
            published: self.value("PublicDate").and_then(timestamp),
            embargo: self.value("CRD").and_then(timestamp),
            announced: self.value("PublicDateAtUSN").and_then(timestamp),
            rating: self.priority().map(|(priority, reason)| Rating::from_feed(priority, reason)),
            severities: lines("CVSS").map(|lines| lines.iter().map(|line| vector(line)).collect()),
            references: lines("References"),
            bugs: lines("Bugs"),
            notes: Some(self.notes()).filter(|notes| !notes.is_empty()),
            mitigation: text("Mitigation"),
            discovered_by: text("Discovered-by"),
            assigned_to: text("Assigned-to"),
            break_fixes: Some(self.break_fixes().collect::<Vec<_>>()).filter(|found| !found.is_empty()),
            upstream: self.upstream(),
            packages: self.packages(names),
            ..Assertions::default()
        }
    }

    /// The tracker keeps rejected CVEs as files; their description starts with MITRE's mark.
    fn record_state(&self) -> RecordState {
        let description = self.paragraph("Description");
        let marks = ["** REJECT **", "Rejected reason:"];
        if marks.iter().any(|mark| description.starts_with(mark)) {
            RecordState::Rejected
        } else {
            RecordState::Published
        }
    }

    /// The fix's upstream version, which the tracker writes as the state of `linux` in `upstream`.
    fn upstream(&self) -> Option<UpstreamRanges> {
        let line = self.states().find(|line| line.release == UPSTREAM && line.package == "linux")?;
        if line.state != TrackerState::Released {
            return None;
        }
        line.note.as_deref()?.parse::<UpstreamVersion>().ok().map(UpstreamRanges::fixed_in)
    }

    fn packages(&self, names: &mut Names) -> Vec<(Family, PackageState)> {
        let mut found: Vec<(Family, PackageState)> = Vec::new();
        for line in self.states().filter(|line| line.release != UPSTREAM) {
            let family = Family {
                distribution: Distribution::Ubuntu,
                release: names.intern(&line.release),
                package: names.intern(&line.package),
            };
            found.push((family, line.package_state(names)));
        }
        found
    }
}

impl StateLine {
    /// The state in the form that all distributions share.
    pub fn package_state(&self, names: &mut Names) -> PackageState {
        let version = self.version().and_then(Result::ok);
        let status = match self.state {
            TrackerState::DoesNotExist => PackageStatus::DoesNotExist,
            TrackerState::NeedsTriage => PackageStatus::NotTriaged,
            TrackerState::NotAffected => PackageStatus::NotAffected,
            TrackerState::Needed | TrackerState::Active => PackageStatus::Needed,
            TrackerState::Ignored => PackageStatus::Ignored,
            TrackerState::Pending => PackageStatus::Pending,
            TrackerState::Deferred => PackageStatus::Deferred,
            TrackerState::Released | TrackerState::ReleasedEsm => PackageStatus::Released,
        };
        let note = self.note.as_deref().filter(|_| version.is_none());
        PackageState { status, version, note: note.map(|note| names.intern(note)) }
    }
}

/// `2019-12-03 16:15:00 UTC`, `2019-12-03`; a day alone means its beginning.
fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (day, rest) = text.split_once(' ').unwrap_or((text, ""));
    let date: Date = day.parse().ok()?;
    let clock = rest.trim_end_matches("UTC").trim();
    let time = if clock.is_empty() { jiff::civil::Time::midnight() } else { clock.parse().ok()? };
    TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()
}

/// `nvd: CVSS:3.1/AV:L/… [7.8 HIGH]`: the vector alone.
fn vector(line: &str) -> String {
    let start = line.find("CVSS:").unwrap_or(0);
    line[start..].split_whitespace().next().unwrap_or_default().to_owned()
}
