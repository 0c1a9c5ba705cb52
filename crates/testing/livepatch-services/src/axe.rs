//! axe-core, the accessibility checker: fetched by npm when it is first wanted, kept in the cache.

use crate::ServiceError;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A later one may find more; which one found nothing is part of the result.
const VERSION: &str = "4.14.1";

/// Its script. In a page it defines `axe`.
///
/// # Errors
/// [`ServiceError`] when npm or tar fail.
pub fn axe() -> Result<String, ServiceError> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let kept = home.join(".cache/livepatch/tools").join(format!("axe-core-{VERSION}.min.js"));
    if let Ok(script) = fs::read_to_string(&kept) {
        return Ok(script);
    }
    let failed = |source| ServiceError::Run { program: "axe-core's script".to_owned(), source };
    let scratch = tempfile::tempdir().map_err(failed)?;
    let package = format!("axe-core@{VERSION}");
    run("npm", &["pack", "--silent", &package], scratch.path())?;
    run("tar", &["-xzf", &format!("axe-core-{VERSION}.tgz"), "package/axe.min.js"], scratch.path())?;
    let script = fs::read_to_string(scratch.path().join("package/axe.min.js")).map_err(failed)?;
    if let Some(folder) = kept.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    // Whole or not at all: another test may look for it at this moment.
    let fresh = tempfile::NamedTempFile::new_in(kept.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    fs::write(fresh.path(), &script).map_err(failed)?;
    fresh.persist(&kept).map_err(|error| failed(error.error))?;
    Ok(script)
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), ServiceError> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.map_err(|source| ServiceError::Run { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(ServiceError::Failed { program: program.to_owned(), message })
}
