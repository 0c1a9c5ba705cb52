//! Changelogs of kernel packages, Debian's and Ubuntu's (deb-changelog(5)): which CVE a build fixes, and by which change.
//!
//! Debian names the CVE behind a change, `fix overflow (CVE-2026-1)`, and changes stand below `New upstream stable update:`.
//! Ubuntu puts the CVE first, `* CVE-2026-1 // CVE-2026-2`, and its changes below. Both are lists of points in levels: a point's
//! CVEs are those in its text and those of the points above it.

use super::Imported;
use crate::record::{Assertions, PackageState, PackageStatus};
use crate::{CveId, Family, Fault, Names, Problem, Statement, problem::shortened};
use jiff::Timestamp;
use livepatch_kernel::PackageVersion;
use serde::Serialize;
use std::collections::BTreeMap;

/// A changelog: its entries, the newest first as they stand in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changelog {
    /// The entries.
    pub entries: Vec<ChangelogEntry>,
}

/// One version of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangelogEntry {
    /// Source package.
    pub package: String,
    /// Its version. Of Debian's signed packages it is that of the kernel that they sign.
    pub version: PackageVersion,
    /// Where it was uploaded to: `bookworm-security`, `jammy`.
    pub release: String,
    /// When it was finished; none when the line is broken or missing.
    pub date: Option<Timestamp>,
    /// The changes, in order.
    pub items: Vec<ChangelogItem>,
    /// Line of the entry's head, from 1.
    pub line: usize,
}

/// One point of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangelogItem {
    /// Its text on one line, with the CVEs that it names.
    pub text: String,
    /// The CVEs that it names, and those of the points that it belongs to.
    pub cves: Vec<CveId>,
    /// Blanks before its mark: greater is deeper.
    pub depth: usize,
    /// Line of its mark, from 1.
    pub line: usize,
}

/// Says what the packages of a family fix. A CVE that several entries name counts as fixed in the newest of them: a fix
/// that is named again was not complete.
pub fn changelog(document: &str, bytes: &[u8], names: &mut Names, family: &Family) -> Imported {
    let (changelog, problems) = Changelog::read(document, bytes);
    let family = Family {
        distribution: family.distribution,
        release: names.intern(&family.release),
        package: names.intern(&family.package),
    };
    let mut fixed: BTreeMap<CveId, (&PackageVersion, usize)> = BTreeMap::new();
    for entry in &changelog.entries {
        for item in &entry.items {
            for cve in &item.cves {
                let known = fixed.entry(*cve).or_insert((&entry.version, item.line));
                if known.0 < &entry.version {
                    *known = (&entry.version, item.line);
                }
            }
        }
    }
    let statements = fixed.into_iter().map(|(cve, (version, line))| {
        let state =
            PackageState { status: PackageStatus::Released, version: Some(version.clone()), note: None };
        let assertions = Assertions { packages: vec![(family.clone(), state)], ..Assertions::default() };
        Statement { cve, line, assertions }
    });
    Imported { statements: statements.collect(), problems, key: None }
}

impl Changelog {
    /// Reads a changelog; entries with a broken head are skipped, up to the next head.
    pub fn read(document: &str, bytes: &[u8]) -> (Self, Vec<Problem>) {
        let mut reader = Reader::default();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let text = String::from_utf8_lossy(line);
            if let Err(fault) = reader.line(at + 1, text.trim_end()) {
                reader.problems.push(Problem::new(document, at + 1, fault));
            }
        }
        reader.finish_entry();
        (Self { entries: reader.entries }, reader.problems)
    }
}

#[derive(Default)]
struct Reader {
    entries: Vec<ChangelogEntry>,
    problems: Vec<Problem>,
    entry: Option<ChangelogEntry>,
    /// Whether the last line belongs to a point, so that text below it continues that point.
    in_item: bool,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Fault> {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if trimmed.is_empty() {
            self.in_item = false;
            return Ok(());
        }
        // A comment, such as "Older entries have been removed from this changelog."
        if line.starts_with('#') {
            return Ok(());
        }
        if indent == 0 {
            self.finish_entry();
            self.entry = Some(head(number, line).map_err(|()| Fault::Unreadable(shortened(line)))??);
            return Ok(());
        }
        let Some(entry) = &mut self.entry else { return Ok(()) };
        if let Some(trailer) = line.strip_prefix(" -- ") {
            let (_, date) = trailer.rsplit_once("  ").unwrap_or_default();
            entry.date = jiff::fmt::rfc2822::parse(date).ok().map(|zoned| zoned.timestamp());
            let missing = entry.date.is_none();
            self.in_item = false;
            return if missing { Err(Fault::Date(shortened(date))) } else { Ok(()) };
        }
        let marked = ["* ", "- ", "+ "].iter().find_map(|mark| trimmed.strip_prefix(mark));
        match (marked, entry.items.last_mut()) {
            (Some(text), _) => {
                let item =
                    ChangelogItem { text: text.to_owned(), cves: Vec::new(), depth: indent, line: number };
                entry.items.push(item);
                self.in_item = true;
            }
            (None, Some(item)) if self.in_item && indent > item.depth => {
                item.text.push(' ');
                item.text.push_str(trimmed);
            }
            // `[ Name ]`, and prose.
            _ => self.in_item = false,
        }
        Ok(())
    }

    fn finish_entry(&mut self) {
        let Some(mut entry) = self.entry.take() else { return };
        name_cves(&mut entry.items);
        if let Some(signed) = signed_version(&entry) {
            (entry.package, entry.version) = signed;
        }
        self.entries.push(entry);
    }
}

/// `linux (6.1.190-1) bookworm-security; urgency=high`. The outer error: the line has another form; the inner one: the version
/// is impossible.
fn head(line: usize, text: &str) -> Result<Result<ChangelogEntry, Fault>, ()> {
    let (package, rest) = text.split_once(" (").ok_or(())?;
    let (version, rest) = rest.split_once(')').ok_or(())?;
    let (releases, _) = rest.split_once(';').ok_or(())?;
    if package.is_empty() || package.contains(char::is_whitespace) {
        return Err(());
    }
    let Ok(version) = version.parse() else { return Ok(Err(Fault::Version(shortened(version)))) };
    let release = releases.split_whitespace().next().unwrap_or_default().to_owned();
    Ok(Ok(ChangelogEntry {
        package: package.to_owned(),
        version,
        release,
        date: None,
        items: Vec::new(),
        line,
    }))
}

/// Gives each point its own CVEs and those of the points above it.
fn name_cves(items: &mut [ChangelogItem]) {
    let mut above: Vec<(usize, Vec<CveId>)> = Vec::new();
    for item in items {
        while above.last().is_some_and(|(depth, _)| *depth >= item.depth) {
            above.pop();
        }
        let inherited = above.last().map(|(_, cves)| cves.clone()).unwrap_or_default();
        item.cves = inherited;
        for cve in CveId::find_all(&item.text) {
            if !item.cves.contains(&cve) {
                item.cves.push(cve);
            }
        }
        above.push((item.depth, item.cves.clone()));
    }
}

/// Debian's signed packages have versions of their own (`6.1.192+1`), and name what they sign.
fn signed_version(entry: &ChangelogEntry) -> Option<(String, PackageVersion)> {
    let signed = entry.items.iter().find_map(|item| item.text.strip_prefix("Sign kernel from "))?;
    let (package, version) = signed.split_once(' ')?;
    Some((package.to_owned(), version.trim().parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::Distribution;

    /// In the form of Debian's, written for this test.
    const DEBIAN: &str = "\
linux-signed-amd64 (6.1.20+1) bookworm-security; urgency=high

  * Sign kernel from linux 6.1.20-1

  * New upstream stable update:
    https://www.example.org/ChangeLog-6.1.20
    - teapot: check the lid before pouring (CVE-2026-1001)
    - kettle: do not free a boiling pot
      twice (CVE-2026-1002, CVE-2026-1003)

  [ A. Person ]
  * [arm64] teapot: enable TEAPOT

 -- A. Person <a@example.org>  Sat, 14 Nov 2026 11:29:58 +0100

linux (6.1.19-1) bookworm; urgency=medium

  * teapot: check the lid (CVE-2026-1001)
  * Fix regression (Closes: #1)

 -- A. Person <a@example.org>  Fri, 16 Oct 2026 23:46:12 +0200

# Older entries have been removed from this changelog.
";

    /// In the form of Ubuntu's.
    const UBUNTU: &str = "\
linux (5.4.0-20.24) focal; urgency=medium

  * focal/linux: 5.4.0-20.24 -proposed tracker (LP: #1)

  * CVE-2026-2001 // CVE-2026-2002
    - teapot: refuse salt
    - SAUCE: teapot: refuse
      pepper

  * Focal update: v5.4.9 upstream stable release (LP: #2) // CVE-2026-2003
    - kettle: whistle

 -- B. Person <b@example.org>  Mon, 02 Mar 2026 10:00:00 +0000
";

    #[test]
    fn debian() {
        let (changelog, problems) = Changelog::read("changelog", DEBIAN.as_bytes());
        assert_eq!(problems, []);
        let [signed, older] = &changelog.entries[..] else { panic!("{changelog:?}") };
        assert_eq!((signed.package.as_str(), signed.version.as_str()), ("linux", "6.1.20-1"));
        assert_eq!(signed.date.unwrap().to_string(), "2026-11-14T10:29:58Z");
        let kettle = &signed.items[3];
        assert_eq!(kettle.text, "kettle: do not free a boiling pot twice (CVE-2026-1002, CVE-2026-1003)");
        assert_eq!((kettle.cves.len(), kettle.line), (2, 8));
        assert!(signed.items[4].cves.is_empty() && older.items[1].cves.is_empty());
    }

    #[test]
    fn ubuntu() {
        let (changelog, _) = Changelog::read("changelog", UBUNTU.as_bytes());
        let items = &changelog.entries[0].items;
        let cves = |at: usize| items[at].cves.iter().map(|cve| cve.number).collect::<Vec<_>>();
        assert_eq!(items[3].text, "SAUCE: teapot: refuse pepper");
        assert_eq!(
            (cves(0), cves(2), cves(3), cves(5)),
            (vec![], vec![2001, 2002], vec![2001, 2002], vec![2003])
        );
    }

    #[test]
    fn the_newest_mention_counts() {
        let mut names = Names::default();
        let package = names.intern("linux");
        let family =
            Family { distribution: Distribution::Debian, release: names.intern("bookworm"), package };
        let imported = changelog("changelog", DEBIAN.as_bytes(), &mut names, &family);
        let found: Vec<_> = imported
            .statements
            .iter()
            .map(|one| (one.cve.number, one.assertions.packages[0].1.version.clone().unwrap()))
            .collect();
        let version = |text: &str| text.parse::<PackageVersion>().unwrap();
        assert_eq!(
            found,
            [(1001, version("6.1.20-1")), (1002, version("6.1.20-1")), (1003, version("6.1.20-1"))]
        );
    }

    #[test]
    fn a_broken_head_or_date_costs_one_entry() {
        let text = DEBIAN.replace("(6.1.20+1)", "(six)").replace("Fri, 16 Oct 2026", "Someday");
        let (changelog, problems) = Changelog::read("changelog", text.as_bytes());
        assert_eq!(changelog.entries.len(), 1);
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [1, 21]);
        assert_eq!(problems[0].fault, Fault::Version("six".into()));
    }
}
