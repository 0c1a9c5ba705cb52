//! A cap on machines of one group that change at the same time, as a counting semaphore with leases: two nodes of one
//! cluster do not run a transition or a soak together.

use crate::Seconds;
use serde::{Deserialize, Serialize};

/// A machine's right to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lease {
    /// Who holds it.
    pub machine_id: String,
    /// Until when, unless it is given back.
    pub until: Seconds,
}

/// What came of asking for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "slot")]
pub enum Slot {
    /// The machine may change until then.
    Granted {
        /// When the lease ends.
        until: Seconds,
    },
    /// All are taken.
    Wait {
        /// When the first of them ends, at the latest.
        until: Seconds,
    },
}

/// Asks for a lease among those that the group has given out. Asking again renews one's own. `cap` 0 means one.
pub fn ask(leases: &mut Vec<Lease>, cap: u32, machine_id: &str, length: u32, now: Seconds) -> Slot {
    leases.retain(|lease| lease.until > now);
    let until = now.saturating_add(i64::from(length));
    if let Some(own) = leases.iter_mut().find(|lease| lease.machine_id == machine_id) {
        own.until = until;
        return Slot::Granted { until };
    }
    if leases.len() < cap.max(1) as usize {
        leases.push(Lease { machine_id: machine_id.to_owned(), until });
        return Slot::Granted { until };
    }
    Slot::Wait { until: leases.iter().map(|lease| lease.until).min().unwrap_or(until) }
}
