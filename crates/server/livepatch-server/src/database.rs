//! The database, which may be away: when the server starts, or at any time later.

use crate::{
    Settings,
    refusal::{Refusal, chain},
};
use livepatch_store::{Store, StoreError};
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// Where the database is.
enum Place {
    /// A file, made when it is missing.
    File(PathBuf),
    /// A PostgreSQL server's URL.
    Server(String),
}

impl Place {
    async fn open(&self) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Store::open_sqlite(path).await,
            Self::Server(url) => Store::open_postgres(url).await,
        }
    }
}

/// The URL may hold a password.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Server(_) => f.write_str("Server(withheld)"),
        }
    }
}

/// Opens the store when it is first needed, and again and again until that succeeds.
#[derive(Debug)]
pub(crate) struct Database {
    place: Place,
    store: OnceCell<Store>,
}

impl Database {
    /// The database that the settings name.
    pub(crate) fn new(settings: &Settings) -> Self {
        let place = match &settings.database {
            Some(url) => Place::Server(url.clone()),
            None => Place::File(settings.data.join("livepatch.db")),
        };
        Self { place, store: OnceCell::new() }
    }

    /// The store, opened.
    pub(crate) async fn store(&self) -> Result<&Store, Refusal> {
        self.store.get_or_try_init(|| self.place.open()).await.map_err(|error| {
            tracing::error!(cause = %chain(&error), "the database cannot be opened");
            Refusal::unavailable()
        })
    }

    /// The store, when it can be opened.
    pub(crate) async fn quiet_store(&self) -> Option<&Store> {
        self.store.get_or_try_init(|| self.place.open()).await.ok()
    }

    /// Folds SQLite's log into the file.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.store.get() {
            store.close().await;
        }
    }
}
