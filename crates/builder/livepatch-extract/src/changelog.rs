//! Debian's changelog of a kernel package, as far as it tells of fixes.
//!
//! The syntax is deb-changelog(5): uploads, newest first, each `package (version) distribution; urgency=…` at the margin,
//! then indented details, then a trailer. Within the details the kernel's maintainers write `  * ` items and, below an item
//! that announces a stable update, `    - ` items, one for each upstream commit: subject, then the CVEs in parentheses.

use schemars::JsonSchema;
use serde::Serialize;

/// Why a changelog does not tell what lies between two versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangelogError {
    /// No upload has this version.
    #[error("the changelog has no upload with version {version}; its newest is {}", newest.as_deref().unwrap_or("missing: it has no upload at all"))]
    NoSuchVersion {
        /// Wanted.
        version: String,
        /// What it begins with.
        newest: Option<String>,
    },
    /// The versions are in the wrong order, or the same.
    #[error(
        "the changelog has {to} before {from}, or they are the same: no update leads from {from} to {to}"
    )]
    WrongOrder {
        /// Older version.
        from: String,
        /// Newer version.
        to: String,
    },
}

/// One fix, as the changelog tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entry {
    /// The commit's subject, without tags and CVEs.
    pub subject: String,
    /// CVE ids that it mends, in order.
    pub cves: Vec<String>,
    /// Architectures that it is marked for, such as `arm*` or `x86`; empty means all.
    pub architectures: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a fix comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The upstream stable release of this version.
    Stable(String),
    /// The distribution's own upload of this version.
    Distribution(String),
}

/// The entries of all uploads after `from`, up to and with `to`; oldest upload first, in each the changelog's own order.
///
/// # Errors
/// [`ChangelogError`] when a version is not there, or `to` is not the newer one.
pub fn range(text: &str, from: &str, to: &str) -> Result<Vec<Entry>, ChangelogError> {
    let uploads = uploads(text);
    let position = |version: &str| {
        uploads.iter().position(|upload| upload.version == version).ok_or_else(|| {
            let newest = uploads.first().map(|upload| upload.version.to_owned());
            ChangelogError::NoSuchVersion { version: version.to_owned(), newest }
        })
    };
    let (end, start) = (position(to)?, position(from)?);
    if end >= start {
        return Err(ChangelogError::WrongOrder { from: from.to_owned(), to: to.to_owned() });
    }
    Ok(uploads[end..start].iter().rev().flat_map(Upload::entries).collect())
}

struct Upload<'a> {
    version: &'a str,
    details: Vec<&'a str>,
}

fn uploads(text: &str) -> Vec<Upload<'_>> {
    let mut uploads: Vec<Upload<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(version) = heading(line) {
            uploads.push(Upload { version, details: Vec::new() });
        } else if let Some(upload) = uploads.last_mut() {
            upload.details.push(line);
        }
    }
    uploads
}

/// The version of an upload's first line.
fn heading(line: &str) -> Option<&str> {
    if !line.starts_with(|first: char| first.is_ascii_alphanumeric()) || !line.contains(';') {
        return None;
    }
    let (_, rest) = line.split_once(" (")?;
    let (version, _) = rest.split_once(')')?;
    (!version.is_empty() && !version.contains(' ')).then_some(version)
}

/// An item with the depth of its bullet; text of continued lines joined.
struct Item {
    depth: usize,
    text: String,
    /// The upstream release whose log was named last before it.
    stable: Option<String>,
}

impl Upload<'_> {
    fn entries(&self) -> Vec<Entry> {
        let items = self.items();
        let is_container =
            |at: usize| items.get(at + 1).is_some_and(|next: &Item| next.depth > items[at].depth);
        let told = (0..items.len()).filter(|at| !is_container(*at)).map(|at| &items[at]);
        told.filter_map(|item| entry(item, self.version)).collect()
    }

    fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut stable = None;
        let mut open = false;
        for line in &self.details {
            let text = line.trim();
            let depth = line.len() - line.trim_start().len();
            if let Some(rest) = text.strip_prefix("* ").or_else(|| text.strip_prefix("- ")) {
                if depth <= 2 {
                    stable = None;
                }
                items.push(Item { depth, text: rest.trim().to_owned(), stable: stable.clone() });
                open = true;
            } else if let Some(version) = stable_log(text) {
                (stable, open) = (Some(version.to_owned()), false);
            } else if text.is_empty() || text.starts_with('[') && depth <= 2 || line.starts_with(" --") {
                open = false;
            } else if let Some(item) = items.last_mut().filter(|_| open) {
                item.text.push(' ');
                item.text.push_str(text);
            }
        }
        items
    }
}

/// The release in the address of an upstream log, such as `…/v6.x/ChangeLog-6.1.191`.
fn stable_log(text: &str) -> Option<&str> {
    let (address, version) = text.rsplit_once("ChangeLog-")?;
    (address.starts_with("http") && !version.is_empty() && !version.contains(' ')).then_some(version)
}

fn entry(item: &Item, upload: &str) -> Option<Entry> {
    let (architectures, text) = tags(&item.text);
    let cves = cve_ids(text);
    let subject = without_references(text);
    let origin = match &item.stable {
        Some(version) => Origin::Stable(version.clone()),
        None => Origin::Distribution(upload.to_owned()),
    };
    (!subject.is_empty()).then_some(Entry { subject, cves, architectures, origin })
}

/// Leading `[arch,…]` marks.
fn tags(text: &str) -> (Vec<String>, &str) {
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, rest)) if inside.len() < 60 => {
            (inside.split(',').map(|name| name.trim().to_owned()).collect(), rest.trim_start())
        }
        _ => (Vec::new(), text),
    }
}

/// All CVE ids of a text, each once.
fn cve_ids(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("CVE-") {
        let rest = &text[at + 4..];
        let length =
            rest.find(|letter: char| !letter.is_ascii_digit() && letter != '-').unwrap_or(rest.len());
        let number = rest[..length].trim_end_matches('-');
        let is_id = number.split_once('-').is_some_and(|(year, id)| {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            year.len() == 4 && id.len() >= 4 && digits(year) && digits(id)
        });
        let id = format!("CVE-{number}");
        if is_id && !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// Drops the parenthesis at the end that names CVEs or bugs.
fn without_references(text: &str) -> String {
    let mut rest = text.trim_end();
    while let Some(open) = rest.strip_suffix(')').and_then(|inside| inside.rfind('(')) {
        let inside = &rest[open..];
        if !inside.contains("CVE-") && !inside.contains("loses: #") {
            break;
        }
        rest = rest[..open].trim_end();
    }
    rest.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
linux (6.1.5-1) bookworm-security; urgency=high

  * New upstream stable update:
    https://www.kernel.org/pub/linux/kernel/v6.x/ChangeLog-6.1.4
    - usb: storage: fix use-after-free on disconnect
      (CVE-2026-1111)
    - [arm*] gpio: mxc: map edges
    https://www.kernel.org/pub/linux/kernel/v6.x/ChangeLog-6.1.5
    - smb: client: fix OOB read in coalesce_t2() (CVE-2026-2222, CVE-2026-33333)

  [ A Maintainer ]
  * xen-netback: Zero out pointers (Closes: #1234) (CVE-2026-4444)
  * [rt] Update to 6.1.5-rt1

 -- A Maintainer <a@example.org>  Sat, 14 Nov 2026 11:29:58 +0100

linux (6.1.3-1) bookworm; urgency=medium

  * ext4: older (CVE-2020-9999)

 -- A Maintainer <a@example.org>  Sat, 14 Nov 2025 11:29:58 +0100

linux (6.1.2-1) bookworm; urgency=medium
";

    #[test]
    fn entries_carry_subject_cves_and_origin() {
        let entries = range(TEXT, "6.1.3-1", "6.1.5-1").unwrap();
        let subjects: Vec<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
        assert_eq!(
            subjects,
            [
                "usb: storage: fix use-after-free on disconnect",
                "gpio: mxc: map edges",
                "smb: client: fix OOB read in coalesce_t2()",
                "xen-netback: Zero out pointers",
                "Update to 6.1.5-rt1",
            ]
        );
        assert_eq!(entries[0].cves, ["CVE-2026-1111"]);
        assert_eq!(entries[0].origin, Origin::Stable("6.1.4".into()));
        assert_eq!(entries[1].architectures, ["arm*"]);
        assert_eq!(entries[2].cves, ["CVE-2026-2222", "CVE-2026-33333"]);
        assert_eq!(entries[2].origin, Origin::Stable("6.1.5".into()));
        assert_eq!(entries[3].origin, Origin::Distribution("6.1.5-1".into()));
    }

    #[test]
    fn several_uploads_come_oldest_first() {
        let entries = range(TEXT, "6.1.2-1", "6.1.5-1").unwrap();
        assert_eq!(entries[0].subject, "ext4: older");
        assert_eq!(entries.len(), 6);
    }

    #[test]
    fn versions_that_do_not_fit_are_named() {
        let unknown = range(TEXT, "6.1.9-1", "6.1.5-1").unwrap_err();
        assert!(unknown.to_string().contains("6.1.9-1") && unknown.to_string().contains("6.1.5-1"));
        assert!(matches!(range(TEXT, "6.1.5-1", "6.1.3-1"), Err(ChangelogError::WrongOrder { .. })));
        assert!(range("", "1", "2").unwrap_err().to_string().contains("no upload at all"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[ -~\n*\\[(äß-]{0,400}") {
            let text = format!("linux (2) x; u\n{text}\nlinux (1) x; u\n");
            let entries = range(&text, "1", "2");
            for entry in entries.unwrap_or_default() {
                prop_assert!(!entry.subject.is_empty());
                prop_assert!(entry.cves.iter().all(|id| id.starts_with("CVE-")));
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            subjects in proptest::collection::vec("[a-z]{1,8}: [a-z]{1,9}( [a-z_]{1,12}){0,14}", 1..8),
            id in 1000_u32..999_999,
        ) {
            let mut text = String::from("linux (2) x; urgency=low\n\n  * New upstream stable update:\n    https://x/ChangeLog-6.1.2\n");
            for subject in &subjects {
                // Wrapped as Debian does it, at a space.
                let wrapped = subject.replacen(' ', "\n      ", subject.matches(' ').count() / 2);
                text.push_str(&format!("    - {wrapped} (CVE-2026-{id})\n"));
            }
            text.push_str("\n -- A <a@b>  Sat, 14 Nov 2026 11:29:58 +0100\n\nlinux (1) x; urgency=low\n");
            let entries = range(&text, "1", "2").unwrap();
            let read: Vec<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
            prop_assert_eq!(read, subjects.iter().map(String::as_str).collect::<Vec<_>>());
            let cve = format!("CVE-2026-{id}");
            prop_assert!(entries.iter().all(|entry| entry.cves == [cve.clone()]));
        }
    }
}
