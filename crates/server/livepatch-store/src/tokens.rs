//! Enrolment tokens, and machines that use them.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{EnrolRequest, PatchState, TokenSummary};
use livepatch_manifest::Digest;
use sqlx::{Any, Row, Transaction, any::AnyRow};

/// A token to keep.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id, a UUID.
    pub id: String,
    /// SHA-256 of the secret.
    pub secret: Digest,
    /// The tier of machines that enrol with it.
    pub tier: String,
    /// How many machines may use it; absent: any number.
    pub uses: Option<u32>,
    /// When it expires; absent: never.
    pub expires: Option<Seconds>,
    /// The operator's note.
    pub note: String,
    /// Words that its machines carry; none holds a comma.
    pub tags: Vec<String>,
}

/// What came of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// The machine is known now, in this tier.
    Enrolled {
        /// The token's tier.
        tier: String,
    },
    /// No token has that secret.
    UnknownToken,
    /// The token was revoked.
    Revoked,
    /// The token has expired.
    Expired,
    /// The token was used as often as it may be.
    Exhausted,
}

struct Token {
    id: String,
    tier: String,
    tags: String,
    expires: Option<Seconds>,
    revoked: Option<Seconds>,
}

impl Store {
    /// Keeps a new token.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn add_token(&self, token: &NewToken, now: Seconds) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tokens (id, secret_sha256, tier, uses, expires_at, note, created_at, tags) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&token.id)
        .bind(token.secret.as_str())
        .bind(&token.tier)
        .bind(token.uses.map(i64::from))
        .bind(token.expires)
        .bind(&token.note)
        .bind(now)
        .bind(token.tags.join(","))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every token, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tokens(&self) -> Result<Vec<TokenSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tier, used, uses, expires_at, revoked_at, note, tags FROM tokens ORDER BY created_at DESC, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(summary).collect()
    }

    /// Takes a token back: no machine enrols with it any more, those that did stay. False when none with this id holds.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_token(&self, id: &str, now: Seconds) -> Result<bool, StoreError> {
        let statement = "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        let done = sqlx::query(statement).bind(now).bind(id).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Enrols a machine with the token whose secret has this digest, and gives it the credential with that digest.
    ///
    /// A machine that enrols again gets a new credential and starts with an empty report counter. A second attempt of
    /// the same machine with the same token does not count as a use: the answer to the first may have been lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enrol(
        &self,
        secret: &Digest,
        machine: &EnrolRequest,
        credential: &Digest,
        now: Seconds,
    ) -> Result<Enrolment, StoreError> {
        // Read and write in one step, so that the last use of a token cannot be taken twice.
        let mut transaction = self.write().await?;
        let Some(token) = find(&mut transaction, secret).await? else {
            return Ok(Enrolment::UnknownToken);
        };
        if token.revoked.is_some() {
            return Ok(Enrolment::Revoked);
        }
        if token.expires.is_some_and(|expires| expires <= now) {
            return Ok(Enrolment::Expired);
        }
        if !used_by(&mut transaction, &token.id, &machine.machine_id).await? {
            let take = "UPDATE tokens SET used = used + 1 WHERE id = $1 AND (uses IS NULL OR used < uses)";
            let taken = sqlx::query(take).bind(&token.id).execute(&mut *transaction).await?;
            if taken.rows_affected() == 0 {
                return Ok(Enrolment::Exhausted);
            }
        }
        keep_machine(&mut transaction, &token, machine, credential, now).await?;
        transaction.commit().await?;
        Ok(Enrolment::Enrolled { tier: token.tier })
    }
}

async fn find(transaction: &mut Transaction<'_, Any>, secret: &Digest) -> Result<Option<Token>, StoreError> {
    let row =
        sqlx::query("SELECT id, tier, tags, expires_at, revoked_at FROM tokens WHERE secret_sha256 = $1")
            .bind(secret.as_str())
            .fetch_optional(&mut **transaction)
            .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Token {
        id: row.try_get("id")?,
        tier: row.try_get("tier")?,
        tags: row.try_get("tags")?,
        expires: row.try_get("expires_at")?,
        revoked: row.try_get("revoked_at")?,
    }))
}

async fn used_by(
    transaction: &mut Transaction<'_, Any>,
    token_id: &str,
    machine_id: &str,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM machines WHERE id = $1 AND token_id = $2")
        .bind(machine_id)
        .bind(token_id)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.is_some())
}

async fn keep_machine(
    transaction: &mut Transaction<'_, Any>,
    token: &Token,
    machine: &EnrolRequest,
    credential: &Digest,
    now: Seconds,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO machines (id, credential_sha256, token_id, tier, hostname, kernel_release, kernel_build_id, \
           kernel_arch, client_version, enrolled_at, last_seen, sequence, state, taint, tags) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0, $11, 0, $12) \
         ON CONFLICT (id) DO UPDATE SET credential_sha256 = excluded.credential_sha256, \
           token_id = excluded.token_id, tier = excluded.tier, hostname = excluded.hostname, \
           kernel_release = excluded.kernel_release, kernel_build_id = excluded.kernel_build_id, \
           kernel_arch = excluded.kernel_arch, client_version = excluded.client_version, \
           enrolled_at = excluded.enrolled_at, last_seen = excluded.last_seen, sequence = 0, \
           state = excluded.state, tags = excluded.tags, revoked_at = NULL",
    )
    .bind(&machine.machine_id)
    .bind(credential.as_str())
    .bind(&token.id)
    .bind(&token.tier)
    .bind(&machine.hostname)
    .bind(machine.kernel.release.as_str())
    .bind(machine.kernel.build_id.to_string())
    .bind(&machine.kernel.arch)
    .bind(&machine.client_version)
    .bind(now)
    .bind(rows::word(&PatchState::Unchecked))
    .bind(&token.tags)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn summary(row: &AnyRow) -> Result<TokenSummary, StoreError> {
    let uses: Option<i64> = row.try_get("uses")?;
    let expires: Option<Seconds> = row.try_get("expires_at")?;
    let revoked: Option<Seconds> = row.try_get("revoked_at")?;
    Ok(TokenSummary {
        id: row.try_get("id")?,
        tier: row.try_get("tier")?,
        used: rows::count("tokens.used", row.try_get("used")?)?,
        uses: uses.map(|uses| rows::count("tokens.uses", uses)).transpose()?,
        expires: expires.map(|expires| rows::moment("tokens.expires_at", expires)).transpose()?,
        note: row.try_get("note")?,
        tags: rows::words(row.try_get("tags")?),
        revoked: revoked.map(|revoked| rows::moment("tokens.revoked_at", revoked)).transpose()?,
    })
}
