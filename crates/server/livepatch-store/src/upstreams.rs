//! The sites whose livepatches this one passes on.

use crate::{Seconds, Store, StoreError};
use sqlx::Row;

/// An upstream as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUpstream {
    /// What it is called.
    pub name: String,
    /// What the operator said, as JSON.
    pub document: String,
    /// When it was synced or imported last, well or not.
    pub tried: Option<Seconds>,
    /// When that went well.
    pub synced: Option<Seconds>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

impl Store {
    /// Keeps an upstream, in place of one of the same name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn save_upstream(&self, name: &str, document: &str, now: Seconds) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO upstreams (name, document, added_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET document = excluded.document",
        )
        .bind(name)
        .bind(document)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every upstream, by name: always the same order, since their keys are part of tokens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upstreams(&self) -> Result<Vec<StoredUpstream>, StoreError> {
        let statement = "SELECT name, document, tried_at, synced_at, failure FROM upstreams ORDER BY name";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(StoredUpstream {
                    name: row.try_get("name")?,
                    document: row.try_get("document")?,
                    tried: row.try_get("tried_at")?,
                    synced: row.try_get("synced_at")?,
                    failure: row.try_get("failure")?,
                })
            })
            .collect()
    }

    /// Notes how an attempt to sync or import ended.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn note_sync(&self, name: &str, failure: Option<&str>, now: Seconds) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE upstreams SET tried_at = $1, synced_at = COALESCE($2, synced_at), failure = $3 WHERE name = $4",
        )
        .bind(now)
        .bind(failure.is_none().then_some(now))
        .bind(failure)
        .bind(name)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets an upstream; false when there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn remove_upstream(&self, name: &str) -> Result<bool, StoreError> {
        let done =
            sqlx::query("DELETE FROM upstreams WHERE name = $1").bind(name).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }
}
