//! Fixes out of two versions of a distribution's kernel source: by file, or by the changelog's word for a CVE.

use crate::cache::Cache;
use crate::sources::{SourceError, SourceTree};
use livepatch_extract::{Candidate, ChangelogError, FileChange, Update, range};

/// Two versions of a source package.
#[derive(Clone, Debug)]
pub struct Versions {
    /// Source package, such as `linux-source-6.1`.
    pub package: String,
    /// The older version.
    pub from: String,
    /// The newer version.
    pub to: String,
}

/// Why a fix cannot be taken out.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// A source package cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A version has no such file.
    #[error("neither version has the file {0}")]
    Missing(String),
    /// The versions do not differ in these files.
    #[error("{} is the same in both versions", .0.join(", "))]
    Same(Vec<String>),
    /// The changelog does not tell what lies between the versions.
    #[error(transparent)]
    Changelog(#[from] ChangelogError),
    /// The changelog does not name the CVE between the versions.
    #[error(
        "the changelog does not name {cve} between {from} and {to}; it names {count} others (see them with --list)"
    )]
    UnknownCve {
        /// Wanted.
        cve: String,
        /// Older version.
        from: String,
        /// Newer version.
        to: String,
        /// How many it names.
        count: usize,
    },
}

/// The unified diff between the two versions of some files.
///
/// # Errors
/// [`ExtractError`] when a version is not offered, a file is missing, or nothing differs.
pub fn files(cache: &Cache, versions: &Versions, files: &[String]) -> Result<String, ExtractError> {
    let (old, new) = trees(cache, versions)?;
    let mut patch = String::new();
    for file in files {
        let (before, after) = (old.text(file)?, new.text(file)?);
        if before.is_none() && after.is_none() {
            return Err(ExtractError::Missing(file.clone()));
        }
        let change = FileChange::new(file.clone(), before, after);
        patch.push_str(&change.patch(&change.all()));
    }
    if patch.is_empty() { Err(ExtractError::Same(files.to_vec())) } else { Ok(patch) }
}

/// All that changed between the two versions, and which entry of the newer one's changelog owns what.
///
/// # Errors
/// [`ExtractError`] when a version is not offered, or the changelog does not lead from one to the other.
pub fn update(cache: &Cache, versions: &Versions) -> Result<Update, ExtractError> {
    let (old, new) = trees(cache, versions)?;
    let entries = range(&new.changelog()?, &versions.from, &versions.to)?;
    Ok(Update::new(entries, old.changes(&new)?))
}

/// The candidate patch for one CVE.
///
/// # Errors
/// As [`update`], and [`ExtractError::UnknownCve`].
pub fn cve(cache: &Cache, versions: &Versions, cve: &str) -> Result<Candidate, ExtractError> {
    let update = update(cache, versions)?;
    update.candidate(cve).ok_or_else(|| ExtractError::UnknownCve {
        cve: cve.to_owned(),
        from: versions.from.clone(),
        to: versions.to.clone(),
        count: update.cves().len(),
    })
}

fn trees(cache: &Cache, versions: &Versions) -> Result<(SourceTree, SourceTree), SourceError> {
    let open = |version: &str| SourceTree::open(cache, &versions.package, version);
    Ok((open(&versions.from)?, open(&versions.to)?))
}
