//! A linked kernel image: vmlinux with its symbol table.

use super::Unit;
use super::symbols::{ImageSymbol, ImageSymbols, IndexKey};
use crate::object::{Binding, ObjectError, SymbolKind};
use crate::seal;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{LittleEndian, elf};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// Bytes of zeros that are handed out at once: no object is as large, and a damaged size must not exhaust the memory.
const LARGEST_ZEROS: u64 = 1 << 24;

/// Longer names are none of the kernel's: it keeps no more than 511 bytes (`KSYM_NAME_LEN`, include/linux/kallsyms.h), and
/// a damaged table must not exhaust the memory.
const LONGEST_NAME: usize = 1023;
/// Symbols that the numbers of the index can hold with names of that length; vmlinux has some hundred thousand.
const MOST_SYMBOLS: usize = 1 << 21;

/// vmlinux, over its bytes (a memory map, usually).
#[derive(Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    sections: Vec<ImageSection>,
    symbols: ImageSymbols<'a>,
    notes: Option<(u64, u64)>,
    /// Address and size of objtool's list of functions whose landing pad goes at start; `None` when the kernel does not
    /// track indirect branches.
    sealed: Option<(u64, u64)>,
    debug_information: bool,
    /// Addresses of trace sites, once somebody asks.
    trace_sites: OnceLock<Vec<u64>>,
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
        let symbols = read_symbols(bytes)?;
        Self::with_symbols(bytes, symbols)
    }

    /// As [`Image::read`], with the symbols from what [`Image::index`] made; `None` when that is damaged or was made from
    /// another image, so that it must be made again.
    ///
    /// # Errors
    /// [`ObjectError`] when this is no x86-64 ELF image.
    pub fn read_indexed(
        bytes: &'a [u8],
        index: &'a [u8],
        key: &IndexKey,
    ) -> Result<Option<Self>, ObjectError> {
        ImageSymbols::parse(index, key).map(|symbols| Self::with_symbols(bytes, symbols)).transpose()
    }

    /// The symbols as bytes for a file beside the image. `key` is what tells this image from others: the same must be
    /// given to [`Image::read_indexed`].
    pub fn index(&self, key: &IndexKey) -> Vec<u8> {
        self.symbols.to_bytes(key)
    }

    fn with_symbols(bytes: &'a [u8], symbols: ImageSymbols<'a>) -> Result<Self, ObjectError> {
        let header = header(bytes)?;
        let table = header.sections(LittleEndian, bytes)?;
        let mut sections = Vec::new();
        let (mut notes, mut sealed) = (None, None);
        let mut names = table.iter().map(|section| table.section_name(LittleEndian, section));
        let debug_information = names.any(|name| name.is_ok_and(|name| name == b".debug_info"));
        for section in table.iter().filter(|section| section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC))
        {
            let range = Some((section.sh_addr(LittleEndian), section.sh_size(LittleEndian)));
            match table.section_name(LittleEndian, section)? {
                b".notes" => notes = range,
                name if name == seal::SEALED.as_bytes() => sealed = range,
                _ => {}
            }
            let zeros = section.sh_type(LittleEndian) == elf::SHT_NOBITS;
            sections.push(ImageSection {
                address: section.sh_addr(LittleEndian),
                size: section.sh_size(LittleEndian),
                offset: (!zeros).then(|| section.sh_offset(LittleEndian)),
            });
        }
        let trace_sites = OnceLock::new();
        Ok(Self { bytes, sections, symbols, notes, sealed, debug_information, trace_sites })
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Never true: an image without symbols is not read.
    pub fn is_empty(&self) -> bool {
        self.symbols.len() == 0
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

    /// Whether the kernel tracks indirect branches (CONFIG_X86_KERNEL_IBT).
    pub(super) fn tracks_indirect_branches(&self) -> bool {
        self.sealed.is_some()
    }

    /// Whether a call of the function through a pointer is fatal: it has no landing pad, or loses it at start.
    pub(super) fn is_sealed(&self, function: &ImageSymbol<'_>) -> bool {
        let Some((address, size)) = self.sealed else { return false };
        let code = self.bytes_at(function.address, function.size).unwrap_or_default();
        let fields = self.bytes_at(address, size).unwrap_or_default();
        let mut listed = fields.chunks_exact(4).zip(0u64..).map(|(field, number)| {
            let distance = field.try_into().map(i32::from_le_bytes).unwrap_or_default();
            address.wrapping_add(number * 4).wrapping_add(i64::from(distance) as u64)
        });
        !seal::has_landing_pad(&code) || listed.any(|place| place == function.address)
    }

    /// Symbols of a name that a translation unit means by it: its own local, else the globals.
    pub fn meant<'b>(
        &'b self,
        unit: Unit,
        name: &str,
    ) -> impl Iterator<Item = ImageSymbol<'b>> + use<'a, 'b> {
        let all: Vec<ImageSymbol<'b>> = self.symbols.named(name).collect();
        let is_own =
            |symbol: &ImageSymbol<'_>| symbol.binding == Binding::Local && unit == Unit::File(symbol.block);
        let has_own = all.iter().any(is_own);
        all.into_iter().filter(move |symbol| match has_own {
            true => symbol.binding == Binding::Local && unit == Unit::File(symbol.block),
            false => symbol.binding != Binding::Local,
        })
    }

    /// The one symbol that a name and binding mean in a translation unit.
    pub fn find(&self, unit: Unit, name: &str, binding: Binding) -> Option<ImageSymbol<'_>> {
        let mut named = self.symbols.named(name);
        match binding {
            Binding::Local => {
                named.find(|symbol| symbol.binding == Binding::Local && unit == Unit::File(symbol.block))
            }
            _ => named.find(|symbol| symbol.binding != Binding::Local),
        }
    }

    /// Whether a function has a trace site: `__mcount_loc`, between two symbols of include/asm-generic/vmlinux.lds.h.
    pub(super) fn is_traced(&self, function: ImageSymbol<'_>) -> Option<bool> {
        let sites = self.trace_sites.get_or_init(|| self.read_trace_sites());
        let end = function.address.saturating_add(function.size.max(1));
        let at = sites.partition_point(|&site| site < function.address);
        (!sites.is_empty()).then(|| sites.get(at).is_some_and(|&site| site < end))
    }

    fn read_trace_sites(&self) -> Vec<u64> {
        let address = |name: &str| self.symbols.named(name).next().map(|symbol| symbol.address);
        let bounds = address("__start_mcount_loc").zip(address("__stop_mcount_loc"));
        let size = |(start, stop): (u64, u64)| stop.checked_sub(start).filter(|size| *size <= LARGEST_ZEROS);
        let bytes = bounds.and_then(|bounds| self.bytes_at(bounds.0, size(bounds)?)).unwrap_or_default();
        let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or(0);
        let mut sites: Vec<u64> = bytes.chunks_exact(8).map(word).filter(|&site| site != 0).collect();
        sites.sort_unstable();
        sites
    }

    /// Position among the namesakes in address order, which is the order of kallsyms (scripts/kallsyms.c,
    /// `compare_symbols`): 0 when unique, else from 1. `None` when kallsyms does not list it.
    pub fn position(&self, wanted: &ImageSymbol<'_>) -> Option<u32> {
        let namesakes = self.symbols.named(wanted.name).filter(|symbol| symbol.counted);
        let mut addresses: Vec<u64> = namesakes.map(|symbol| symbol.address).collect();
        addresses.sort_unstable();
        let rank = addresses.iter().position(|&address| address == wanted.address)?;
        match addresses.len() {
            1 => Some(0),
            _ => u32::try_from(rank + 1).ok(),
        }
    }

    /// Translation units of a file name, each with the names of its local symbols.
    pub(super) fn blocks_named(&self, file: &str) -> Vec<(usize, BTreeSet<&str>)> {
        let blocks = self.symbols.files_named(file);
        let mut found: Vec<(usize, BTreeSet<&str>)> =
            blocks.iter().map(|&block| (block, BTreeSet::new())).collect();
        for symbol in self.symbols.iter().filter(|symbol| symbol.binding == Binding::Local) {
            if let Ok(at) = blocks.binary_search(&symbol.block) {
                found[at].1.insert(symbol.name);
            }
        }
        found
    }
}

fn header(bytes: &[u8]) -> Result<&elf::FileHeader64<LittleEndian>, ObjectError> {
    let header = elf::FileHeader64::<LittleEndian>::parse(bytes)?;
    if header.e_machine(LittleEndian) != elf::EM_X86_64 {
        return Err(ObjectError::Unusable("the image is not for x86-64".into()));
    }
    Ok(header)
}

fn read_symbols(bytes: &[u8]) -> Result<ImageSymbols<'static>, ObjectError> {
    let table = header(bytes)?.sections(LittleEndian, bytes)?;
    let table = table.symbols(LittleEndian, bytes, elf::SHT_SYMTAB)?;
    let mut symbols = Vec::with_capacity(table.len());
    let mut files = vec![""];
    for symbol in table.iter() {
        let name = table.symbol_name(LittleEndian, symbol)?;
        let Some(name) = std::str::from_utf8(name).ok().filter(|name| name.len() <= LONGEST_NAME) else {
            continue;
        };
        if symbol.st_type() == elf::STT_FILE {
            files.push(name);
        }
        symbols.extend(image_symbol(symbol, name, files.len() - 1));
    }
    match symbols.len() {
        0 => return Err(ObjectError::Unusable("the image has no symbols".into())),
        1..=MOST_SYMBOLS => {}
        _ => return Err(ObjectError::Unusable("the image has too many symbols".into())),
    }
    Ok(ImageSymbols::new(&symbols, &files))
}

/// `None` for what is no symbol of the kernel: files, sections, undefined ones.
fn image_symbol<'a>(
    symbol: &elf::Sym64<LittleEndian>,
    name: &'a str,
    block: usize,
) -> Option<ImageSymbol<'a>> {
    let kind = match symbol.st_type() {
        elf::STT_FILE | elf::STT_SECTION => return None,
        elf::STT_FUNC => SymbolKind::Function,
        elf::STT_OBJECT => SymbolKind::Object,
        _ => SymbolKind::Untyped,
    };
    if name.is_empty() || symbol.is_undefined(LittleEndian) {
        return None;
    }
    let binding = match symbol.st_bind() {
        elf::STB_LOCAL => Binding::Local,
        elf::STB_WEAK => Binding::Weak,
        _ => Binding::Global,
    };
    let (address, size) = (symbol.st_value(LittleEndian), symbol.st_size(LittleEndian));
    let counted = is_counted(name, symbol.is_absolute(LittleEndian));
    Some(ImageSymbol { name, address, size, kind, binding, block, counted })
}

/// What scripts/kallsyms.c keeps with CONFIG_KALLSYMS_ALL, which CONFIG_LIVEPATCH depends on (`is_ignored_symbol`,
/// `read_symbol`: absolute symbols go).
fn is_counted(name: &str, absolute: bool) -> bool {
    let ignored = ["$", ".L", "__efistub_", "__crc_", "__kcfi_typeid_", "__kvm_nvhe_"];
    !absolute && !ignored.iter().any(|prefix| name.starts_with(prefix))
}
