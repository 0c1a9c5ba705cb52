//! Programs that share a database: what they do one at a time, and what one of them does for all.
//!
//! PostgreSQL's advisory locks belong to a connection and go with it, so a program that is killed holds nothing back. A
//! SQLite database belongs to one program, which always has its turn, and leads.

use crate::{Backend, Store, StoreError};
use sqlx::{Any, Row as _, Transaction, pool::PoolConnection};

/// What is done one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Changes of the repository.
    Publishing,
    /// Looks at rollouts, and orders about them.
    Rollouts,
}

/// The key of what one program does for all; the turns' keys follow. Any number that nobody else uses in this database.
const LEADING: i64 = 0x6c69_7665_0000;

impl Turn {
    const fn key(self) -> i64 {
        LEADING
            + match self {
                Self::Publishing => 1,
                Self::Rollouts => 2,
            }
    }
}

/// A turn; it is over when this is dropped.
#[derive(Debug)]
pub struct TurnGuard(Option<Transaction<'static, Any>>);

/// The lead among the programs that share the database; it ends when this is dropped, or with the connection.
#[derive(Debug)]
pub struct Lead(Option<PoolConnection<Any>>);

impl Store {
    /// Waits for a turn, for half a minute at most.
    ///
    /// # Errors
    /// [`StoreError::Database`], also when the turn does not come in time.
    pub async fn turn(&self, of: Turn) -> Result<TurnGuard, StoreError> {
        if self.backend() == Backend::Sqlite {
            return Ok(TurnGuard(None));
        }
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SET LOCAL lock_timeout = '30s'").execute(&mut *transaction).await?;
        // From a function in place of a table: the type that it gives back is none that the library reads.
        let statement = "SELECT 1 FROM pg_advisory_xact_lock($1)";
        sqlx::query(statement).bind(of.key()).execute(&mut *transaction).await?;
        Ok(TurnGuard(Some(transaction)))
    }

    /// Takes the lead when nobody has it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn lead(&self) -> Result<Option<Lead>, StoreError> {
        if self.backend() == Backend::Sqlite {
            return Ok(Some(Lead(None)));
        }
        let mut connection = self.pool.acquire().await?;
        let statement = "SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END AS taken";
        let taken: i32 =
            sqlx::query(statement).bind(LEADING).fetch_one(&mut *connection).await?.try_get("taken")?;
        // Its own connection from here on: one that goes back to the others would keep the lock.
        Ok((taken == 1).then_some(Lead(Some(connection))))
    }
}

impl TurnGuard {
    /// Ends the turn now.
    pub async fn end(self) {
        if let Some(transaction) = self.0 {
            // Nothing was written in it; a connection that broke has ended the turn already.
            let _ = transaction.rollback().await;
        }
    }
}

impl Lead {
    /// Whether it still is: the connection that it hangs on answers.
    pub async fn holds(&mut self) -> bool {
        match &mut self.0 {
            None => true,
            Some(connection) => sqlx::query("SELECT 1").execute(&mut **connection).await.is_ok(),
        }
    }

    /// Gives the lead up; another program takes it when it next asks.
    pub async fn end(mut self) {
        if let Some(connection) = self.0.take() {
            // Closing the connection is what frees the lock for sure.
            let _ = connection.close().await;
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take() {
            connection.close_on_drop();
        }
    }
}
