//! A relocatable ELF object as sections, symbols and relocations: the model that everything else works on.
//!
//! Follows the System V gABI; what differs between machines is in `arch`. Foreign bytes: every index and range is checked here, once, so that
//! the rest of the crate can index the model freely.

use crate::arch::Architecture;
use object::read::elf::{FileHeader, Rela, SectionHeader, Sym};
use object::{Endianness, elf};

/// No section is larger: on x86-64 the kernel's code model gives 2 GiB to everything together (psABI, 3.5.1), and no
/// other machine's kernel comes near.
const LARGEST: u64 = 1 << 31;
/// No section is aligned to more: the largest page that the kernel maps itself with has 1 GiB, and sections of objects do
/// not come near.
pub(crate) const LARGEST_ALIGNMENT: u64 = 1 << 24;

/// Index of a section in [`Object::sections`]; equal to its ELF section index.
pub type SectionIndex = usize;
/// Index of a symbol in [`Object::symbols`]; equal to its ELF symbol index.
pub type SymbolIndex = usize;

/// Why a file cannot be read as an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not ELF, or cut off.
    #[error("not a readable ELF file")]
    Elf(#[from] object::read::Error),
    /// Sound ELF that this program does not understand.
    #[error("the ELF file is unusable: {0}")]
    Unusable(String),
}

/// What a section holds, as far as the difference cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// `SHT_PROGBITS` and other sections with bytes.
    Bytes,
    /// `SHT_NOBITS`.
    Zero,
    /// Tables of the ELF file itself (symbols, strings, relocations): not content.
    Structure,
}

/// A section with its relocations, sorted by offset.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name.
    pub name: String,
    /// What it holds.
    pub kind: SectionKind,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_type`.
    pub sh_type: u32,
    /// `sh_addralign`.
    pub align: u64,
    /// `sh_entsize`.
    pub entsize: u64,
    /// `sh_addr` of a linked image; 0 in a relocatable object, whose symbols count from their section (gABI, "Symbol
    /// Values") even where the linker noted an address, as it does for some sections of the kernel's modules.
    pub address: u64,
    /// Size in bytes, also of a [`SectionKind::Zero`] section.
    pub size: u64,
    /// The bytes; empty for [`SectionKind::Zero`].
    pub data: Vec<u8>,
    /// Relocations that apply to it.
    pub relocations: Vec<Relocation>,
}

/// A RELA relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where in the section.
    pub offset: u64,
    /// The machine's number for it, such as `R_X86_64_*`.
    pub kind: u32,
    /// Which symbol.
    pub symbol: SymbolIndex,
    /// Addend.
    pub addend: i64,
}

/// `st_type`, as far as the difference cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// `STT_FUNC`.
    Function,
    /// `STT_OBJECT`.
    Object,
    /// `STT_NOTYPE` and whatever else.
    Untyped,
    /// `STT_SECTION`.
    Section,
    /// `STT_FILE`.
    File,
}

/// `st_bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `STB_LOCAL`.
    Local,
    /// `STB_GLOBAL`.
    Global,
    /// `STB_WEAK`.
    Weak,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// In another object.
    Undefined,
    /// In a section of this one.
    Section(SectionIndex),
    /// Absolute, common or something special.
    Other,
}

/// A symbol.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Name; a section symbol carries its section's name.
    pub name: String,
    /// Offset in its section.
    pub value: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type.
    pub kind: SymbolKind,
    /// Binding.
    pub binding: Binding,
    /// Where it is defined.
    pub definition: Definition,
}

/// A relocatable object, or a linked image whose sections have addresses.
#[derive(Clone, Debug)]
pub struct Object {
    /// The machine that it is for.
    pub architecture: Architecture,
    /// Sections, by ELF index; 0 is the null section.
    pub sections: Vec<Section>,
    /// Symbols, by ELF index; 0 is the null symbol.
    pub symbols: Vec<Symbol>,
    /// Per section: symbols with a size (functions and objects) by (value, index).
    by_place: Vec<Vec<SymbolIndex>>,
}

impl Object {
    /// Reads an object of any machine in [`Architecture::ALL`].
    ///
    /// # Errors
    /// [`ObjectError`] for anything that is not one; never a panic.
    pub fn read(bytes: &[u8]) -> Result<Self, ObjectError> {
        let header = elf::FileHeader64::<Endianness>::parse(bytes)?;
        let endian = header.endian()?;
        let machine = header.e_machine(endian);
        let architecture = Architecture::of(machine, endian == Endianness::Little).ok_or_else(|| {
            let known: Vec<&str> = Architecture::ALL.iter().map(|known| known.name()).collect();
            let list = known.join(", ");
            ObjectError::Unusable(format!("it is for a machine (number {}) other than {list}", machine.0))
        })?;
        let table = header.sections(endian, bytes)?;
        let symbol_table = table.symbols(endian, bytes, elf::SHT_SYMTAB)?;
        let mut sections = Vec::with_capacity(table.len());
        for section in table.iter() {
            sections.push(read_section(endian, &table, section, bytes)?);
        }
        if header.e_type(endian) == elf::ET_REL {
            sections.iter_mut().for_each(|section| section.address = 0);
        }
        let mut symbols = Vec::with_capacity(symbol_table.len());
        for (index, symbol) in symbol_table.enumerate() {
            let section = symbol_table.symbol_section(endian, symbol, index)?;
            let name = symbol_table.symbol_name(endian, symbol)?;
            symbols.push(read_symbol(endian, symbol, section.map(|s| s.0), name, &sections)?);
        }
        for section in table.iter() {
            if section.sh_type(endian) == elf::SHT_RELA {
                attach_relocations(endian, section, bytes, &mut sections, symbols.len())?;
            }
        }
        Ok(Self::from_parts(architecture, sections, symbols))
    }

    /// Puts a model together; indices must be in range.
    pub(crate) fn from_parts(
        architecture: Architecture,
        sections: Vec<Section>,
        symbols: Vec<Symbol>,
    ) -> Self {
        let mut by_place = vec![Vec::new(); sections.len()];
        for (index, symbol) in symbols.iter().enumerate() {
            if let Definition::Section(section) = symbol.definition
                && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object | SymbolKind::Untyped)
                && !(symbol.kind == SymbolKind::Untyped && symbol.size == 0)
            {
                by_place[section].push(index);
            }
        }
        for list in &mut by_place {
            list.sort_by_key(|&index| (symbols[index].value, index));
        }
        Self { architecture, sections, symbols, by_place }
    }

    /// The function or object that covers an offset of a section, and how far into it the offset is. An offset just
    /// past the end belongs to nothing.
    pub fn symbol_at(&self, section: SectionIndex, offset: u64) -> Option<(SymbolIndex, u64)> {
        let list = self.by_place.get(section)?;
        let after = list.partition_point(|&index| self.symbols[index].value <= offset);
        // Aliases share an address: what has bytes wins over what has none, then the first in the table.
        list[..after]
            .iter()
            .rev()
            .take(16)
            .filter(|&&index| {
                let symbol = &self.symbols[index];
                offset - symbol.value < symbol.size || (symbol.size == 0 && offset == symbol.value)
            })
            .min_by_key(|&&index| {
                let symbol = &self.symbols[index];
                (offset - symbol.value, symbol.size == 0, index)
            })
            .map(|&index| (index, offset - self.symbols[index].value))
    }

    /// The symbol that stands for all names of a function: aliases (`__x64_sys_getpid` is `__do_sys_getpid`) are one
    /// function. A weak name may be somebody else's after linking, so it stands for itself.
    pub fn first_alias(&self, index: SymbolIndex) -> SymbolIndex {
        let symbol = &self.symbols[index];
        let Some(section) = self.section_of(index) else { return index };
        if symbol.kind != SymbolKind::Function || symbol.binding == Binding::Weak {
            return index;
        }
        let same = |&other: &SymbolIndex| {
            let other = &self.symbols[other];
            (other.value, other.size, other.kind) == (symbol.value, symbol.size, symbol.kind)
                && other.binding != Binding::Weak
        };
        self.by_place[section].iter().copied().filter(same).min().unwrap_or(index)
    }

    /// Functions and objects defined in a section, by address.
    pub fn symbols_in(&self, section: SectionIndex) -> &[SymbolIndex] {
        self.by_place.get(section).map_or(&[], Vec::as_slice)
    }

    /// The relocations within a range of a section.
    pub fn relocations_in(&self, section: SectionIndex, start: u64, size: u64) -> &[Relocation] {
        let list = &self.sections[section].relocations;
        let from = list.partition_point(|relocation| relocation.offset < start);
        let to = list.partition_point(|relocation| relocation.offset < start.saturating_add(size));
        &list[from..to]
    }

    /// The bytes of a symbol: `None` when it has none (undefined, zero section, out of range).
    pub fn bytes_of(&self, index: SymbolIndex) -> Option<&[u8]> {
        let symbol = &self.symbols[index];
        let Definition::Section(section) = symbol.definition else { return None };
        let start = usize::try_from(symbol.value.checked_sub(self.sections[section].address)?).ok()?;
        self.sections[section].data.get(start..start.checked_add(usize::try_from(symbol.size).ok()?)?)
    }

    /// The section that a symbol is defined in.
    pub fn section_of(&self, index: SymbolIndex) -> Option<SectionIndex> {
        match self.symbols[index].definition {
            Definition::Section(section) => Some(section),
            _ => None,
        }
    }

    /// The first section of that name.
    pub fn section_named(&self, name: &str) -> Option<SectionIndex> {
        self.sections.iter().position(|section| section.name == name)
    }

    /// Name of the source file, from the first `STT_FILE` symbol.
    pub fn file_name(&self) -> Option<&str> {
        self.symbols.iter().find(|symbol| symbol.kind == SymbolKind::File).map(|symbol| symbol.name.as_str())
    }
}

impl Section {
    /// `SHF_ALLOC`: in memory at run time.
    pub fn is_allocated(&self) -> bool {
        self.flags & elf::SHF_ALLOC.0 != 0
    }

    /// `SHF_EXECINSTR`.
    pub fn is_code(&self) -> bool {
        self.flags & elf::SHF_EXECINSTR.0 != 0
    }

    /// `SHF_WRITE`.
    pub fn is_writable(&self) -> bool {
        self.flags & elf::SHF_WRITE.0 != 0
    }

    /// `SHF_MERGE | SHF_STRINGS`: zero-terminated strings without identity.
    pub fn is_strings(&self) -> bool {
        let both = elf::SHF_MERGE.0 | elf::SHF_STRINGS.0;
        self.flags & both == both
    }

    /// `SHF_MERGE` without strings: constants of `entsize` bytes without identity.
    pub fn is_constants(&self) -> bool {
        self.flags & elf::SHF_MERGE.0 != 0 && !self.is_strings() && self.entsize > 0
    }
}

type Table<'data> = object::read::elf::SectionTable<'data, elf::FileHeader64<Endianness>>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_section(
    endian: Endianness,
    table: &Table<'_>,
    section: &elf::SectionHeader64<Endianness>,
    bytes: &[u8],
) -> Result<Section, ObjectError> {
    let sh_type = section.sh_type(endian);
    let kind = match sh_type {
        elf::SHT_NOBITS => SectionKind::Zero,
        elf::SHT_NULL | elf::SHT_SYMTAB | elf::SHT_STRTAB | elf::SHT_RELA | elf::SHT_SYMTAB_SHNDX => {
            SectionKind::Structure
        }
        elf::SHT_REL => return Err(ObjectError::Unusable("relocations without addends".into())),
        elf::SHT_GROUP => return Err(ObjectError::Unusable("section groups are not supported".into())),
        _ => SectionKind::Bytes,
    };
    let name = text(table.section_name(endian, section)?);
    if section.sh_size(endian) > LARGEST || section.sh_addralign(endian) > LARGEST_ALIGNMENT {
        return Err(ObjectError::Unusable(format!("the section {name} is too large")));
    }
    // Debug information is not part of the model: it is large, and nothing at this level reads it.
    let wanted = kind == SectionKind::Bytes && !name.starts_with(".debug_");
    Ok(Section {
        name,
        kind,
        flags: section.sh_flags(endian).0,
        sh_type: sh_type.0,
        align: section.sh_addralign(endian),
        entsize: section.sh_entsize(endian),
        address: section.sh_addr(endian),
        size: section.sh_size(endian),
        data: if wanted { section.data(endian, bytes)?.to_vec() } else { Vec::new() },
        relocations: Vec::new(),
    })
}

fn read_symbol(
    endian: Endianness,
    symbol: &elf::Sym64<Endianness>,
    section: Option<SectionIndex>,
    name: &[u8],
    sections: &[Section],
) -> Result<Symbol, ObjectError> {
    let kind = match symbol.st_type() {
        elf::STT_FUNC => SymbolKind::Function,
        elf::STT_OBJECT => SymbolKind::Object,
        elf::STT_SECTION => SymbolKind::Section,
        elf::STT_FILE => SymbolKind::File,
        _ => SymbolKind::Untyped,
    };
    let binding = match symbol.st_bind() {
        elf::STB_LOCAL => Binding::Local,
        elf::STB_WEAK => Binding::Weak,
        _ => Binding::Global,
    };
    let definition = match section {
        Some(index) if index < sections.len() => Definition::Section(index),
        Some(_) => return Err(ObjectError::Unusable("a symbol names a section that is not there".into())),
        None if symbol.is_undefined(endian) => Definition::Undefined,
        None => Definition::Other,
    };
    let name = match (kind, definition) {
        (SymbolKind::Section, Definition::Section(index)) => sections[index].name.clone(),
        _ => text(name),
    };
    if let Definition::Section(index) = definition {
        let section = &sections[index];
        let start = symbol.st_value(endian).checked_sub(section.address);
        let end = start.and_then(|start| start.checked_add(symbol.st_size(endian)));
        if end.is_none_or(|end| end > section.size) {
            return Err(ObjectError::Unusable(format!("the symbol {name} lies outside its section")));
        }
    }
    Ok(Symbol {
        name,
        value: symbol.st_value(endian),
        size: symbol.st_size(endian),
        kind,
        binding,
        definition,
    })
}

fn attach_relocations(
    endian: Endianness,
    header: &elf::SectionHeader64<Endianness>,
    bytes: &[u8],
    sections: &mut [Section],
    symbols: usize,
) -> Result<(), ObjectError> {
    let Some(target) = sections.get_mut(header.sh_info(endian) as usize) else {
        return Err(ObjectError::Unusable("relocations for a section that is not there".into()));
    };
    if target.name.starts_with(".debug_") {
        return Ok(());
    }
    let entries: &[elf::Rela64<Endianness>] = header.data_as_array(endian, bytes)?;
    for entry in entries {
        let relocation = Relocation {
            offset: Rela::r_offset(entry, endian),
            kind: Rela::r_type(entry, endian, false).0,
            symbol: Rela::r_sym(entry, endian, false) as usize,
            addend: Rela::r_addend(entry, endian),
        };
        if relocation.symbol >= symbols || relocation.offset >= target.size.saturating_add(target.address) {
            return Err(ObjectError::Unusable(format!("a relocation of {} is out of range", target.name)));
        }
        target.relocations.push(relocation);
    }
    target.relocations.sort_by_key(|relocation| relocation.offset);
    Ok(())
}
