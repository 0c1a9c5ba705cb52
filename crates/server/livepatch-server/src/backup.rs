//! Backup and restore of a data directory, also while the server runs.
//!
//! The archive holds one moment's state: the timestamp is read first, and everything that it leads to is there already and
//! never changes; the database is copied by SQLite itself. It holds every key: keep it as you keep the keys.

use crate::refusal::chain;
use livepatch_store::Store;
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};
use tar::{Archive, Builder, EntryType, Header};

/// What a data directory consists of. Temporary files, whose names begin with a dot, and locks are left out.
const PARTS: [&str; 5] = ["admin.key", "keys", "repository", "trust", "upstreams"];
const DATABASE: &str = "livepatch.db";
const TIMESTAMP: &str = "repository/metadata/timestamp.json";
const LOCK: &str = "keys/publisher.lock";

/// Why there is no backup, or no restored directory.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no server's data there.
    #[error("{} is no server's data directory: it holds no admin.key", .0.display())]
    NoData(PathBuf),
    /// The database cannot be copied.
    #[error("the database cannot be copied: {0}")]
    Database(String),
    /// The directory is in use, or was.
    #[error("{} is not empty; restore into a fresh directory", .0.display())]
    NotEmpty(PathBuf),
    /// The archive is none of a backup.
    #[error("{} is no backup, or it is cut off: {reason}", path.display())]
    NoBackup {
        /// The archive.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Writes the state of a data directory into a new file, readable by its owner only: how many files it holds.
///
/// # Errors
/// [`BackupError`].
pub async fn backup(data: &Path, to: &Path) -> Result<usize, BackupError> {
    if !data.join("admin.key").is_file() {
        return Err(BackupError::NoData(data.to_owned()));
    }
    let copy = tempfile::Builder::new().prefix(".backup-").tempdir_in(data).map_err(failed("use", data))?;
    let database = copy.path().join(DATABASE);
    if data.join(DATABASE).is_file() {
        copy_database(&data.join(DATABASE), &database).await?;
    }
    let (data, to) = (data.to_owned(), to.to_owned());
    let work = tokio::task::spawn_blocking(move || write(&data, &database, &to));
    let count = work.await.map_err(|error| BackupError::Database(error.to_string()))?;
    drop(copy);
    count
}

async fn copy_database(from: &Path, to: &Path) -> Result<(), BackupError> {
    let wrong = |error: livepatch_store::StoreError| BackupError::Database(chain(&error));
    let store = Store::open_sqlite(from).await.map_err(wrong)?;
    let copied = store.copy_to(to).await.map_err(wrong);
    store.close().await;
    copied
}

fn write(data: &Path, database: &Path, to: &Path) -> Result<usize, BackupError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut archive = Builder::new(io::BufWriter::new(file.map_err(failed("create", to))?));
    let mut count = 0;
    let mut add = |name: &str, path: &Path| -> Result<(), BackupError> {
        let bytes = fs::read(path).map_err(failed("read", path))?;
        let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode() & 0o777;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        count += 1;
        archive.append_data(&mut header, name, bytes.as_slice()).map_err(failed("write", to))
    };
    // First, so that all it names is read after it.
    if data.join(TIMESTAMP).is_file() {
        add(TIMESTAMP, &data.join(TIMESTAMP))?;
    }
    if database.is_file() {
        add(DATABASE, database)?;
    }
    for part in PARTS {
        let mut names = Vec::new();
        gather(&data.join(part), part, &mut names).map_err(failed("read", &data.join(part)))?;
        for name in names.iter().filter(|name| ![TIMESTAMP, LOCK].contains(&name.as_str())) {
            add(name, &data.join(name))?;
        }
    }
    let mut file = archive.into_inner().map_err(failed("write", to))?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed("write", to))?;
    Ok(count)
}

fn gather(path: &Path, name: &str, names: &mut Vec<String>) -> io::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let file = entry.file_name().to_string_lossy().into_owned();
            if !file.starts_with('.') {
                gather(&entry.path(), &format!("{name}/{file}"), names)?;
            }
        }
    } else if path.exists() {
        names.push(name.to_owned());
    }
    Ok(())
}

/// Makes a data directory from a backup: how many files it holds. The directory must be empty or absent.
///
/// # Errors
/// [`BackupError`]; what was unpacked by then is taken away again.
pub fn restore(from: &Path, data: &Path) -> Result<usize, BackupError> {
    let is_empty = !data.exists() || fs::read_dir(data).map_err(failed("read", data))?.next().is_none();
    if !is_empty {
        return Err(BackupError::NotEmpty(data.to_owned()));
    }
    let parent = data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside =
        tempfile::Builder::new().prefix(".restore-").tempdir_in(parent).map_err(failed("use", parent))?;
    let count = unpack(from, aside.path())?;
    if !aside.path().join("admin.key").is_file() {
        let reason = "it holds no admin.key".to_owned();
        return Err(BackupError::NoBackup { path: from.to_owned(), reason });
    }
    if data.exists() {
        fs::remove_dir(data).map_err(failed("replace", data))?;
    }
    fs::rename(aside.keep(), data).map_err(failed("create", data))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed("write", parent))?;
    Ok(count)
}

fn unpack(from: &Path, to: &Path) -> Result<usize, BackupError> {
    let broken = |reason: String| BackupError::NoBackup { path: from.to_owned(), reason };
    let file = File::open(from).map_err(failed("read", from))?;
    let mut archive = Archive::new(io::BufReader::new(file));
    let mut count = 0;
    for entry in archive.entries().map_err(|error| broken(error.to_string()))? {
        let mut entry = entry.map_err(|error| broken(error.to_string()))?;
        let path = entry.path().map_err(|error| broken(error.to_string()))?.into_owned();
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let is_part = path.components().next().is_some_and(|first| {
            first.as_os_str() == DATABASE || PARTS.iter().any(|part| first.as_os_str() == *part)
        });
        if !is_plain || !is_part || entry.header().entry_type() != EntryType::Regular {
            return Err(broken(format!("{} does not belong into one", path.display())));
        }
        let place = to.join(&path);
        let directory = place.parent().unwrap_or(to);
        fs::create_dir_all(directory).map_err(failed("create", directory))?;
        if directory == to.join("keys") {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
                .map_err(failed("create", directory))?;
        }
        let mode = entry.header().mode().map_err(|error| broken(error.to_string()))? & 0o777;
        let size = entry.size();
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&place);
        let mut file = file.map_err(failed("create", &place))?;
        let copied =
            io::copy(&mut entry.by_ref().take(size), &mut file).map_err(|error| broken(error.to_string()))?;
        if copied != size {
            return Err(broken("its last file is not whole".to_owned()));
        }
        file.sync_all().map_err(failed("write", &place))?;
        count += 1;
    }
    Ok(count)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { action, path, source }
}
