//! Machines and their reports.

use crate::{
    RolloutResult, Seconds, Store, StoreError,
    counts::Counts,
    protections::{keep_protection, last_heard},
    rollouts::keep_result,
    rows,
};
use livepatch_api::{AppliedLivepatch, CheckInRequest, Event, EventKind, MachineSummary};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::Digest;
use sqlx::{Any, Row, Transaction, any::AnyRow};

/// A machine that showed its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMachine {
    /// Its id.
    pub id: String,
    /// Its tier now.
    pub tier: String,
    /// SHA-256 of its credential, as stored.
    pub credential: Digest,
    /// Its taint mask, as it reported last.
    pub taint: Taint,
    /// The words of the token that it enrolled with.
    pub tags: Vec<String>,
}

/// Machines of a tier in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinesByState {
    /// The tier.
    pub tier: String,
    /// The state, as it is written.
    pub state: String,
    /// How many there are.
    pub machines: u32,
    /// How many of them were not heard of since the time that was asked for.
    pub silent: u32,
}

/// A report, and what it says about running rollouts.
#[derive(Clone, Debug)]
pub struct CheckIn {
    /// Of this machine.
    pub machine_id: String,
    /// As it came.
    pub report: CheckInRequest,
    /// The results of rollouts that follow from it.
    pub results: Vec<RolloutResult>,
}

/// What a report was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It was new, and is stored.
    New,
    /// It, or a later one, was stored before.
    SeenBefore,
}

/// What a [`MachineSummary`] is made from.
pub(crate) const SUMMARY: &str = "SELECT id, hostname, tier, kernel_release, kernel_build_id, kernel_arch, state, applied_name, \
       applied_version, applied_sha256, taint, last_seen, revoked_at, tags, \
       (SELECT kind FROM events WHERE machine_id = machines.id ORDER BY events.id DESC LIMIT 1) AS event, \
       (SELECT detail FROM events WHERE machine_id = machines.id ORDER BY events.id DESC LIMIT 1) AS detail \
     FROM machines";

impl Store {
    /// The machine whose credential has this digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machine_by_credential(
        &self,
        credential: &Digest,
    ) -> Result<Option<KnownMachine>, StoreError> {
        let row = sqlx::query(
            "SELECT id, tier, credential_sha256, taint, tags FROM machines WHERE credential_sha256 = $1 AND revoked_at IS NULL",
        )
        .bind(credential.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let credential = rows::parse("machines.credential_sha256", row.try_get("credential_sha256")?)?;
        let taint: i64 = row.try_get("taint")?;
        let (id, tier) = (row.try_get("id")?, row.try_get("tier")?);
        let tags = rows::words(row.try_get("tags")?);
        Ok(Some(KnownMachine { id, tier, credential, taint: Taint(taint.cast_unsigned()), tags }))
    }

    /// Stores a report, its events and what it says about running rollouts, once: a report that does not count higher than the last changes nothing but
    /// the time at which the machine was heard of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_check_in(&self, check_in: &CheckIn, now: Seconds) -> Result<Reported, StoreError> {
        let mut transaction = self.write().await?;
        let mut counts = Counts::default();
        let reported = keep(&mut transaction, check_in, &mut counts, now).await?;
        counts.write(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(reported)
    }

    /// Stores several reports in one transaction, which costs many times what a report in it does: all of them, or none. They are written in the
    /// order of their machines, so that replicas do not wait for one another in a circle.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_check_ins(
        &self,
        check_ins: &[CheckIn],
        now: Seconds,
    ) -> Result<Vec<Reported>, StoreError> {
        let mut order: Vec<usize> = (0..check_ins.len()).collect();
        order.sort_by_key(|at| check_ins.get(*at).map(|check_in| &check_in.machine_id));
        let mut reported = vec![Reported::SeenBefore; check_ins.len()];
        let mut transaction = self.write().await?;
        let mut counts = Counts::default();
        for at in order {
            if let (Some(check_in), Some(place)) = (check_ins.get(at), reported.get_mut(at)) {
                *place = keep(&mut transaction, check_in, &mut counts, now).await?;
            }
        }
        counts.write(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(reported)
    }

    /// One machine.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machine(&self, id: &str) -> Result<Option<MachineSummary>, StoreError> {
        let statement = format!("{SUMMARY} WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(summary).transpose()
    }

    /// Revokes a machine's credential: it is known, and not heard any more. False when none with this id holds one.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn revoke_machine(&self, id: &str, now: Seconds) -> Result<bool, StoreError> {
        let statement = "UPDATE machines SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        let done = sqlx::query(statement).bind(now).bind(id).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Machines that are not revoked, counted by tier and state.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machines_by_state(&self, since: Seconds) -> Result<Vec<MachinesByState>, StoreError> {
        let rows = sqlx::query(
            "SELECT tier, state, COUNT(*) AS machines, CAST(SUM(CASE WHEN last_seen < $1 THEN 1 ELSE 0 END) AS BIGINT) AS silent \
             FROM machines WHERE revoked_at IS NULL GROUP BY tier, state ORDER BY tier, state",
        )
        .bind(since)
        .fetch_all(&self.pool)
        .await?;
        let group = |row: &AnyRow| {
            Ok(MachinesByState {
                tier: row.try_get("tier")?,
                state: row.try_get("state")?,
                machines: rows::count("machines", row.try_get("machines")?)?,
                silent: rows::count("machines", row.try_get("silent")?)?,
            })
        };
        rows.iter().map(group).collect()
    }

    /// Every machine, the one that was heard of last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machines(&self) -> Result<Vec<MachineSummary>, StoreError> {
        let statement = format!("{SUMMARY} ORDER BY last_seen DESC, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        rows.iter().map(summary).collect()
    }

    /// What a machine has reported, oldest first, at most `limit` of the newest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events(&self, machine_id: &str, limit: u32) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query(
            "SELECT at, kind, detail FROM events WHERE machine_id = $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(machine_id)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .rev()
            .map(|row| {
                let kind: EventKind = rows::from_word("events.kind", row.try_get("kind")?)?;
                Ok(Event { at: row.try_get("at")?, kind, detail: row.try_get("detail")? })
            })
            .collect()
    }
}

async fn keep(
    transaction: &mut Transaction<'_, Any>,
    check_in: &CheckIn,
    counts: &mut Counts,
    now: Seconds,
) -> Result<Reported, StoreError> {
    let CheckIn { machine_id, report, results } = check_in;
    let sequence = report.sequence.cast_signed();
    let heard_before = last_heard(transaction, machine_id, report, now).await?;
    if let Some(had_version) = update_machine(transaction, machine_id, sequence, report, now).await? {
        keep_protection(transaction, machine_id, report, had_version, heard_before..=now, counts).await?;
        for event in &report.events {
            keep_event(transaction, machine_id, sequence, event, now).await?;
        }
        for result in results {
            keep_result(transaction, machine_id, &report.kernel.build_id, result, now, counts).await?;
        }
        return Ok(Reported::New);
    }
    sqlx::query("UPDATE machines SET last_seen = $1 WHERE id = $2")
        .bind(now)
        .bind(machine_id)
        .execute(&mut **transaction)
        .await?;
    Ok(Reported::SeenBefore)
}

/// What the machine is now; gives the greatest version that it ever had of its kernel's livepatches, and `None` when the
/// report is not new.
async fn update_machine(
    transaction: &mut Transaction<'_, Any>,
    machine_id: &str,
    sequence: i64,
    report: &CheckInRequest,
    now: Seconds,
) -> Result<Option<i64>, StoreError> {
    let applied = report.applied.as_ref();
    let row = sqlx::query(
        "UPDATE machines SET sequence = $1, last_seen = $2, boot_id = $3, state = $4, kernel_release = $5, \
           kernel_build_id = $6, kernel_arch = $7, client_version = $8, applied_name = $9, applied_version = $10, \
           applied_sha256 = $11, taint = $12, \
           had_version = COALESCE((SELECT version FROM protections WHERE machine_id = $13 AND build_id = $6), 0) \
         WHERE id = $13 AND sequence < $1 RETURNING had_version",
    )
    .bind(sequence)
    .bind(now)
    .bind(&report.boot_id)
    .bind(rows::word(&report.state))
    .bind(report.kernel.release.as_str())
    .bind(report.kernel.build_id.to_string())
    .bind(&report.kernel.arch)
    .bind(&report.client_version)
    .bind(applied.map(|applied| applied.name.as_str()))
    .bind(applied.map(|applied| i64::from(applied.version)))
    .bind(applied.map(|applied| applied.sha256.as_str()))
    .bind(report.taint.0.cast_signed())
    .bind(machine_id)
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(row.map(|row| row.try_get("had_version")).transpose()?)
}

async fn keep_event(
    transaction: &mut Transaction<'_, Any>,
    machine_id: &str,
    sequence: i64,
    event: &Event,
    now: Seconds,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO events (machine_id, sequence, at, kind, detail, received_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(machine_id)
    .bind(sequence)
    .bind(&event.at)
    .bind(rows::word(&event.kind))
    .bind(&event.detail)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

pub(crate) fn summary(row: &AnyRow) -> Result<MachineSummary, StoreError> {
    let name: Option<String> = row.try_get("applied_name")?;
    let version: Option<i64> = row.try_get("applied_version")?;
    let sha256: Option<String> = row.try_get("applied_sha256")?;
    let applied = match (name, version, sha256) {
        (Some(name), Some(version), Some(sha256)) => Some(AppliedLivepatch {
            name,
            version: rows::count("machines.applied_version", version)?,
            sha256: rows::parse("machines.applied_sha256", &sha256)?,
        }),
        _ => None,
    };
    let event: Option<String> = row.try_get("event")?;
    let detail: Option<String> = row.try_get("detail")?;
    let taint: i64 = row.try_get("taint")?;
    let revoked: Option<Seconds> = row.try_get("revoked_at")?;
    Ok(MachineSummary {
        machine_id: row.try_get("id")?,
        hostname: row.try_get("hostname")?,
        tier: row.try_get("tier")?,
        kernel: KernelIdentity {
            release: rows::parse("machines.kernel_release", row.try_get("kernel_release")?)?,
            build_id: rows::parse("machines.kernel_build_id", row.try_get("kernel_build_id")?)?,
            arch: row.try_get("kernel_arch")?,
        },
        state: rows::from_word("machines.state", row.try_get("state")?)?,
        applied,
        taint: Taint(taint.cast_unsigned()),
        last_seen: rows::moment("machines.last_seen", row.try_get("last_seen")?)?,
        revoked: revoked.map(|revoked| rows::moment("machines.revoked_at", revoked)).transpose()?,
        tags: rows::words(row.try_get("tags")?),
        last_event: event.map(|kind| format!("{kind}: {}", detail.unwrap_or_default())),
    })
}
