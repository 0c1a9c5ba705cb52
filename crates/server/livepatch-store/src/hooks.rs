//! Web-hooks, and what is to be sent to them.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{HookEvent, HookMessage, HookSummary};
use sqlx::{Row as _, any::AnyRow};

/// A hook to keep.
#[derive(Clone, Debug)]
pub struct NewHook {
    /// Its id, a UUID.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The key of the signatures.
    pub secret: String,
    /// What it is told of.
    pub events: Vec<HookEvent>,
}

/// A message that is to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its id.
    pub id: String,
    /// Where to.
    pub url: String,
    /// The key of the signature.
    pub secret: String,
    /// The body.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl Store {
    /// Keeps a hook; false when another one has its name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_hook(&self, hook: &NewHook, now: Seconds) -> Result<bool, StoreError> {
        let events: Vec<_> = hook.events.iter().map(|event| event.as_str()).collect();
        let done = sqlx::query(
            "INSERT INTO hooks (id, name, url, secret, events, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&hook.id)
        .bind(&hook.name)
        .bind(&hook.url)
        .bind(&hook.secret)
        .bind(events.join(","))
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every hook, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hooks(&self) -> Result<Vec<HookSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, url, events, \
               (SELECT COUNT(*) FROM hook_deliveries WHERE hook_id = hooks.id AND state = 'queued') AS waiting, \
               (SELECT COUNT(*) FROM hook_deliveries WHERE hook_id = hooks.id AND state = 'given-up') AS given_up \
             FROM hooks ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(summary).collect()
    }

    /// Tells a hook nothing more; false when there is none with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_hook(&self, id: &str) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let waiting = "DELETE FROM hook_deliveries WHERE hook_id = $1";
        sqlx::query(waiting).bind(id).execute(&mut *transaction).await?;
        let done = sqlx::query("DELETE FROM hooks WHERE id = $1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Queues a message for one hook.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queue_delivery(
        &self,
        hook: &str,
        message: &HookMessage,
        now: Seconds,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_string(message).map_err(|error| StoreError::Unusable {
            column: "hook_deliveries.body",
            value: error.to_string(),
        })?;
        sqlx::query(
            "INSERT INTO hook_deliveries (id, hook_id, event, body, state, attempts, next_at, detail) \
             VALUES ($1, $2, $3, $4, 'queued', 0, $5, '')",
        )
        .bind(format!("{}:{hook}", message.id))
        .bind(hook)
        .bind(message.event.as_str())
        .bind(body)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What is to be sent, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_deliveries(&self, now: Seconds, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        let rows = sqlx::query(
            "SELECT hook_deliveries.id AS id, url, secret, body, attempts FROM hook_deliveries \
             JOIN hooks ON hooks.id = hook_deliveries.hook_id \
             WHERE state = 'queued' AND next_at <= $1 ORDER BY hook_deliveries.id LIMIT $2",
        )
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let due = |row: &AnyRow| {
            Ok(DueDelivery {
                id: row.try_get("id")?,
                url: row.try_get("url")?,
                secret: row.try_get("secret")?,
                body: row.try_get("body")?,
                attempts: rows::count("hook_deliveries.attempts", row.try_get("attempts")?)?,
            })
        };
        rows.iter().map(due).collect()
    }

    /// Keeps what became of an attempt: `queued`, `sent` or `given-up`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_delivery(
        &self,
        id: &str,
        state: &str,
        next: Seconds,
        detail: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE hook_deliveries SET state = $1, attempts = attempts + 1, next_at = $2, detail = $3 WHERE id = $4",
        )
        .bind(state)
        .bind(next)
        .bind(detail)
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn summary(row: &AnyRow) -> Result<HookSummary, StoreError> {
    let events = rows::words(row.try_get("events")?);
    let events = events.iter().map(|event| rows::parse("hooks.events", event));
    Ok(HookSummary {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        events: events.collect::<Result<_, _>>()?,
        waiting: rows::count("hooks.waiting", row.try_get("waiting")?)?,
        given_up: rows::count("hooks.given_up", row.try_get("given_up")?)?,
    })
}
