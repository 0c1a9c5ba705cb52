//! Which functions a livepatch module replaces, read from the tables that it registers, whoever built it.
//!
//! Three forms are known:
//!
//! * `struct klp_patch` in the module's data (include/linux/livepatch.h), as our frame and the kernel's own samples have
//!   it. It begins with the module and the objects; an object with its name, its functions and four callbacks; a function
//!   with its name, the new code and the position. What follows differs between kernels, so the distance from one entry
//!   to the next is read off the relocations.
//! * kpatch's section `.kpatch.funcs` (kmod/patch/kpatch-patch.h of kpatch), from which the module fills in that structure
//!   as it starts, and `.kpatch.callbacks.*`.
//! * `__klp_objects` and `__klp_funcs` of klp-build (include/linux/livepatch_external.h), read the same way.

use crate::module::{Header, ModuleError, damaged};
use object::LittleEndian;
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS, SHT_RELA, SHT_SYMTAB, STT_FUNC, STT_OBJECT};
use object::read::elf::{Rela, SectionHeader, SectionTable, Sym, SymbolTable};
use object::read::{SectionIndex, SymbolIndex};
use std::collections::BTreeMap;

/// `SHF_RELA_LIVEPATCH` (include/uapi/linux/elf.h): those are for the livepatch core and never in these tables.
const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;

/// Bytes of a pointer.
const POINTER: u64 = 8;

/// The members of `struct klp_callbacks`, in order (include/linux/livepatch.h).
const CALLBACKS: [&str; 4] = ["pre_patch", "post_patch", "pre_unpatch", "post_unpatch"];

/// Size of klp-build's `struct klp_func_ext`: name, new code, position.
const EXTERNAL_FUNCTION: u64 = 24;

/// Size of kpatch's `struct kpatch_patch_func` with and without `sympos`; name and object are its last two members.
const KPATCH_FUNCTION: [u64; 2] = [56, 48];

/// Who made the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableForm {
    /// `struct klp_patch`, written out in C.
    KlpPatch,
    /// kpatch's sections.
    Kpatch,
    /// klp-build's sections.
    KlpBuild,
}

/// What a livepatch module replaces in one kernel object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacements<'a> {
    /// `vmlinux` or a module's name.
    pub object: &'a str,
    /// The functions, in table order.
    pub functions: Vec<Replacement<'a>>,
    /// Callbacks: which one, and the function's name.
    pub callbacks: Vec<(&'static str, &'a str)>,
}

/// A replaced function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement<'a> {
    /// Name in the running kernel.
    pub name: &'a str,
    /// 0 when the name is unique in the object, else which of the symbols of that name, from 1.
    pub position: u64,
    /// Name of the new code in the module; empty when it has no symbol.
    pub new: &'a str,
}

/// The tables of a module; `None` when it has none of a known form.
pub(crate) fn read<'a>(
    body: &'a [u8],
    sections: &SectionTable<'a, Header>,
) -> Result<Option<(TableForm, Vec<Replacements<'a>>)>, ModuleError> {
    let reader = Reader::new(body, sections)?;
    let known = [
        (TableForm::Kpatch, reader.kpatch()),
        (TableForm::KlpBuild, reader.klp_build()),
        (TableForm::KlpPatch, reader.klp_patch()),
    ];
    Ok(known.into_iter().find(|(_, objects)| !objects.is_empty()))
}

/// A table with more objects or functions than this is none: what follows is left out, so that a hostile file costs no time.
const MOST_OBJECTS: usize = 1 << 8;
/// Functions of one object, the same.
const MOST_FUNCTIONS: usize = 1 << 14;

/// A place in a section.
type Place = (SectionIndex, u64);

struct Reader<'a, 's> {
    body: &'a [u8],
    sections: &'s SectionTable<'a, Header>,
    symbols: SymbolTable<'a, Header>,
    /// What each relocated field leads to.
    targets: BTreeMap<(usize, u64), Place>,
    /// Names of functions by place.
    functions: BTreeMap<(usize, u64), &'a str>,
}

impl<'a, 's> Reader<'a, 's> {
    fn new(body: &'a [u8], sections: &'s SectionTable<'a, Header>) -> Result<Self, ModuleError> {
        let symbols = sections.symbols(LittleEndian, body, SHT_SYMTAB).map_err(damaged("symbol table"))?;
        let mut reader =
            Self { body, sections, symbols, targets: BTreeMap::new(), functions: BTreeMap::new() };
        for section in sections.iter().filter(|section| section.sh_type(LittleEndian) == SHT_RELA) {
            if section.sh_flags(LittleEndian).0 & SHF_RELA_LIVEPATCH == 0 {
                reader.read_relocations(section)?;
            }
        }
        reader.read_functions();
        Ok(reader)
    }

    fn read_relocations(
        &mut self,
        section: &object::elf::SectionHeader64<LittleEndian>,
    ) -> Result<(), ModuleError> {
        let holder = section.sh_info(LittleEndian) as usize;
        let rela = section.rela(LittleEndian, self.body).map_err(damaged("relocation section"))?;
        for rela in rela.into_iter().flat_map(|(entries, _)| entries) {
            let symbol = SymbolIndex(rela.r_sym(LittleEndian, false) as usize);
            let Ok(symbol) = self.symbols.symbol(symbol) else { continue };
            let target = usize::from(symbol.st_shndx(LittleEndian).0);
            let offset = symbol.st_value(LittleEndian).wrapping_add_signed(rela.r_addend(LittleEndian));
            if target != 0 && self.sections.section(SectionIndex(target)).is_ok() {
                self.targets.insert((holder, rela.r_offset(LittleEndian)), (SectionIndex(target), offset));
            }
        }
        Ok(())
    }

    fn read_functions(&mut self) {
        for symbol in self.symbols.iter().filter(|symbol| symbol.st_type() == STT_FUNC) {
            let place = (usize::from(symbol.st_shndx(LittleEndian).0), symbol.st_value(LittleEndian));
            let name = symbol.name(LittleEndian, self.symbols.strings()).ok();
            if let Some(name) = name.and_then(|name| str::from_utf8(name).ok()) {
                // The first name is the one by which the compiler knew it; aliases come behind.
                self.functions.entry(place).or_insert(name);
            }
        }
    }

    fn named(&self, name: &str) -> Option<SectionIndex> {
        let found = self.sections.enumerate().find(|(_, section)| {
            section.sh_flags(LittleEndian).0 & SHF_ALLOC.0 != 0
                && self.sections.section_name(LittleEndian, section) == Ok(name.as_bytes())
        });
        found.map(|(index, _)| index)
    }

    fn bytes(&self, section: SectionIndex) -> &'a [u8] {
        let section = self.sections.section(section).ok();
        section.and_then(|section| section.data(LittleEndian, self.body).ok()).unwrap_or_default()
    }

    fn size(&self, section: SectionIndex) -> u64 {
        let section = self.sections.section(section).ok();
        section
            .filter(|section| section.sh_type(LittleEndian) != SHT_NOBITS)
            .map_or(0, |section| section.sh_size(LittleEndian).min(self.body.len() as u64))
    }

    fn target(&self, (section, offset): Place) -> Option<Place> {
        self.targets.get(&(section.0, offset)).copied()
    }

    /// The relocated fields of a stretch, in order, each with what it leads to.
    fn fields(&self, section: SectionIndex, start: u64, end: u64) -> impl Iterator<Item = (u64, Place)> + '_ {
        // An empty range where the end comes first: a hostile symbol may say so.
        let range = (section.0, start)..(section.0, end.max(start));
        self.targets.range(range).map(|((_, offset), target)| (*offset, *target))
    }

    /// The string that a pointer field leads to.
    fn string(&self, field: Place) -> Option<&'a str> {
        let (section, offset) = self.target(field)?;
        let rest = self.bytes(section).get(usize::try_from(offset).ok()?..)?;
        let text = rest.split(|byte| *byte == 0).next()?;
        str::from_utf8(text).ok().filter(|text| !text.is_empty())
    }

    /// The number that a field holds.
    fn number(&self, (section, offset): Place) -> u64 {
        let start = usize::try_from(offset).ok();
        let bytes = start.and_then(|start| self.bytes(section).get(start..start.checked_add(8)?));
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    fn is_code(&self, section: SectionIndex) -> bool {
        let section = self.sections.section(section);
        section.is_ok_and(|section| section.sh_flags(LittleEndian).0 & SHF_EXECINSTR.0 != 0)
    }

    /// The function that a pointer field leads to: its name, or nothing when it has none; `None` when it is no code.
    fn function(&self, field: Place) -> Option<&'a str> {
        let (section, offset) = self.target(field).filter(|(section, _)| self.is_code(*section))?;
        Some(self.functions.get(&(section.0, offset)).copied().unwrap_or_default())
    }

    /// Where the object ends that covers a place; the section's end when no symbol does.
    fn end(&self, (section, offset): Place) -> u64 {
        let covering =
            self.symbols.iter().filter(|symbol| symbol.st_type() == STT_OBJECT).find_map(|symbol| {
                let start = symbol.st_value(LittleEndian);
                let end = start.checked_add(symbol.st_size(LittleEndian))?;
                let same = usize::from(symbol.st_shndx(LittleEndian).0) == section.0;
                (same && (start..end).contains(&offset)).then_some(end)
            });
        covering.unwrap_or(u64::MAX).min(self.size(section))
    }

    /// An entry of a function table: name, new code, position.
    fn entry(&self, (section, offset): Place) -> Option<Replacement<'a>> {
        let second = offset.checked_add(POINTER)?;
        Some(Replacement {
            name: self.string((section, offset))?,
            new: self.function((section, second))?,
            position: self.number((section, second.checked_add(POINTER)?)),
        })
    }

    /// The entries of a function table, as long as they come at the same distance.
    fn entries(&self, (section, start): Place, end: u64) -> Vec<Replacement<'a>> {
        let mut stride = None;
        let mut found = Vec::new();
        for (offset, _) in self.fields(section, start, end) {
            let Some(entry) = self.entry((section, offset)) else { continue };
            let at = offset - start;
            let expected = stride.is_none_or(|stride: u64| at == stride * found.len() as u64);
            if !expected || found.len() == MOST_FUNCTIONS {
                break;
            }
            if found.len() == 1 {
                stride = Some(at);
            }
            found.push(entry);
        }
        found
    }

    /// The objects of a table whose entries are name, functions, callbacks. `functions` says which fields lead to
    /// functions, and which these are.
    fn objects(
        &self,
        section: SectionIndex,
        start: u64,
        end: u64,
        functions: impl Fn(Place) -> Vec<Replacement<'a>>,
    ) -> Vec<Replacements<'a>> {
        let mut objects = Vec::new();
        for (offset, target) in self.fields(section, start, end) {
            let functions = functions(target);
            if functions.is_empty() {
                continue;
            }
            let name = offset.checked_sub(POINTER).filter(|name| *name >= start);
            let object = name.and_then(|name| self.string((section, name))).unwrap_or("vmlinux");
            let callback = |(index, kind): (usize, &'static str)| {
                let field = offset.checked_add(POINTER * (index as u64 + 1))?;
                Some((kind, self.function((section, field))?))
            };
            let callbacks = CALLBACKS.into_iter().enumerate().filter_map(callback).collect();
            objects.push(Replacements { object, functions, callbacks });
            if objects.len() == MOST_OBJECTS {
                break;
            }
        }
        objects
    }

    fn klp_patch(&self) -> Vec<Replacements<'a>> {
        let Some(this_module) = self.named(".gnu.linkonce.this_module") else { return Vec::new() };
        let heads = self
            .targets
            .iter()
            .filter(|((section, _), target)| *section != this_module.0 && **target == (this_module, 0));
        for (&(section, offset), _) in heads {
            let Some(field) = offset.checked_add(POINTER) else { continue };
            let Some(table) = self.target((SectionIndex(section), field)) else { continue };
            let functions = |target: Place| match self.entry(target) {
                Some(_) => self.entries(target, self.end(target)),
                None => Vec::new(),
            };
            let objects = self.objects(table.0, table.1, self.end(table), functions);
            if !objects.is_empty() {
                return objects;
            }
        }
        Vec::new()
    }

    fn klp_build(&self) -> Vec<Replacements<'a>> {
        // The names of the published series and of its drafts.
        let names = [("__klp_objects", "__klp_funcs"), (".init.klp_objects", ".init.klp_funcs")];
        let found = names
            .into_iter()
            .find_map(|(objects, functions)| Some((self.named(objects)?, self.named(functions)?)));
        let Some((objects, functions)) = found else { return Vec::new() };
        let size = self.size(functions);
        // An object's functions reach to where the next one's begin.
        let mut starts: Vec<u64> = self
            .fields(objects, 0, self.size(objects))
            .filter(|(_, target)| target.0 == functions)
            .map(|(_, target)| target.1)
            .collect();
        starts.sort_unstable();
        let of_object = |(section, start): Place| {
            if section != functions {
                return Vec::new();
            }
            let end = starts.iter().copied().find(|next| *next > start).unwrap_or(size).min(size);
            let offsets = (start..end).step_by(EXTERNAL_FUNCTION as usize);
            offsets.filter_map(|offset| self.entry((functions, offset))).collect()
        };
        self.objects(objects, 0, self.size(objects), of_object)
    }

    fn kpatch(&self) -> Vec<Replacements<'a>> {
        let Some(section) = self.named(".kpatch.funcs") else { return Vec::new() };
        // The last member, the object's name, tells the two layouts apart.
        let layout =
            KPATCH_FUNCTION.into_iter().find(|size| self.string((section, size - POINTER)).is_some());
        let Some(size) = layout else { return Vec::new() };
        let mut objects: Vec<Replacements<'a>> = Vec::new();
        for start in (0..self.size(section)).step_by(size as usize) {
            let field = |offset: u64| (section, start.saturating_add(offset));
            let Some(name) = self.string(field(size - 2 * POINTER)) else { continue };
            let Some(object) = self.string(field(size - POINTER)) else { continue };
            let position = if size == KPATCH_FUNCTION[0] { self.number(field(4 * POINTER)) } else { 0 };
            let function = Replacement { name, position, new: self.function(field(0)).unwrap_or_default() };
            match objects.iter_mut().find(|known| known.object == object) {
                Some(known) => known.functions.push(function),
                None => {
                    objects.push(Replacements { object, functions: vec![function], callbacks: Vec::new() })
                }
            }
        }
        for kind in CALLBACKS {
            let Some(section) = self.named(&format!(".kpatch.callbacks.{kind}")) else { continue };
            for start in (0..self.size(section)).step_by(2 * POINTER as usize) {
                let callback = self.function((section, start));
                let object = self.string((section, start.saturating_add(POINTER)));
                let (Some(callback), Some(object)) = (callback, object) else { continue };
                if let Some(known) = objects.iter_mut().find(|known| known.object == object) {
                    known.callbacks.push((kind, callback));
                }
            }
        }
        objects
    }
}
