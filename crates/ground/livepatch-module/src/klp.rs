//! Livepatch relocations and symbols (Documentation/livepatch/module-elf-format.rst).
//!
//! The kernel reads them in kernel/livepatch/core.c: `klp_write_section_relocs` the sections, `klp_resolve_symbols` the
//! symbols, both with the formats that are followed here.

use crate::module::{Header, ModuleError, damaged};
use object::LittleEndian;
use object::elf::{SHT_SYMTAB, Sym64};
use object::read::elf::{Rela, SectionHeader, SectionTable, Sym, SymbolTable};
use object::read::{SectionIndex, SymbolIndex};

/// `SHF_RELA_LIVEPATCH` (include/uapi/linux/elf.h): applied by the livepatch core, not by the module loader.
const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;

/// `SHN_LIVEPATCH` (include/uapi/linux/elf.h): section number of a symbol that the livepatch core resolves.
const SHN_LIVEPATCH: u16 = 0xff20;

/// A symbol of the running kernel, named by `.klp.sym.OBJECT.NAME,POSITION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KlpSymbol<'a> {
    /// `vmlinux` or a module's name.
    pub object: &'a str,
    /// The symbol's name.
    pub name: &'a str,
    /// 0 when the name is unique in the object, else which of the symbols of that name, from 1.
    pub position: u64,
}

/// A section `.klp.rela.OBJECT.SECTION`: what is patched in when the object is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KlpRelocations<'a> {
    /// The object whose presence makes the livepatch core apply this section.
    pub object: &'a str,
    /// The section of the livepatch module that is written to.
    pub section: &'a str,
    /// The single relocations.
    pub entries: Vec<KlpRelocation<'a>>,
}

/// One place that the livepatch core writes a symbol's address to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KlpRelocation<'a> {
    /// Byte offset in the section.
    pub offset: u64,
    /// Type of the relocation (`R_X86_64_*`).
    pub kind: u32,
    /// Added to the address.
    pub addend: i64,
    /// Whose address.
    pub symbol: KlpSymbol<'a>,
}

/// The livepatch symbols, in table order.
pub(crate) fn symbols<'a>(
    body: &'a [u8],
    sections: &SectionTable<'a, Header>,
) -> Result<Vec<KlpSymbol<'a>>, ModuleError> {
    let table = symbol_table(body, sections)?;
    table.iter().filter(|symbol| is_livepatch(symbol)).map(|symbol| klp_symbol(&table, symbol)).collect()
}

/// The livepatch relocation sections, in file order.
pub(crate) fn relocations<'a>(
    body: &'a [u8],
    sections: &SectionTable<'a, Header>,
) -> Result<Vec<KlpRelocations<'a>>, ModuleError> {
    let table = symbol_table(body, sections)?;
    let livepatch =
        sections.iter().filter(|section| section.sh_flags(LittleEndian).0 & SHF_RELA_LIVEPATCH != 0);
    livepatch.map(|section| relocation_section(body, sections, &table, section)).collect()
}

fn symbol_table<'a>(
    body: &'a [u8],
    sections: &SectionTable<'a, Header>,
) -> Result<SymbolTable<'a, Header>, ModuleError> {
    sections.symbols(LittleEndian, body, SHT_SYMTAB).map_err(damaged("symbol table"))
}

fn relocation_section<'a>(
    body: &'a [u8],
    sections: &SectionTable<'a, Header>,
    table: &SymbolTable<'a, Header>,
    section: &object::elf::SectionHeader64<LittleEndian>,
) -> Result<KlpRelocations<'a>, ModuleError> {
    let name = sections.section_name(LittleEndian, section).map_err(damaged("section name"))?;
    let object = object_of(name).ok_or_else(|| unusable("livepatch relocation section's name", name))?;
    let target = SectionIndex(section.sh_info(LittleEndian) as usize);
    let target = sections.section(target).map_err(damaged("livepatch relocation section"))?;
    let target = sections.section_name(LittleEndian, target).map_err(damaged("section name"))?;
    let target = str::from_utf8(target).map_err(|_| unusable("section name", target))?;
    let rela = section.rela(LittleEndian, body).map_err(damaged("livepatch relocation section"))?;
    // `rela` is None for a section of another type: the flag means nothing there, and the kernel would not read it.
    let (rela, _) = rela.ok_or_else(|| unusable("livepatch relocation section's type", name))?;
    let entry = |rela: &object::elf::Rela64<LittleEndian>| {
        let index = SymbolIndex(rela.r_sym(LittleEndian, false) as usize);
        let symbol = table.symbol(index).map_err(damaged("livepatch relocation"))?;
        if !is_livepatch(symbol) {
            return Err(unusable(
                "livepatch relocation",
                b"it refers to a symbol that is no livepatch symbol",
            ));
        }
        Ok(KlpRelocation {
            offset: rela.r_offset(LittleEndian),
            kind: rela.r_type(LittleEndian, false).0,
            addend: rela.r_addend(LittleEndian),
            symbol: klp_symbol(table, symbol)?,
        })
    };
    Ok(KlpRelocations { object, section: target, entries: rela.iter().map(entry).collect::<Result<_, _>>()? })
}

fn is_livepatch(symbol: &Sym64<LittleEndian>) -> bool {
    symbol.st_shndx(LittleEndian).0 == SHN_LIVEPATCH
}

fn klp_symbol<'a>(
    table: &SymbolTable<'a, Header>,
    symbol: &Sym64<LittleEndian>,
) -> Result<KlpSymbol<'a>, ModuleError> {
    let name = symbol.name(LittleEndian, table.strings()).map_err(damaged("symbol name"))?;
    parse_symbol(name).ok_or_else(|| unusable("livepatch symbol's name", name))
}

/// `.klp.sym.%55[^.].%511[^,],%lu` of `klp_resolve_symbols`.
fn parse_symbol(name: &[u8]) -> Option<KlpSymbol<'_>> {
    let (object, rest) = str::from_utf8(name).ok()?.strip_prefix(".klp.sym.")?.split_once('.')?;
    let (name, position) = rest.split_once(',')?;
    let decimal = !position.is_empty() && position.bytes().all(|byte| byte.is_ascii_digit());
    if object.is_empty() || object.len() > 55 || name.is_empty() || name.len() > 511 || !decimal {
        return None;
    }
    Some(KlpSymbol { object, name, position: position.parse().ok()? })
}

/// `.klp.rela.%55[^.]` of `klp_write_section_relocs`.
fn object_of(section: &[u8]) -> Option<&str> {
    let (object, _) = str::from_utf8(section).ok()?.strip_prefix(".klp.rela.")?.split_once('.')?;
    (1..=55).contains(&object.len()).then_some(object)
}

fn unusable(part: &'static str, value: &[u8]) -> ModuleError {
    ModuleError::Unusable { part, value: value.escape_ascii().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbol_names_follow_the_kernels_format() {
        let expected = KlpSymbol { object: "vmlinux", name: "snprintf", position: 0 };
        assert_eq!(parse_symbol(b".klp.sym.vmlinux.snprintf,0"), Some(expected));
        let expected = KlpSymbol { object: "ext4", name: "foo.isra.0", position: 2 };
        assert_eq!(parse_symbol(b".klp.sym.ext4.foo.isra.0,2"), Some(expected));
        let wrong: [&[u8]; 8] = [
            b"",
            b"snprintf",
            b".klp.sym.vmlinux",
            b".klp.sym..snprintf,0",
            b".klp.sym.vmlinux.,0",
            b".klp.sym.vmlinux.snprintf",
            b".klp.sym.vmlinux.snprintf,+1",
            b".klp.sym.vmlinux.sn\xff,1",
        ];
        for name in wrong {
            assert_eq!(parse_symbol(name), None, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn section_names_follow_the_kernels_format() {
        assert_eq!(object_of(b".klp.rela.ext4.text.ext4_attr_store"), Some("ext4"));
        assert_eq!(object_of(b".klp.rela.vmlinux..text"), Some("vmlinux"));
        assert_eq!(object_of(b".klp.rela..text"), None);
        assert_eq!(object_of(b".rela.text"), None);
    }
}
