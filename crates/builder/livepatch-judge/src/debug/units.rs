//! Which translation units a binary was made of, from its debug information.

use super::sections::DebugError;
use gimli::{EndianSlice, Reader as _, RelocateReader, RunTimeEndian, SectionId, constants as dw};
use object::Endianness;
use object::elf::{ET_REL, FileHeader64, Rela64, SHT_RELA};
use object::read::elf::{FileHeader as _, Rela as _, SectionHeader as _};
use std::collections::HashMap;

type Header = FileHeader64<Endianness>;
type Slice<'a> = RelocateReader<EndianSlice<'a, RunTimeEndian>, &'a Relocations>;

/// The names of a binary's translation units (DW_AT_name of every compilation unit, DWARF 5 section 3.1.1), as the
/// compiler was given them; units without a name are left out. Nothing but the first entry of each unit is read, so this
/// takes a moment even for a vmlinux of 600 MB.
///
/// # Errors
/// [`DebugError`] when the file or its debug information cannot be read.
pub fn unit_names(bytes: &[u8]) -> Result<Vec<String>, DebugError> {
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let is_relocatable = header.e_type(endian) == ET_REL;
    let mut relocations: HashMap<&[u8], Relocations> = HashMap::new();
    for section in sections.iter().filter(|section| is_relocatable && section.sh_type(endian) == SHT_RELA) {
        let Some((entries, symbols)) = section.rela(endian, bytes)? else { continue };
        let symbols = sections.symbol_table_by_index(endian, bytes, symbols)?;
        let target = sections.section(section.info_link(endian))?;
        let name = sections.section_name(endian, target)?;
        if name == b".debug_info" || name == b".debug_str_offsets" {
            relocations.insert(name, Relocations::read(endian, entries, &symbols));
        }
    }
    let order = if header.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let none = Relocations::default();
    let load = |id: SectionId| -> Result<Slice<'_>, DebugError> {
        let found = sections.section_by_name(endian, id.name().as_bytes());
        let data = match found {
            Some((_, section)) => section.data(endian, bytes)?,
            None => &[],
        };
        let relocations = relocations.get(id.name().as_bytes()).unwrap_or(&none);
        Ok(RelocateReader::new(EndianSlice::new(data, order), relocations))
    };
    names(&gimli::Dwarf::load(load)?)
}

fn names(dwarf: &gimli::Dwarf<Slice<'_>>) -> Result<Vec<String>, DebugError> {
    let mut found = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        let Some(root) = entries.next_dfs()? else { continue };
        if root.tag() != dw::DW_TAG_compile_unit {
            continue;
        }
        if let Some(name) = root.attr_value(dw::DW_AT_name) {
            found.push(dwarf.attr_string(&unit, name)?.to_string_lossy()?.into_owned());
        }
    }
    Ok(found)
}

/// What the relocations of a section put where. Debug sections refer to one another by addends alone, since the symbols
/// of sections are 0 in a relocatable file; other symbols give addresses, which no name depends on.
#[derive(Debug, Default)]
struct Relocations {
    /// Offset and value, by offset.
    values: Vec<(usize, u64)>,
}

impl Relocations {
    fn read(
        endian: Endianness,
        entries: &[Rela64<Endianness>],
        symbols: &object::read::elf::SymbolTable<'_, Header>,
    ) -> Self {
        use object::read::elf::Sym as _;
        let value = |entry: &Rela64<Endianness>| {
            let symbol = symbols.symbol(entry.symbol(endian, false)?).ok()?;
            let addend: i64 = entry.r_addend.get(endian);
            Some((entry.r_offset.get(endian), symbol.st_value(endian).wrapping_add_signed(addend)))
        };
        let known = entries.iter().filter_map(value);
        let mut values: Vec<(usize, u64)> =
            known.filter_map(|(at, value)| Some((usize::try_from(at).ok()?, value))).collect();
        // The linker leaves them in order.
        if !values.is_sorted() {
            values.sort_unstable();
        }
        Self { values }
    }

    fn put(&self, offset: usize, read: u64) -> u64 {
        let found = self.values.binary_search_by_key(&offset, |(at, _)| *at);
        found.map_or(read, |index| self.values[index].1)
    }
}

impl gimli::Relocate<usize> for &Relocations {
    fn relocate_address(&self, offset: usize, value: u64) -> gimli::Result<u64> {
        Ok(self.put(offset, value))
    }

    fn relocate_offset(&self, offset: usize, value: usize) -> gimli::Result<usize> {
        usize::try_from(self.put(offset, value as u64)).map_err(|_| gimli::Error::UnsupportedOffset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// Compiles two units in a folder, and with `-r` links them into one relocatable file.
    fn linked(folder: &Path, debug: &str) -> Vec<u8> {
        for name in ["one.c", "two.c"] {
            std::fs::create_dir_all(folder.join("sub")).unwrap();
            std::fs::write(
                folder.join("sub").join(name),
                format!("int {}(void) {{ return 1; }}\n", &name[..3]),
            )
            .unwrap();
        }
        let mut gcc = Command::new("gcc");
        gcc.args(["-r", "-nostdlib", debug, "-o", "both.o", "sub/one.c", "sub/two.c"]).current_dir(folder);
        assert!(gcc.status().unwrap().success());
        std::fs::read(folder.join("both.o")).unwrap()
    }

    #[test]
    fn units_of_a_relocatable_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for debug in ["-gdwarf-4", "-gdwarf-5"] {
            assert_eq!(
                unit_names(&linked(folder.path(), debug)).unwrap(),
                ["sub/one.c", "sub/two.c"],
                "{debug}"
            );
        }
        assert!(unit_names(&linked(folder.path(), "-g0")).unwrap().is_empty());
    }

    #[test]
    fn damage_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = linked(folder.path(), "-gdwarf-5");
        for cut in [0, 10, 64, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let _ = unit_names(&bytes[..cut]);
        }
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = unit_names(&damaged);
        }
    }
}
