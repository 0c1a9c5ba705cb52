//! Opening, and what every query shares.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::{
    Any, AnyPool, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use std::{path::Path, str::FromStr, time::Duration};

/// A step of the schema: version, description, statements.
type Step = (i64, &'static str, &'static str);

/// The first step, where the two databases want other types.
const SQLITE_FIRST: Step =
    (1, "first light", include_str!("../../../../migrations/0001_first_light.sqlite.sql"));
const POSTGRES_FIRST: Step =
    (1, "first light", include_str!("../../../../migrations/0001_first_light.postgres.sql"));

/// The steps after it, the same for both. Named one by one, since the macro that would find them compiles the database
/// library a second time.
const STEPS: [Step; 16] = [
    (2, "rollouts", include_str!("../../../../migrations/0002_rollouts.sql")),
    (3, "access", include_str!("../../../../migrations/0003_access.sql")),
    (10, "upstreams", include_str!("../../../../migrations/0010_upstreams.sql")),
    (20, "cves", include_str!("../../../../migrations/0020_cves.sql")),
    (21, "notices", include_str!("../../../../migrations/0021_notices.sql")),
    (30, "dashboard", include_str!("../../../../migrations/0030_dashboard.sql")),
    (31, "machine orders", include_str!("../../../../migrations/0031_machine_orders.sql")),
    (40, "tiers", include_str!("../../../../migrations/0040_tiers.sql")),
    (41, "blocks", include_str!("../../../../migrations/0041_blocks.sql")),
    (42, "hooks", include_str!("../../../../migrations/0042_hooks.sql")),
    (50, "mitigations", include_str!("../../../../migrations/0050_mitigations.sql")),
    (60, "people", include_str!("../../../../migrations/0060_people.sql")),
    (70, "clock", include_str!("../../../../migrations/0070_clock.sql")),
    (71, "approvals", include_str!("../../../../migrations/0071_approvals.sql")),
    (72, "transitions", include_str!("../../../../migrations/0072_transitions.sql")),
    (73, "build documents", include_str!("../../../../migrations/0073_build_documents.sql")),
];

/// How long a query waits for another process's write before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite has one writer; more connections than this only wait for one another.
const CONNECTIONS: u32 = 8;

/// SQLite: with write-ahead logging, NORMAL loses at most the last transactions in a power cut and never consistency;
/// machines repeat a report that was not answered. Measured: 500 upserts take seconds without these two.
const SQLITE_SETTINGS: [&str; 4] = [
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
];

/// Which database stands behind the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    backend: Backend,
}

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, or does not answer.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The place of the database cannot be written as a URL.
    #[error("{0} is no place for a database")]
    Place(String),
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

fn migrations(backend: Backend) -> Migrator {
    let first = match backend {
        Backend::Sqlite => SQLITE_FIRST,
        Backend::Postgres => POSTGRES_FIRST,
    };
    let migration = |(version, description, statements): Step| {
        let statements = sqlx::SqlStr::from_static(statements);
        Migration::new(version, description.into(), MigrationType::Simple, statements, false)
    };
    Migrator::with_migrations([first].into_iter().chain(STEPS).map(migration).collect())
}

impl Store {
    /// Opens the SQLite database at `path`, makes it when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Place`], [`StoreError::Database`] or [`StoreError::Migration`].
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let place = || StoreError::Place(path.display().to_string());
        let path = std::path::absolute(path).map_err(|_| place())?;
        let url =
            format!("sqlite://{}?mode=rwc", utf8_percent_encode(path.to_str().ok_or_else(place)?, ESCAPED));
        Self::open(&url, Backend::Sqlite).await
    }

    /// Opens a PostgreSQL database, `postgres://USER:PASSWORD@HOST/NAME`, and brings its schema up to date. Several
    /// programs may do so at once: one of them does the work.
    ///
    /// # Errors
    /// [`StoreError::Database`] or [`StoreError::Migration`].
    pub async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        Self::open(url, Backend::Postgres).await
    }

    async fn open(url: &str, backend: Backend) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_str(url)?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if backend == Backend::Sqlite {
                        for setting in SQLITE_SETTINGS {
                            sqlx::query(setting).execute(&mut *connection).await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        migrations(backend).run(&pool).await?;
        Ok(Self { pool, backend })
    }

    /// Which database stands behind it.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// A transaction that is going to write: SQLite has one writer, and finds out at the start who it is.
    pub(crate) async fn write(&self) -> Result<Transaction<'_, Any>, StoreError> {
        let statement = match self.backend {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        Ok(self.pool.begin_with(statement).await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM tokens LIMIT 1").fetch_optional(&self.pool).await?;
        Ok(())
    }

    /// Copies a SQLite database, as it is at one moment, into a new file, also while others write.
    ///
    /// # Errors
    /// [`StoreError`]; PostgreSQL has its own means.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let place = path.to_str().ok_or_else(|| StoreError::Place(path.display().to_string()))?;
        sqlx::query("VACUUM INTO $1").bind(place).execute(&self.pool).await?;
        Ok(())
    }

    /// Closes all connections; SQLite then folds its log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// All but what a path in a URL has as it is (RFC 3986, 3.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-').remove(b'~');
