//! People at the dashboard: one-time logins, and sessions. Each stands for a key, and is worth what the key is worth.

use crate::{KnownApiKey, Seconds, Store, StoreError, rows};
use livepatch_manifest::Digest;
use sqlx::Row;

/// When a session was used is written down this often at most.
const USED_EVERY: Seconds = 60;

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLife {
    /// Seconds without a request after which it ends.
    pub idle: Seconds,
    /// Seconds after its beginning at which it ends in any case.
    pub longest: Seconds,
}

/// A session that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSession {
    /// Digest of the key that it was begun with.
    pub key: Digest,
    /// That key, when it is an API key that holds. `admin.key` is known to the server alone.
    pub holder: Option<KnownApiKey>,
}

impl Store {
    /// Keeps a one-time login for whoever holds the key with this digest.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_login(&self, code: &Digest, key: &Digest, expires: Seconds) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO dashboard_logins (code_sha256, key_sha256, expires_at) VALUES ($1, $2, $3)")
            .bind(code.as_str())
            .bind(key.as_str())
            .bind(expires)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Uses a one-time login up: the digest of its key, the first time and before it expires.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_login(&self, code: &Digest, now: Seconds) -> Result<Option<Digest>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM dashboard_logins WHERE code_sha256 = $1 AND expires_at > $2 RETURNING key_sha256",
        )
        .bind(code.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        sqlx::query("DELETE FROM dashboard_logins WHERE expires_at <= $1")
            .bind(now)
            .execute(&self.pool)
            .await?;
        row.map(|row| rows::parse("dashboard_logins.key_sha256", row.try_get("key_sha256")?)).transpose()
    }

    /// Begins a session, and forgets those that are over.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_session(
        &self,
        secret: &Digest,
        key: &Digest,
        life: SessionLife,
        now: Seconds,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM dashboard_sessions WHERE created_at <= $1 OR seen_at <= $2")
            .bind(now - life.longest)
            .bind(now - life.idle)
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "INSERT INTO dashboard_sessions (secret_sha256, key_sha256, created_at, seen_at) VALUES ($1, $2, $3, $3)",
        )
        .bind(secret.as_str())
        .bind(key.as_str())
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The session with this secret, when it is not over; it counts as used now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(
        &self,
        secret: &Digest,
        life: SessionLife,
        now: Seconds,
    ) -> Result<Option<KnownSession>, StoreError> {
        let row = sqlx::query(
            "SELECT key_sha256, seen_at, name, role FROM dashboard_sessions \
             LEFT JOIN api_keys ON api_keys.secret_sha256 = key_sha256 AND revoked_at IS NULL \
               AND (expires_at IS NULL OR expires_at > $2) \
             WHERE dashboard_sessions.secret_sha256 = $1 AND dashboard_sessions.created_at > $3 AND seen_at > $4",
        )
        .bind(secret.as_str())
        .bind(now)
        .bind(now - life.longest)
        .bind(now - life.idle)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let seen: Seconds = row.try_get("seen_at")?;
        if now - seen >= USED_EVERY {
            sqlx::query("UPDATE dashboard_sessions SET seen_at = $1 WHERE secret_sha256 = $2")
                .bind(now)
                .bind(secret.as_str())
                .execute(&self.pool)
                .await?;
        }
        let key: Digest = rows::parse("dashboard_sessions.key_sha256", row.try_get("key_sha256")?)?;
        let (name, role): (Option<String>, Option<String>) = (row.try_get("name")?, row.try_get("role")?);
        let holder = match (name, role) {
            (Some(name), Some(role)) => {
                Some(KnownApiKey { name, role: rows::parse("api_keys.role", &role)?, secret: key.clone() })
            }
            _ => None,
        };
        Ok(Some(KnownSession { key, holder }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn end_session(&self, secret: &Digest) -> Result<(), StoreError> {
        let statement = "DELETE FROM dashboard_sessions WHERE secret_sha256 = $1";
        sqlx::query(statement).bind(secret.as_str()).execute(&self.pool).await?;
        Ok(())
    }
}
