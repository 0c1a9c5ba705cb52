//! How transitions to a release went: how long they took, and what held those back that were reverted.

use crate::{Store, StoreError, rows};
use sqlx::{Any, Row, Transaction, any::AnyRow};

/// The times that are told apart, in milliseconds. The kernel begins to nudge sleeping tasks after 15 seconds, and the
/// client reverts after 120.
pub const TRANSITION_BOUNDS: [u32; 9] = [500, 1000, 2000, 5000, 10_000, 20_000, 40_000, 80_000, 120_000];

/// Causes that one report may bring.
pub const STALL_CAUSES: usize = 5;
/// Causes of a release that are kept: a machine that makes new ones up must not fill the database.
const MOST_CAUSES: i64 = 500;

/// How long transitions to a release took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransitionTimes {
    /// How many took no longer than each of [`TRANSITION_BOUNDS`], and longer than the bound before it.
    pub up_to: [u32; 9],
    /// How many took longer than all of them.
    pub longer: u32,
}

impl Store {
    /// How long transitions to a release took.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn transition_times(&self, release: &str) -> Result<TransitionTimes, StoreError> {
        let statement = "SELECT up_to, transitions FROM transition_times WHERE release = $1";
        let rows = sqlx::query(statement).bind(release).fetch_all(&self.pool).await?;
        let mut times = TransitionTimes::default();
        for row in &rows {
            let (bound, count): (i64, i64) = (row.try_get("up_to")?, row.try_get("transitions")?);
            let place =
                TRANSITION_BOUNDS.iter().zip(&mut times.up_to).find(|(known, _)| i64::from(**known) == bound);
            *place.map_or(&mut times.longer, |(_, place)| place) +=
                rows::count("transition_times.transitions", count)?;
        }
        Ok(times)
    }

    /// What held transitions to a release back, most often first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stall_causes(&self, release: &str, limit: u32) -> Result<Vec<(String, u32)>, StoreError> {
        let statement =
            "SELECT cause, stalls FROM stall_causes WHERE release = $1 ORDER BY stalls DESC, cause LIMIT $2";
        let rows = sqlx::query(statement).bind(release).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        let cause = |row: &AnyRow| {
            Ok((row.try_get("cause")?, rows::count("stall_causes.stalls", row.try_get("stalls")?)?))
        };
        rows.iter().map(cause).collect()
    }
}

/// The bound that a time is counted at; 0: longer than all.
pub(crate) fn bound(took_ms: u32) -> i64 {
    TRANSITION_BOUNDS.into_iter().find(|bound| took_ms <= *bound).map_or(0, i64::from)
}

/// Adds transitions that took no longer than a bound.
pub(crate) async fn add_time(
    transaction: &mut Transaction<'_, Any>,
    release: &str,
    bound: i64,
    count: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO transition_times (release, up_to, transitions) VALUES ($1, $2, $3) \
         ON CONFLICT (release, up_to) DO UPDATE SET transitions = transition_times.transitions + excluded.transitions",
    )
    .bind(release)
    .bind(bound)
    .bind(count)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Adds stalls with a cause.
pub(crate) async fn add_stall(
    transaction: &mut Transaction<'_, Any>,
    release: &str,
    cause: &str,
    count: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO stall_causes (release, cause, stalls) SELECT $1, $2, $3 \
         WHERE (SELECT COUNT(*) FROM stall_causes WHERE release = $1) < $4 \
           OR EXISTS (SELECT 1 FROM stall_causes WHERE release = $1 AND cause = $2) \
         ON CONFLICT (release, cause) DO UPDATE SET stalls = stall_causes.stalls + excluded.stalls",
    )
    .bind(release)
    .bind(cause)
    .bind(count)
    .bind(MOST_CAUSES)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
