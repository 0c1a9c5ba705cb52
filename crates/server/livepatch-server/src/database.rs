//! The database, which may be away: when the server starts, or at any time later.

use crate::refusal::{Refusal, chain};
use livepatch_store::Store;
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// Opens the store when it is first needed, and again and again until that succeeds.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    store: OnceCell<Store>,
}

impl Database {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, store: OnceCell::new() }
    }

    /// The store, opened.
    pub(crate) async fn store(&self) -> Result<&Store, Refusal> {
        self.store.get_or_try_init(|| Store::open_sqlite(&self.path)).await.map_err(|error| {
            tracing::error!(path = %self.path.display(), cause = %chain(&error), "the database cannot be opened");
            Refusal::unavailable()
        })
    }

    /// Folds SQLite's log into the file.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.store.get() {
            store.close().await;
        }
    }
}
