//! When machines first had livepatches: what the clock of a vulnerability is read from.

use crate::{Seconds, Store, StoreError, counts::Counts, rows};
use livepatch_api::{CheckInRequest, EventKind, PatchState};
use livepatch_kernel::{BuildId, KernelRelease};
use sqlx::{Any, Row, Transaction, any::AnyRow};
use std::ops::RangeInclusive;

/// Machines that come to a version within so many seconds are one row.
const SPAN: Seconds = 300;

/// Machines that came from one version of a kernel build's livepatches to a greater one at about the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionTime {
    /// The kernel's build.
    pub build_id: BuildId,
    /// The greatest version that they had before; 0: none.
    pub above: u32,
    /// The version that they came to.
    pub version: u32,
    /// Which five minutes, counted from 1970.
    pub span: i64,
    /// When the first of them did.
    pub first: Seconds,
    /// When the last of them did.
    pub last: Seconds,
    /// How many.
    pub machines: u32,
}

/// Machines with one kernel, by the greatest version of its livepatches that they ever had. Revoked machines are in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HadVersion {
    /// Their kernel.
    pub release: KernelRelease,
    /// Its build.
    pub build_id: BuildId,
    /// The version; 0: none.
    pub version: u32,
    /// How many.
    pub machines: u32,
}

impl Store {
    /// When machines came to the versions that they had, as far as that changed at this time or later. What is given takes
    /// the place of what was given before with the same build, versions and span.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn protection_times(&self, since: Seconds) -> Result<Vec<ProtectionTime>, StoreError> {
        let statement = "SELECT build_id, above, version, span, first_at, last_at, machines FROM protection_times \
                         WHERE changed_at >= $1";
        let rows = sqlx::query(statement).bind(since).fetch_all(&self.pool).await?;
        rows.iter().map(protection_time).collect()
    }

    /// All machines that are not revoked, counted by what they had.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn had_versions(&self) -> Result<Vec<HadVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT kernel_build_id, kernel_release, had_version, COUNT(*) AS machines FROM machines \
             WHERE revoked_at IS NULL GROUP BY kernel_build_id, kernel_release, had_version",
        )
        .fetch_all(&self.pool)
        .await?;
        let had = |row: &AnyRow| {
            Ok(HadVersion {
                release: rows::parse("machines.kernel_release", row.try_get("kernel_release")?)?,
                build_id: rows::parse("machines.kernel_build_id", row.try_get("kernel_build_id")?)?,
                version: rows::count("machines.had_version", row.try_get("had_version")?)?,
                machines: rows::count("machines", row.try_get("machines")?)?,
            })
        };
        rows.iter().map(had).collect()
    }
}

/// When the machine was heard of before this report, for [`keep_protection`]; only asked where it will be of use.
pub(crate) async fn last_heard(
    transaction: &mut Transaction<'_, Any>,
    machine_id: &str,
    report: &CheckInRequest,
    now: Seconds,
) -> Result<Seconds, StoreError> {
    if applied_at(report).is_none() {
        return Ok(now);
    }
    let statement = "SELECT last_seen FROM machines WHERE id = $1";
    let row = sqlx::query(statement).bind(machine_id).fetch_optional(&mut **transaction).await?;
    Ok(row.map(|row| row.try_get("last_seen")).transpose()?.unwrap_or(now))
}

/// Counts a machine that has a greater version than it ever had of its kernel's livepatches. Its own word for when that
/// came about counts within the time since it was heard of before: a wrong clock then does little harm.
pub(crate) async fn keep_protection(
    transaction: &mut Transaction<'_, Any>,
    machine_id: &str,
    report: &CheckInRequest,
    had_version: i64,
    since_last: RangeInclusive<Seconds>,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    // While the transition runs, tasks may still be in the old code.
    let applied = report.applied.as_ref().filter(|_| report.state != PatchState::Applying);
    let Some(version) = applied.map(|applied| i64::from(applied.version)).filter(|new| *new > had_version)
    else {
        return Ok(());
    };
    let build = report.kernel.build_id.to_string();
    sqlx::query(
        "INSERT INTO protections (machine_id, build_id, version) VALUES ($1, $2, $3) \
         ON CONFLICT (machine_id, build_id) DO UPDATE SET version = excluded.version",
    )
    .bind(machine_id)
    .bind(&build)
    .bind(version)
    .execute(&mut **transaction)
    .await?;
    sqlx::query("UPDATE machines SET had_version = $1 WHERE id = $2")
        .bind(version)
        .bind(machine_id)
        .execute(&mut **transaction)
        .await?;
    let (before, now) = since_last.into_inner();
    let at = applied_at(report).unwrap_or(now).max(before).min(now);
    counts.protect(build, had_version, version, at);
    Ok(())
}

/// Which five minutes a time is in.
pub(crate) fn span(at: Seconds) -> i64 {
    at.div_euclid(SPAN)
}

/// Adds machines to a row: build, version before, version and span; the first time, the last, and how many.
pub(crate) async fn add(
    transaction: &mut Transaction<'_, Any>,
    (build, above, version, span): (&str, i64, i64, i64),
    (first, last, machines): (Seconds, Seconds, i64),
    now: Seconds,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO protection_times (build_id, above, version, span, first_at, last_at, machines, changed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (build_id, above, version, span) DO UPDATE SET \
           first_at = CASE WHEN excluded.first_at < protection_times.first_at \
             THEN excluded.first_at ELSE protection_times.first_at END, \
           last_at = CASE WHEN excluded.last_at > protection_times.last_at \
             THEN excluded.last_at ELSE protection_times.last_at END, \
           machines = protection_times.machines + excluded.machines, changed_at = excluded.changed_at",
    )
    .bind(build)
    .bind(above)
    .bind(version)
    .bind(span)
    .bind(first)
    .bind(last)
    .bind(machines)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// When what is applied was applied, as the machine says in an event of this report.
fn applied_at(report: &CheckInRequest) -> Option<Seconds> {
    let applied = report.applied.as_ref()?;
    let tells = |detail: &str| detail.split(' ').next() == Some(applied.name.as_str());
    let event =
        report.events.iter().rev().find(|event| event.kind == EventKind::Applied && tells(&event.detail));
    event?.at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

fn protection_time(row: &AnyRow) -> Result<ProtectionTime, StoreError> {
    Ok(ProtectionTime {
        build_id: rows::parse("protection_times.build_id", row.try_get("build_id")?)?,
        above: rows::count("protection_times.above", row.try_get("above")?)?,
        version: rows::count("protection_times.version", row.try_get("version")?)?,
        span: row.try_get("span")?,
        first: row.try_get("first_at")?,
        last: row.try_get("last_at")?,
        machines: rows::count("protection_times.machines", row.try_get("machines")?)?,
    })
}
