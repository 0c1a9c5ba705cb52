//! Initial values of variables, decoded by their types, and what changes between two of them.

use crate::debug::{Composite, DEEPEST, DebugInfo, Shape, Type, TypeId};
use crate::layout::ADDRESS_SIZE;
use livepatch_diff::names::without_numbers;
use livepatch_diff::reference::{Reference, references, stretch};
use livepatch_diff::{Object, SymbolIndex, SymbolKind};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// No table has as many values; hostile types do.
const MOST_LEAVES: usize = 50_000;
/// Longest text that is shown.
const LONGEST_TEXT: usize = 120;

/// A value that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ValueChange {
    /// The variable and the way to the value, as C writes it: `table[1].type`.
    pub path: String,
    /// Offset in the variable, in bytes.
    pub offset: u64,
    /// Value before, as C would write it; `None` when it is not there.
    pub old: Option<String>,
    /// Value after; `None` when it is not there any more.
    pub new: Option<String>,
}

/// A variable of an object: symbol, and the type that debug information gives it.
#[derive(Clone, Copy)]
pub(crate) struct Datum<'a> {
    pub(crate) object: &'a Object,
    pub(crate) info: &'a DebugInfo<'a>,
    pub(crate) symbol: SymbolIndex,
    pub(crate) name: &'a str,
    pub(crate) of: TypeId,
}

struct Leaf {
    offset: u64,
    text: String,
    /// What decides whether two are the same.
    key: String,
}

/// Members whose values are constants of a family, which their types (`u8`) do not tell: structure, member, and the
/// prefix of the family (include/net/netlink.h).
const FAMILIES: [(&str, &str, &str); 2] =
    [("nla_policy", "type", "NLA_"), ("nla_policy", "validation_type", "NLA_VALIDATE_")];

/// What changes, in the order of the variable's memory.
pub(crate) fn changes(old: &Datum<'_>, new: &Datum<'_>) -> Vec<ValueChange> {
    let (before, after) = (leaves(old), leaves(new));
    let mut found = Vec::new();
    for (path, leaf) in &before {
        let other = after.get(path);
        if other.is_none_or(|other| other.key != leaf.key) {
            found.push(ValueChange {
                path: path.clone(),
                offset: leaf.offset,
                old: Some(leaf.text.clone()),
                new: other.map(|other| other.text.clone()),
            });
        }
    }
    for (path, leaf) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        let new = Some(leaf.text.clone());
        found.push(ValueChange { path: path.clone(), offset: leaf.offset, old: None, new });
    }
    found.sort_by_key(|change| (change.offset, change.path.clone()));
    found
}

fn leaves(datum: &Datum<'_>) -> BTreeMap<String, Leaf> {
    let mut walk = Walk { datum, fuel: MOST_LEAVES, leaves: BTreeMap::new() };
    walk.visit(datum.of, 0, datum.name.to_owned(), DEEPEST.min(16));
    walk.leaves
}

struct Walk<'w, 'a> {
    datum: &'w Datum<'a>,
    fuel: usize,
    leaves: BTreeMap<String, Leaf>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, of: TypeId, offset: u64, path: String, depth: u32) {
        let info = self.datum.info;
        let size = self.datum.object.symbols[self.datum.symbol].size;
        self.fuel = self.fuel.saturating_sub(1);
        if self.fuel == 0 || depth == 0 || offset >= size {
            return;
        }
        let Some((id, kind)) = info.resolve(of) else { return };
        match kind {
            Type::Array(Some(element), dimensions) => self.array(*element, dimensions, offset, &path, depth),
            Type::Composite(composite) => self.composite(composite, offset, &path, depth),
            Type::Pointer(_) => {
                let (text, key) = self.pointer(offset);
                self.leaves.insert(path, Leaf { offset, text, key });
            }
            Type::Base { size, signed, .. } => {
                self.number(id, (offset, 0, size.saturating_mul(8)), *signed, path)
            }
            Type::Enumeration(enumeration) => {
                self.number(id, (offset, 0, enumeration.size.saturating_mul(8)), true, path);
            }
            _ => {}
        }
    }

    fn array(&mut self, element: TypeId, dimensions: &[Option<u64>], offset: u64, path: &str, depth: u32) {
        let info = self.datum.info;
        let Some(width) = info.size_of(element, ADDRESS_SIZE).filter(|width| *width > 0) else { return };
        let left = self.datum.object.symbols[self.datum.symbol].size.saturating_sub(offset) / width;
        let count = dimensions
            .iter()
            .try_fold(1u64, |all, count| count.and_then(|count| all.checked_mul(count)))
            .map_or(left, |count| count.min(left));
        if let Some((_, Type::Base { character: true, .. })) = info.resolve(element) {
            let text = quote(stretch(self.bytes(), offset, count));
            let key = text.clone();
            self.leaves.insert(path.to_owned(), Leaf { offset, text, key });
            return;
        }
        for index in 0..count {
            if self.fuel == 0 {
                return;
            }
            self.visit(element, offset + index * width, format!("{path}[{index}]"), depth - 1);
        }
    }

    fn composite(&mut self, composite: &Composite<'_>, offset: u64, path: &str, depth: u32) {
        let chosen =
            (composite.shape == Shape::Union).then(|| self.member_of_union(composite, offset)).flatten();
        for (index, member) in composite.members.iter().enumerate() {
            if chosen.is_some_and(|chosen| chosen != index) {
                continue;
            }
            let path = member.name.map_or_else(|| path.to_owned(), |name| format!("{path}.{name}"));
            let Some(of) = member.of else { continue };
            let at = offset.saturating_add(member.offset / 8);
            match (member.bits, self.family(composite, member.name)) {
                (Some(bits), _) => self.number(of, (at, member.offset % 8, bits), false, path),
                (None, Some(family)) => self.constant(of, at, family, path),
                (None, None) => self.visit(of, at, path, depth - 1),
            }
        }
    }

    /// The member that is most likely meant: a pointer where there is an address, else the largest, and the one that tells
    /// most of it.
    fn member_of_union(&self, composite: &Composite<'_>, offset: u64) -> Option<usize> {
        let info = self.datum.info;
        let address = self.reference_at(offset).is_some();
        let weight = |index: &usize| {
            let Some(of) = composite.members[*index].of else { return (false, 0, false) };
            let kind = info.resolve(of).map(|(_, kind)| kind);
            let pointer = matches!(kind, Some(Type::Pointer(_)));
            let parts = matches!(kind, Some(Type::Composite(_)));
            (pointer == address, info.size_of(of, ADDRESS_SIZE).unwrap_or(0), parts)
        };
        // Of equals, the first.
        (0..composite.members.len()).rev().max_by_key(weight)
    }

    fn family(&self, composite: &Composite<'_>, member: Option<&str>) -> Option<&'static str> {
        let is_it =
            |(tag, name, _): &&(&str, &str, &str)| composite.tag == Some(*tag) && member == Some(*name);
        FAMILIES.iter().find(is_it).map(|(_, _, prefix)| *prefix)
    }

    fn constant(&mut self, of: TypeId, offset: u64, family: &str, path: String) {
        // All types are looked at.
        self.fuel = self.fuel.saturating_sub(64);
        let info = self.datum.info;
        let bits = info.size_of(of, ADDRESS_SIZE).unwrap_or(0).saturating_mul(8);
        let Some(value) = self.bits((offset, 0, bits)) else { return };
        let is_it =
            |(name, number): &&(&str, i64)| name.starts_with(family) && u64::try_from(*number) == Ok(value);
        let name = info.types().find_map(|(_, kind)| match kind {
            Type::Enumeration(enumeration) => {
                enumeration.enumerators.iter().find(is_it).map(|(name, _)| *name)
            }
            _ => None,
        });
        let text = name.map_or_else(|| value.to_string(), str::to_owned);
        self.leaves.insert(path, Leaf { offset, text, key: value.to_string() });
    }

    fn number(&mut self, of: TypeId, place: (u64, u64, u64), signed: bool, path: String) {
        let Some(value) = self.bits(place) else { return };
        let width = place.2.min(64) as u32;
        let text = match self.datum.info.resolve(of) {
            Some((_, Type::Enumeration(enumeration))) => enumeration
                .enumerators
                .iter()
                .find(|(_, number)| *number as u64 & mask(width) == value)
                .map_or_else(|| value.to_string(), |(name, _)| (*name).to_owned()),
            _ if signed && width > 0 && value >> (width - 1) & 1 == 1 => {
                ((value | !mask(width)) as i64).to_string()
            }
            _ if value > 0xffff => format!("{value:#x}"),
            _ => value.to_string(),
        };
        self.leaves.insert(path, Leaf { offset: place.0, text, key: value.to_string() });
    }

    /// Bits of the variable: byte, first bit in it, number of bits (up to 64). Little-endian.
    fn bits(&self, (offset, first, count): (u64, u64, u64)) -> Option<u64> {
        if count == 0 || count > 64 || first > 7 {
            return None;
        }
        let length = (first + count).div_ceil(8);
        let bytes = self.bytes();
        let mut value = 0u128;
        for index in 0..length {
            let at = usize::try_from(offset.checked_add(index)?).ok()?;
            // A variable of zeros has no bytes.
            let byte = if bytes.is_empty() { 0 } else { *bytes.get(at)? };
            value |= u128::from(byte) << (8 * index);
        }
        Some((value >> first) as u64 & mask(count as u32))
    }

    fn bytes(&self) -> &[u8] {
        self.datum.object.bytes_of(self.datum.symbol).unwrap_or(&[])
    }

    fn reference_at(&self, offset: u64) -> Option<Reference> {
        let object = self.datum.object;
        let section = object.section_of(self.datum.symbol)?;
        let start = object.symbols[self.datum.symbol].value.checked_add(offset)?;
        references(object, section, start, ADDRESS_SIZE).first().map(|resolved| resolved.reference)
    }

    /// Text, and what decides whether two pointers are the same.
    fn pointer(&self, offset: u64) -> (String, String) {
        let object = self.datum.object;
        let named = |index: SymbolIndex, into: i64| {
            let symbol = &object.symbols[index];
            let name = without_numbers(&symbol.name);
            let ampersand = if symbol.kind == SymbolKind::Object { "&" } else { "" };
            let text = match into {
                0 => format!("{ampersand}{name}"),
                _ => format!("(void *)&{name} + {into}"),
            };
            (text.clone(), text)
        };
        match self.reference_at(offset) {
            Some(Reference::Symbol(index, into) | Reference::External(index, into)) => named(index, into),
            Some(Reference::Section(section, at)) => {
                let holder = &object.sections[section];
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                let tail = stretch(&holder.data, at, holder.size);
                let text = match holder.is_strings() {
                    true => quote(tail.split(|&byte| byte == 0).next().unwrap_or_default()),
                    false => format!("{} + {at}", holder.name),
                };
                (text.clone(), text)
            }
            None => match self.bits((offset, 0, 64)) {
                Some(0) | None => ("NULL".into(), "0".into()),
                Some(value) => (format!("(void *){value:#x}"), value.to_string()),
            },
        }
    }
}

fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// A string literal.
fn quote(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let text: String = String::from_utf8_lossy(&bytes[..end]).chars().take(LONGEST_TEXT).collect();
    format!("\"{}\"", text.escape_default())
}
