//! A type that old and new code share changes its layout.

use super::locality::{Locality, locality, user_names};
use crate::case::{Case, list};
use crate::debug::{Composite, DebugInfo, Enumeration, Place, Shape, Type, TypeId};
use crate::finding::{Finding, Rule, Severity};
use crate::layout::{Change, Layouts, enumeration};
use crate::source::has_word;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULE: Rule = Rule {
    code: "layout-changed",
    severity: Severity::Refuse,
    acceptable: true,
    meaning: "a structure, union or enumeration changes its layout, while objects that were made with the old one live on \
              and code that is not replaced keeps using it",
    example: "struct svc_export gains 'ex_rcu_work' and grows from 232 to 272 bytes: exports allocated before the livepatch \
              have no room for it",
    advice: "keep the old layout: put a new member into a shadow variable (klp_shadow_alloc, klp_shadow_get), leave a removed \
             one in place unused; where members must move, reboot into the fixed kernel",
};

/// No fix changes as many types; two different kernels, or damaged debug information, do, and then some say enough.
const MOST_TOLD: usize = 100;

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let layouts = Layouts::new(case.original, case.patched);
    let (old, new) = (named(case.original), named(case.patched));
    let mut found: Vec<(&String, &Named<'_>, Vec<Change>)> = Vec::new();
    for (name, definition) in &old {
        let Some(other) = new.get(name) else { continue };
        let changes = match (definition, other) {
            (Named::Composite(_, one), Named::Composite(_, other)) => layouts.composite(one, other),
            (Named::Enumeration(one), Named::Enumeration(other)) => enumeration(one, other),
            _ => Vec::new(),
        };
        if !changes.is_empty() {
            found.push((name, definition, changes));
        }
    }
    // What only grows because something named in it does is told with that.
    let (mut followers, mut roots): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(.., changes)| is_follower(changes));
    followers.truncate(MOST_TOLD);
    roots.truncate(MOST_TOLD);
    // Where no code changes, nothing in this unit depends on what did.
    let idle = case.difference.included.is_empty() && case.difference.changed.is_empty();
    let findings = roots.into_iter().map(|(name, definition, changes)| match definition {
        Named::Composite(id, composite) => {
            let also = in_the_wake_of(name, &followers);
            of_composite(case, name, (*id, composite), changes, &also)
        }
        Named::Enumeration(enumeration) => of_enumeration(case, name, enumeration, changes),
    });
    findings.map(|finding| if idle { finding.weighing(Severity::Note) } else { finding }).collect()
}

/// A definition that has a name.
enum Named<'i> {
    Composite(TypeId, &'i Composite<'i>),
    Enumeration(&'i Enumeration<'i>),
}

/// Definitions at file scope: by tag, or by the typedef that names what has none; enumerations without either by their first
/// enumerator.
fn named<'i>(info: &'i DebugInfo<'i>) -> BTreeMap<String, Named<'i>> {
    let mut found = BTreeMap::new();
    for (id, kind) in info.types() {
        match kind {
            Type::Composite(composite) => {
                if let Some(tag) =
                    composite.tag.filter(|_| composite.size.is_some() && composite.at_file_scope)
                {
                    let shape = if composite.shape == Shape::Struct { "struct" } else { "union" };
                    found.entry(format!("{shape} {tag}")).or_insert(Named::Composite(id, composite));
                }
            }
            Type::Enumeration(enumeration) => {
                let first = enumeration.enumerators.first();
                let name = match (enumeration.tag, first) {
                    (Some(tag), _) => format!("enum {tag}"),
                    (None, Some((first, _))) => format!("enum of {first}"),
                    _ => continue,
                };
                if first.is_some() {
                    found.entry(name).or_insert(Named::Enumeration(enumeration));
                }
            }
            Type::Typedef(name, Some(target)) => {
                if let Some(Type::Composite(composite)) = info.get(*target)
                    && composite.tag.is_none()
                    && composite.size.is_some()
                    && composite.at_file_scope
                {
                    found.entry((*name).to_owned()).or_insert(Named::Composite(*target, composite));
                }
            }
            _ => {}
        }
    }
    found
}

/// Those followers that have something changed as a member, or that have another of them.
fn in_the_wake_of<'n>(root: &str, followers: &[(&'n String, &Named<'_>, Vec<Change>)]) -> Vec<&'n str> {
    let mut reached: Vec<&str> = vec![root];
    let mut found: Vec<&'n str> = Vec::new();
    // Each round gets one level further out; structures do not nest deep.
    for _ in 0..8 {
        for (name, _, changes) in
            followers.iter().filter(|(name, ..)| !found.contains(&name.as_str())).collect::<Vec<_>>()
        {
            let holds = |change: &Change| match change {
                Change::Resized { old, .. } => reached.iter().any(|inner| has_word(old, bare(inner))),
                _ => false,
            };
            if changes.iter().any(holds) {
                found.push(name);
                reached.push(name);
            }
        }
    }
    found
}

/// A type's name without `struct`.
fn bare(name: &str) -> &str {
    name.rsplit(' ').next().unwrap_or(name)
}

fn is_follower(changes: &[Change]) -> bool {
    let follows = |change: &Change| {
        matches!(
            change,
            Change::Size { .. } | Change::Moved { .. } | Change::Resized { by_its_type: true, .. }
        )
    };
    changes.iter().all(follows) && changes.iter().any(|change| matches!(change, Change::Resized { .. }))
}

fn of_composite(
    case: &Case<'_>,
    name: &str,
    (id, composite): (TypeId, &Composite<'_>),
    changes: Vec<Change>,
    also: &[&str],
) -> Finding {
    let kind = Kind::of(&changes);
    let path = case.original.path(composite.place).to_owned();
    let (severity, where_objects_are) = match (kind, locality(case, id, &path)) {
        (Kind::Renamed, _) => (Severity::Note, ""),
        (Kind::Retyped { callback: false }, Locality::Shared) => {
            (Severity::Warn, "; existing objects hold what the old type meant")
        }
        (_, Locality::Shared) => {
            (Severity::Refuse, "; existing objects and code that is not replaced have the old one")
        }
        (_, Locality::Stack) => {
            (Severity::Warn, "; only changed functions have objects of it, on their stacks")
        }
        (_, Locality::Value) => (Severity::Note, "; only variables of changed functions have its type"),
    };
    let mut message = format!("{name} changes its layout: {}{where_objects_are}", describe(&changes));
    let changed: BTreeSet<&str> = case.changed().iter().map(|changed| changed.name).collect();
    let users = user_names(case, id);
    let others = users.iter().copied().filter(|user| !changed.contains(user));
    if severity == Severity::Refuse && others.clone().next().is_some() {
        message += &format!("; used here by {}, which stay as they are", list(others));
    }
    if !also.is_empty() {
        message += &format!("; in its wake: {}", list(also.iter().copied()));
    }
    let (advice, code) = advise(name, &changes, kind);
    let mut finding = Finding::new(&RULE, name, message, advice).weighing(severity);
    finding.code_to_use = code;
    finding.layout = changes.clone();
    finding.at(place(case, composite.place, &changes))
}

/// The line of the new member, else that of the definition.
fn place(case: &Case<'_>, definition: Place, changes: &[Change]) -> Option<(String, u32)> {
    let line = changes.iter().find_map(|change| match change {
        Change::Added { line, .. } if *line > 0 => Some(*line),
        _ => None,
    });
    let path = case.original.path(definition);
    let touched = case.files.iter().find(|file| file.path == path);
    match (line, touched) {
        (Some(line), Some(file)) => Some((path.to_owned(), file.line_of(line, None))),
        (Some(line), None) => Some((path.to_owned(), line)),
        (None, _) => case.place(case.original, definition),
    }
}

/// What it amounts to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Members only get other names.
    Renamed,
    /// All keeps its place, something means something else.
    Retyped { callback: bool },
    /// Only new members, in room that was free: nothing else moves.
    IntoHole,
    /// Only new members; others move, or the whole grows.
    Added,
    /// Only members that are gone, the rest stays where it was.
    Removed,
    /// Anything else.
    Other,
}

impl Kind {
    fn of(changes: &[Change]) -> Self {
        let has = |wanted: fn(&Change) -> bool| changes.iter().any(wanted);
        let added = has(|change| matches!(change, Change::Added { .. }));
        let removed = has(|change| matches!(change, Change::Removed { .. }));
        let resized = has(|change| matches!(change, Change::Resized { .. }));
        let retyped = has(|change| matches!(change, Change::Retyped { .. }));
        let moved = has(|change| matches!(change, Change::Moved { .. } | Change::Size { .. }));
        let callback = has(|change| matches!(change, Change::Retyped { callback: true, .. }));
        match (added, removed, resized, retyped, moved) {
            (false, false, false, false, false) => Self::Renamed,
            (false, false, false, true, false) => Self::Retyped { callback },
            (true, false, false, false, false) => Self::IntoHole,
            (true, false, false, false, true) => Self::Added,
            (false, true, false, false, _) => Self::Removed,
            _ => Self::Other,
        }
    }
}

fn describe(changes: &[Change]) -> String {
    let bytes = |bits: u64| match bits % 8 {
        0 => (bits / 8).to_string(),
        rest => format!("{} bit {rest}", bits / 8),
    };
    let moved = changes.iter().filter(|change| matches!(change, Change::Moved { .. })).count();
    let mut parts: Vec<String> = Vec::new();
    for change in changes {
        parts.push(match change {
            Change::Size { old, new } => format!("size {old} → {new}"),
            Change::Added { declaration, offset, .. } => {
                format!("new member '{declaration}' at {}", bytes(*offset))
            }
            Change::Removed { member, offset } => format!("'{member}' at {} is gone", bytes(*offset)),
            Change::Moved { member, old, new } => {
                format!("'{member}' moves {} → {}", bytes(*old), bytes(*new))
            }
            Change::Resized { member, old, new, .. } if old == new => {
                format!("'{member}' grows or shrinks with its type")
            }
            Change::Resized { member, old, new, .. } => format!("'{member}' changes from '{old}' to '{new}'"),
            Change::Retyped { member, old, new, .. } => format!("'{member}' changes from '{old}' to '{new}'"),
            Change::Renamed { old, new } => format!("'{old}' is called '{new}'"),
            Change::Value { enumerator, old, new } => format!("{enumerator} {old} → {new}"),
        });
        if parts.len() == 6 && changes.len() > 7 {
            parts.push(match moved {
                0 => format!("and {} more", changes.len() - 6),
                moved => format!("and more; {moved} members move"),
            });
            break;
        }
    }
    parts.join(", ")
}

fn advise(name: &str, changes: &[Change], kind: Kind) -> (String, Option<String>) {
    let added: Vec<(&str, &str)> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Added { member, declaration, .. } => Some((member.as_str(), declaration.as_str())),
            _ => None,
        })
        .collect();
    let members = || list(added.iter().map(|(member, _)| *member));
    match kind {
        Kind::Renamed => ("nothing: old and new code agree on the storage".into(), None),
        Kind::Retyped { callback: true } => (
            format!(
                "leave the member of {name} as it is and pass what is new in another way: functions that are registered in \
                 other modules are called with the old arguments' layout; else reboot into the fixed kernel"
            ),
            None,
        ),
        Kind::Retyped { callback: false } => {
            (format!("make sure that what existing objects of {name} hold is valid for the new code"), None)
        }
        Kind::IntoHole => (
            format!(
                "put {} into a shadow variable of the object; or accept it ({}:{name}) when the room is known to be \
                 zero in every existing object of {name} and zero means what the old code did",
                members(),
                RULE.code
            ),
            Some(shadow(name, &added)),
        ),
        Kind::Added => (
            format!("leave {name} as it is and put {} into a shadow variable of the object", members()),
            Some(shadow(name, &added)),
        ),
        Kind::Removed => {
            let gone = changes.iter().filter_map(|change| match change {
                Change::Removed { member, .. } => Some(member.as_str()),
                _ => None,
            });
            (format!("leave {} in {name}, unused: then nothing moves", list(gone)), None)
        }
        Kind::Other if !added.is_empty() => (
            format!(
                "leave the existing members of {name} where they are and put {} into a shadow variable; where that cannot \
                 be done, reboot into the fixed kernel",
                members()
            ),
            Some(shadow(name, &added)),
        ),
        Kind::Other => {
            (format!("leave the layout of {name} as it is; else reboot into the fixed kernel"), None)
        }
    }
}

/// C text that keeps new members in shadow variables (Documentation/livepatch/shadow-vars.rst).
fn shadow(name: &str, added: &[(&str, &str)]) -> String {
    let mut text = format!("/* Members that {name} has no room for, beside each object. */\n");
    for (number, (member, declaration)) in added.iter().enumerate() {
        let plain = member.replace('.', "_");
        let holder = format!("shadow_{plain}");
        text += &format!(
            "struct {holder} {{ {declaration}; }};\n\
             #define SHADOW_{id} {}\n\
             /* where an object is made, or first seen: */\n\
             struct {holder} *{plain} = klp_shadow_get_or_alloc(object, SHADOW_{id}, sizeof(*{plain}), GFP_KERNEL, NULL, NULL);\n\
             /* where it is used; NULL for objects that never got one: */\n\
             {plain} = klp_shadow_get(object, SHADOW_{id});\n\
             /* where the object is freed: */\n\
             klp_shadow_free(object, SHADOW_{id}, NULL);\n",
            number + 1,
            id = plain.to_uppercase(),
        );
    }
    text
}

fn of_enumeration(
    case: &Case<'_>,
    name: &str,
    enumeration: &Enumeration<'_>,
    changes: Vec<Change>,
) -> Finding {
    // The last one only counts the others: whoever has it in an array's size is found by that.
    let counts = |change: &Change| match change {
        Change::Value { enumerator, old, .. } => {
            enumeration.enumerators.iter().all(|(_, value)| value <= old) && is_count(enumerator)
        }
        _ => false,
    };
    let severity = if changes.iter().all(counts) { Severity::Warn } else { Severity::Refuse };
    let message =
        format!("{name} changes: {}; code that is not replaced uses the old values", describe(&changes));
    let advice = match severity {
        Severity::Warn => {
            "check that nothing outside the changed functions depends on the number of values".to_owned()
        }
        _ => format!(
            "give the new constants of {name} values behind the existing ones; else reboot into the fixed kernel"
        ),
    };
    let mut finding = Finding::new(&RULE, name, message, advice).weighing(severity);
    finding.layout = changes;
    finding.at(case.place(case.original, enumeration.place))
}

fn is_count(enumerator: &str) -> bool {
    let upper = enumerator.to_uppercase();
    upper.starts_with("__")
        || ["MAX", "LAST", "NUM", "COUNT", "NR_", "_NR", "SIZE", "END"]
            .iter()
            .any(|word| upper.contains(word))
}
