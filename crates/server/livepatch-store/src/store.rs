//! Opening, and what every query shares.

use crate::Seconds;
use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

/// The schema's steps: version, description, statements. Named one by one, since the macro that would find them compiles
/// the database library a second time.
const SQLITE_MIGRATIONS: [(i64, &str, &str); 1] =
    [(1, "first light", include_str!("../../../../migrations/sqlite/0001_first_light.sql"))];

/// How long a query waits for another process's write before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite has one writer; more connections than this only wait for one another.
const CONNECTIONS: u32 = 8;

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: SqlitePool,
}

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, or does not answer.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// Its schema cannot be brought up to date.
    #[error("the database's schema cannot be brought up to date")]
    Migration(#[from] MigrateError),
    /// It holds something that no version of this program wrote.
    #[error("the database holds an unusable {column}: {value}")]
    Unusable {
        /// Table and column.
        column: &'static str,
        /// What it held.
        value: String,
    },
}

fn sqlite_migrations() -> Migrator {
    let migration = |(version, description, statements): (i64, &'static str, &'static str)| {
        let statements = sqlx::SqlStr::from_static(statements);
        Migration::new(version, description.into(), MigrationType::Simple, statements, false)
    };
    Migrator::with_migrations(SQLITE_MIGRATIONS.into_iter().map(migration).collect())
}

impl Store {
    /// Opens the SQLite database at `path`, makes it when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Database`] or [`StoreError::Migration`].
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        // With write-ahead logging, NORMAL loses at most the last transactions in a power cut and never consistency;
        // machines repeat a report that was not answered. Measured: 500 upserts take seconds without these two.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options)
            .await?;
        sqlite_migrations().run(&pool).await?;
        Ok(Self { pool })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM tokens LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(())
    }

    /// Notes what an operator did.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn record_act(
        &self,
        action: &str,
        subject: &str,
        detail: &str,
        now: Seconds,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO acts (at, action, subject, detail) VALUES ($1, $2, $3, $4)")
            .bind(now)
            .bind(action)
            .bind(subject)
            .bind(detail)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Closes all connections; SQLite then folds its log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
