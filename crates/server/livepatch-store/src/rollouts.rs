//! Rollouts, and what came of them on machines.

use crate::{Seconds, Store, StoreError, counts::Counts, rows};
use livepatch_kernel::BuildId;
use livepatch_rollout::{Rollout, Signal, Tally};
use sqlx::{Any, Row, Transaction, any::AnyRow};
use std::collections::BTreeMap;

/// A rollout as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRollout {
    /// The engine's state.
    pub rollout: Rollout,
    /// When it changed last.
    pub changed: Seconds,
}

/// What a report says about a rollout on its machine. Facts only come, they do not go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutResult {
    /// The release.
    pub release: String,
    /// The machine tried to apply it.
    pub given: bool,
    /// It soaked without trouble.
    pub soaked: bool,
    /// It will not take it.
    pub out: bool,
    /// Signs of trouble.
    pub signals: Vec<Signal>,
    /// How long the transition took, in milliseconds, where the report tells of one.
    pub transition_ms: Option<u32>,
    /// What held a transition back that was reverted.
    pub stall_causes: Vec<String>,
}

/// A machine that a rollout may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinePlace {
    /// Its id.
    pub id: String,
    /// Its running kernel.
    pub build: BuildId,
    /// When it was last heard of.
    pub last_seen: Seconds,
    /// Whether it soaked the release, or will not take it: its silence means nothing then.
    pub settled: bool,
}

impl Store {
    /// Keeps a new rollout; false when its release has one already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_rollout(&self, rollout: &Rollout, now: Seconds) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO rollouts (release, state, document, started_at, changed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&rollout.release)
        .bind(rollout.state.as_str())
        .bind(document(rollout)?)
        .bind(rollout.started)
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps what became of a rollout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_rollout(&self, rollout: &Rollout, now: Seconds) -> Result<(), StoreError> {
        sqlx::query("UPDATE rollouts SET state = $1, document = $2, changed_at = $3 WHERE release = $4")
            .bind(rollout.state.as_str())
            .bind(document(rollout)?)
            .bind(now)
            .bind(&rollout.release)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Every rollout, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rollouts(&self) -> Result<Vec<StoredRollout>, StoreError> {
        let statement = "SELECT document, changed_at FROM rollouts ORDER BY started_at DESC, release";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        rows.iter().map(stored).collect()
    }

    /// Release and state of every rollout that is running or halted, by release.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rollouts_under_way(&self) -> Result<Vec<(String, String)>, StoreError> {
        let statement = "SELECT release, state FROM rollouts WHERE state IN ('running', 'halted')";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        let pairs = rows.iter().map(|row| Ok((row.try_get("release")?, row.try_get("state")?)));
        let mut pairs = pairs.collect::<Result<Vec<_>, StoreError>>()?;
        // Not by the database, whose order is that of some language.
        pairs.sort();
        Ok(pairs)
    }

    /// One rollout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rollout(&self, release: &str) -> Result<Option<StoredRollout>, StoreError> {
        let statement = "SELECT document, changed_at FROM rollouts WHERE release = $1";
        let row = sqlx::query(statement).bind(release).fetch_optional(&self.pool).await?;
        row.as_ref().map(stored).transpose()
    }

    /// What came of a release, by kernel build. Silence is not counted here: only time tells it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tallies(&self, release: &str) -> Result<BTreeMap<BuildId, Tally>, StoreError> {
        let sum = |column: &str| format!("CAST(SUM({column}) AS BIGINT) AS {column}");
        let columns = ["given", "soaked", "out", "crash", "oops", "taint", "stalled", "failed_load"].map(sum);
        let statement = format!(
            "SELECT build_id, {} FROM rollout_machines WHERE release = $1 GROUP BY build_id",
            columns.join(", ")
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(release).fetch_all(&self.pool).await?;
        rows.iter().map(tally).collect()
    }

    /// Machines that showed a signal, the latest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machines_with(
        &self,
        release: &str,
        signal: Signal,
        limit: u32,
    ) -> Result<Vec<(String, BuildId)>, StoreError> {
        let Some(column) = column(signal) else { return Ok(Vec::new()) };
        let statement = format!(
            "SELECT machine_id, build_id FROM rollout_machines WHERE release = $1 AND {column} = 1 \
             ORDER BY first_at DESC, machine_id LIMIT $2"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(release).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let build: String = row.try_get("build_id")?;
                Ok((row.try_get("machine_id")?, rows::parse("rollout_machines.build_id", &build)?))
            })
            .collect()
    }

    /// The machines of these tiers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn places(&self, release: &str, tiers: &[String]) -> Result<Vec<MachinePlace>, StoreError> {
        let mut places = Vec::new();
        for tier in tiers {
            let rows = sqlx::query(
                "SELECT machines.id AS id, kernel_build_id, last_seen, COALESCE(soaked + out, 0) AS settled \
                 FROM machines LEFT JOIN rollout_machines \
                   ON rollout_machines.machine_id = machines.id AND rollout_machines.release = $1 \
                 WHERE tier = $2",
            )
            .bind(release)
            .bind(tier)
            .fetch_all(&self.pool)
            .await?;
            for row in &rows {
                let build: String = row.try_get("kernel_build_id")?;
                let settled: i64 = row.try_get("settled")?;
                places.push(MachinePlace {
                    id: row.try_get("id")?,
                    build: rows::parse("machines.kernel_build_id", &build)?,
                    last_seen: row.try_get("last_seen")?,
                    settled: settled > 0,
                });
            }
        }
        Ok(places)
    }
}

/// Stores a result within a report's transaction.
pub(crate) async fn keep_result(
    transaction: &mut Transaction<'_, Any>,
    machine_id: &str,
    build: &BuildId,
    result: &RolloutResult,
    now: Seconds,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let flag = |signal: Signal| i64::from(result.signals.contains(&signal));
    // A machine that gave a sign of trouble had it.
    let given = i64::from(result.given || result.soaked || !result.signals.is_empty());
    sqlx::query(
        "INSERT INTO rollout_machines (release, machine_id, build_id, first_at, given, soaked, out, crash, oops, taint, \
           stalled, failed_load) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (release, machine_id) DO UPDATE SET given = rollout_machines.given | excluded.given, \
           soaked = rollout_machines.soaked | excluded.soaked, out = rollout_machines.out | excluded.out, \
           crash = rollout_machines.crash | excluded.crash, oops = rollout_machines.oops | excluded.oops, \
           taint = rollout_machines.taint | excluded.taint, stalled = rollout_machines.stalled | excluded.stalled, \
           failed_load = rollout_machines.failed_load | excluded.failed_load",
    )
    .bind(&result.release)
    .bind(machine_id)
    .bind(build.to_string())
    .bind(now)
    .bind(given)
    .bind(i64::from(result.soaked))
    .bind(i64::from(result.out))
    .bind(flag(Signal::Crash))
    .bind(flag(Signal::Oops))
    .bind(flag(Signal::Taint))
    .bind(flag(Signal::Stalled))
    .bind(flag(Signal::FailedLoad))
    .execute(&mut **transaction)
    .await?;
    counts.tell(result);
    Ok(())
}

fn document(rollout: &Rollout) -> Result<String, StoreError> {
    let unusable = |error: serde_json::Error| StoreError::Unusable {
        column: "rollouts.document",
        value: format!("{}: {error}", rollout.release),
    };
    serde_json::to_string(rollout).map_err(unusable)
}

fn stored(row: &AnyRow) -> Result<StoredRollout, StoreError> {
    let text: String = row.try_get("document")?;
    let rollout = serde_json::from_str(&text).map_err(|error| StoreError::Unusable {
        column: "rollouts.document",
        value: format!("{error}: {}", text.chars().take(80).collect::<String>()),
    })?;
    Ok(StoredRollout { rollout, changed: row.try_get("changed_at")? })
}

fn tally(row: &AnyRow) -> Result<(BuildId, Tally), StoreError> {
    let count = |column: &'static str| rows::count(column, row.try_get::<i64, _>(column)?);
    let build: String = row.try_get("build_id")?;
    let mut tally =
        Tally { given: count("given")?, soaked: count("soaked")?, out: count("out")?, ..Tally::default() };
    for signal in Signal::ALL {
        if let Some(column) = column(signal) {
            tally.signals.add(signal, count(column)?);
        }
    }
    Ok((rows::parse("rollout_machines.build_id", &build)?, tally))
}

/// Where a signal is kept.
fn column(signal: Signal) -> Option<&'static str> {
    match signal {
        Signal::Crash => Some("crash"),
        Signal::Oops => Some("oops"),
        Signal::Taint => Some("taint"),
        Signal::Stalled => Some("stalled"),
        Signal::FailedLoad => Some("failed_load"),
        Signal::Silence => None,
    }
}
