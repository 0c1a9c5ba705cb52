//! A lock that is taken in one function and released in another, or whose balance within a function changes.

use crate::case::{Case, Changed, callees, list};
use crate::debug::{DebugInfo, FunctionId};
use crate::finding::{Finding, Rule, Severity};
use crate::source::has_word;
use livepatch_diff::{Object, SymbolIndex};
use std::collections::BTreeMap;

pub(super) const RULE: Rule = Rule {
    code: "lock-asymmetry",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "a changed function takes a lock that it does not release, or releases one that it does not take, and did not do so \
              before: a task between the old half and the new half holds it for ever, or releases what it never took",
    example: "the new foo_open() takes foo_mutex and the new foo_release() releases it: a file opened before the livepatch \
              is closed after it",
    advice: "take and release the lock within one function; or make sure that whoever began in the old code cannot end in the new",
};

/// Lock operations by family: what takes, what releases. Names in the source; variants by suffix are below.
/// From include/linux: mutex.h, spinlock.h, rwlock.h, rwsem.h, semaphore.h, rcupdate.h, seqlock.h, srcu.h, rtmutex.h, preempt.h,
/// percpu-rwsem.h, bit_spinlock.h, net/sock.h, rtnetlink.h, mmap_lock.h.
const FAMILIES: [(&str, &[&str], &[&str]); 16] = [
    (
        "mutex",
        &[
            "mutex_lock",
            "mutex_lock_interruptible",
            "mutex_lock_killable",
            "mutex_lock_nested",
            "mutex_trylock",
        ],
        &["mutex_unlock"],
    ),
    (
        "spinlock",
        &["spin_lock", "_raw_spin_lock", "raw_spin_lock", "spin_trylock"],
        &["spin_unlock", "_raw_spin_unlock", "raw_spin_unlock"],
    ),
    ("read lock", &["read_lock", "_raw_read_lock"], &["read_unlock", "_raw_read_unlock"]),
    ("write lock", &["write_lock", "_raw_write_lock"], &["write_unlock", "_raw_write_unlock"]),
    (
        "reader's semaphore",
        &[
            "down_read",
            "down_read_killable",
            "down_read_interruptible",
            "down_read_trylock",
            "down_read_nested",
        ],
        &["up_read"],
    ),
    (
        "writer's semaphore",
        &["down_write", "down_write_killable", "down_write_trylock", "down_write_nested"],
        &["up_write", "downgrade_write"],
    ),
    ("semaphore", &["down", "down_interruptible", "down_killable", "down_trylock", "down_timeout"], &["up"]),
    ("RCU read side", &["rcu_read_lock", "__rcu_read_lock"], &["rcu_read_unlock", "__rcu_read_unlock"]),
    ("SRCU read side", &["srcu_read_lock", "__srcu_read_lock"], &["srcu_read_unlock", "__srcu_read_unlock"]),
    ("seqlock", &["write_seqlock", "write_seqcount_begin"], &["write_sequnlock", "write_seqcount_end"]),
    ("socket lock", &["lock_sock", "lock_sock_nested", "bh_lock_sock"], &["release_sock", "bh_unlock_sock"]),
    ("rtnl lock", &["rtnl_lock", "rtnl_trylock", "rtnl_lock_killable"], &["rtnl_unlock", "__rtnl_unlock"]),
    ("inode lock", &["inode_lock", "inode_trylock", "inode_lock_nested"], &["inode_unlock"]),
    (
        "mmap lock for reading",
        &["mmap_read_lock", "mmap_read_lock_killable", "mmap_read_trylock"],
        &["mmap_read_unlock"],
    ),
    ("mmap lock for writing", &["mmap_write_lock", "mmap_write_lock_killable"], &["mmap_write_unlock"]),
    ("preemption", &["preempt_disable"], &["preempt_enable"]),
];

/// What spinlocks and rwlocks add to say what else they keep out (include/linux/spinlock_api_smp.h).
const SUFFIXES: [&str; 5] = ["_bh", "_irqsave", "_irqrestore", "_irq", "_nested"];

/// Whether a function takes a family of locks, and whether it releases it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Balance {
    takes: bool,
    releases: bool,
}

impl Balance {
    fn is_even(self) -> bool {
        self.takes == self.releases
    }
}

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let mut uneven: Vec<(Changed<'_>, &'static str, Balance, Balance)> = Vec::new();
    for changed in case.changed() {
        let old = balances(case.difference.original, case.original, changed.indices.0, changed.old);
        let new = balances(case.difference.patched, case.patched, changed.indices.1, changed.new);
        for (family, ..) in FAMILIES {
            let before = old.get(family).copied().unwrap_or_default();
            let after = new.get(family).copied().unwrap_or_default();
            if before != after && !after.is_even() {
                let again = Changed { symbol: changed.symbol, name: changed.name, ..changed };
                uneven.push((again, family, before, after));
            }
        }
    }
    uneven
        .iter()
        .map(|(changed, family, before, after)| one(case, changed, family, *before, *after, &uneven))
        .collect()
}

fn one(
    case: &Case<'_>,
    changed: &Changed<'_>,
    family: &str,
    before: Balance,
    after: Balance,
    all: &[(Changed<'_>, &'static str, Balance, Balance)],
) -> Finding {
    let name = changed.name;
    let said = |balance: Balance| match (balance.takes, balance.releases) {
        (true, true) => "takes and releases",
        (true, false) => "takes and does not release",
        (false, true) => "releases and does not take",
        (false, false) => "does not touch",
    };
    let mut message =
        format!("'{name}' {} a {family} now; before, it {} one", said(after), said_before(before));
    let partners =
        all.iter().filter(|(_, other, _, balance)| *other == family && balance.takes != after.takes);
    let partners = list(partners.map(|(other, ..)| other.name));
    if !partners.is_empty() {
        message += &format!("; the other half is in {partners}");
    }
    let (line, expression) = call_in(case, name, family, after.takes).unzip();
    if let Some(expression) = expression {
        message += &format!(" ({expression})");
    }
    let place = line.or_else(|| case.edit_of(name).map(|(file, line)| (file.to_owned(), line)));
    let advice = if partners.is_empty() {
        format!(
            "check who has the other half of the {family}: if code that is not replaced has it, it does not fit any more"
        )
    } else {
        format!(
            "take and release the {family} within one function; else a task that went through the old half of '{name}' and \
             {partners} meets the new one"
        )
    };
    Finding::new(&RULE, format!("{name}/{family}"), message, advice).at(place)
}

fn said_before(balance: Balance) -> &'static str {
    match (balance.takes, balance.releases) {
        (true, true) => "took and released",
        (true, false) => "took and did not release",
        (false, true) => "released and did not take",
        (false, false) => "did not touch",
    }
}

/// What a function does with each family, by the names of what it calls and of what is inlined into it.
fn balances(
    object: &Object,
    info: &DebugInfo<'_>,
    index: SymbolIndex,
    function: Option<FunctionId>,
) -> BTreeMap<&'static str, Balance> {
    let mut found: BTreeMap<&'static str, Balance> = BTreeMap::new();
    let called = callees(object, index);
    let inlined = Case::inlined_names(info, function);
    for name in called.keys().chain(inlined.keys()) {
        let Some((family, takes)) = family_of(name) else { continue };
        let balance = found.entry(family).or_default();
        balance.takes |= takes;
        balance.releases |= !takes;
    }
    found
}

/// The family of an operation, and whether it takes the lock.
fn family_of(name: &str) -> Option<(&'static str, bool)> {
    let bare = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    let is = |names: &[&str]| names.contains(&name) || bare.is_some_and(|bare| names.contains(&bare));
    FAMILIES.iter().find_map(|(family, takes, releases)| {
        if is(takes) { Some((*family, true)) } else { is(releases).then_some((*family, false)) }
    })
}

/// The line of a function's text that takes or releases the family: its place, and the call.
fn call_in(case: &Case<'_>, name: &str, family: &str, takes: bool) -> Option<((String, u32), String)> {
    let (file, extent) = case.text_of(name)?;
    let (_, taking, releasing) = FAMILIES.iter().find(|(known, ..)| *known == family)?;
    let names = if takes { taking } else { releasing };
    file.text_of(extent).find_map(|(line, text)| {
        let hit = names.iter().any(|name| {
            has_word(text, name) || SUFFIXES.iter().any(|suffix| has_word(text, &format!("{name}{suffix}")))
        });
        hit.then(|| ((file.path.clone(), line), text.trim().trim_end_matches(';').to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_belong_to_their_family() {
        assert_eq!(family_of("_raw_spin_lock_irqsave"), Some(("spinlock", true)));
        assert_eq!(family_of("spin_unlock_bh"), Some(("spinlock", false)));
        assert_eq!(family_of("down_write_killable"), Some(("writer's semaphore", true)));
        assert_eq!(family_of("up"), Some(("semaphore", false)));
        assert_eq!(family_of("spin_lock_init"), None);
    }
}
