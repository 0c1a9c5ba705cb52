//! What becomes of the layout of a type that both sides define.
//!
//! By definition, never by order or offset of the debugging entries: types with a name are the same when they have the same
//! name, since each definition is compared on its own; types without one are compared by what they consist of.

use crate::debug::{Composite, DEEPEST, DebugInfo, Enumeration, Member, Prototype, Type, TypeId};
use schemars::JsonSchema;
use serde::Serialize;
use std::cell::Cell;
use std::collections::BTreeMap;

/// Pointers of the kernels that livepatches are linked for.
pub(crate) const ADDRESS_SIZE: u64 = 8;
/// No structure of a kernel has as many members; hostile ones do.
const MOST_MEMBERS: usize = 20_000;

/// What happens to a member, or to the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// The size of the whole.
    Size {
        /// Bytes before.
        old: u64,
        /// Bytes after.
        new: u64,
    },
    /// A new member.
    Added {
        /// Its name, with the names of those that it lies in.
        member: String,
        /// Its declaration in C.
        declaration: String,
        /// Offset in bits.
        offset: u64,
        /// Size in bits.
        bits: u64,
        /// Line of its declaration.
        line: u32,
    },
    /// A member is gone.
    Removed {
        /// Its name.
        member: String,
        /// Offset in bits.
        offset: u64,
    },
    /// A member lies elsewhere.
    Moved {
        /// Its name.
        member: String,
        /// Offset in bits before.
        old: u64,
        /// Offset in bits after.
        new: u64,
    },
    /// A member has another size.
    Resized {
        /// Its name.
        member: String,
        /// Its declaration before.
        old: String,
        /// Its declaration after.
        new: String,
        /// Whether only a type that it consists of, and that is named, changed.
        by_its_type: bool,
    },
    /// A member keeps its place and means something else.
    Retyped {
        /// Its name.
        member: String,
        /// Its declaration before.
        old: String,
        /// Its declaration after.
        new: String,
        /// Whether it points to a function that is called with other arguments now.
        callback: bool,
    },
    /// A member keeps its place and type under another name.
    Renamed {
        /// Name before.
        old: String,
        /// Name after.
        new: String,
    },
    /// An enumerator has another value.
    Value {
        /// Its name.
        enumerator: String,
        /// Value before.
        old: i64,
        /// Value after.
        new: i64,
    },
}

/// How two types relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Same,
    Resized { by_its_type: bool },
    Retyped { callback: bool },
}

/// The two sides of a comparison.
pub(crate) struct Layouts<'a> {
    pub(crate) old: &'a DebugInfo<'a>,
    pub(crate) new: &'a DebugInfo<'a>,
    /// Comparisons that may still be made: types can be knotted so that all their paths would take for ever.
    fuel: Cell<u32>,
}

/// Far above what a large unit takes (a few ten thousand).
const FUEL: u32 = 4_000_000;

/// A member with its place in the outermost structure.
struct Flat {
    of: Option<TypeId>,
    offset: u64,
    /// Size in bits.
    bits: u64,
    line: u32,
}

impl<'a> Layouts<'a> {
    pub(crate) fn new(old: &'a DebugInfo<'a>, new: &'a DebugInfo<'a>) -> Self {
        Self { old, new, fuel: Cell::new(FUEL) }
    }

    fn burn(&self, amount: usize) -> bool {
        let left = self.fuel.get().saturating_sub(u32::try_from(amount).unwrap_or(u32::MAX));
        self.fuel.set(left);
        left > 0
    }

    /// What becomes of a structure or union; empty when it stays as it is.
    pub(crate) fn composite(&self, old: &Composite<'_>, new: &Composite<'_>) -> Vec<Change> {
        self.composite_at(old, new, DEEPEST)
    }

    fn composite_at(&self, old: &Composite<'_>, new: &Composite<'_>, depth: u32) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.evidently_same(old, new, depth) || !self.burn(old.members.len() + new.members.len()) {
            return changes;
        }
        if let (Some(old), Some(new)) = (old.size, new.size)
            && old != new
        {
            changes.push(Change::Size { old, new });
        }
        let (before, after) = (flatten(self.old, old), flatten(self.new, new));
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for (name, member) in &before {
            match after.get(name) {
                Some(other) => self.member(name, member, other, depth, &mut changes),
                None => gone.push((name, member)),
            }
        }
        come.extend(after.iter().filter(|(name, _)| !before.contains_key(*name)));
        self.gone_and_come(&gone, &come, depth, &mut changes);
        changes.sort_by_key(place_in_report);
        changes
    }

    /// Member by member, in order: what almost all structures pass, without anything being built for it.
    fn evidently_same(&self, old: &Composite<'_>, new: &Composite<'_>, depth: u32) -> bool {
        old.size == new.size
            && old.members.len() == new.members.len()
            && old.members.iter().zip(&new.members).all(|(one, other)| {
                (one.name, one.offset, one.bits) == (other.name, other.offset, other.bits)
                    && self.relation(one.of, other.of, depth.saturating_sub(1)) == Relation::Same
            })
    }

    fn gone_and_come(
        &self,
        gone: &[(&String, &Flat)],
        come: &[(&String, &Flat)],
        depth: u32,
        changes: &mut Vec<Change>,
    ) {
        let same = |old: &Flat, new: &Flat| {
            (old.offset, old.bits) == (new.offset, new.bits)
                && self.relation(old.of, new.of, depth.saturating_sub(1)) == Relation::Same
        };
        let mut renamed = Vec::new();
        for &(name, member) in gone {
            match come.iter().find(|(other, new)| same(member, new) && !renamed.contains(other)) {
                Some(&(other, _)) => {
                    renamed.push(other);
                    changes.push(Change::Renamed { old: name.clone(), new: other.clone() });
                }
                None => changes.push(Change::Removed { member: name.clone(), offset: member.offset }),
            }
        }
        for &(name, member) in come.iter().filter(|(name, _)| !renamed.contains(name)) {
            changes.push(Change::Added {
                member: name.clone(),
                declaration: self.new.declare(member.of, last(name)),
                offset: member.offset,
                bits: member.bits,
                line: member.line,
            });
        }
    }

    fn member(&self, name: &str, old: &Flat, new: &Flat, depth: u32, changes: &mut Vec<Change>) {
        let member = name.to_owned();
        if old.offset != new.offset {
            changes.push(Change::Moved { member: member.clone(), old: old.offset, new: new.offset });
        }
        let spelled = || (self.old.declare(old.of, last(name)), self.new.declare(new.of, last(name)));
        match self.relation(old.of, new.of, depth.saturating_sub(1)) {
            Relation::Retyped { callback } => {
                let (old, new) = spelled();
                changes.push(Change::Retyped { member, old, new, callback });
            }
            Relation::Resized { by_its_type } => {
                let (old, new) = spelled();
                changes.push(Change::Resized { member, old, new, by_its_type });
            }
            Relation::Same if old.bits != new.bits => {
                let (old, new) = (format!("{} bits", old.bits), format!("{} bits", new.bits));
                changes.push(Change::Resized { member, old, new, by_its_type: true });
            }
            Relation::Same => {}
        }
    }

    fn relation(&self, old: Option<TypeId>, new: Option<TypeId>, depth: u32) -> Relation {
        let (Some(old), Some(new)) = (old, new) else {
            return if old.is_none() == new.is_none() {
                Relation::Same
            } else {
                Relation::Retyped { callback: false }
            };
        };
        if depth == 0 || !self.burn(1) {
            return Relation::Same;
        }
        let (Some((_, one)), Some((_, other))) = (self.old.resolve(old), self.new.resolve(new)) else {
            return Relation::Same;
        };
        let sizes = (self.old.size_of(old, ADDRESS_SIZE), self.new.size_of(new, ADDRESS_SIZE));
        match (one, other) {
            (Type::Array(element, counts), Type::Array(item, numbers)) => {
                match self.relation(*element, *item, depth - 1) {
                    Relation::Same if counts != numbers => Relation::Resized { by_its_type: false },
                    relation => relation,
                }
            }
            (Type::Composite(one), Type::Composite(other)) => self.composites(one, other, sizes, depth - 1),
            _ if sizes.0 != sizes.1 => Relation::Resized { by_its_type: false },
            (Type::Pointer(one), Type::Pointer(other)) => self.pointers(*one, *other, depth - 1),
            // Numbers of the same size, however they are called, are the same storage.
            (Type::Base { .. } | Type::Enumeration(_), Type::Base { .. } | Type::Enumeration(_)) => {
                Relation::Same
            }
            (Type::Function(one), Type::Function(other)) => self.functions(one, other, depth - 1),
            _ => Relation::Retyped { callback: false },
        }
    }

    fn composites(
        &self,
        old: &Composite<'_>,
        new: &Composite<'_>,
        sizes: (Option<u64>, Option<u64>),
        depth: u32,
    ) -> Relation {
        let same_name = old.shape == new.shape && old.tag == new.tag;
        match (same_name, old.tag) {
            // Its own comparison says more.
            (true, Some(_)) if sizes.0 != sizes.1 && sizes.0.is_some() && sizes.1.is_some() => {
                Relation::Resized { by_its_type: true }
            }
            (true, Some(_)) => Relation::Same,
            (true, None) if self.composite_at(old, new, depth).is_empty() => Relation::Same,
            _ if sizes.0 != sizes.1 => Relation::Resized { by_its_type: false },
            _ => Relation::Retyped { callback: false },
        }
    }

    /// What is pointed to: another structure or another signature matters, `char *` or `u8 *` does not.
    fn pointers(&self, old: Option<TypeId>, new: Option<TypeId>, depth: u32) -> Relation {
        let kind = |info: &DebugInfo<'_>, id: Option<TypeId>| id.and_then(|id| info.resolve(id)).is_some();
        if !kind(self.old, old) || !kind(self.new, new) || depth == 0 {
            return Relation::Same;
        }
        let (Some((_, one)), Some((_, other))) =
            (old.and_then(|id| self.old.resolve(id)), new.and_then(|id| self.new.resolve(id)))
        else {
            return Relation::Same;
        };
        let same = match (one, other) {
            (Type::Composite(one), Type::Composite(other)) => {
                (one.shape, one.tag) == (other.shape, other.tag)
            }
            (Type::Function(one), Type::Function(other)) => return self.functions(one, other, depth - 1),
            (Type::Pointer(one), Type::Pointer(other)) => return self.pointers(*one, *other, depth - 1),
            (Type::Function(_) | Type::Composite(_), _) | (_, Type::Function(_) | Type::Composite(_)) => {
                false
            }
            _ => true,
        };
        if same { Relation::Same } else { Relation::Retyped { callback: false } }
    }

    fn functions(&self, old: &Prototype, new: &Prototype, depth: u32) -> Relation {
        if self.same_prototype_at(old, new, depth) {
            Relation::Same
        } else {
            Relation::Retyped { callback: true }
        }
    }

    /// Whether a caller of the one may call the other.
    pub(crate) fn same_prototype(&self, old: &Prototype, new: &Prototype) -> bool {
        self.same_prototype_at(old, new, DEEPEST)
    }

    fn same_prototype_at(&self, old: &Prototype, new: &Prototype, depth: u32) -> bool {
        let depth = depth.saturating_sub(1);
        old.variadic == new.variadic
            && old.parameters.len() == new.parameters.len()
            && self.relation(old.result, new.result, depth) == Relation::Same
            && old
                .parameters
                .iter()
                .zip(&new.parameters)
                .all(|(old, new)| self.relation(*old, *new, depth) == Relation::Same)
    }
}

/// Enumerators that both have, and whose values differ.
pub(crate) fn enumeration(old: &Enumeration<'_>, new: &Enumeration<'_>) -> Vec<Change> {
    let before: BTreeMap<&str, i64> = old.enumerators.iter().copied().collect();
    let changed = new.enumerators.iter().filter_map(|&(name, new)| {
        let &old = before.get(name)?;
        (old != new).then(|| Change::Value { enumerator: name.to_owned(), old, new })
    });
    changed.collect()
}

/// Members by name. Anonymous structures and unions give theirs; structures without a tag, those below their own name.
fn flatten(info: &DebugInfo<'_>, composite: &Composite<'_>) -> BTreeMap<String, Flat> {
    let mut members = BTreeMap::new();
    let mut fuel = MOST_MEMBERS;
    flatten_into(info, composite, ("", 0), DEEPEST.min(16), &mut fuel, &mut members);
    members
}

fn flatten_into(
    info: &DebugInfo<'_>,
    composite: &Composite<'_>,
    (prefix, base): (&str, u64),
    depth: u32,
    fuel: &mut usize,
    into: &mut BTreeMap<String, Flat>,
) {
    for (index, member) in composite.members.iter().enumerate() {
        *fuel = fuel.saturating_sub(1);
        if *fuel == 0 {
            return;
        }
        let offset = base.saturating_add(member.offset);
        let inner = member.of.and_then(|of| info.resolve(of)).and_then(|(_, kind)| match kind {
            Type::Composite(inner) if inner.tag.is_none() && depth > 0 => Some(inner),
            _ => None,
        });
        match (inner, member.name) {
            (Some(inner), None) => flatten_into(info, inner, (prefix, offset), depth - 1, fuel, into),
            (Some(inner), Some(name)) if !is_typedef(info, member) => {
                let prefix = format!("{prefix}{name}.");
                flatten_into(info, inner, (&prefix, offset), depth - 1, fuel, into);
            }
            (_, name) => {
                let name =
                    name.map_or_else(|| format!("{prefix}({index})"), |name| format!("{prefix}{name}"));
                let bits = member.bits.or_else(|| info.size_of(member.of?, ADDRESS_SIZE)?.checked_mul(8));
                into.insert(name, Flat { of: member.of, offset, bits: bits.unwrap_or(0), line: member.line });
            }
        }
    }
}

/// A typedef is a name: its structure is compared on its own.
fn is_typedef(info: &DebugInfo<'_>, member: &Member<'_>) -> bool {
    let mut id = member.of;
    for _ in 0..DEEPEST {
        match id.and_then(|id| info.get(id)) {
            Some(Type::Typedef(..)) => return true,
            Some(Type::Qualified(_, next)) => id = *next,
            _ => return false,
        }
    }
    false
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The whole, then what comes and goes, then what moves.
fn place_in_report(change: &Change) -> (u8, u64) {
    match change {
        Change::Size { .. } => (0, 0),
        Change::Added { offset, .. } => (1, *offset),
        Change::Removed { offset, .. } => (2, *offset),
        Change::Resized { .. } => (3, 0),
        Change::Retyped { .. } => (4, 0),
        Change::Moved { new, .. } => (5, *new),
        Change::Renamed { .. } => (6, 0),
        Change::Value { .. } => (7, 0),
    }
}
