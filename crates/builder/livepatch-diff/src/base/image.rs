//! A linked kernel image: vmlinux with its symbol table.

use super::Unit;
use crate::object::{Binding, ObjectError, SymbolKind};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{LittleEndian, elf};
use std::collections::{BTreeSet, HashMap};

/// Bytes of zeros that are handed out at once: no object is as large, and a damaged size must not exhaust the memory.
const LARGEST_ZEROS: u64 = 1 << 24;

/// A symbol of the image.
#[derive(Clone, Copy, Debug)]
pub struct ImageSymbol<'a> {
    /// Name.
    pub name: &'a str,
    /// Link address; per-CPU symbols count from 0.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type.
    pub kind: SymbolKind,
    /// Binding.
    pub binding: Binding,
    /// For locals: which translation unit, by number of the `STT_FILE` symbol before it.
    block: usize,
    /// In the kernel's own table (kallsyms), so that it counts for positions.
    counted: bool,
}

/// vmlinux, over its bytes (a memory map, usually).
#[derive(Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    sections: Vec<ImageSection>,
    symbols: Vec<ImageSymbol<'a>>,
    by_name: HashMap<&'a str, Vec<usize>>,
    files: Vec<&'a str>,
    notes: Option<(u64, u64)>,
    debug_information: bool,
}

#[derive(Debug)]
struct ImageSection {
    address: u64,
    size: u64,
    /// `None`: zeros.
    offset: Option<u64>,
}

impl<'a> Image<'a> {
    /// Reads the symbol and section tables; the contents stay where they are.
    ///
    /// # Errors
    /// [`ObjectError`] when this is no x86-64 ELF image with symbols.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ObjectError> {
        let header = elf::FileHeader64::<LittleEndian>::parse(bytes)?;
        if header.e_machine(LittleEndian) != elf::EM_X86_64 {
            return Err(ObjectError::Unusable("the image is not for x86-64".into()));
        }
        let table = header.sections(LittleEndian, bytes)?;
        let symbol_table = table.symbols(LittleEndian, bytes, elf::SHT_SYMTAB)?;
        let mut sections = Vec::new();
        let mut notes = None;
        let mut names = table.iter().map(|section| table.section_name(LittleEndian, section));
        let debug_information = names.any(|name| name.is_ok_and(|name| name == b".debug_info"));
        for section in table.iter().filter(|section| section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC))
        {
            if table.section_name(LittleEndian, section)? == b".notes" {
                notes = Some((section.sh_addr(LittleEndian), section.sh_size(LittleEndian)));
            }
            let zeros = section.sh_type(LittleEndian) == elf::SHT_NOBITS;
            sections.push(ImageSection {
                address: section.sh_addr(LittleEndian),
                size: section.sh_size(LittleEndian),
                offset: (!zeros).then(|| section.sh_offset(LittleEndian)),
            });
        }
        let mut image = Self {
            bytes,
            sections,
            symbols: Vec::new(),
            by_name: HashMap::new(),
            files: vec![""],
            notes,
            debug_information,
        };
        for symbol in symbol_table.iter() {
            let name = symbol_table.symbol_name(LittleEndian, symbol)?;
            if let Ok(name) = std::str::from_utf8(name) {
                image.add(symbol, name);
            }
        }
        if image.symbols.is_empty() {
            return Err(ObjectError::Unusable("the image has no symbols".into()));
        }
        Ok(image)
    }

    fn add(&mut self, symbol: &elf::Sym64<LittleEndian>, name: &'a str) {
        let kind = match symbol.st_type() {
            elf::STT_FILE => {
                self.files.push(name);
                return;
            }
            elf::STT_SECTION => return,
            elf::STT_FUNC => SymbolKind::Function,
            elf::STT_OBJECT => SymbolKind::Object,
            _ => SymbolKind::Untyped,
        };
        if name.is_empty() || symbol.is_undefined(LittleEndian) {
            return;
        }
        let binding = match symbol.st_bind() {
            elf::STB_LOCAL => Binding::Local,
            elf::STB_WEAK => Binding::Weak,
            _ => Binding::Global,
        };
        self.by_name.entry(name).or_default().push(self.symbols.len());
        self.symbols.push(ImageSymbol {
            name,
            address: symbol.st_value(LittleEndian),
            size: symbol.st_size(LittleEndian),
            kind,
            binding,
            block: self.files.len() - 1,
            counted: is_counted(name, symbol.is_absolute(LittleEndian)),
        });
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Never true: an image without symbols is not read.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// Whether it has DWARF (`.debug_info`), as opposed to symbols alone.
    pub fn has_debug_information(&self) -> bool {
        self.debug_information
    }

    /// The ELF notes, which hold the build id.
    pub fn notes(&self) -> Option<Vec<u8>> {
        let (address, size) = self.notes?;
        self.bytes_at(address, size)
    }

    /// A range of memory as it is in the file; `None` when no section has it.
    pub fn bytes_at(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let section = self.sections.iter().find(|section| {
            address >= section.address
                && address
                    .checked_add(size)
                    .is_some_and(|end| end <= section.address.saturating_add(section.size))
        })?;
        let Some(offset) = section.offset else {
            return (size <= LARGEST_ZEROS).then(|| vec![0; size as usize]);
        };
        let start = usize::try_from(offset.checked_add(address - section.address)?).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?).map(<[u8]>::to_vec)
    }

    /// Symbols of a name that a translation unit means by it: its own local, else the globals.
    pub fn meant<'b>(
        &'b self,
        unit: Unit,
        name: &str,
    ) -> impl Iterator<Item = &'b ImageSymbol<'a>> + use<'a, 'b> {
        let all: Vec<&ImageSymbol<'a>> = self.named(name).collect();
        let local =
            |symbol: &&ImageSymbol<'a>| symbol.binding == Binding::Local && unit == Unit::File(symbol.block);
        let own: Vec<_> = all.iter().copied().filter(local).collect();
        let chosen = if own.is_empty() {
            all.into_iter().filter(|symbol| symbol.binding != Binding::Local).collect()
        } else {
            own
        };
        chosen.into_iter()
    }

    /// The one symbol that a name and binding mean in a translation unit.
    pub fn find(&self, unit: Unit, name: &str, binding: Binding) -> Option<&ImageSymbol<'a>> {
        match binding {
            Binding::Local => self
                .named(name)
                .find(|symbol| symbol.binding == Binding::Local && unit == Unit::File(symbol.block)),
            _ => self.named(name).find(|symbol| symbol.binding != Binding::Local),
        }
    }

    /// Position among the namesakes in address order, which is the order of kallsyms (scripts/kallsyms.c,
    /// `compare_symbols`): 0 when unique, else from 1. `None` when kallsyms does not list it.
    pub fn position(&self, wanted: &ImageSymbol<'_>) -> Option<u32> {
        let mut addresses: Vec<u64> =
            self.named(wanted.name).filter(|symbol| symbol.counted).map(|symbol| symbol.address).collect();
        addresses.sort_unstable();
        let rank = addresses.iter().position(|&address| address == wanted.address)?;
        match addresses.len() {
            1 => Some(0),
            _ => u32::try_from(rank + 1).ok(),
        }
    }

    /// Translation units of a file name, each with the names of its local symbols.
    pub(super) fn blocks_named(&self, file: &str) -> Vec<(usize, BTreeSet<&str>)> {
        let blocks: Vec<usize> = (1..self.files.len()).filter(|&block| self.files[block] == file).collect();
        let mut found: Vec<(usize, BTreeSet<&str>)> =
            blocks.iter().map(|&block| (block, BTreeSet::new())).collect();
        for symbol in self.symbols.iter().filter(|symbol| symbol.binding == Binding::Local) {
            if let Ok(at) = blocks.binary_search(&symbol.block) {
                found[at].1.insert(symbol.name);
            }
        }
        found
    }

    fn named<'b>(&'b self, name: &str) -> impl Iterator<Item = &'b ImageSymbol<'a>> + use<'a, 'b> {
        self.by_name
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|&index| &self.symbols[index])
    }
}

/// What scripts/kallsyms.c keeps with CONFIG_KALLSYMS_ALL, which CONFIG_LIVEPATCH depends on (`is_ignored_symbol`,
/// `read_symbol`: absolute symbols go).
fn is_counted(name: &str, absolute: bool) -> bool {
    let ignored = ["$", ".L", "__efistub_", "__crc_", "__kcfi_typeid_", "__kvm_nvhe_"];
    !absolute && !ignored.iter().any(|prefix| name.starts_with(prefix))
}
