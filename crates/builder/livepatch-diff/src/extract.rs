//! Writes the selected parts of a patched object as an object of its own.
//!
//! Functions and data keep their section and symbol names, so that the kernel's log speaks of `f` and not of a made-up name;
//! they become local, since the running kernel has the global of that name. Each replaced function also gets a global
//! alias that the module's glue can name in C; [`crate::finish_module`] removes it again. What stays in the running kernel is
//! referred to by an undefined symbol with its plain name, which objtool understands; [`crate::name_symbols`] comes later.

use crate::annotations::CallbackKind;
use crate::arch::Architecture;
use crate::difference::{Difference, Role, piece_or_end};
use crate::names::cold_parent;
use crate::noreturn;
use crate::object::{Binding, SectionIndex, SectionKind, SymbolIndex, SymbolKind};
use crate::padding::Paddings;
use crate::reference::{Reference, Resolved, references, stretch};
use crate::seal;
use crate::tables::Entry;
use object::build::elf::{Builder, Relocation, SectionData, SectionId, SymbolId};
use object::{Endianness, elf};
use std::collections::BTreeMap;

/// Why the object cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The writer refused.
    #[error("cannot write the extracted object")]
    Write(#[from] object::build::Error),
    /// Modules cannot be linked for that machine.
    #[error("the objects are for {0}: they can be compared, but only x86-64 modules can be linked")]
    Machine(Architecture),
    /// A reference leads to something that was not selected: a fault of this program.
    #[error("internal: {0} is referred to and was not selected")]
    NotSelected(String),
}

/// An extracted object.
#[derive(Debug)]
pub struct Extracted {
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// Replaced functions, as (alias, original symbol), in symbol order.
    pub replaced: Vec<(String, SymbolIndex)>,
    /// Callbacks, as (kind, alias, function's name).
    pub callbacks: Vec<(CallbackKind, String, String)>,
    /// Undefined symbols by name, with the original's symbol when it is one of the same translation unit, and one of the
    /// functions that refers to it.
    pub needed: BTreeMap<String, (Option<SymbolIndex>, String)>,
}

/// Prefix of the aliases, which no kernel symbol has.
const ALIAS: &str = "livepatch_new_";

/// The alias of the `number`th replaced function of the `unit`th translation unit: an identifier in C.
pub fn function_alias(unit: usize, number: usize) -> String {
    format!("{ALIAS}{unit}_{number}")
}

/// The alias of a callback of the `unit`th translation unit: an identifier in C.
fn callback_alias(unit: usize, number: usize, kind: CallbackKind) -> String {
    format!("{ALIAS}{unit}_{number}_{}", kind.member())
}

/// Whether a symbol is such an alias.
pub(crate) fn is_alias(name: &[u8]) -> bool {
    name.starts_with(ALIAS.as_bytes())
}

/// Writes what `difference` selected; `unit` numbers the translation unit within the livepatch.
///
/// # Errors
/// [`ExtractError::Machine`] for a machine other than x86-64; else not for anything that the input can cause once
/// `difference` has no refusals.
pub fn extract(difference: &Difference<'_>, unit: usize) -> Result<Extracted, ExtractError> {
    let machine = difference.patched.architecture;
    if !machine.links_modules() {
        return Err(ExtractError::Machine(machine));
    }
    let mut writer = Writer::new(difference);
    writer.place();
    writer.place_seal_exceptions();
    writer.place_dead_ends();
    let replaced = writer.define_symbols(unit);
    let callbacks = writer.define_callbacks(unit);
    writer.define_sections();
    writer.relocate()?;
    writer.finish(replaced, callbacks)
}

/// A section of the output while it grows.
struct OutSection {
    name: String,
    sh_type: u32,
    flags: u64,
    align: u64,
    data: Vec<u8>,
    /// Size of a section of zeros.
    zeros: u64,
    id: Option<SectionId>,
    symbol: Option<SymbolId>,
    relocations: Vec<Relocation>,
}

/// Places behind calls that never come back.
struct DeadEnds {
    /// The output section with the notes for objtool, and where in it they begin.
    notes: (usize, u64),
    /// By function, and offset in its section of the patched object.
    places: Vec<(SymbolIndex, u64)>,
}

struct Writer<'a> {
    difference: &'a Difference<'a>,
    builder: Builder<'static>,
    sections: Vec<OutSection>,
    by_name: BTreeMap<(String, u32), usize>,
    /// Where each included symbol is put: output section, offset.
    symbols: BTreeMap<SymbolIndex, (usize, u64)>,
    pieces: BTreeMap<(SectionIndex, u64), (usize, u64)>,
    entries: Vec<(SymbolIndex, Entry, usize, u64)>,
    defined: BTreeMap<SymbolIndex, SymbolId>,
    undefined: BTreeMap<String, SymbolId>,
    needed: BTreeMap<String, (Option<SymbolIndex>, String)>,
    /// Functions that others may take the address of, and the section that says so to objtool.
    unsealed: Option<(usize, Vec<SymbolIndex>)>,
    dead_ends: Option<DeadEnds>,
}

impl<'a> Writer<'a> {
    fn new(difference: &'a Difference<'a>) -> Self {
        let mut builder = Builder::new(Endianness::Little, true);
        builder.header.e_type = elf::ET_REL;
        builder.header.e_machine = difference.patched.architecture.elf_machine();
        Self {
            difference,
            builder,
            sections: Vec::new(),
            by_name: BTreeMap::new(),
            symbols: BTreeMap::new(),
            pieces: BTreeMap::new(),
            entries: Vec::new(),
            defined: BTreeMap::new(),
            undefined: BTreeMap::new(),
            needed: BTreeMap::new(),
            unsealed: None,
            dead_ends: None,
        }
    }

    /// Gives every selected thing its place.
    fn place(&mut self) {
        let patched = self.difference.patched;
        let paddings = Paddings::read(patched);
        for &index in &self.difference.included {
            let Some(section) = patched.section_of(index) else { continue };
            let symbol = &patched.symbols[index];
            let padding = paddings.of(patched, index);
            let (start, size) = (symbol.value - padding, symbol.size + padding);
            let (out, at) = self.append(section, start, size, patched.sections[section].align);
            self.symbols.insert(index, (out, at + padding));
        }
        for &(section, start, size) in &self.difference.pieces {
            let at = self.append(section, start, size, patched.sections[section].align);
            self.pieces.insert((section, start), at);
        }
        for &index in &self.difference.included {
            for entry in self.difference.tables.of(index) {
                let out = self.out_section(entry.section);
                let at = self.sections[out].data.len() as u64;
                self.sections[out].data.extend(&entry.bytes);
                self.entries.push((index, entry.clone(), out, at));
            }
        }
    }

    /// Makes room for what keeps objtool from sealing functions that the frame or another unit may point to: those that are
    /// replaced, and new global ones.
    fn place_seal_exceptions(&mut self) {
        let (difference, patched) = (self.difference, self.difference.patched);
        let reachable = |index: &SymbolIndex| {
            let is_new_global = patched.symbols[*index].binding != Binding::Local
                && difference.correlation.original_of(*index).is_none();
            let is_callback = difference.annotations.callbacks.iter().any(|(_, callback)| callback == index);
            is_new_global
                || is_callback
                || difference.redirected.iter().any(|(_, redirected)| redirected == index)
        };
        let lands = |index: &SymbolIndex| {
            patched.symbols[*index].kind == SymbolKind::Function
                && patched.bytes_of(*index).is_some_and(seal::has_landing_pad)
        };
        let functions: Vec<SymbolIndex> =
            self.symbols.keys().copied().filter(lands).filter(reachable).collect();
        if functions.is_empty() {
            return;
        }
        self.unsealed = Some((self.sections.len(), functions.clone()));
        self.sections.push(OutSection {
            name: seal::NOT_TO_SEAL.to_owned(),
            sh_type: elf::SHT_PROGBITS.0,
            flags: elf::SHF_ALLOC.0,
            align: 8,
            data: vec![0; functions.len() * 8],
            zeros: 0,
            id: None,
            symbol: None,
            relocations: Vec::new(),
        });
    }

    /// Makes room for notes that say where calls of functions that stay in the kernel never come back.
    fn place_dead_ends(&mut self) {
        let patched = self.difference.patched;
        let mut known: BTreeMap<SymbolIndex, bool> = BTreeMap::new();
        let mut places = Vec::new();
        for &index in self.symbols.keys() {
            let (Some(code), Some(section)) = (patched.bytes_of(index), patched.section_of(index)) else {
                continue;
            };
            let symbol = &patched.symbols[index];
            if symbol.kind != SymbolKind::Function {
                continue;
            }
            for resolved in references(patched, section, symbol.value, symbol.size) {
                let Reference::Symbol(target, 0) = resolved.reference else { continue };
                let stays = matches!(self.difference.role(Some(index), &resolved, target), Role::Original(_));
                let at = resolved.relocation.offset;
                if stays
                    && patched.architecture.is_call(code, at - symbol.value)
                    && *known.entry(target).or_insert_with(|| noreturn::never_returns(patched, target))
                {
                    places.push((index, at.saturating_add_signed(resolved.bias)));
                }
            }
        }
        if places.is_empty() {
            return;
        }
        let section = self.section_named(noreturn::UNREACHABLE, elf::SHT_PROGBITS.0, 0, 1);
        let start = self.sections[section].data.len() as u64;
        self.sections[section].data.resize(start as usize + places.len() * 4, 0);
        self.dead_ends = Some(DeadEnds { notes: (section, start), places });
    }

    /// The output section for a section of the patched object: same name, type and flags, but nothing is merged any more.
    fn out_section(&mut self, section: SectionIndex) -> usize {
        let source = &self.difference.patched.sections[section];
        let merged = elf::SHF_MERGE.0 | elf::SHF_STRINGS.0 | elf::SHF_GROUP.0;
        self.section_named(&source.name, source.sh_type, source.flags & !merged, source.align)
    }

    /// The output section of a name and type; made when it is not there.
    fn section_named(&mut self, name: &str, sh_type: u32, flags: u64, align: u64) -> usize {
        let key = (name.to_owned(), sh_type);
        if let Some(&found) = self.by_name.get(&key) {
            self.sections[found].align = self.sections[found].align.max(align);
            return found;
        }
        self.sections.push(OutSection {
            name: name.to_owned(),
            sh_type,
            flags,
            align: align.max(1),
            data: Vec::new(),
            zeros: 0,
            id: None,
            symbol: None,
            relocations: Vec::new(),
        });
        self.by_name.insert(key, self.sections.len() - 1);
        self.sections.len() - 1
    }

    fn append(&mut self, section: SectionIndex, start: u64, size: u64, align: u64) -> (usize, u64) {
        let out = self.out_section(section);
        let source = &self.difference.patched.sections[section];
        let target = &mut self.sections[out];
        let align = align.clamp(1, 1 << 16);
        if source.kind == SectionKind::Zero {
            let at = target.zeros.next_multiple_of(align);
            target.zeros = at + size;
            return (out, at);
        }
        // Between functions the processor must find no-ops, not zeros.
        let filler = if source.is_code() { 0x90 } else { 0 };
        target.data.resize((target.data.len() as u64).next_multiple_of(align) as usize, filler);
        let at = target.data.len() as u64;
        target.data.extend(stretch(&source.data, start, size));
        (out, at)
    }

    fn define_sections(&mut self) {
        for index in 0..self.sections.len() {
            let symbol = self.sections[index].symbol;
            let section = &self.sections[index];
            if let (Some(id), Some(symbol)) = (section.id, symbol) {
                let symbol = self.builder.symbols.get_mut(symbol);
                symbol.section = Some(id);
                symbol.set_st_info(elf::STB_LOCAL, elf::STT_SECTION);
            }
        }
    }

    /// Adds sections, section symbols, the included functions and data, and the aliases.
    fn define_symbols(&mut self, unit: usize) -> Vec<(String, SymbolIndex)> {
        for section in &mut self.sections {
            let out = self.builder.sections.add();
            out.name = section.name.clone().into_bytes().into();
            out.sh_type = elf::SectionType(section.sh_type);
            out.sh_flags = elf::SectionFlags(section.flags);
            out.sh_addralign = section.align;
            out.data = if section.sh_type == elf::SHT_NOBITS.0 {
                SectionData::UninitializedData(section.zeros)
            } else {
                SectionData::Data(std::mem::take(&mut section.data).into())
            };
            section.id = Some(out.id());
            section.symbol = Some(self.builder.symbols.add().id());
        }
        if let Some(file) = self.difference.patched.file_name() {
            let symbol = self.builder.symbols.add();
            symbol.name = file.to_owned().into_bytes().into();
            symbol.st_shndx = elf::SHN_ABS;
            symbol.set_st_info(elf::STB_LOCAL, elf::STT_FILE);
        }
        for (index, (section, offset)) in self.symbols.clone() {
            let id = self.define(index, section, offset);
            self.defined.insert(index, id);
        }
        self.define_aliases(unit)
    }

    fn define(&mut self, index: SymbolIndex, section: usize, offset: u64) -> SymbolId {
        let patched = &self.difference.patched.symbols[index];
        let original = self.difference.correlation.original_of(index);
        let name =
            original.map_or(&patched.name, |original| &self.difference.original.symbols[original].name);
        let binding = match (original, patched.binding) {
            (None, Binding::Global | Binding::Weak) => elf::STB_GLOBAL,
            _ => elf::STB_LOCAL,
        };
        let kind = if patched.kind == SymbolKind::Function { elf::STT_FUNC } else { elf::STT_OBJECT };
        let symbol = self.builder.symbols.add();
        symbol.name = name.clone().into_bytes().into();
        symbol.section = self.sections[section].id;
        symbol.st_value = offset;
        symbol.st_size = patched.size;
        symbol.set_st_info(binding, kind);
        symbol.id()
    }

    fn define_aliases(&mut self, unit: usize) -> Vec<(String, SymbolIndex)> {
        let mut replaced = Vec::new();
        for &(original, patched) in &self.difference.redirected {
            let Some(&(section, offset)) = self.symbols.get(&patched) else { continue };
            let alias = function_alias(unit, replaced.len());
            self.define_alias(&alias, patched, (section, offset));
            replaced.push((alias, original));
        }
        replaced
    }

    fn define_callbacks(&mut self, unit: usize) -> Vec<(CallbackKind, String, String)> {
        let mut callbacks = Vec::new();
        for &(kind, function) in &self.difference.annotations.callbacks {
            let Some(&place) = self.symbols.get(&function) else { continue };
            let alias = callback_alias(unit, callbacks.len(), kind);
            self.define_alias(&alias, function, place);
            callbacks.push((kind, alias, self.difference.patched.symbols[function].name.clone()));
        }
        callbacks
    }

    fn define_alias(&mut self, alias: &str, function: SymbolIndex, (section, offset): (usize, u64)) {
        let symbol = self.builder.symbols.add();
        symbol.name = alias.to_owned().into_bytes().into();
        symbol.section = self.sections[section].id;
        symbol.st_value = offset;
        symbol.st_size = self.difference.patched.symbols[function].size;
        symbol.set_st_info(elf::STB_GLOBAL, elf::STT_FUNC);
    }

    fn relocate(&mut self) -> Result<(), ExtractError> {
        let patched = self.difference.patched;
        for (index, (out, at)) in self.symbols.clone() {
            let Some(section) = patched.section_of(index) else { continue };
            let symbol = &patched.symbols[index];
            for resolved in references(patched, section, symbol.value, symbol.size) {
                self.relocation(Some(index), &resolved, out, at.wrapping_sub(symbol.value))?;
            }
        }
        for (section, start, size) in self.difference.pieces.clone() {
            let (out, at) = self.pieces[&(section, start)];
            for resolved in references(patched, section, start, size) {
                self.relocation(None, &resolved, out, at.wrapping_sub(start))?;
            }
        }
        for (index, entry, out, at) in std::mem::take(&mut self.entries) {
            for resolved in &entry.references {
                self.relocation(Some(index), resolved, out, at.wrapping_sub(entry.offset))?;
            }
        }
        let mut unsealed = Vec::new();
        for (number, function) in self.unsealed.iter().flat_map(|(_, list)| list).enumerate() {
            let (section, at) = self.symbols[function];
            unsealed.push(Relocation {
                r_offset: number as u64 * 8,
                symbol: self.sections[section].symbol,
                r_type: elf::R_X86_64_64,
                r_addend: at as i64,
            });
        }
        if let Some(&(section, _)) = self.unsealed.as_ref() {
            self.sections[section].relocations = unsealed;
        }
        self.relocate_dead_ends();
        Ok(())
    }

    fn relocate_dead_ends(&mut self) {
        let Some(DeadEnds { notes: (section, start), places }) = self.dead_ends.take() else { return };
        for (number, (function, place)) in places.into_iter().enumerate() {
            let (out, at) = self.symbols[&function];
            let into = place - self.difference.patched.symbols[function].value;
            let relocation = Relocation {
                r_offset: start + number as u64 * 4,
                symbol: self.sections[out].symbol,
                r_type: elf::R_X86_64_PC32,
                r_addend: (at + into) as i64,
            };
            self.sections[section].relocations.push(relocation);
        }
    }

    /// Writes one reference again; `shift` is what its offset moves by.
    fn relocation(
        &mut self,
        from: Option<SymbolIndex>,
        resolved: &Resolved,
        out: usize,
        shift: u64,
    ) -> Result<(), ExtractError> {
        let (symbol, offset) = match resolved.reference {
            Reference::Symbol(target, into) => match self.difference.role(from, resolved, target) {
                Role::Copy(target) => self.copy(target, into)?,
                Role::Original(original) => {
                    let name = self.difference.original.symbols[original].name.clone();
                    (self.undefined(name, Some(original), from), into)
                }
            },
            Reference::External(target, offset) => {
                let name = self.difference.patched.symbols[target].name.clone();
                (self.undefined(name, None, from), offset)
            }
            Reference::Section(section, at) => self.anonymous(section, at)?,
        };
        self.sections[out].relocations.push(Relocation {
            r_offset: resolved.relocation.offset.wrapping_add(shift),
            symbol: Some(symbol),
            r_type: elf::RelocationType(resolved.relocation.kind),
            r_addend: offset.wrapping_sub(resolved.bias),
        });
        Ok(())
    }

    /// A carried symbol: by section and offset, as the assembler does it for local ones, and as objtool expects it. A place
    /// within a global function too: by the function's symbol objtool would take a jump there, back from the cold part,
    /// for a call of the function (tools/objtool/check.c, `add_jump_destinations`).
    fn copy(&self, target: SymbolIndex, into: i64) -> Result<(SymbolId, i64), ExtractError> {
        let missing = || ExtractError::NotSelected(self.difference.patched.symbols[target].name.clone());
        let &(out, offset) = self.symbols.get(&target).ok_or_else(missing)?;
        let is_global = self.builder.symbols.get(self.defined[&target]).st_bind() == elf::STB_GLOBAL;
        let is_within = into != 0 && self.difference.patched.symbols[target].kind == SymbolKind::Function;
        if is_global && !is_within {
            return Ok((self.defined[&target], into));
        }
        let section = self.sections[out].symbol.ok_or_else(missing)?;
        Ok((section, (offset as i64).wrapping_add(into)))
    }

    fn anonymous(&self, section: SectionIndex, at: i64) -> Result<(SymbolId, i64), ExtractError> {
        let patched = self.difference.patched;
        let found = u64::try_from(at)
            .ok()
            .and_then(|place| piece_or_end(patched, section, place))
            .and_then(|(start, _)| Some((self.pieces.get(&(section, start))?, start)));
        let Some((&(out, offset), start)) = found else {
            return Err(ExtractError::NotSelected(patched.sections[section].name.clone()));
        };
        let symbol = self.sections[out].symbol;
        let symbol = symbol.ok_or_else(|| ExtractError::NotSelected(self.sections[out].name.clone()))?;
        Ok((symbol, (offset as i64).wrapping_add(at.wrapping_sub(start as i64))))
    }

    fn undefined(
        &mut self,
        name: String,
        original: Option<SymbolIndex>,
        from: Option<SymbolIndex>,
    ) -> SymbolId {
        if let Some(&id) = self.undefined.get(&name) {
            return id;
        }
        let user = from.map_or("unnamed data", |from| &self.difference.patched.symbols[from].name);
        let user = cold_parent(user).unwrap_or(user).to_owned();
        let id = self.add_undefined(&name);
        self.needed.insert(name.clone(), (original, user.clone()));
        // objtool finds the key of a static call by the name of its trampoline (tools/objtool/check.c,
        // `create_static_call_sections`), so the key must be there too.
        if let Some(call) = name.strip_prefix("__SCT__") {
            let key = format!("__SCK__{call}");
            let here = self.difference.patched.symbols.iter().position(|symbol| symbol.name == key);
            if let (Some(found), false) = (here, self.undefined.contains_key(&key)) {
                self.add_undefined(&key);
                let original = self.difference.correlation.original_of(found);
                self.needed.insert(key, (original, user));
            }
        }
        id
    }

    fn add_undefined(&mut self, name: &str) -> SymbolId {
        let symbol = self.builder.symbols.add();
        symbol.name = name.to_owned().into_bytes().into();
        symbol.set_st_info(elf::STB_GLOBAL, elf::STT_NOTYPE);
        let id = symbol.id();
        self.undefined.insert(name.to_owned(), id);
        id
    }

    fn finish(
        mut self,
        replaced: Vec<(String, SymbolIndex)>,
        callbacks: Vec<(CallbackKind, String, String)>,
    ) -> Result<Extracted, ExtractError> {
        let symtab = add_structure(&mut self.builder, ".symtab", elf::SHT_SYMTAB, SectionData::Symbol);
        add_structure(&mut self.builder, ".strtab", elf::SHT_STRTAB, SectionData::String);
        add_structure(&mut self.builder, ".shstrtab", elf::SHT_STRTAB, SectionData::SectionString);
        for section in self.sections.iter_mut().filter(|section| !section.relocations.is_empty()) {
            let mut relocations = std::mem::take(&mut section.relocations);
            relocations.sort_by_key(|relocation| relocation.r_offset);
            let out = self.builder.sections.add();
            out.name = format!(".rela{}", section.name).into_bytes().into();
            out.sh_type = elf::SHT_RELA;
            out.sh_flags = elf::SHF_INFO_LINK;
            out.sh_link_section = Some(symtab);
            out.sh_info_section = section.id;
            out.sh_addralign = 8;
            out.sh_entsize = 24;
            out.data = SectionData::Relocation(relocations);
        }
        let mut bytes = Vec::new();
        self.builder.write(&mut bytes)?;
        Ok(Extracted { bytes, replaced, callbacks, needed: self.needed })
    }
}

fn add_structure(
    builder: &mut Builder<'static>,
    name: &'static str,
    sh_type: elf::SectionType,
    data: SectionData<'static>,
) -> SectionId {
    let section = builder.sections.add();
    section.name = name.into();
    section.sh_type = sh_type;
    section.sh_addralign = if sh_type == elf::SHT_SYMTAB { 8 } else { 1 };
    section.data = data;
    section.id()
}
