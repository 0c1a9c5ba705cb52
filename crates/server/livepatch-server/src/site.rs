//! The data directory and what is opened in it.

use crate::{
    Settings, Tiers,
    anchor::Anchors,
    clock, cves,
    database::Database,
    hooks::Hooks,
    leader::Leader,
    limits::Limits,
    meters::Meters,
    news::Announcer,
    people::{OpenId, Passwords},
    post::Post,
    refusal::Refusal,
    reports::Reports,
    rollouts::Looks,
    routes::{Glances, Polls},
    secret::Secret,
};
use livepatch_manifest::Digest;
use livepatch_store::{Turn, TurnGuard};
use livepatch_trust::{Directory, Files, PublishError, Publisher};
use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// An operator's key of fewer characters could be guessed.
const SHORTEST_KEY: usize = 32;

/// Everything that the routes work on.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    /// The repository's files, which are the static plane.
    pub(crate) files: Arc<dyn Files>,
    pub(crate) anchors: Anchors,
    pub(crate) leader: Leader,
    pub(crate) hooks: Hooks,
    pub(crate) admin: Digest,
    pub(crate) looks: Looks,
    pub(crate) announcer: Announcer,
    pub(crate) glances: Glances,
    pub(crate) polls: Polls,
    pub(crate) reports: Reports,
    pub(crate) limits: Limits,
    pub(crate) meters: Meters,
    /// Becomes true when the server stops: streams that never end by themselves end then.
    pub(crate) streams: watch::Sender<bool>,
    /// One sync or import at a time.
    pub(crate) syncs: tokio::sync::Mutex<()>,
    pub(crate) cves: cves::Registers,
    pub(crate) clocks: cves::Clocks,
    pub(crate) post: Post,
    pub(crate) passwords: Passwords,
    pub(crate) openid: Option<OpenId>,
    publisher: Arc<Mutex<Publisher>>,
    /// One turn of this program's at a time, so that those who wait for the database's hold one connection.
    publishing: tokio::sync::Mutex<()>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
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
    /// The operator's key is no key.
    #[error("{} holds no usable key: remove it, and the server makes a new one", .0.display())]
    AdminKey(PathBuf),
    /// The repository cannot be opened or made.
    #[error("the repository cannot be used")]
    Repository(#[from] PublishError),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Random(#[from] getrandom::Error),
}

impl Site {
    /// Opens a data directory, and makes what is missing in it. Where replicas share the repository, this is done in a
    /// turn.
    pub(crate) fn open(settings: Settings, database: Database) -> Result<Self, SiteError> {
        let data = settings.data.clone();
        make_directory(&data)?;
        let admin = admin_key(&data.join("admin.key"))?.digest();
        let (files, anchors) = places(&settings)?;
        let keys = data.join("keys");
        let exists = Publisher::exists_in(&*files)?;
        let publisher = if exists {
            Publisher::open_in(Arc::clone(&files), &keys, settings.lifetimes)?
        } else {
            tracing::info!(repository = %files.place("").display(), "making a repository with fresh keys");
            Publisher::create_in(Arc::clone(&files), &keys, settings.lifetimes, clock::now())?
        };
        Ok(Self {
            database,
            files,
            anchors,
            leader: Leader::default(),
            hooks: Hooks::default(),
            admin,
            looks: Looks::default(),
            announcer: Announcer::new(settings.most_waiting),
            glances: Glances::default(),
            polls: Polls::default(),
            reports: Reports::default(),
            limits: Limits::default(),
            meters: Meters::default(),
            streams: watch::Sender::new(false),
            syncs: tokio::sync::Mutex::default(),
            cves: cves::Registers::default(),
            clocks: cves::Clocks::default(),
            post: Post::default(),
            passwords: Passwords::default(),
            openid: settings.openid.clone().map(OpenId::new),
            publisher: Arc::new(Mutex::new(publisher)),
            publishing: tokio::sync::Mutex::default(),
            settings,
        })
    }

    /// Runs `work` with the publisher on a thread where it may block, in a turn among the replicas. What it staged and did
    /// not commit is forgotten.
    pub(crate) async fn with_publisher<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Publisher) -> Result<T, Refusal> + Send + 'static,
    {
        let _mine = self.publishing.lock().await;
        let turn = self.publishing_turn().await?;
        let publisher = Arc::clone(&self.publisher);
        let outcome = tokio::task::spawn_blocking(move || {
            // A panic in an earlier turn leaves at worst something staged, which is forgotten here too.
            let mut publisher = publisher.lock().unwrap_or_else(PoisonError::into_inner);
            publisher.discard();
            publisher.catch_up()?;
            let outcome = work(&mut publisher);
            publisher.discard();
            outcome
        });
        let outcome = outcome.await.map_err(|error| Refusal::internal(&error))?;
        self.polls.published();
        if let Some(turn) = turn {
            turn.end().await;
        }
        outcome
    }

    /// The tiers as they are now: as operators made them, or those that the program was started with.
    pub(crate) async fn tiers(&self) -> Result<Tiers, Refusal> {
        let names = self.database.store().await?.tiers().await?;
        if names.is_empty() {
            return Ok(self.settings.tiers.clone());
        }
        names.join(",").parse().map_err(|error: crate::SettingsError| Refusal::internal(&error))
    }

    async fn publishing_turn(&self) -> Result<Option<TurnGuard>, Refusal> {
        if !self.files.is_shared() {
            return Ok(None);
        }
        Ok(Some(self.database.store().await?.turn(Turn::Publishing).await?))
    }
}

/// Where the repository and the trust anchors are.
fn places(settings: &Settings) -> Result<(Arc<dyn Files>, Anchors), SiteError> {
    if let Some(bucket) = &settings.objects {
        let anchors = Anchors::new(Arc::new(bucket.below("v1/trust")), "");
        return Ok((Arc::new(bucket.below("repository")), anchors));
    }
    let trust = settings.data.join("trust");
    make_directory(&trust)?;
    let anchors = Anchors::new(Arc::new(Directory::new(trust)), ".json");
    Ok((Arc::new(Directory::new(settings.repository())), anchors))
}

/// For the server's own user only: keys and the database are below.
fn make_directory(path: &Path) -> Result<(), SiteError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| SiteError::File { action: "create", path: path.to_owned(), source })
}

/// The operator's key, made when it is missing.
fn admin_key(path: &Path) -> Result<Secret, SiteError> {
    let failed = |action| move |source| SiteError::File { action, path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => {
            let key = text.trim();
            let sound = key.len() >= SHORTEST_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
            if sound { Ok(Secret::received(key)) } else { Err(SiteError::AdminKey(path.to_owned())) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Secret::generate()?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(failed("create"))?;
            writeln!(file, "{}", key.reveal()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
            Ok(key)
        }
        Err(error) => Err(failed("read")(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn operator_key_is_made_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.key");
        let key = admin_key(&path).unwrap();
        assert_eq!(admin_key(&path).unwrap().reveal(), key.reveal());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for text in ["", "short", "a b c d e f g h i j k l m n o p q r s t u v"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(admin_key(&path), Err(SiteError::AdminKey(_))), "{text}");
        }
    }
}
