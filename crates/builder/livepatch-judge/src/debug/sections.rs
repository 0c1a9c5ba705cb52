//! The debug sections of a relocatable object, with their relocations applied.
//!
//! In a relocatable object almost every offset in `.debug_info` is a relocation against another debug section, and every
//! address one against a section of code or data, all of which start at zero. To tell them apart, each section of the
//! object is given a place of its own in a made-up address space; [`place_of`] leads back.

use object::read::elf::{ElfFile, FileHeader};
use object::{
    CompressionFormat, Endianness, FileKind, Object as _, ObjectSection as _, ObjectSymbol as _,
    RelocationKind, RelocationTarget, SectionFlags, elf,
};

/// Why an object's debug information cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DebugError {
    /// It has none.
    #[error("the object has no debug information")]
    Missing,
    /// Its debug sections are compressed.
    #[error("the debug information is compressed")]
    Compressed,
    /// The file is damaged.
    #[error("the object's debug sections cannot be read")]
    Elf(#[from] object::read::Error),
    /// The debug information is damaged, or of a version that is not known.
    #[error("the debug information cannot be read")]
    Dwarf(#[from] gimli::Error),
}

/// The sections that are read; others (`.debug_frame`, locations) say nothing about types and functions.
const WANTED: [&str; 9] = [
    ".debug_info",
    ".debug_abbrev",
    ".debug_str",
    ".debug_line",
    ".debug_line_str",
    ".debug_rnglists",
    ".debug_ranges",
    ".debug_addr",
    ".debug_str_offsets",
];

/// Bits of an address within its section: no section of an object is larger (x86-64 psABI 3.5.1).
const SECTION_BITS: u32 = 32;

/// The debug sections of one object.
#[derive(Debug)]
pub struct DebugSections {
    data: [Vec<u8>; WANTED.len()],
    pub(super) big_endian: bool,
}

/// Section index and offset of a made-up address; `None` for an address of no section.
pub(super) fn place_of(address: u64) -> Option<(usize, u64)> {
    let section = usize::try_from(address >> SECTION_BITS).ok()?.checked_sub(1)?;
    Some((section, address & ((1 << SECTION_BITS) - 1)))
}

fn address_of(section: usize, offset: u64) -> u64 {
    ((section as u64).wrapping_add(1) << SECTION_BITS).wrapping_add(offset)
}

impl DebugSections {
    /// Takes the debug sections out of an object, of whatever architecture.
    ///
    /// # Errors
    /// [`DebugError`]; never a panic.
    pub fn read(bytes: &[u8]) -> Result<Self, DebugError> {
        match FileKind::parse(bytes)? {
            FileKind::Elf64 => Self::of::<elf::FileHeader64<Endianness>>(bytes),
            _ => Err(DebugError::Missing),
        }
    }

    fn of<Header: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Self, DebugError> {
        let file = ElfFile::<Header>::parse(bytes)?;
        let mut sections = Self { data: Default::default(), big_endian: !file.is_little_endian() };
        let targets = targets(&file);
        for section in file.sections() {
            let name = section.name()?;
            let Some(slot) = WANTED.iter().position(|wanted| *wanted == name) else { continue };
            if section.compressed_file_range()?.format != CompressionFormat::None {
                return Err(DebugError::Compressed);
            }
            // Section groups of the same name do not occur in C; the first counts.
            if sections.data[slot].is_empty() {
                sections.data[slot] = relocated(&file, &section, &targets)?;
            }
        }
        if sections.data[0].is_empty() || sections.data[1].is_empty() {
            return Err(DebugError::Missing);
        }
        Ok(sections)
    }

    /// The bytes of a section; none when the object does not have it.
    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        WANTED.iter().position(|wanted| *wanted == name).map_or(&[], |slot| &self.data[slot])
    }
}

fn relocated<'data, Header: FileHeader<Endian = Endianness>>(
    file: &ElfFile<'data, Header>,
    section: &object::read::elf::ElfSection<'data, '_, Header>,
    targets: &[u64],
) -> Result<Vec<u8>, DebugError> {
    let mut data = section.data()?.to_vec();
    for (offset, relocation) in section.relocations() {
        if relocation.kind() != RelocationKind::Absolute {
            continue;
        }
        let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
        let target = targets.get(symbol.0).copied().unwrap_or(0);
        let value = target.wrapping_add(relocation.addend() as u64);
        let width = usize::from(relocation.size() / 8);
        let field = usize::try_from(offset).ok().and_then(|at| data.get_mut(at..at.checked_add(width)?));
        let Some(field) = field else { continue };
        let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
        match (width <= 8, file.is_little_endian()) {
            (true, true) => field.copy_from_slice(&little[..width]),
            (true, false) => field.copy_from_slice(&big[8 - width..]),
            _ => {}
        }
    }
    Ok(data)
}

/// What each symbol stands for: an offset into a debug section, or a made-up address.
fn targets<Header: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, Header>) -> Vec<u64> {
    let allocated: Vec<bool> = file
        .sections()
        .map(|section| match section.flags() {
            SectionFlags::Elf { sh_flags, .. } => sh_flags.0 & elf::SHF_ALLOC.0 != 0,
            _ => false,
        })
        .collect();
    // The iterator of sections leaves the null section out.
    let is_allocated =
        |index: usize| index.checked_sub(1).and_then(|index| allocated.get(index)) == Some(&true);
    let mut targets = vec![0; 1];
    for symbol in file.symbols() {
        let index = symbol.index().0;
        targets.resize(targets.len().max(index + 1), 0);
        targets[index] = match symbol.section_index() {
            Some(section) if is_allocated(section.0) => address_of(section.0, symbol.address()),
            _ => symbol.address(),
        };
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_made_up_address() {
        for (section, offset) in [(0, 0), (1, 0), (70_000, u64::from(u32::MAX))] {
            assert_eq!(place_of(address_of(section, offset)), Some((section, offset)));
        }
        assert_eq!(place_of(0x1234), None);
    }
}
