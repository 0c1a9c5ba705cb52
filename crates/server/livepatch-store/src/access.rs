//! API keys, and the audit log.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{ApiKeySummary, AuditEntry, Role};
use livepatch_manifest::Digest;
use sqlx::{Row, any::AnyRow};

/// When a key was used is written down this often at most.
const USED_EVERY: Seconds = 60;

/// A key to keep.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its id, a UUID.
    pub id: String,
    /// SHA-256 of the secret.
    pub secret: Digest,
    /// Who or what holds it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it expires; absent: never.
    pub expires: Option<Seconds>,
}

/// A key that was shown and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownApiKey {
    /// Who or what holds it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its secret, as stored.
    pub secret: Digest,
}

impl Store {
    /// Keeps a new API key; false when its name is taken.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_api_key(&self, key: &NewApiKey, now: Seconds) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO api_keys (id, secret_sha256, name, role, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(&key.id)
        .bind(key.secret.as_str())
        .bind(&key.name)
        .bind(key.role.as_str())
        .bind(now)
        .bind(key.expires)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The API key whose secret has this digest, when it holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key(&self, secret: &Digest, now: Seconds) -> Result<Option<KnownApiKey>, StoreError> {
        let row = sqlx::query(
            "SELECT id, name, role, secret_sha256, used_at FROM api_keys \
             WHERE secret_sha256 = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(secret.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let used: Option<Seconds> = row.try_get("used_at")?;
        if used.is_none_or(|used| now - used >= USED_EVERY) {
            let id: String = row.try_get("id")?;
            let note = sqlx::query("UPDATE api_keys SET used_at = $1 WHERE id = $2").bind(now).bind(id);
            note.execute(&self.pool).await?;
        }
        let (role, secret): (String, String) = (row.try_get("role")?, row.try_get("secret_sha256")?);
        Ok(Some(KnownApiKey {
            name: row.try_get("name")?,
            role: rows::parse("api_keys.role", &role)?,
            secret: rows::parse("api_keys.secret_sha256", &secret)?,
        }))
    }

    /// Every API key, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_keys(&self) -> Result<Vec<ApiKeySummary>, StoreError> {
        let statement = "SELECT id, name, role, expires_at, revoked_at, used_at FROM api_keys ORDER BY created_at DESC, id";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        rows.iter().map(summary).collect()
    }

    /// Takes an API key back; false when none with this id holds.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_api_key(&self, id: &str, now: Seconds) -> Result<bool, StoreError> {
        let statement = "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        let done = sqlx::query(statement).bind(now).bind(id).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Appends what somebody did to the audit log.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn record_act(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: &str,
        now: Seconds,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        // This update comes first: on every backend the next one who appends waits here.
        let head = sqlx::query("UPDATE acts_head SET length = length + 1 WHERE id = 1 RETURNING hash")
            .fetch_one(&mut *transaction)
            .await?;
        let before: String = head.try_get("hash")?;
        let mut entry = AuditEntry {
            id: 0,
            at: now,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
            hash: String::new(),
        };
        entry.hash = entry.hash_after(&before);
        sqlx::query(
            "INSERT INTO acts (at, actor, action, subject, detail, hash) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(now)
        .bind(actor)
        .bind(action)
        .bind(subject)
        .bind(detail)
        .bind(&entry.hash)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE acts_head SET hash = $1 WHERE id = 1")
            .bind(&entry.hash)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Entries of the audit log with numbers greater than `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn acts(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, at, actor, action, subject, detail, hash FROM acts WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(entry).collect()
    }

    /// The newest entries of the audit log, newest first: those with numbers smaller than `before`, when one is given.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn newest_acts(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, at, actor, action, subject, detail, hash FROM acts WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(entry).collect()
    }
}

fn entry(row: &AnyRow) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        hash: row.try_get("hash")?,
    })
}

fn summary(row: &AnyRow) -> Result<ApiKeySummary, StoreError> {
    let moment = |column: &'static str| {
        let seconds: Option<Seconds> = row.try_get(column)?;
        seconds.map(|seconds| rows::moment(column, seconds)).transpose()
    };
    let role: String = row.try_get("role")?;
    Ok(ApiKeySummary {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: rows::parse("api_keys.role", &role)?,
        expires: moment("expires_at")?,
        revoked: moment("revoked_at")?,
        used: moment("used_at")?,
    })
}
