//! The tiers, where operators changed them while the server runs.

use crate::{Store, StoreError, rows};
use sqlx::{Any, Row as _, Transaction};
use std::collections::BTreeMap;

/// What belongs to a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierUse {
    /// Machines that are not revoked.
    pub machines: u32,
    /// Tokens that are not revoked.
    pub tokens: u32,
}

impl Store {
    /// The tiers in their order; empty when nobody changed them yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tiers(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT name FROM tiers ORDER BY position").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
    }

    /// Machines and tokens of each tier that has any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tier_use(&self) -> Result<BTreeMap<String, TierUse>, StoreError> {
        let mut found: BTreeMap<String, TierUse> = BTreeMap::new();
        let statement = "SELECT tier, 1 AS is_machine, COUNT(*) AS number FROM machines WHERE revoked_at IS NULL GROUP BY tier \
             UNION ALL SELECT tier, 0, COUNT(*) FROM tokens WHERE revoked_at IS NULL GROUP BY tier";
        for row in sqlx::query(statement).fetch_all(&self.pool).await? {
            let number: u32 = rows::count("tiers.number", row.try_get::<i64, _>("number")?)?;
            let is_machine: i32 = row.try_get("is_machine")?;
            let tier = found.entry(row.try_get("tier")?).or_default();
            *(if is_machine == 1 { &mut tier.machines } else { &mut tier.tokens }) = number;
        }
        Ok(found)
    }

    /// Replaces the list of tiers; with `moved`, the machines and tokens of the first go to the second.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_tiers(&self, names: &[String], moved: Option<(&str, &str)>) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM tiers").execute(&mut *transaction).await?;
        for (position, name) in (0i64..).zip(names) {
            let statement = "INSERT INTO tiers (name, position) VALUES ($1, $2)";
            sqlx::query(statement).bind(name).bind(position).execute(&mut *transaction).await?;
        }
        if let Some((from, to)) = moved {
            move_all(&mut transaction, from, to).await?;
        }
        Ok(transaction.commit().await?)
    }
}

async fn move_all(transaction: &mut Transaction<'_, Any>, from: &str, to: &str) -> Result<(), StoreError> {
    for statement in
        ["UPDATE machines SET tier = $1 WHERE tier = $2", "UPDATE tokens SET tier = $1 WHERE tier = $2"]
    {
        sqlx::query(statement).bind(to).bind(from).execute(&mut **transaction).await?;
    }
    Ok(())
}
