//! The symbols of an image as one run of bytes, which a file can hold: made once from the ELF symbol table, then used where
//! it lies, so that loading it costs no more than reading it.
//!
//! Layout, all numbers little-endian: magic with format version (8 bytes), key (32), number of symbols (u32), number of
//! files (u32), SHA-256 of all the rest (32); the symbols, 32 bytes each, in the order of the ELF table; their indices
//! in the order of their names (u32 each); the names of the `STT_FILE` symbols (offset and length, u32 each); text.

use crate::object::{Binding, SymbolKind};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// What the file was made from, in whatever form the caller tells one vmlinux from another.
pub type IndexKey = [u8; 32];

/// The last digit is the version of the format.
const MAGIC: &[u8; 8] = b"LPVMSYM1";
const KEY: usize = MAGIC.len();
const COUNTS: usize = KEY + size_of::<IndexKey>();
const DIGEST: usize = COUNTS + 8;
const HEADER: usize = DIGEST + 32;
const SYMBOL: usize = 32;
const INDEX: usize = 4;
const FILE: usize = 8;

/// A symbol of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSymbol<'a> {
    /// Name.
    pub name: &'a str,
    /// Link address; per-CPU symbols count from 0.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type: function, object or untyped.
    pub kind: SymbolKind,
    /// Binding.
    pub binding: Binding,
    /// For locals: which translation unit, by number of the `STT_FILE` symbol before it.
    pub(super) block: usize,
    /// In the kernel's own table (kallsyms), so that it counts for positions.
    pub(super) counted: bool,
}

/// The symbols of an image.
#[derive(Debug)]
pub(super) struct ImageSymbols<'a> {
    bytes: Cow<'a, [u8]>,
    symbols: usize,
    files: usize,
}

impl<'a> ImageSymbols<'a> {
    /// From the image's symbols, and the names of its files by number. The key is empty.
    pub(super) fn new(symbols: &[ImageSymbol<'_>], files: &[&str]) -> Self {
        let mut order: Vec<u32> = (0..symbols.len() as u32).collect();
        order.sort_by_key(|&index| (symbols[index as usize].name, index));
        let mut text = Vec::new();
        let mut place = |name: &str| {
            let at = text.len() as u32;
            text.extend_from_slice(name.as_bytes());
            [at.to_le_bytes(), (name.len() as u32).to_le_bytes()].concat()
        };
        let mut bytes = vec![0; HEADER];
        bytes[..KEY].copy_from_slice(MAGIC);
        bytes[COUNTS..COUNTS + 4].copy_from_slice(&(symbols.len() as u32).to_le_bytes());
        bytes[COUNTS + 4..DIGEST].copy_from_slice(&(files.len() as u32).to_le_bytes());
        for symbol in symbols {
            bytes.extend(place(symbol.name));
            bytes.extend(symbol.address.to_le_bytes());
            bytes.extend(symbol.size.to_le_bytes());
            bytes.extend((symbol.block as u32).to_le_bytes());
            bytes.extend([kind_code(symbol.kind), binding_code(symbol.binding), symbol.counted.into(), 0]);
        }
        bytes.extend(order.iter().flat_map(|index| index.to_le_bytes()));
        for file in files {
            bytes.extend(place(file));
        }
        bytes.extend(text);
        Self { bytes: Cow::Owned(bytes), symbols: symbols.len(), files: files.len() }
    }

    /// From a file's bytes; `None` when they are damaged, of another format or of another key.
    pub(super) fn parse(bytes: &'a [u8], key: &IndexKey) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        if header[..KEY] != *MAGIC || header[KEY..COUNTS] != *key || header[DIGEST..] != digest(bytes) {
            return None;
        }
        let (symbols, files) = (number(bytes, COUNTS)? as usize, number(bytes, COUNTS + 4)? as usize);
        let tables = Self { bytes: Cow::Borrowed(bytes), symbols, files };
        (tables.text_start()? <= bytes.len()).then_some(tables)
    }

    /// The bytes for a file, under a key.
    pub(super) fn to_bytes(&self, key: &IndexKey) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        bytes[KEY..COUNTS].copy_from_slice(key);
        let digest = digest(&bytes);
        bytes[DIGEST..HEADER].copy_from_slice(&digest);
        bytes
    }

    pub(super) fn len(&self) -> usize {
        self.symbols
    }

    /// All symbols, in the order of the ELF table.
    pub(super) fn iter(&self) -> impl Iterator<Item = ImageSymbol<'_>> {
        (0..self.symbols).filter_map(|index| self.get(index))
    }

    /// The symbols of a name, in the order of the ELF table.
    pub(super) fn named<'b>(&'b self, name: &str) -> impl Iterator<Item = ImageSymbol<'b>> + use<'a, 'b> {
        let rank = |at: usize| self.ranked(at).map_or("", |symbol| symbol.name);
        let start = partition_point(self.symbols, |at| rank(at) < name);
        let end = partition_point(self.symbols, |at| rank(at) <= name);
        (start..end.max(start)).filter_map(|at| self.ranked(at))
    }

    /// Numbers of the files of a name.
    pub(super) fn files_named(&self, name: &str) -> Vec<usize> {
        let start = HEADER + self.symbols * (SYMBOL + INDEX);
        let is_wanted = |&file: &usize| self.name(start + file * FILE) == Some(name);
        (1..self.files).filter(is_wanted).collect()
    }

    fn get(&self, index: usize) -> Option<ImageSymbol<'_>> {
        let start = HEADER + index.checked_mul(SYMBOL)?;
        let record = self.bytes.get(start..start.checked_add(SYMBOL)?).filter(|_| index < self.symbols)?;
        let long = |at: usize| Some(u64::from_le_bytes(record.get(at..at + 8)?.try_into().ok()?));
        Some(ImageSymbol {
            name: self.name(start)?,
            address: long(8)?,
            size: long(16)?,
            kind: kind_of(record[28]),
            binding: binding_of(record[29]),
            block: number(record, 24)? as usize,
            counted: record[30] != 0,
        })
    }

    /// The symbol at a place of the order by name.
    fn ranked(&self, at: usize) -> Option<ImageSymbol<'_>> {
        let start = HEADER + self.symbols * SYMBOL;
        self.get(number(&self.bytes, start + at * INDEX)? as usize)
    }

    /// The text that offset and length at a place of the bytes tell.
    fn name(&self, at: usize) -> Option<&str> {
        let start = self.text_start()?.checked_add(number(&self.bytes, at)? as usize)?;
        let end = start.checked_add(number(&self.bytes, at + 4)? as usize)?;
        std::str::from_utf8(self.bytes.get(start..end)?).ok()
    }

    fn text_start(&self) -> Option<usize> {
        let tables = self.symbols.checked_mul(SYMBOL + INDEX)?.checked_add(self.files.checked_mul(FILE)?)?;
        HEADER.checked_add(tables)
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(&bytes[..DIGEST]).chain_update(&bytes[HEADER..]).finalize().into()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// As [`slice::partition_point`], over numbers.
fn partition_point(length: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

fn kind_code(kind: SymbolKind) -> u8 {
    match kind {
        SymbolKind::Function => 1,
        SymbolKind::Object => 2,
        SymbolKind::Untyped | SymbolKind::Section | SymbolKind::File => 0,
    }
}

fn kind_of(code: u8) -> SymbolKind {
    match code {
        1 => SymbolKind::Function,
        2 => SymbolKind::Object,
        _ => SymbolKind::Untyped,
    }
}

fn binding_code(binding: Binding) -> u8 {
    match binding {
        Binding::Local => 0,
        Binding::Global => 1,
        Binding::Weak => 2,
    }
}

fn binding_of(code: u8) -> Binding {
    match code {
        0 => Binding::Local,
        2 => Binding::Weak,
        _ => Binding::Global,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const NAME: &str = "[a-c_.]{0,3}";

    prop_compose! {
        fn symbol()(name in NAME, address: u64, size: u64, kind in 0..3u8, binding in 0..3u8, block in 0..4usize, counted: bool)
            -> (String, ImageSymbol<'static>)
        {
            let (kind, binding) = (kind_of(kind), binding_of(binding));
            (name, ImageSymbol { name: "", address, size, kind, binding, block, counted })
        }
    }

    /// Everything that can be asked, so that nothing of it panics.
    fn ask(symbols: &ImageSymbols<'_>, name: &str) -> (Vec<(String, u64)>, Vec<usize>) {
        let named = symbols.named(name).map(|symbol| (symbol.name.to_owned(), symbol.address)).collect();
        let _ = symbols.iter().count();
        (named, symbols.files_named(name))
    }

    /// As a hostile writer would: whatever the bytes say, the digest is right.
    fn sealed(mut bytes: Vec<u8>, key: &IndexKey) -> Vec<u8> {
        if bytes.len() >= HEADER {
            bytes[..KEY].copy_from_slice(MAGIC);
            bytes[KEY..COUNTS].copy_from_slice(key);
            let digest = digest(&bytes);
            bytes[DIGEST..HEADER].copy_from_slice(&digest);
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(parts in vec(symbol(), 0..40), files in vec(NAME, 1..5), name in NAME, key: IndexKey) {
            let symbols: Vec<ImageSymbol<'_>> = parts.iter().map(|(name, symbol)| ImageSymbol { name, ..*symbol }).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let made = ImageSymbols::new(&symbols, &files);
            let bytes = made.to_bytes(&key);
            let read = ImageSymbols::parse(&bytes, &key).unwrap();
            let all: Vec<ImageSymbol<'_>> = read.iter().collect();
            prop_assert_eq!(&all, &symbols);
            let named: Vec<ImageSymbol<'_>> = read.named(&name).collect();
            let wanted: Vec<ImageSymbol<'_>> = symbols.iter().copied().filter(|symbol| symbol.name == name).collect();
            prop_assert_eq!(named, wanted);
            let wanted: Vec<usize> = (1..files.len()).filter(|&file| files[file] == name).collect();
            prop_assert_eq!(read.files_named(&name), wanted);
            prop_assert_eq!(ask(&read, &name), ask(&made, &name));
        }

        #[test]
        fn any_damage_and_any_other_key_is_found(parts in vec(symbol(), 1..20), at in 0.0..1.0f64, change in 1..=255u8) {
            let symbols: Vec<ImageSymbol<'_>> = parts.iter().map(|(name, symbol)| ImageSymbol { name, ..*symbol }).collect();
            let key = [7; 32];
            let mut bytes = ImageSymbols::new(&symbols, &[""]).to_bytes(&key);
            prop_assert!(ImageSymbols::parse(&bytes, &[8; 32]).is_none());
            prop_assert!(ImageSymbols::parse(&bytes[..bytes.len() - 1], &key).is_none());
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= change;
            prop_assert!(ImageSymbols::parse(&bytes, &key).is_none());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..600), counts in any::<[u8; 8]>(), small: bool, name in NAME) {
            let key = [7; 32];
            let mut bytes = bytes;
            if bytes.len() >= HEADER {
                let counts = if small { [counts[0] % 8, 0, 0, 0, counts[4] % 8, 0, 0, 0] } else { counts };
                bytes[COUNTS..DIGEST].copy_from_slice(&counts);
            }
            let bytes = sealed(bytes, &key);
            if let Some(symbols) = ImageSymbols::parse(&bytes, &key) {
                ask(&symbols, &name);
            }
        }
    }
}
