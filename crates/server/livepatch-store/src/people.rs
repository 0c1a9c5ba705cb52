//! People who sign in with a password, and sign-ins under way at an OpenID provider.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{Role, UserSummary};
use livepatch_manifest::Digest;
use sqlx::Row;

/// 9999-12-30, UTC: the last day that there is a date for.
const FOR_EVER: Seconds = 253_402_128_000;

/// When a user's lock-out begins and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOut {
    /// Wrong passwords in a row that lock a user out.
    pub failures: u32,
    /// For how long, in seconds. After that each further wrong password locks again.
    pub length: Seconds,
}

/// What stands behind a user's name at an attempt to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The password's hash, as a PHC string.
    pub password: String,
    /// What the user may do.
    pub role: Role,
}

/// A sign-in under way at an OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIdFlow {
    /// Ties the provider's answer to the question.
    pub nonce: String,
    /// The secret of RFC 7636.
    pub verifier: String,
    /// The page that was asked for.
    pub back: String,
}

impl Store {
    /// Keeps a new user; false when the name is taken. `password` is a hash.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        role: Role,
        now: Seconds,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO users (name, password, role, created_at, failures) VALUES ($1, $2, $3, $4, 0) \
             ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(password)
        .bind(role.as_str())
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(&self, now: Seconds) -> Result<Vec<UserSummary>, StoreError> {
        let statement = "SELECT name, role, created_at, used_at, locked_until FROM users ORDER BY name";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        let summary = |row: &sqlx::any::AnyRow| {
            let moment = |column: &'static str| {
                let seconds: Option<Seconds> = row.try_get(column)?;
                seconds.map(|seconds| rows::moment(column, seconds)).transpose()
            };
            let locked: Option<Seconds> = row.try_get("locked_until")?;
            let role: String = row.try_get("role")?;
            Ok(UserSummary {
                name: row.try_get("name")?,
                role: rows::parse("users.role", &role)?,
                created: moment("created_at")?.unwrap_or_default(),
                used: moment("used_at")?,
                locked_until: if locked.is_some_and(|until| until > now) {
                    moment("locked_until")?
                } else {
                    None
                },
            })
        };
        rows.iter().map(summary).collect()
    }

    /// Whether there is any user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query("SELECT name FROM users LIMIT 1").fetch_optional(&self.pool).await?.is_some())
    }

    /// Counts an attempt to sign in *before* the password is looked at, so that no number of attempts at once gets more
    /// guesses than one after the other. `None`: there is no such user, or it is locked out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_attempt(
        &self,
        name: &str,
        lock: LockOut,
        now: Seconds,
    ) -> Result<Option<Attempt>, StoreError> {
        let row = sqlx::query(
            "UPDATE users SET failures = failures + 1, \
               locked_until = CASE WHEN failures + 1 >= $1 THEN CAST($2 AS BIGINT) ELSE NULL END \
             WHERE name = $3 AND (locked_until IS NULL OR locked_until <= $4) RETURNING password, role",
        )
        .bind(i64::from(lock.failures))
        .bind(now + lock.length)
        .bind(name)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role: String = row.try_get("role")?;
        Ok(Some(Attempt { password: row.try_get("password")?, role: rows::parse("users.role", &role)? }))
    }

    /// The password was right: earlier failures are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn end_attempt(&self, name: &str, now: Seconds) -> Result<(), StoreError> {
        sqlx::query("UPDATE users SET failures = 0, locked_until = NULL, used_at = $1 WHERE name = $2")
            .bind(now)
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Gives a user another password; the sessions that were begun with the old one, and a lock-out, end. False when there
    /// is no such user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn set_password(&self, name: &str, password: &str) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let done =
            sqlx::query("UPDATE users SET password = $1, failures = 0, locked_until = NULL WHERE name = $2")
                .bind(password)
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        let sessions = sqlx::query("DELETE FROM dashboard_sessions WHERE user_name = $1").bind(name);
        sessions.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Locks a user out until [`Store::unlock_user`] or another password, and ends the sessions. False when there is no such
    /// user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn lock_user(&self, name: &str) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let lock =
            sqlx::query("UPDATE users SET locked_until = $1 WHERE name = $2").bind(FOR_EVER).bind(name);
        let done = lock.execute(&mut *transaction).await?;
        let sessions = sqlx::query("DELETE FROM dashboard_sessions WHERE user_name = $1").bind(name);
        sessions.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a lock-out, whoever or whatever began it. False when there is no such user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn unlock_user(&self, name: &str) -> Result<bool, StoreError> {
        let unlock =
            sqlx::query("UPDATE users SET failures = 0, locked_until = NULL WHERE name = $1").bind(name);
        Ok(unlock.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Takes a user away, with the sessions; false when there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn remove_user(&self, name: &str) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let done =
            sqlx::query("DELETE FROM users WHERE name = $1").bind(name).execute(&mut *transaction).await?;
        let sessions = sqlx::query("DELETE FROM dashboard_sessions WHERE user_name = $1").bind(name);
        sessions.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps a sign-in that goes on at an OpenID provider, and forgets those that came to nothing.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_openid_flow(
        &self,
        state: &Digest,
        flow: &OpenIdFlow,
        expires: Seconds,
        now: Seconds,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM openid_flows WHERE expires_at <= $1").bind(now).execute(&self.pool).await?;
        sqlx::query(
            "INSERT INTO openid_flows (state_sha256, nonce, verifier, back, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(state.as_str())
        .bind(&flow.nonce)
        .bind(&flow.verifier)
        .bind(&flow.back)
        .bind(expires)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Uses a sign-in up: the first time, and before it expires.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn take_openid_flow(
        &self,
        state: &Digest,
        now: Seconds,
    ) -> Result<Option<OpenIdFlow>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM openid_flows WHERE state_sha256 = $1 AND expires_at > $2 RETURNING nonce, verifier, back",
        )
        .bind(state.as_str())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(OpenIdFlow {
            nonce: row.try_get("nonce")?,
            verifier: row.try_get("verifier")?,
            back: row.try_get("back")?,
        }))
    }
}
