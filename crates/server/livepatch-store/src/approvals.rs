//! What people have said yes to.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::ApprovalSummary;
use sqlx::Row as _;

impl Store {
    /// Keeps somebody's approval of a livepatch for a tier; again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approve(
        &self,
        livepatch: &str,
        tier: &str,
        actor: &str,
        reason: &str,
        now: Seconds,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO approvals (livepatch, tier, actor, reason, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(livepatch)
        .bind(tier)
        .bind(actor)
        .bind(reason)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes somebody's approval back; whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_approval_back(
        &self,
        livepatch: &str,
        tier: &str,
        actor: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM approvals WHERE livepatch = $1 AND tier = $2 AND actor = $3")
            .bind(livepatch)
            .bind(tier)
            .bind(actor)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every approval, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approvals(&self) -> Result<Vec<ApprovalSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT livepatch, tier, actor, reason, created_at FROM approvals ORDER BY created_at, livepatch, tier, actor",
        )
        .fetch_all(&self.pool)
        .await?;
        let summary = |row: &sqlx::any::AnyRow| {
            Ok(ApprovalSummary {
                livepatch: row.try_get("livepatch")?,
                tier: row.try_get("tier")?,
                actor: row.try_get("actor")?,
                reason: row.try_get("reason")?,
                created: rows::moment("approvals.created_at", row.try_get("created_at")?)?,
            })
        };
        rows.iter().map(summary).collect()
    }
}
