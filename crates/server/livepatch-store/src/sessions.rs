//! People at the dashboard: one-time logins, and sessions. A session stands for a key or a user, and is worth what that is
//! worth; or for a guest, somebody that an OpenID provider vouched for.

use crate::{KnownApiKey, Seconds, Store, StoreError, rows};
use livepatch_api::Role;
use livepatch_manifest::Digest;
use sqlx::{Row, any::AnyRow};

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

/// Who a session stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionHolder {
    /// Whoever holds a key.
    Key {
        /// Digest of the key that the session was begun with.
        digest: Digest,
        /// That key, when it is an API key that holds. `admin.key` is known to the server alone.
        known: Option<KnownApiKey>,
    },
    /// A user of the database, with the role of now.
    User {
        /// The name.
        name: String,
        /// What the user may do.
        role: Role,
    },
    /// Somebody that an OpenID provider vouched for, with the role of then.
    Guest {
        /// The name.
        name: String,
        /// What they may do.
        role: Role,
    },
}

/// Whom to begin a session for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewSession {
    /// The holder of the key with this digest.
    Key(Digest),
    /// A user of the database.
    User(String),
    /// Somebody that an OpenID provider vouches for.
    Guest(String, Role),
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
        whom: &NewSession,
        life: SessionLife,
        now: Seconds,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM dashboard_sessions WHERE created_at <= $1 OR seen_at <= $2")
            .bind(now - life.longest)
            .bind(now - life.idle)
            .execute(&self.pool)
            .await?;
        let (key, user, guest) = match whom {
            NewSession::Key(key) => (key.as_str(), None, None),
            NewSession::User(name) => ("", Some(name), None),
            NewSession::Guest(name, role) => ("", None, Some((name, role.as_str()))),
        };
        sqlx::query(
            "INSERT INTO dashboard_sessions \
               (secret_sha256, key_sha256, user_name, guest_name, guest_role, created_at, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(secret.as_str())
        .bind(key)
        .bind(user)
        .bind(guest.map(|(name, _)| name))
        .bind(guest.map(|(_, role)| role))
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
    ) -> Result<Option<SessionHolder>, StoreError> {
        let row = sqlx::query(
            "SELECT key_sha256, seen_at, api_keys.name AS key_name, api_keys.role AS key_role, \
               user_name, users.role AS user_role, guest_name, guest_role FROM dashboard_sessions \
             LEFT JOIN api_keys ON api_keys.secret_sha256 = key_sha256 AND revoked_at IS NULL \
               AND (expires_at IS NULL OR expires_at > $2) \
             LEFT JOIN users ON users.name = user_name \
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
        holder(&row)
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

/// Who stands behind a session's row; nobody when the user is gone.
fn holder(row: &AnyRow) -> Result<Option<SessionHolder>, StoreError> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let role = |column: &'static str, text: Option<String>| {
        text.map(|text| rows::parse::<Role>(column, &text)).transpose()
    };
    if let Some(name) = text("guest_name")? {
        let role = role("dashboard_sessions.guest_role", text("guest_role")?)?;
        return Ok(role.map(|role| SessionHolder::Guest { name, role }));
    }
    if let Some(name) = text("user_name")? {
        let role = role("users.role", text("user_role")?)?;
        return Ok(role.map(|role| SessionHolder::User { name, role }));
    }
    let key: String = row.try_get("key_sha256")?;
    let digest: Digest = rows::parse("dashboard_sessions.key_sha256", &key)?;
    let known = match (text("key_name")?, role("api_keys.role", text("key_role")?)?) {
        (Some(name), Some(role)) => Some(KnownApiKey { name, role, secret: digest.clone() }),
        _ => None,
    };
    Ok(Some(SessionHolder::Key { digest, known }))
}
