//! The kernel's livepatch relocations (Documentation/livepatch/module-elf-format.rst).
//!
//! A reference to something of the running kernel that is not exported goes through a symbol named
//! `.klp.sym.OBJECT.NAME,POSITION` with section index `SHN_LIVEPATCH`, and its relocation stands in a section named
//! `.klp.rela.OBJECT.SECTION` with the flag `SHF_RELA_LIVEPATCH`. OBJECT of the section says *when* it is applied: when the
//! livepatch loads (`vmlinux`), or when that module is there.
//!
//! While kbuild links the module, the symbols are weak undefined ones with a name of our own that carries all of that:
//! modpost lets weak symbols pass.

use crate::arch::Architecture;
use crate::extract::is_alias;
use crate::object::LARGEST_ALIGNMENT;
use object::build::elf::{Builder, Relocation, SectionData, SectionId, SymbolId};
use object::build::{ByteString, Id};
use object::{Endianness, elf};
use std::collections::{BTreeMap, HashMap};

/// `SHN_LIVEPATCH` (include/uapi/linux/elf.h).
const SHN_LIVEPATCH: u16 = 0xff20;
/// `SHF_RELA_LIVEPATCH` (include/uapi/linux/elf.h).
const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
/// Prefix of a name on its way through kbuild: `.klp.tmp.WHEN.OBJECT.NAME,POSITION`.
const PENDING: &str = ".klp.tmp.";

/// Prefix of the name of the padding in front of a function (tools/objtool/elf.c, `elf_create_prefix_symbol`).
const PADDING: &[u8] = b"__pfx_";

/// Beginnings of sections that the kernel works on as the livepatch loads (arch/x86/kernel/module.c, `module_finalize`;
/// kernel/module/main.c, `find_module_sections`).
const AT_LOAD: [&[u8]; 14] = [
    b".altinstr",
    b".parainstructions",
    b".smp_locks",
    b".retpoline_sites",
    b".return_sites",
    b".call_sites",
    b".cfi_sites",
    b".ibt_endbr_seal",
    b".orc_unwind",
    b".static_call_sites",
    b"__bug_table",
    b"__ex_table",
    b"__jump_table",
    b"__mcount_loc",
];

/// Why livepatch relocations cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KlpError {
    /// The file cannot be read or written.
    #[error("cannot rewrite the object")]
    Elf(#[from] object::build::Error),
    /// Modules can be linked for x86-64 only.
    #[error("the object is for {0}, but only x86-64 modules can be linked")]
    Machine(String),
    /// A section that the module needs is missing.
    #[error("the module has no {0}")]
    Missing(&'static str),
    /// A section is aligned to more than any page.
    #[error("the section {0} has an impossible alignment")]
    Alignment(String),
    /// The kernel works on the section as the module loads, before such a relocation.
    #[error(
        "a relocation of {section} waits for module {object}, but the kernel works on that section when the livepatch loads"
    )]
    Late {
        /// Section.
        section: String,
        /// The module that is waited for.
        object: String,
    },
    /// A name that is not of the form that this crate gives.
    #[error("'{0}' is not a livepatch symbol")]
    Name(String),
}

/// Where an undefined symbol of an extracted object comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Exported by vmlinux, or by a module that is always there before: an ordinary symbol.
    Exported,
    /// Another object of the same livepatch.
    Livepatch,
    /// The running kernel, not exported, or exported by a module that may load later.
    Running {
        /// `vmlinux` or a module's name.
        object: String,
        /// Position among its namesakes: 0 when unique.
        position: u32,
    },
}

/// Gives the undefined symbols of an extracted object the names that carry them through kbuild. `target` is the kernel
/// object that the functions belong to.
///
/// # Errors
/// [`KlpError::Elf`] when the object cannot be read or written again.
pub fn name_symbols(
    bytes: &[u8],
    target: &str,
    owner: impl Fn(&str) -> Option<Owner>,
) -> Result<Vec<u8>, KlpError> {
    let mut builder = read(bytes)?;
    for symbol in &mut builder.symbols {
        let undefined = symbol.section.is_none() && symbol.st_shndx == elf::SHN_UNDEF;
        let name = String::from_utf8_lossy(&symbol.name).into_owned();
        if !undefined || name.is_empty() {
            continue;
        }
        if let Some(Owner::Running { object, position }) = owner(&name) {
            symbol.name = pending_name(target, &object, &name, position).into_bytes().into();
            symbol.set_st_info(elf::STB_WEAK, elf::STT_NOTYPE);
        }
    }
    write(builder)
}

/// The name under which a symbol of the running kernel passes kbuild.
fn pending_name(target: &str, object: &str, name: &str, position: u32) -> String {
    // References from a module's functions to vmlinux are resolved at load: the kernel refuses them later
    // (klp_resolve_symbols, "invalid access to vmlinux symbol").
    let when = if object == "vmlinux" { "vmlinux" } else { target };
    format!("{PENDING}{when}.{object}.{name},{position}")
}

/// Turns a module that kbuild linked into a livepatch module: pending symbols get their final names and their
/// relocations move into livepatch relocation sections; aliases and sections of no use go. `also` names further
/// undefined symbols, such as those of the glue, and where they are.
///
/// # Errors
/// [`KlpError`] when the module is not of the shape that kbuild gives.
pub fn finish_module(bytes: &[u8], also: &BTreeMap<String, Owner>) -> Result<Vec<u8>, KlpError> {
    let mut builder = read(bytes)?;
    rename_also(&mut builder, also);
    drop_useless(&mut builder);
    resolve_aliases(&mut builder);
    let pending = finish_symbols(&mut builder)?;
    move_relocations(&mut builder, &pending)?;
    write(builder)
}

fn rename_also(builder: &mut Builder<'_>, also: &BTreeMap<String, Owner>) {
    for symbol in &mut builder.symbols {
        let name = String::from_utf8_lossy(&symbol.name).into_owned();
        if let (Some(Owner::Running { object, position }), None) = (also.get(&name), symbol.section) {
            symbol.name = pending_name("vmlinux", object, &name, *position).into_bytes().into();
        }
    }
}

/// BTF of a livepatch module describes nothing that anyone looks up, and debug information and the compiler's notes do not
/// concern the kernel.
fn drop_useless(builder: &mut Builder<'_>) {
    for section in &mut builder.sections {
        let name: &[u8] = &section.name;
        section.delete |=
            name.starts_with(b".BTF") || is_debug(name) || name == b".comment" || name == b".note.GNU-stack";
    }
    builder.delete_orphans();
}

fn is_debug(name: &[u8]) -> bool {
    name.starts_with(b".debug_") || name.starts_with(b".rela.debug_")
}

/// Relocations to an alias go to the function itself, and the alias goes.
fn resolve_aliases(builder: &mut Builder<'_>) {
    let functions: HashMap<(usize, u64), SymbolId> = builder
        .symbols
        .into_iter()
        .filter(|symbol| symbol.st_type() == elf::STT_FUNC && !is_alias(&symbol.name))
        .filter_map(|symbol| Some(((symbol.section?.index(), symbol.st_value), symbol.id())))
        .collect();
    let mut replacement = HashMap::new();
    for symbol in &mut builder.symbols {
        let place = symbol.section.map(|section| (section.index(), symbol.st_value));
        if let (true, Some(function)) =
            (is_alias(&symbol.name), place.and_then(|place| functions.get(&place)))
        {
            replacement.insert(symbol.id().index(), *function);
            symbol.delete = true;
        }
    }
    // objtool has named the padding in front of an alias like that of the function.
    for symbol in &mut builder.symbols {
        symbol.delete |= symbol.name.strip_prefix(PADDING).is_some_and(is_alias);
    }
    for section in &mut builder.sections {
        let SectionData::Relocation(relocations) = &mut section.data else { continue };
        for relocation in relocations {
            if let Some(function) = relocation.symbol.and_then(|symbol| replacement.get(&symbol.index())) {
                relocation.symbol = Some(*function);
            }
        }
    }
}

/// Gives pending symbols their final form; answers which they are and when each is resolved.
fn finish_symbols(builder: &mut Builder<'_>) -> Result<HashMap<usize, String>, KlpError> {
    let mut pending = HashMap::new();
    for symbol in &mut builder.symbols {
        let name = String::from_utf8_lossy(&symbol.name).into_owned();
        let Some(rest) = name.strip_prefix(PENDING) else { continue };
        let (when, rest) = rest.split_once('.').ok_or_else(|| KlpError::Name(name.clone()))?;
        symbol.name = ByteString::from(format!(".klp.sym.{rest}").into_bytes());
        symbol.st_shndx = elf::SymbolSection(SHN_LIVEPATCH);
        symbol.set_st_info(elf::STB_GLOBAL, elf::STT_NOTYPE);
        pending.insert(symbol.id().index(), when.to_owned());
    }
    Ok(pending)
}

fn move_relocations(builder: &mut Builder<'_>, pending: &HashMap<usize, String>) -> Result<(), KlpError> {
    let symtab = builder.sections.into_iter().find(|section| matches!(section.data, SectionData::Symbol));
    let symtab = symtab.ok_or(KlpError::Missing("symbol table"))?.id();
    let mut moved: BTreeMap<(String, Vec<u8>), (SectionId, Vec<Relocation>)> = BTreeMap::new();
    for section in &mut builder.sections {
        let (Some(target), SectionData::Relocation(relocations)) =
            (section.sh_info_section, &mut section.data)
        else {
            continue;
        };
        let base: &[u8] = &section.name;
        let base = base.strip_prefix(b".rela").unwrap_or(base).to_vec();
        relocations.retain(|relocation| {
            let Some(when) = relocation.symbol.and_then(|symbol| pending.get(&symbol.index())) else {
                return true;
            };
            let entry = moved.entry((when.clone(), base.clone())).or_insert_with(|| (target, Vec::new()));
            entry.1.push(*relocation);
            false
        });
        section.delete |= relocations.is_empty();
    }
    for ((when, base), (target, relocations)) in moved {
        if when != "vmlinux" && AT_LOAD.iter().any(|beginning| base.starts_with(beginning)) {
            let section = String::from_utf8_lossy(&base).into_owned();
            return Err(KlpError::Late { section, object: when });
        }
        let section = builder.sections.add();
        let name = [format!(".klp.rela.{when}.").as_bytes(), &base].concat();
        section.name = name.into();
        section.sh_type = elf::SHT_RELA;
        section.sh_flags = elf::SectionFlags(SHF_RELA_LIVEPATCH | elf::SHF_ALLOC.0 | elf::SHF_INFO_LINK.0);
        section.sh_link_section = Some(symtab);
        section.sh_info_section = Some(target);
        section.sh_addralign = 8;
        section.sh_entsize = 24;
        section.data = SectionData::Relocation(relocations);
    }
    Ok(())
}

/// Reads a relocatable object; the writer pads to any alignment, so an absurd one must not reach it.
pub(crate) fn read(bytes: &[u8]) -> Result<Builder<'_>, KlpError> {
    let mut builder = Builder::read(bytes)?;
    if builder.header.e_type != elf::ET_REL {
        return Err(KlpError::Missing("type of a relocatable object"));
    }
    let (machine, little) = (builder.header.e_machine, builder.endian == Endianness::Little);
    let known = Architecture::of(machine, little);
    if !known.is_some_and(Architecture::links_modules) {
        let name = known.map_or(format!("machine number {}", machine.0), |known| known.to_string());
        return Err(KlpError::Machine(name));
    }
    for section in &mut builder.sections {
        if section.sh_addralign > LARGEST_ALIGNMENT {
            return Err(KlpError::Alignment(String::from_utf8_lossy(&section.name).into_owned()));
        }
        // 0 means the same as 1 (gABI, sh_addralign).
        section.sh_addralign = section.sh_addralign.max(1);
    }
    Ok(builder)
}

pub(crate) fn write(builder: Builder<'_>) -> Result<Vec<u8>, KlpError> {
    let mut bytes = Vec::new();
    builder.write(&mut bytes)?;
    Ok(bytes)
}
