//! What operators block.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{BlockKind, BlockSummary};
use sqlx::{Row as _, any::AnyRow};

/// A block to keep.
#[derive(Clone, Debug)]
pub struct NewBlock {
    /// Its id, a UUID.
    pub id: String,
    /// What it is about.
    pub kind: BlockKind,
    /// Which one.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// When it ends by itself.
    pub expires: Option<Seconds>,
}

impl Store {
    /// Keeps a block; false when one of the same holds already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_block(&self, block: &NewBlock, now: Seconds) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM blocks WHERE expires_at <= $1").bind(now).execute(&mut *transaction).await?;
        let done = sqlx::query(
            "INSERT INTO blocks (id, kind, subject, reason, actor, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(&block.id)
        .bind(block.kind.as_str())
        .bind(&block.subject)
        .bind(&block.reason)
        .bind(&block.actor)
        .bind(now)
        .bind(block.expires)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The blocks that hold at this time, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn blocks(&self, now: Seconds) -> Result<Vec<BlockSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, kind, subject, reason, actor, created_at, expires_at FROM blocks \
             WHERE expires_at IS NULL OR expires_at > $1 ORDER BY created_at, id",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(summary).collect()
    }

    /// Lifts a block; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_block(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM blocks WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

fn summary(row: &AnyRow) -> Result<BlockSummary, StoreError> {
    let kind: String = row.try_get("kind")?;
    let expires: Option<Seconds> = row.try_get("expires_at")?;
    Ok(BlockSummary {
        id: row.try_get("id")?,
        kind: rows::parse("blocks.kind", &kind)?,
        subject: row.try_get("subject")?,
        reason: row.try_get("reason")?,
        actor: row.try_get("actor")?,
        created: rows::moment("blocks.created_at", row.try_get("created_at")?)?,
        expires: expires.map(|expires| rows::moment("blocks.expires_at", expires)).transpose()?,
    })
}
