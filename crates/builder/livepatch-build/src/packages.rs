//! Debian packages: what the index offers, fetching, and taking files out.

use crate::cache::Cache;
use crate::run::{self, RunError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a package cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The index does not offer it (any more).
    #[error("the package index does not offer {name}{}; it offers: {}", version_text(version), list(offered))]
    NotOffered {
        /// Package.
        name: String,
        /// Wanted version.
        version: Option<String>,
        /// What there is.
        offered: Vec<String>,
    },
    /// The download failed.
    #[error("cannot download {name}")]
    Download {
        /// Package and version.
        name: String,
        /// Why.
        #[source]
        source: RunError,
    },
    /// The package does not hold what it should.
    #[error("{} holds no {wanted}", package.display())]
    Lacks {
        /// The package file.
        package: PathBuf,
        /// Path within it.
        wanted: String,
    },
    /// A program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be written.
    #[error("cannot write to the cache")]
    File(#[from] std::io::Error),
}

fn version_text(version: &Option<String>) -> String {
    version.as_ref().map(|version| format!(" {version}")).unwrap_or_default()
}

fn list(offered: &[String]) -> String {
    if offered.is_empty() { "nothing of that name (try apt-get update)".into() } else { offered.join(", ") }
}

/// Beginning of the names of folders for downloads that are not whole yet.
const PARTIAL: &str = "partial-";

/// Versions of a package that the index offers, newest first.
///
/// # Errors
/// When `apt-cache` cannot be run.
pub fn versions(name: &str) -> Result<Vec<String>, RunError> {
    let (_, text) = run::output(Command::new("apt-cache").args(["madison", name]).stderr(Stdio::null()))?;
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('|').map(str::trim);
        let (Some(_), Some(version), Some(origin)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if !origin.ends_with("Sources") && !found.iter().any(|known| known == version) {
            found.push(version.to_owned());
        }
    }
    Ok(found)
}

/// Fetches a package (the newest version when none is named) into the cache; answers its file.
///
/// # Errors
/// [`PackageError::NotOffered`] when the index lacks it, [`PackageError::Download`] when it cannot be fetched.
pub fn fetch(cache: &Cache, name: &str, version: Option<&str>) -> Result<PathBuf, PackageError> {
    let folder = cache.downloads();
    std::fs::create_dir_all(&folder)?;
    if let Some(found) = version.and_then(|version| downloaded(&folder, name, version)) {
        return Ok(found);
    }
    let offered = versions(name)?;
    let chosen = match version {
        Some(wanted) => offered.iter().find(|offered| *offered == wanted),
        None => offered.first(),
    };
    let Some(chosen) = chosen else {
        return Err(PackageError::NotOffered {
            name: name.into(),
            version: version.map(Into::into),
            offered,
        });
    };
    if let Some(found) = downloaded(&folder, name, chosen) {
        return Ok(found);
    }
    download(cache, name, chosen)
}

/// Downloads a package into the cache. It comes to its place only once it is whole: half a package would be taken for one.
fn download(cache: &Cache, name: &str, version: &str) -> Result<PathBuf, PackageError> {
    let folder = cache.downloads();
    let _lock = cache.lock_with_children(&format!("download-{name}"))?;
    if let Some(found) = downloaded(&folder, name, version) {
        return Ok(found);
    }
    let partial = folder.join(format!("{PARTIAL}{name}"));
    remove(&partial)?;
    std::fs::create_dir_all(&partial)?;
    let wanted = format!("{name}={version}");
    let mut command = Command::new("apt-get");
    // As root apt would drop to a user that may not write here.
    command.args(["-q", "-o", "APT::Sandbox::User=root", "download", &wanted]).current_dir(&partial);
    run::logged(&mut command, &folder.join("apt.log"))
        .map_err(|source| PackageError::Download { name: wanted.clone(), source })?;
    let Some(fetched) = downloaded(&partial, name, version) else {
        return Err(PackageError::Lacks { package: folder, wanted });
    };
    let file = folder.join(fetched.file_name().unwrap_or_default());
    std::fs::rename(&fetched, &file)?;
    remove(&partial)?;
    Ok(file)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A package that was downloaded already.
pub(crate) fn downloaded(folder: &Path, name: &str, version: &str) -> Option<PathBuf> {
    let start = format!("{name}_{}_", version.replace(':', "%3a"));
    let mut entries = std::fs::read_dir(folder).ok()?.flatten();
    entries
        .find(|entry| {
            let file = entry.file_name();
            let file = file.to_string_lossy();
            file.starts_with(&start) && file.ends_with(".deb")
        })
        .map(|entry| entry.path())
}

/// Unpacks a whole package below a folder.
///
/// # Errors
/// When `dpkg-deb` fails.
pub fn unpack(package: &Path, folder: &Path, log: &Path) -> Result<(), PackageError> {
    std::fs::create_dir_all(folder)?;
    run::logged(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder), log)?;
    Ok(())
}

/// Takes one file out of a package, by its path within it (`./usr/…`).
///
/// # Errors
/// [`PackageError::Lacks`] when it is not there, [`PackageError::Run`] when it cannot be taken out whole.
pub fn take_file(package: &Path, path: &str, target: &Path, log: &Path) -> Result<(), PackageError> {
    let script = r#"set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" > "$3""#;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(package).arg(path).arg(target);
    match run::logged(&mut command, log) {
        Err(RunError::Failed { .. }) if std::fs::metadata(target).map_or(0, |file| file.len()) == 0 => {
            Err(PackageError::Lacks { package: package.to_owned(), wanted: path.to_owned() })
        }
        other => Ok(other?),
    }
}

/// Unpacks the compressed tar archive that a source package carries, without its first path component; with `only`, just
/// that file of it.
///
/// # Errors
/// When a program fails or the file is not there.
pub fn unpack_source(
    package: &Path,
    series: &str,
    only: Option<&str>,
    folder: &Path,
    log: &Path,
) -> Result<(), PackageError> {
    std::fs::create_dir_all(folder)?;
    let archive = format!("./usr/src/linux-source-{series}.tar.xz");
    let member = only.map(|file| format!("linux-source-{series}/{file}"));
    // With a member, tar stops at the first match instead of reading on to the end.
    let script = r#"
        dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" | tar -xJ -C "$3" --strip-components=1 ${4:+--occurrence=1 "$4"}
        exit "${PIPESTATUS[2]}""#;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(package).arg(archive).arg(folder).args(member);
    match run::logged(&mut command, log) {
        Err(RunError::Failed { .. }) if only.is_some_and(|file| !folder.join(file).exists()) => {
            Err(PackageError::Lacks {
                package: package.to_owned(),
                wanted: only.unwrap_or_default().to_owned(),
            })
        }
        other => Ok(other?),
    }
}

/// A field of a package's control file (deb-control(5)).
///
/// # Errors
/// [`PackageError::Lacks`] when it has no such field, or when the file is no package.
pub fn control_field(package: &Path, field: &str) -> Result<String, PackageError> {
    let mut command = Command::new("dpkg-deb");
    command.arg("-f").arg(package).arg(field).stderr(Stdio::null());
    let (_, text) = run::output(&mut command)?;
    let text = text.trim();
    if text.is_empty() {
        let wanted = format!("field {field}: is it a Debian package?");
        return Err(PackageError::Lacks { package: package.to_owned(), wanted });
    }
    Ok(text.to_owned())
}

/// Unpacks a compressed tar archive without its first path component.
///
/// # Errors
/// When a program fails: tar, or what its compression needs.
pub fn unpack_archive(archive: &Path, folder: &Path, log: &Path) -> Result<(), PackageError> {
    std::fs::create_dir_all(folder)?;
    let mut tar = Command::new("tar");
    tar.arg("-xaf").arg(archive).arg("-C").arg(folder).arg("--strip-components=1");
    Ok(run::logged(&mut tar, log)?)
}
