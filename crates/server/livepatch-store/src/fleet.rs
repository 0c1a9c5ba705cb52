//! The fleet at a glance: counts that the database makes, and machines a page at a time.

use crate::{Seconds, Store, StoreError, machines, rows};
use livepatch_api::{MachineSummary, PatchState};
use livepatch_kernel::{BuildId, KernelRelease};
use sqlx::{Any, Row, any::AnyArguments, any::AnyRow, query::Query};
use std::collections::{BTreeMap, BTreeSet};

/// Machines that are alike in everything that the overview asks about. Revoked machines are in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their kernel.
    pub release: KernelRelease,
    /// Its build.
    pub build_id: BuildId,
    /// Their tier.
    pub tier: String,
    /// Their state.
    pub state: PatchState,
    /// The version that is applied; absent: none.
    pub applied_version: Option<u32>,
    /// How many.
    pub machines: u32,
}

/// The order of a list of machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineOrder {
    /// By host name.
    #[default]
    Hostname,
    /// By the kernel's release, as text.
    Kernel,
    /// By state, as text.
    State,
    /// The one that was heard of longest ago first.
    LastSeen,
}

/// Which machines, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineQuery {
    /// Part of the host name, or the beginning of the id.
    pub search: Option<String>,
    /// Only those in one of these states; empty: any.
    pub states: Vec<PatchState>,
    /// Only those of this tier.
    pub tier: Option<String>,
    /// Only those with this kernel release.
    pub kernel: Option<String>,
    /// Only those that carry this word.
    pub tag: Option<String>,
    /// Only those that run one of these kernel builds, and have no livepatch of at least this version.
    pub below: Option<Vec<(BuildId, u32)>>,
    /// Only those that were not heard of since.
    pub silent_since: Option<Seconds>,
    /// The order.
    pub order: MachineOrder,
    /// Only those behind this one in the order: its value in the order's column, and its id.
    pub after: Option<(String, String)>,
}

/// Machines of a query, and where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinePage {
    /// The machines.
    pub machines: Vec<MachineSummary>,
    /// For [`MachineQuery::after`]; absent: these are the last.
    pub next: Option<(String, String)>,
}

/// An event with the machine that reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetEvent {
    /// The machine's id.
    pub machine_id: String,
    /// Its host name.
    pub hostname: String,
    /// When it was received.
    pub received: Seconds,
    /// What, as one word.
    pub kind: String,
    /// One sentence.
    pub detail: String,
}

/// A value in a statement that is put together.
enum Bind {
    Text(String),
    Number(i64),
}

impl Store {
    /// All machines that are not revoked, counted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups(&self) -> Result<Vec<Group>, StoreError> {
        let rows = sqlx::query(
            "SELECT kernel_release, kernel_build_id, tier, state, applied_version, COUNT(*) AS machines FROM machines \
             WHERE revoked_at IS NULL GROUP BY kernel_release, kernel_build_id, tier, state, applied_version",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(group).collect()
    }

    /// How many machines that are not revoked were not heard of since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silent_machines(&self, since: Seconds) -> Result<u32, StoreError> {
        let statement =
            "SELECT COUNT(*) AS machines FROM machines WHERE last_seen < $1 AND revoked_at IS NULL";
        let row = sqlx::query(statement).bind(since).fetch_one(&self.pool).await?;
        rows::count("machines", row.try_get("machines")?)
    }

    /// A page of machines, at most `limit`. Revoked machines are among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machine_page(&self, query: &MachineQuery, limit: u32) -> Result<MachinePage, StoreError> {
        let (mut conditions, mut binds) = self.conditions(query).await?;
        let column = query.order.column();
        if let Some((value, id)) = &query.after {
            let (at, next) = (binds.len() + 1, binds.len() + 2);
            conditions.push(format!("({column} > ${at} OR ({column} = ${at} AND id > ${next}))"));
            binds.push(match query.order {
                MachineOrder::LastSeen => Bind::Number(value.parse().unwrap_or_default()),
                _ => Bind::Text(value.clone()),
            });
            binds.push(Bind::Text(id.clone()));
        }
        // Ids first: what a summary looks up besides would otherwise be looked up for every machine that is sorted.
        let statement = format!(
            "{} WHERE id IN (SELECT id FROM machines {} ORDER BY {column}, id LIMIT ${}) ORDER BY {column}, id",
            machines::SUMMARY,
            all_of(&conditions),
            binds.len() + 1
        );
        // One more than asked for tells whether there is a next page.
        binds.push(Bind::Number(i64::from(limit) + 1));
        let rows = bound(sqlx::query(sqlx::AssertSqlSafe(statement)), binds).fetch_all(&self.pool).await?;
        let shown = rows.get(..limit as usize);
        let next = match shown.and_then(<[AnyRow]>::last) {
            Some(last) => Some((query.order.value(last)?, last.try_get("id")?)),
            None => None,
        };
        let next = next.filter(|_| rows.len() > limit as usize);
        let machines = shown.unwrap_or(&rows).iter().map(machines::summary).collect::<Result<_, _>>()?;
        Ok(MachinePage { machines, next })
    }

    /// How many machines a query is about, whatever page of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machine_count(&self, query: &MachineQuery) -> Result<u32, StoreError> {
        let (conditions, binds) = self.conditions(query).await?;
        let statement = format!("SELECT COUNT(*) AS machines FROM machines {}", all_of(&conditions));
        let row = bound(sqlx::query(sqlx::AssertSqlSafe(statement)), binds).fetch_one(&self.pool).await?;
        rows::count("machines", row.try_get("machines")?)
    }

    /// Machines that are not revoked, counted by the words that they carry and by state. The words are as the token gave
    /// them, several divided by commas.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn machines_by_tags(&self) -> Result<Vec<(Vec<String>, PatchState, u32)>, StoreError> {
        let statement = "SELECT tags, state, COUNT(*) AS machines FROM machines \
                         WHERE tags <> '' AND revoked_at IS NULL GROUP BY tags, state";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        let group = |row: &AnyRow| {
            let state = rows::from_word("machines.state", row.try_get("state")?)?;
            let machines = rows::count("machines", row.try_get("machines")?)?;
            Ok((rows::words(row.try_get("tags")?), state, machines))
        };
        rows.iter().map(group).collect()
    }

    /// The words that machines can carry, in order: those of the tokens that they enrol with.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn tags(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(self.tag_sets().await?.iter().flat_map(|set| rows::words(set)).collect())
    }

    /// The same as tokens carry them.
    async fn tag_sets(&self) -> Result<Vec<String>, StoreError> {
        let rows =
            sqlx::query("SELECT DISTINCT tags FROM tokens WHERE tags <> ''").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get("tags")?)).collect()
    }

    async fn conditions(&self, query: &MachineQuery) -> Result<(Vec<String>, Vec<Bind>), StoreError> {
        let (mut conditions, mut binds) = conditions(query);
        if let Some(tag) = &query.tag {
            // Few tokens give few sets of words, so the machines are found by an index.
            let with =
                self.tag_sets().await?.into_iter().filter(|set| set.split(',').any(|word| word == tag));
            let with = with.map(|set| {
                binds.push(Bind::Text(set));
                format!("${}", binds.len())
            });
            let places: Vec<String> = with.collect();
            // An empty list is no SQL; nobody carries such a word.
            conditions.push(match places.is_empty() {
                true => "1 = 0".to_owned(),
                false => format!("tags IN ({})", places.join(", ")),
            });
        }
        if let Some(below) = &query.below {
            let builds = below.iter().map(|(build, version)| {
                binds.push(Bind::Text(build.to_string()));
                binds.push(Bind::Number(i64::from(*version)));
                let (build, version) = (binds.len() - 1, binds.len());
                format!("(kernel_build_id = ${build} AND COALESCE(applied_version, 0) < ${version})")
            });
            let builds: Vec<String> = builds.collect();
            conditions.push(match builds.is_empty() {
                true => "1 = 0".to_owned(),
                false => format!("({}) AND revoked_at IS NULL", builds.join(" OR ")),
            });
        }
        Ok((conditions, binds))
    }

    /// How many machines of each kernel build are in these tiers and were heard of since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn populations(
        &self,
        tiers: &[String],
        since: Seconds,
    ) -> Result<BTreeMap<BuildId, u32>, StoreError> {
        let mut populations = BTreeMap::new();
        for tier in tiers {
            let rows = sqlx::query(
                "SELECT kernel_build_id, COUNT(*) AS machines FROM machines WHERE tier = $1 AND last_seen >= $2 \
                 GROUP BY kernel_build_id",
            )
            .bind(tier)
            .bind(since)
            .fetch_all(&self.pool)
            .await?;
            for row in &rows {
                let build: String = row.try_get("kernel_build_id")?;
                let build = rows::parse("machines.kernel_build_id", &build)?;
                *populations.entry(build).or_default() += rows::count("machines", row.try_get("machines")?)?;
            }
        }
        Ok(populations)
    }

    /// The newest events of trouble: crashes and failures.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn troubles(&self, limit: u32) -> Result<Vec<FleetEvent>, StoreError> {
        let mut events = Vec::new();
        for kind in ["crashed", "failed"] {
            let rows = sqlx::query(
                "SELECT events.id AS event, machine_id, hostname, received_at, kind, detail \
                 FROM events JOIN machines ON machines.id = machine_id \
                 WHERE kind = $1 ORDER BY events.id DESC LIMIT $2",
            )
            .bind(kind)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
            for row in &rows {
                let id: i64 = row.try_get("event")?;
                events.push((id, fleet_event(row)?));
            }
        }
        events.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Ok(events.into_iter().map(|(_, event)| event).take(limit as usize).collect())
    }

    /// When the share of the machines that were given a release had got it; in order of the shares, from 0 to 1. Empty when
    /// nobody has it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn given_times(&self, release: &str, shares: &[f64]) -> Result<Vec<Seconds>, StoreError> {
        let statement = "SELECT COUNT(*) AS machines FROM rollout_machines WHERE release = $1 AND given = 1";
        let row = sqlx::query(statement).bind(release).fetch_one(&self.pool).await?;
        let given: i64 = row.try_get("machines")?;
        let mut times = Vec::new();
        for share in shares {
            // The one at whose turn the share is reached.
            let nth = ((given as f64 * share).ceil() as i64 - 1).clamp(0, (given - 1).max(0));
            let row = sqlx::query(
                "SELECT first_at FROM rollout_machines WHERE release = $1 AND given = 1 ORDER BY first_at LIMIT 1 OFFSET $2",
            )
            .bind(release)
            .bind(nth)
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = row {
                times.push(row.try_get("first_at")?);
            }
        }
        Ok(times)
    }
}

impl MachineOrder {
    fn column(self) -> &'static str {
        match self {
            Self::Hostname => "hostname",
            Self::Kernel => "kernel_release",
            Self::State => "state",
            Self::LastSeen => "last_seen",
        }
    }

    /// A row's place, as text.
    fn value(self, row: &AnyRow) -> Result<String, StoreError> {
        match self {
            Self::LastSeen => Ok(row.try_get::<i64, _>("last_seen")?.to_string()),
            _ => Ok(row.try_get(self.column())?),
        }
    }
}

fn conditions(query: &MachineQuery) -> (Vec<String>, Vec<Bind>) {
    let (mut conditions, mut binds) = (Vec::new(), Vec::new());
    let mut given = |condition: &dyn Fn(usize) -> String, bind: Bind| {
        binds.push(bind);
        conditions.push(condition(binds.len()));
    };
    if let Some(search) = &query.search {
        let pattern = format!("%{}%", escape_like(&search.to_lowercase()));
        given(
            &|at| format!("(LOWER(hostname) LIKE ${at} ESCAPE '\\' OR id LIKE ${at} ESCAPE '\\')"),
            Bind::Text(pattern),
        );
    }
    if let Some(tier) = &query.tier {
        given(&|at| format!("tier = ${at}"), Bind::Text(tier.clone()));
    }
    if let Some(kernel) = &query.kernel {
        given(&|at| format!("kernel_release = ${at}"), Bind::Text(kernel.clone()));
    }
    if let Some(since) = query.silent_since {
        given(&|at| format!("last_seen < ${at} AND revoked_at IS NULL"), Bind::Number(since));
    }
    if !query.states.is_empty() {
        let first = binds.len() + 1;
        let places: Vec<String> = (first..first + query.states.len()).map(|at| format!("${at}")).collect();
        binds.extend(query.states.iter().map(|state| Bind::Text(rows::word(state))));
        conditions.push(format!("state IN ({}) AND revoked_at IS NULL", places.join(", ")));
    }
    (conditions, binds)
}

fn all_of(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) }
}

fn bound(mut query: Query<'_, Any, AnyArguments>, binds: Vec<Bind>) -> Query<'_, Any, AnyArguments> {
    for bind in binds {
        query = match bind {
            Bind::Text(text) => query.bind(text),
            Bind::Number(number) => query.bind(number),
        };
    }
    query
}

/// What a person types is text, not a pattern.
fn escape_like(text: &str) -> String {
    text.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| "%_\\".contains(c)).chain([c])).collect()
}

fn group(row: &AnyRow) -> Result<Group, StoreError> {
    let version: Option<i64> = row.try_get("applied_version")?;
    Ok(Group {
        release: rows::parse("machines.kernel_release", row.try_get("kernel_release")?)?,
        build_id: rows::parse("machines.kernel_build_id", row.try_get("kernel_build_id")?)?,
        tier: row.try_get("tier")?,
        state: rows::from_word("machines.state", row.try_get("state")?)?,
        applied_version: version
            .map(|version| rows::count("machines.applied_version", version))
            .transpose()?,
        machines: rows::count("machines", row.try_get("machines")?)?,
    })
}

fn fleet_event(row: &AnyRow) -> Result<FleetEvent, StoreError> {
    Ok(FleetEvent {
        machine_id: row.try_get("machine_id")?,
        hostname: row.try_get("hostname")?,
        received: row.try_get("received_at")?,
        kind: row.try_get("kind")?,
        detail: row.try_get("detail")?,
    })
}
