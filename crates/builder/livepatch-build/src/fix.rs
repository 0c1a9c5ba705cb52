//! A fix out of two versions of a distribution's source package.

use crate::cache::Cache;
use crate::packages::{self, PackageError};
use similar::TextDiff;
use std::path::{Path, PathBuf};

/// Where a fix is.
#[derive(Clone, Debug)]
pub struct FixRequest {
    /// Source package, such as `linux-source-6.1`.
    pub package: String,
    /// Version without the fix.
    pub from: String,
    /// Version with the fix.
    pub to: String,
    /// Files that hold it.
    pub files: Vec<String>,
}

/// Why a fix cannot be taken out.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// A package cannot be had.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The package's name does not end with a series.
    #[error("'{0}' is no kernel source package: linux-source-SERIES expected")]
    Name(String),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The versions do not differ in these files.
    #[error("{} is the same in both versions", .0.join(", "))]
    Same(Vec<String>),
}

/// The unified diff between the two versions of the files.
///
/// # Errors
/// [`FixError`] when a version is not offered, a file is missing, or nothing differs.
pub fn extract(cache: &Cache, request: &FixRequest) -> Result<String, FixError> {
    let mut patch = String::new();
    for file in &request.files {
        let old = text_of(cache, request, &request.from, file)?;
        let new = text_of(cache, request, &request.to, file)?;
        if old != new {
            let diff = TextDiff::from_lines(&old, &new);
            patch.push_str(
                &diff
                    .unified_diff()
                    .context_radius(3)
                    .header(&format!("a/{file}"), &format!("b/{file}"))
                    .to_string(),
            );
        }
    }
    if patch.is_empty() { Err(FixError::Same(request.files.clone())) } else { Ok(patch) }
}

fn text_of(cache: &Cache, request: &FixRequest, version: &str, file: &str) -> Result<String, FixError> {
    let series = request
        .package
        .strip_prefix("linux-source-")
        .ok_or_else(|| FixError::Name(request.package.clone()))?;
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| FixError::File { path, source }
    };
    let path = cache.sources().join(format!("{}_{version}", request.package)).join(file);
    if !path.is_file() {
        let package = packages::fetch(cache, &request.package, Some(version))?;
        let parent = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(parent).map_err(file_error(parent))?;
        // Into its place only once it is whole: half a file would make half a fix.
        let scratch = tempfile::tempdir_in(cache.sources()).map_err(file_error(parent))?;
        packages::unpack_source(
            &package,
            series,
            Some(file),
            scratch.path(),
            &cache.downloads().join("source.log"),
        )?;
        std::fs::rename(scratch.path().join(file), &path).map_err(file_error(&path))?;
    }
    let bytes = std::fs::read(&path).map_err(file_error(&path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
