//! Notices in their revisions, who gets them by mail, and what became of the mails.

use crate::{Seconds, Store, StoreError, rows};
use livepatch_api::{MailReport, NoticeState};
use sqlx::{Row, any::AnyRow};

/// A revision of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotice {
    /// The notice's number.
    pub number: u32,
    /// The revision, from 1.
    pub revision: u32,
    /// How far it is.
    pub state: NoticeState,
    /// The document, JSON.
    pub document: String,
    /// Who wrote it last.
    pub author: String,
    /// Who reviewed it as it is.
    pub reviewer: Option<String>,
    /// When it changed last.
    pub changed: Seconds,
    /// When it was published.
    pub published: Option<Seconds>,
}

/// A mail that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMail {
    /// The notice's number.
    pub number: u32,
    /// Its revision.
    pub revision: u32,
    /// To whom.
    pub address: String,
    /// The subscriber's token.
    pub token: String,
    /// Attempts so far.
    pub attempts: u32,
}

const COLUMNS: &str = "number, revision, state, document, author, reviewer, changed_at, published_at";

impl Store {
    /// The number that the next new notice gets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_notice_number(&self) -> Result<u32, StoreError> {
        let row =
            sqlx::query("SELECT COALESCE(MAX(number), 0) AS last FROM notices").fetch_one(&self.pool).await?;
        Ok(rows::count("notices.number", row.try_get("last")?)?.saturating_add(1))
    }

    /// Keeps a new revision; false when it is there already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_notice(&self, notice: &StoredNotice) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO notices (number, revision, state, document, author, reviewer, changed_at, published_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(i64::from(notice.number))
        .bind(i64::from(notice.revision))
        .bind(rows::word(&notice.state))
        .bind(&notice.document)
        .bind(&notice.author)
        .bind(&notice.reviewer)
        .bind(notice.changed)
        .bind(notice.published)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Changes a revision that is as it was when it was read (`before`); false when somebody else was quicker, or it is
    /// published: what is published never changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_notice(
        &self,
        before: &StoredNotice,
        notice: &StoredNotice,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE notices SET state = $1, document = $2, author = $3, reviewer = $4, changed_at = $5, published_at = $6 \
             WHERE number = $7 AND revision = $8 AND state = $9 AND document = $10 AND state <> 'published'",
        )
        .bind(rows::word(&notice.state))
        .bind(&notice.document)
        .bind(&notice.author)
        .bind(&notice.reviewer)
        .bind(notice.changed)
        .bind(notice.published)
        .bind(i64::from(before.number))
        .bind(i64::from(before.revision))
        .bind(rows::word(&before.state))
        .bind(&before.document)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The newest revision of a notice, published or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_revision(&self, number: u32) -> Result<Option<StoredNotice>, StoreError> {
        let statement =
            format!("SELECT {COLUMNS} FROM notices WHERE number = $1 ORDER BY revision DESC LIMIT 1");
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(i64::from(number));
        query.fetch_optional(&self.pool).await?.as_ref().map(stored).transpose()
    }

    /// One revision.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notice(&self, number: u32, revision: u32) -> Result<Option<StoredNotice>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM notices WHERE number = $1 AND revision = $2");
        let query =
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(i64::from(number)).bind(i64::from(revision));
        query.fetch_optional(&self.pool).await?.as_ref().map(stored).transpose()
    }

    /// The newest revision of each notice with a number below `before`, greatest number first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices(
        &self,
        published_only: bool,
        before: u32,
        limit: u32,
    ) -> Result<Vec<StoredNotice>, StoreError> {
        let only = if published_only { "AND state = 'published'" } else { "" };
        let statement = format!(
            "SELECT {COLUMNS} FROM notices WHERE number < $1 {only} AND revision = \
               (SELECT MAX(other.revision) FROM notices AS other WHERE other.number = notices.number {}) \
             ORDER BY number DESC LIMIT $2",
            only.replace("state", "other.state")
        );
        let query =
            sqlx::query(sqlx::AssertSqlSafe(statement)).bind(i64::from(before)).bind(i64::from(limit));
        query.fetch_all(&self.pool).await?.iter().map(stored).collect()
    }

    /// Puts an address on the mailing list; one that left it comes back.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn subscribe(&self, address: &str, token: &str, now: Seconds) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO subscribers (address, token, added_at) VALUES ($1, $2, $3) \
             ON CONFLICT (address) DO UPDATE SET unsubscribed_at = NULL",
        )
        .bind(address)
        .bind(token)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes the holder of this token off the list; false when there is none. Again is allowed. What is queued for the address
    /// is not sent any more.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn unsubscribe(&self, token: &str, now: Seconds) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "UPDATE subscribers SET unsubscribed_at = COALESCE(unsubscribed_at, $1) WHERE token = $2 RETURNING address",
        )
        .bind(now)
        .bind(token)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let address: String = row.try_get("address")?;
        sqlx::query("DELETE FROM mails WHERE address = $1 AND state = 'queued'")
            .bind(address)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Who is on the list.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn subscribers(&self) -> Result<Vec<String>, StoreError> {
        let statement = "SELECT address FROM subscribers WHERE unsubscribed_at IS NULL ORDER BY address";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get("address")?)).collect()
    }

    /// Queues a published notice for everybody on the list; who has it queued or got it already is left alone.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn queue_mails(&self, number: u32, revision: u32, now: Seconds) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO mails (number, revision, address, state, attempts, next_at, detail) \
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), address, 'queued', 0, CAST($3 AS BIGINT), '' \
             FROM subscribers WHERE unsubscribed_at IS NULL ON CONFLICT DO NOTHING",
        )
        .bind(i64::from(number))
        .bind(i64::from(revision))
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Mails that are due, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_mails(&self, now: Seconds, limit: u32) -> Result<Vec<DueMail>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, revision, mails.address AS address, token, attempts FROM mails \
             JOIN subscribers ON subscribers.address = mails.address \
             WHERE state = 'queued' AND next_at <= $1 ORDER BY next_at, number, mails.address LIMIT $2",
        )
        .bind(now)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let due = |row: &AnyRow| {
            Ok(DueMail {
                number: rows::count("mails.number", row.try_get("number")?)?,
                revision: rows::count("mails.revision", row.try_get("revision")?)?,
                address: row.try_get("address")?,
                token: row.try_get("token")?,
                attempts: rows::count("mails.attempts", row.try_get("attempts")?)?,
            })
        };
        rows.iter().map(due).collect()
    }

    /// Notes what became of an attempt. `state`: `sent`, `refused`, or `queued` with the time of the next attempt.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn note_mail(
        &self,
        mail: &DueMail,
        state: &str,
        next: Seconds,
        detail: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE mails SET state = $1, attempts = attempts + 1, next_at = $2, detail = $3 \
             WHERE number = $4 AND revision = $5 AND address = $6",
        )
        .bind(state)
        .bind(next)
        .bind(detail)
        .bind(i64::from(mail.number))
        .bind(i64::from(mail.revision))
        .bind(&mail.address)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What became of a notice's mails, by address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mail_reports(&self, number: u32) -> Result<Vec<MailReport>, StoreError> {
        let rows = sqlx::query(
            "SELECT revision, address, state, attempts, detail FROM mails WHERE number = $1 ORDER BY revision, address",
        )
        .bind(i64::from(number))
        .fetch_all(&self.pool)
        .await?;
        let report = |row: &AnyRow| {
            Ok(MailReport {
                revision: rows::count("mails.revision", row.try_get("revision")?)?,
                address: row.try_get("address")?,
                state: row.try_get("state")?,
                attempts: rows::count("mails.attempts", row.try_get("attempts")?)?,
                detail: row.try_get("detail")?,
            })
        };
        rows.iter().map(report).collect()
    }
}

fn stored(row: &AnyRow) -> Result<StoredNotice, StoreError> {
    Ok(StoredNotice {
        number: rows::count("notices.number", row.try_get("number")?)?,
        revision: rows::count("notices.revision", row.try_get("revision")?)?,
        state: rows::from_word("notices.state", row.try_get("state")?)?,
        document: row.try_get("document")?,
        author: row.try_get("author")?,
        reviewer: row.try_get("reviewer")?,
        changed: row.try_get("changed_at")?,
        published: row.try_get("published_at")?,
    })
}
