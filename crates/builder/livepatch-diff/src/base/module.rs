//! A module as the distribution ships it: a relocatable object with symbols.

use super::Unit;
use crate::names::is_never_shared;
use crate::object::{Binding, Definition, Object, ObjectError, SymbolIndex, SymbolKind};
use crate::reference::{Reference, references};
use crate::seal;
use std::collections::BTreeSet;

/// A module and which translation unit each of its local symbols belongs to.
#[derive(Debug)]
pub struct ModuleBase {
    name: String,
    object: Object,
    /// Per symbol: number of the `STT_FILE` symbol before it, from 1.
    block: Vec<usize>,
    files: Vec<String>,
}

impl ModuleBase {
    pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Self, ObjectError> {
        let object = Object::read(bytes)?;
        let mut files = vec![String::new()];
        let mut block = Vec::with_capacity(object.symbols.len());
        for symbol in &object.symbols {
            if symbol.kind == SymbolKind::File {
                files.push(symbol.name.clone());
            }
            block.push(files.len() - 1);
        }
        Ok(Self { name: name.to_owned(), object, block, files })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn object(&self) -> &Object {
        &self.object
    }

    pub(super) fn blocks_named(&self, file: &str) -> Vec<(usize, BTreeSet<&str>)> {
        let wanted = (1..self.files.len()).filter(|&block| self.files[block] == file);
        let names = |block: usize| {
            (0..self.object.symbols.len())
                .filter(|&index| {
                    self.block[index] == block && self.object.symbols[index].binding == Binding::Local
                })
                .map(|index| self.object.symbols[index].name.as_str())
                .collect()
        };
        wanted.map(|block| (block, names(block))).collect()
    }

    /// Debian strips modules with `--strip-debug`, which takes the file names too.
    pub(super) fn has_file_names(&self) -> bool {
        self.files.len() > 1
    }

    /// The run of local symbols that a translation unit's names make up: the linker keeps each unit's locals together.
    /// Names that occur once anchor it; then nearly all of what lies between must be wanted too.
    pub(super) fn run(&self, original: &Object, wanted: &BTreeSet<&str>) -> Result<Unit, String> {
        let local = |index: &usize| {
            let symbol = &self.object.symbols[*index];
            symbol.binding == Binding::Local
                && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object)
                && !symbol.name.starts_with("__UNIQUE_ID_")
        };
        let locals: Vec<usize> = (0..self.object.symbols.len()).filter(local).collect();
        let name = |index: usize| self.object.symbols[index].name.as_str();
        let once = |found: &usize| locals.iter().filter(|&&other| name(other) == name(*found)).count() == 1;
        let anchors: Vec<usize> =
            locals.iter().copied().filter(|&index| wanted.contains(name(index))).filter(once).collect();
        let (Some(&first), Some(&last)) = (anchors.first(), anchors.last()) else {
            // Of `__func__` and its like every unit has some; the livepatch has its own of those.
            return if wanted.iter().all(|name| is_never_shared(name)) {
                Ok(Unit::NoLocals)
            } else {
                Err("it has none of the local symbols".into())
            };
        };
        let (first, last) = self.extended(original, &locals, wanted, (first, last));
        let within: Vec<usize> =
            locals.iter().copied().filter(|index| (first..=last).contains(index)).collect();
        let fitting = within.iter().filter(|&&index| wanted.contains(name(index))).count();
        if fitting * 10 < within.len() * 9 || fitting * 2 < wanted.len() {
            return Err(format!(
                "{fitting} of {} wanted local symbols lie among {} in a row",
                wanted.len(),
                within.len()
            ));
        }
        Ok(Unit::Run(first, last))
    }

    /// The run from `first` to `last` with what follows at either end. Namesakes of other units are no anchors, but a
    /// unit has each name once: what is in the run already does not belong to it, and of a name at both ends only the one
    /// on the side where the compiled unit has it.
    fn extended(
        &self,
        original: &Object,
        locals: &[SymbolIndex],
        wanted: &BTreeSet<&str>,
        (first, last): (SymbolIndex, SymbolIndex),
    ) -> (SymbolIndex, SymbolIndex) {
        let name = |index: SymbolIndex| self.object.symbols[index].name.as_str();
        let inner = locals.iter().filter(|index| (first..=last).contains(*index));
        let inner: BTreeSet<&str> = inner.map(|&index| name(index)).collect();
        let fitting = |list: &mut dyn Iterator<Item = SymbolIndex>| -> Vec<SymbolIndex> {
            let mut seen = inner.clone();
            list.take_while(|&index| wanted.contains(name(index)) && seen.insert(name(index))).collect()
        };
        let before = fitting(&mut locals.iter().rev().copied().filter(|&index| index < first));
        let after = fitting(&mut locals.iter().copied().filter(|&index| index > last));
        let rank = |index: SymbolIndex| {
            original.symbols.iter().position(|symbol| {
                symbol.binding == Binding::Local
                    && symbol.kind != SymbolKind::File
                    && symbol.name == name(index)
            })
        };
        let end =
            |list: &[SymbolIndex], other: &[SymbolIndex], on_this_side: &dyn Fn(SymbolIndex) -> bool| {
                let is_single = |index: SymbolIndex| !other.iter().any(|&found| name(found) == name(index));
                list.iter().copied().take_while(|&index| is_single(index) || on_this_side(index)).last()
            };
        let start = end(&before, &after, &|index| rank(index) < rank(first));
        let finish = end(&after, &before, &|index| rank(index) > rank(last));
        (start.unwrap_or(first), finish.unwrap_or(last))
    }

    fn is_in(&self, unit: Unit, index: SymbolIndex) -> bool {
        match unit {
            Unit::NoLocals => false,
            Unit::File(block) => self.block[index] == block,
            Unit::Run(first, last) => (first..=last).contains(&index),
        }
    }

    pub(super) fn find(&self, unit: Unit, name: &str, binding: Binding) -> Option<SymbolIndex> {
        let defined = |index: &SymbolIndex| {
            let symbol = &self.object.symbols[*index];
            symbol.name == name
                && matches!(symbol.definition, Definition::Section(_))
                && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File)
        };
        let own = |index: &SymbolIndex| match binding {
            Binding::Local => {
                self.object.symbols[*index].binding == Binding::Local && self.is_in(unit, *index)
            }
            _ => self.object.symbols[*index].binding != Binding::Local,
        };
        (0..self.object.symbols.len()).filter(defined).find(own)
    }

    /// Whether a call of the function through a pointer is fatal in a kernel that tracks indirect branches: it has no landing
    /// pad, or loses it as the module loads.
    pub(super) fn is_sealed(&self, function: SymbolIndex) -> bool {
        let lands = self.object.bytes_of(function).is_some_and(seal::has_landing_pad);
        let listed = self.object.section_named(seal::SEALED).is_some_and(|section| {
            references(&self.object, section, 0, self.object.sections[section].size)
                .iter()
                .any(|resolved| resolved.reference == Reference::Symbol(function, 0))
        });
        !lands || listed
    }

    /// Position among the namesakes in symbol table order, which is the order of a module's kallsyms
    /// (module_kallsyms_on_each_symbol, kernel/module/kallsyms.c): 0 when unique, else from 1. Only symbols that stay
    /// after loading count (`is_core_symbol`): in an allocated section, not in an init one.
    pub(super) fn position(&self, wanted: SymbolIndex) -> Option<u32> {
        let name = &self.object.symbols[wanted].name;
        let counted: Vec<SymbolIndex> = (0..self.object.symbols.len())
            .filter(|&index| self.object.symbols[index].name == *name && self.is_core(index))
            .collect();
        let rank = counted.iter().position(|&index| index == wanted)?;
        if counted.len() == 1 { Some(0) } else { u32::try_from(rank + 1).ok() }
    }

    /// Whether a function has a trace site; `None` when the module lists none at all.
    pub(super) fn is_traced(&self, function: SymbolIndex) -> Option<bool> {
        let object = &self.object;
        let table = object.section_named("__mcount_loc")?;
        let mut sites = references(object, table, 0, object.sections[table].size).into_iter();
        Some(sites.any(|site| {
            matches!(site.reference, Reference::Symbol(found, _)
            if object.first_alias(found) == object.first_alias(function))
        }))
    }

    /// `import_ns=` of its modinfo (include/linux/module.h, MODULE_IMPORT_NS).
    pub(super) fn imported_namespaces(&self) -> Vec<String> {
        let section = self.object.section_named(".modinfo").map(|index| &self.object.sections[index]);
        let data = section.map_or(&[][..], |section| section.data.as_slice());
        let entries = data.split(|&byte| byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
        entries.filter_map(|entry| entry.strip_prefix("import_ns=")).map(str::to_owned).collect()
    }

    fn is_core(&self, index: SymbolIndex) -> bool {
        self.object.section_of(index).is_some_and(|section| {
            let section = &self.object.sections[section];
            section.is_allocated() && !section.name.starts_with(".init")
        })
    }
}
