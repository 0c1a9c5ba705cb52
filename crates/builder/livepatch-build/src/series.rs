//! A directory of fixes as the source of truth of a cumulative livepatch.
//!
//! The directory holds patches and a file named `series`, in TOML, that lists them in the order in which they apply. The
//! livepatch made of it contains them all, so version N contains version N−1 as long as entries are only added:
//!
//! ```toml
//! # Version of the livepatch; without it, the number of fixes.
//! version = 2
//!
//! [[fix]]
//! patch = "0001-time-namespaces.patch"    # a file beside this one
//! ids = ["CVE-2026-93146"]                # CVEs, or ids of a distribution's bugs
//! summary = "time namespaces: nanoseconds of an offset are not validated"
//! notice = "LSN-0101-1"                   # optional: the notice that announces it
//! author = "Jane Doe <jane@example.org>"  # optional
//!
//! [[fix]]
//! patch = "0002-loop.patch"
//! ids = ["CVE-2025-38709"]
//! summary = "loop: anyone changes the block size under an exclusive owner"
//! source = { package = "linux-source-6.1", from = "6.1.190-1", to = "6.1.192-1" }  # optional
//! accept = ["layout-changed:loop_device"]  # optional: findings that the author accepts, as --accept takes them
//! ```

use livepatch_judge::Acceptance;
use livepatch_manifest::{Fix, FixSource, Manifest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Name of the file that lists the fixes.
pub const SERIES: &str = "series";

/// Longest id of a fix, in bytes, as manifests have it.
const LONGEST_ID: usize = 64;

/// A directory of fixes, read and checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Series {
    /// The directory.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Version of the livepatch, from 1.
    pub version: u32,
    /// The fixes, in the order in which their patches apply.
    pub entries: Vec<Entry>,
}

/// A fix of the series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// File name of the patch, beside the series file.
    pub patch: String,
    /// What it mends: CVE ids, or ids of a distribution's bugs.
    pub ids: Vec<String>,
    /// One line.
    pub summary: String,
    /// The notice that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Who made the livepatch of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The source packages whose difference it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FixSource>,
    /// Findings that the author accepts: `CODE`, or `CODE:SUBJECT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

/// Why a directory is no usable series.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// A file cannot be read.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The series file is not of the form that is documented.
    #[error("{} is no series: {}", path.display(), source.to_string().trim_end())]
    Form {
        /// The file.
        path: PathBuf,
        /// What TOML's reader says, with line and column.
        source: Box<toml::de::Error>,
    },
    /// It lists nothing.
    #[error("{} lists no fix: begin one with [[fix]]", .0.display())]
    Empty(PathBuf),
    /// The version cannot be that of a livepatch.
    #[error("version 0 is none: livepatches are numbered from 1")]
    Version,
    /// An entry is wrong.
    #[error("fix {number} ({patch}): {reason}")]
    Entry {
        /// Which, from 1.
        number: usize,
        /// Its patch.
        patch: String,
        /// What is wrong.
        reason: String,
    },
    /// A patch lies in the directory and would silently be left out.
    #[error("{0} is in the directory but not in the series: list it, or move it away")]
    Unlisted(String),
    /// It would not replace the version that machines have.
    #[error("version {version} must be greater than {previous}, the one before: set 'version'")]
    NotLater {
        /// Of the series.
        version: u32,
        /// Of the livepatch before.
        previous: u32,
    },
    /// A machine that takes the new version would lose a fix.
    #[error(
        "version {previous} mends {id}, and this series does not: a later version must contain the earlier one"
    )]
    Lost {
        /// The fix.
        id: String,
        /// The version that has it.
        previous: u32,
    },
}

/// The file's own form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Option<u32>,
    #[serde(default)]
    fix: Vec<Entry>,
}

impl Series {
    /// Reads the series of a directory and checks that every patch is there, listed once, and described.
    ///
    /// # Errors
    /// [`SeriesError`] with the entry that is wrong.
    pub fn read(folder: &Path) -> Result<Self, SeriesError> {
        let path = folder.join(SERIES);
        let text = std::fs::read_to_string(&path).map_err(file_error(&path))?;
        let file: File = toml::from_str(&text)
            .map_err(|source| SeriesError::Form { path: path.clone(), source: Box::new(source) })?;
        if file.fix.is_empty() {
            return Err(SeriesError::Empty(path));
        }
        let count = u32::try_from(file.fix.len()).unwrap_or(u32::MAX);
        let version = file.version.unwrap_or(count);
        if version == 0 {
            return Err(SeriesError::Version);
        }
        let series = Self { folder: folder.to_owned(), version, entries: file.fix };
        series.check_entries()?;
        series.check_folder()?;
        Ok(series)
    }

    /// The patches' paths, in order.
    pub fn patches(&self) -> Vec<PathBuf> {
        self.entries.iter().map(|entry| self.folder.join(&entry.patch)).collect()
    }

    /// The findings that the author of some fix accepts.
    pub fn accepted(&self) -> Vec<Acceptance> {
        let all = self.entries.iter().flat_map(|entry| &entry.accept);
        // `read` has seen to it that each can be read.
        all.filter_map(|text| text.parse().ok()).collect()
    }

    /// What the livepatch mends, as its manifest lists it: each id once, by the first entry that has it.
    pub fn fixes(&self) -> Vec<Fix> {
        let mut seen = BTreeSet::new();
        let all = self.entries.iter().flat_map(|entry| entry.ids.iter().map(move |id| (id, entry)));
        all.filter(|(id, _)| seen.insert(id.as_str()))
            .map(|(id, entry)| Fix {
                id: id.clone(),
                summary: entry.summary.clone(),
                notice: entry.notice.clone(),
                author: entry.author.clone(),
                source: entry.source.clone(),
            })
            .collect()
    }

    /// Checks that the series can replace an earlier livepatch: a greater version that loses no fix.
    ///
    /// # Errors
    /// [`SeriesError::NotLater`], [`SeriesError::Lost`].
    pub fn check_follows(&self, earlier: &Manifest) -> Result<(), SeriesError> {
        let previous = earlier.version;
        if self.version <= previous {
            return Err(SeriesError::NotLater { version: self.version, previous });
        }
        let has = |id: &String| self.entries.iter().any(|entry| entry.ids.contains(id));
        match earlier.fixes.iter().find(|fix| !has(&fix.id)) {
            Some(lost) => Err(SeriesError::Lost { id: lost.id.clone(), previous }),
            None => Ok(()),
        }
    }

    fn check_entries(&self) -> Result<(), SeriesError> {
        let mut seen = BTreeSet::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let wrong = |reason: String| {
                Err(SeriesError::Entry { number: index + 1, patch: entry.patch.clone(), reason })
            };
            if entry.patch.is_empty() || Path::new(&entry.patch).file_name() != Some(entry.patch.as_ref()) {
                return wrong("its patch must be a file beside the series".into());
            }
            if !seen.insert(&entry.patch) {
                return wrong("this patch is listed twice".into());
            }
            if entry.summary.trim().is_empty() || entry.summary.contains('\n') {
                return wrong("the summary must be one line".into());
            }
            if entry.ids.is_empty() {
                return wrong("ids lists nothing: name the CVE or the distribution's bug".into());
            }
            if let Some(id) = entry.ids.iter().find(|id| !is_fix_id(id)) {
                return wrong(format!("'{id}' is no id: CVE-YEAR-NUMBER or a bug's id expected"));
            }
            if let Some(error) = entry.accept.iter().find_map(|text| text.parse::<Acceptance>().err()) {
                return wrong(error.to_string());
            }
            let path = self.folder.join(&entry.patch);
            let text = std::fs::read(&path).map_err(file_error(&path))?;
            if !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"+++ ")) {
                return wrong("it is no patch: no line starts with +++".into());
            }
        }
        Ok(())
    }

    /// A patch that nobody listed is a fix that everybody believes to be in.
    fn check_folder(&self) -> Result<(), SeriesError> {
        let entries = std::fs::read_dir(&self.folder).map_err(file_error(&self.folder))?;
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        let unlisted = names.into_iter().find(|name| {
            (name.ends_with(".patch") || name.ends_with(".diff"))
                && !self.entries.iter().any(|entry| entry.patch == *name)
        });
        unlisted.map_or(Ok(()), |name| Err(SeriesError::Unlisted(name)))
    }
}

/// A CVE id has a year and at least four digits (the CVE program's syntax since 2014); other ids are free.
fn is_fix_id(id: &str) -> bool {
    let digits = |text: &str, least: usize| text.len() >= least && text.bytes().all(|b| b.is_ascii_digit());
    let sound = match id.strip_prefix("CVE-") {
        Some(rest) => rest
            .split_once('-')
            .is_some_and(|(year, number)| year.len() == 4 && digits(year, 4) && digits(number, 4)),
        None => !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()),
    };
    sound && id.len() <= LONGEST_ID
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> SeriesError + use<> {
    let path = path.to_owned();
    move |source| SeriesError::File { path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    const PATCH: &str = "--- a/fs/x.c\n+++ b/fs/x.c\n";
    const TWO: &str = r#"
        # a comment
        [[fix]]
        patch = "1.patch"
        ids = ["CVE-2026-93146", "debian-bug-1154101"]
        summary = "one"
        notice = "LSN-0101-1"
        [[fix]]
        patch = "2.patch"
        ids = ["CVE-2026-93146"]
        summary = "the rest of it"
    "#;

    fn read(series: &str, patches: &[&str]) -> Result<Series, SeriesError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SERIES), series).unwrap();
        for patch in patches {
            std::fs::write(folder.path().join(patch), PATCH).unwrap();
        }
        Series::read(folder.path())
    }

    #[test]
    fn fixes_come_in_order_and_each_id_once() {
        let series = read(TWO, &["1.patch", "2.patch"]).unwrap();
        assert_eq!(series.version, 2);
        let fixes = series.fixes();
        assert_eq!(
            fixes.iter().map(|fix| fix.id.as_str()).collect::<Vec<_>>(),
            ["CVE-2026-93146", "debian-bug-1154101"]
        );
        assert_eq!(fixes[0].notice.as_deref(), Some("LSN-0101-1"));
        assert!(series.patches()[1].ends_with("2.patch"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let one =
            |more: &str| format!("[[fix]]\npatch = \"1.patch\"\nids = [\"x\"]\nsummary = \"s\"\n{more}");
        for (text, word) in [
            ("", "[[fix]]"),
            ("version = 0\n", "[[fix]]"),
            (&format!("version = 0\n{}", one("")), "numbered from 1"),
            (&one("cve = 1"), "unknown field"),
            (&one(&one("")), "listed twice"),
            (&one("").replace("1.patch", "../1.patch"), "beside the series"),
            (&one("").replace("\"x\"", ""), "ids lists nothing"),
            (&one("").replace("\"x\"", "\"CVE-26-1\""), "CVE-YEAR-NUMBER"),
            (&one("").replace("\"s\"", "\" \""), "one line"),
            (&one("accept = [\"all\"]\n"), "'all' is nothing that may be accepted"),
            (&one("").replace("1.patch", "gone.patch"), "gone.patch"),
        ] {
            let error = read(text, &["1.patch"]).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        let error = read(&one(""), &["1.patch", "new.patch"]).unwrap_err().to_string();
        assert!(error.contains("new.patch") && error.contains("list it"), "{error}");
    }
}
