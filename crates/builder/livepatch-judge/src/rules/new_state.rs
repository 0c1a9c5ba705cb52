//! New static data that pairs with state which exists already.

use crate::case::Case;
use crate::debug::{DEEPEST, DebugInfo, Type, TypeId};
use crate::finding::{Finding, Rule, Severity};
use livepatch_diff::names::{is_never_shared, without_numbers};
use livepatch_diff::{SymbolIndex, SymbolKind};

pub(super) const RULE: Rule = Rule {
    code: "new-state-in-existing-object",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "the fix brings a new lock, list or counter for state that exists already: code that is not replaced, or still \
              runs in its old form, does not know it",
    example: "a new spinlock nft_counter_lock guards counters: a task in the old code changes them without it until the \
              transition is over",
    advice: "make sure that every function that touches the state is among the changed ones, and that the new object's initial \
             value (zero, unlocked, empty) suits whatever state the kernel is in when the livepatch comes and goes",
};

/// Types that make a variable more than a constant (include/linux: spinlock_types.h, mutex.h, types.h, refcount.h, wait.h,
/// completion.h, rwsem.h, workqueue.h, timer.h, idr.h, xarray.h): name, and what to call it.
const STATEFUL: [(&str, &str); 20] = [
    ("spinlock", "lock"),
    ("raw_spinlock", "lock"),
    ("qspinlock", "lock"),
    ("mutex", "lock"),
    ("rwlock_t", "lock"),
    ("rw_semaphore", "lock"),
    ("semaphore", "lock"),
    ("seqcount", "lock"),
    ("list_head", "list"),
    ("hlist_head", "list"),
    ("llist_head", "list"),
    ("rb_root", "tree"),
    ("idr", "table"),
    ("xarray", "table"),
    ("atomic_t", "counter"),
    ("atomic64_t", "counter"),
    ("refcount_struct", "counter"),
    ("wait_queue_head", "wait queue"),
    ("work_struct", "work item"),
    ("timer_list", "timer"),
];

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let patched = case.difference.patched;
    let is_new = |index: &&SymbolIndex| {
        let symbol = &patched.symbols[**index];
        symbol.kind == SymbolKind::Object
            && case.difference.correlation.original_of(**index).is_none()
            && !is_never_shared(&symbol.name)
            && patched.section_of(**index).is_some_and(|section| patched.sections[section].is_writable())
    };
    case.difference.included.iter().filter(is_new).filter_map(|&index| one(case, index)).collect()
}

fn one(case: &Case<'_>, index: SymbolIndex) -> Option<Finding> {
    let symbol = &case.difference.patched.symbols[index];
    let name = without_numbers(&symbol.name);
    let section = case.difference.patched.section_of(index)?;
    let variable = case.patched.variable_at(section, symbol.value)?;
    let place = case.place(case.patched, variable.place);
    let Some(what) = variable.of.and_then(|of| stateful(case.patched, of, 6)) else {
        let message = format!(
            "'{name}' is a new variable of the livepatch: it starts anew each time the livepatch is loaded"
        );
        let advice = "make sure that its initial value suits whatever state the kernel is in by then";
        return Some(Finding::new(&RULE, name, message, advice).weighing(Severity::Note).at(place));
    };
    let message = format!(
        "'{name}' is a new {what} ({}): during the transition, old code runs beside the new without it",
        case.patched.declare(variable.of, &name)
    );
    let advice = format!(
        "check that every function that touches what '{name}' guards or holds is replaced, and that nothing breaks while some \
         tasks use it and others do not; else reboot into the fixed kernel"
    );
    Some(Finding::new(&RULE, name, message, advice).at(place))
}

/// What kind of state a type holds, in itself or in a member.
fn stateful(info: &DebugInfo<'_>, of: TypeId, depth: u32) -> Option<&'static str> {
    let known = |name: &str| STATEFUL.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
    let mut id = of;
    for _ in 0..DEEPEST {
        match info.get(id)? {
            Type::Typedef(name, Some(next)) => match known(name) {
                Some(what) => return Some(what),
                None => id = *next,
            },
            Type::Qualified(_, Some(next)) | Type::Array(Some(next), _) => id = *next,
            Type::Composite(composite) => {
                if let Some(what) = composite.tag.and_then(known) {
                    return Some(what);
                }
                let inner = composite.members.iter().take(64).filter_map(|member| member.of);
                return (depth > 0)
                    .then(|| inner.into_iter().find_map(|of| stateful(info, of, depth - 1)))?;
            }
            _ => return None,
        }
    }
    None
}
