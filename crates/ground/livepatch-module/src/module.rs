//! A module file, read: the ELF file's sections and the `.modinfo` strings.

use crate::klp::{self, KlpRelocations, KlpSymbol};
use crate::replacements::{self, Replacements, TableForm};
use crate::trailer::{SignatureError, split};
use livepatch_kernel::{BuildId, KernelRelease};
use object::LittleEndian;
use object::elf::{EM_X86_64, ET_REL, FileHeader64, SHF_ALLOC};
use object::read::elf::{FileHeader, SectionHeader, SectionTable};

/// The ELF header of a module for x86-64.
pub(crate) type Header = FileHeader64<LittleEndian>;

/// `MODULE_NAME_LEN` (include/linux/moduleparam.h), on 64-bit machines: room for a name and its final zero.
const MODULE_NAME_LEN: usize = 56;

/// Where `struct module` has its name: behind the state (an enum, padded to 8 bytes) and a list head of two pointers
/// (include/linux/module.h; the same in every kernel that has livepatching).
const THIS_MODULE_NAME: usize = 24;

/// A parsed module: a relocatable ELF file for x86-64.
#[derive(Debug)]
pub struct Module<'a> {
    body: &'a [u8],
    sections: SectionTable<'a, Header>,
    modinfo: &'a [u8],
}

/// Why bytes are no module, or a part of one cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Not an ELF file of 64 bits, little-endian.
    #[error("not a kernel module: no 64-bit little-endian ELF file")]
    NotElf(#[source] object::read::Error),
    /// An ELF file of another kind.
    #[error("not a kernel module for x86-64: {0}")]
    Kind(&'static str),
    /// A part lies outside the file or contradicts itself.
    #[error("the module's {part} cannot be read")]
    Damaged {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        #[source]
        source: object::read::Error,
    },
    /// A part holds something that the kernel would refuse.
    #[error("the module's {part} is unusable: {value}")]
    Unusable {
        /// Which part.
        part: &'static str,
        /// What it holds.
        value: String,
    },
    /// Something that every module has is not there.
    #[error("the module has no {0}")]
    Missing(&'static str),
    /// The file ends in a wrong signature trailer.
    #[error("the module's end cannot be understood")]
    Signature(#[source] SignatureError),
}

impl<'a> Module<'a> {
    /// Reads a module; an appended signature is set aside, not judged (see [`verify`](crate::verify)).
    ///
    /// # Errors
    /// [`ModuleError`] when the bytes are no module for x86-64; never a panic, whatever they are.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ModuleError> {
        let body = split(bytes).map_err(ModuleError::Signature)?.body;
        let header = Header::parse(body).map_err(ModuleError::NotElf)?;
        header.endian().map_err(ModuleError::NotElf)?;
        if header.e_type(LittleEndian) != ET_REL {
            return Err(ModuleError::Kind("not a relocatable file"));
        }
        if header.e_machine(LittleEndian) != EM_X86_64 {
            return Err(ModuleError::Kind("for another machine"));
        }
        let sections = header.sections(LittleEndian, body).map_err(damaged("section table"))?;
        let modinfo =
            section(&sections, body, ".modinfo")?.ok_or(ModuleError::Missing(".modinfo section"))?;
        Ok(Self { body, sections, modinfo })
    }

    /// The module's name, as sysfs and `/proc/modules` will have it.
    ///
    /// # Errors
    /// [`ModuleError`] when modinfo has no name or an impossible one, or when it is not the one in `struct module`: the
    /// kernel believes the latter, everybody else reads the former.
    pub fn name(&self) -> Result<&'a str, ModuleError> {
        let name = self.modinfo("name").ok_or(ModuleError::Missing("name in its modinfo"))?;
        if name.is_empty() || name.len() >= MODULE_NAME_LEN {
            return Err(ModuleError::Unusable { part: "name", value: name.to_owned() });
        }
        let this_module = section(&self.sections, self.body, ".gnu.linkonce.this_module")?;
        let room =
            this_module.and_then(|data| data.get(THIS_MODULE_NAME..THIS_MODULE_NAME + MODULE_NAME_LEN));
        match room.and_then(|room| room.split(|byte| *byte == 0).next()) {
            Some(inner) if inner != name.as_bytes() => Err(ModuleError::Unusable {
                part: "name",
                value: format!("'{name}' in modinfo, '{}' in struct module", inner.escape_ascii()),
            }),
            _ => Ok(name),
        }
    }

    /// The first modinfo string of this key, which is the one that the kernel reads; `None` also when it is not UTF-8.
    pub fn modinfo(&self, key: &str) -> Option<&'a str> {
        self.modinfo_values(key).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// Every modinfo string of this key that is UTF-8, in file order.
    pub fn modinfo_all<'k>(&self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        self.modinfo_values(key).filter_map(|value| str::from_utf8(value).ok())
    }

    /// The kernel version and options that the module was built for.
    pub fn vermagic(&self) -> Option<&'a str> {
        self.modinfo("vermagic")
    }

    /// Whether the module declares itself a livepatch: `livepatch=Y`. The kernel asks for the key only
    /// (`check_modinfo_livepatch`), whose value `MODULE_INFO(livepatch, "Y")` always sets.
    pub fn is_livepatch(&self) -> bool {
        self.modinfo("livepatch") == Some("Y")
    }

    /// Build id of the kernel that the livepatch was built for, which our builder writes as `livepatch_build_id`;
    /// `None` also when it is malformed.
    pub fn build_id(&self) -> Option<BuildId> {
        self.modinfo("livepatch_build_id")?.parse().ok()
    }

    /// Release of the kernel that the livepatch was built for, which our builder writes as `livepatch_release`;
    /// `None` also when it is malformed.
    pub fn release(&self) -> Option<KernelRelease> {
        self.modinfo("livepatch_release")?.parse().ok()
    }

    /// The relocation sections that the livepatch core applies when an object is patched, in file order.
    ///
    /// # Errors
    /// [`ModuleError`] when one of them is damaged or does not follow the livepatch ELF format.
    pub fn klp_relocations(&self) -> Result<Vec<KlpRelocations<'a>>, ModuleError> {
        klp::relocations(self.body, &self.sections)
    }

    /// The symbols that the livepatch core resolves, in symbol table order.
    ///
    /// # Errors
    /// [`ModuleError`] when one of them is damaged or does not follow the livepatch ELF format.
    pub fn klp_symbols(&self) -> Result<Vec<KlpSymbol<'a>>, ModuleError> {
        klp::symbols(self.body, &self.sections)
    }

    /// What the module replaces, by kernel object, from the tables that it registers; `None` when it has none of a form
    /// that is known here.
    ///
    /// # Errors
    /// [`ModuleError`] when symbol table or relocations are damaged.
    pub fn replacements(&self) -> Result<Option<(TableForm, Vec<Replacements<'a>>)>, ModuleError> {
        replacements::read(self.body, &self.sections)
    }

    /// All modinfo strings that are UTF-8, as key and value, in file order.
    pub fn modinfo_pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let entries = self.modinfo.split(|byte| *byte == 0);
        entries.filter_map(|entry| str::from_utf8(entry).ok()?.split_once('='))
    }

    fn modinfo_values<'k>(&self, key: &'k str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'k> {
        let entries = self.modinfo.split(|byte| *byte == 0);
        entries.filter_map(move |entry| entry.strip_prefix(key.as_bytes())?.strip_prefix(b"="))
    }
}

/// Data of the first allocated section of this name, which is the one that the kernel takes (`find_sec`).
fn section<'a>(
    sections: &SectionTable<'a, Header>,
    body: &'a [u8],
    name: &str,
) -> Result<Option<&'a [u8]>, ModuleError> {
    let wanted = |section: &&object::elf::SectionHeader64<LittleEndian>| {
        section.sh_flags(LittleEndian).0 & SHF_ALLOC.0 != 0
            && sections.section_name(LittleEndian, section) == Ok(name.as_bytes())
    };
    let found = sections.iter().find(wanted);
    found.map(|section| section.data(LittleEndian, body).map_err(damaged("section data"))).transpose()
}

/// Turns a reader's error into one that names the part.
pub(crate) fn damaged(part: &'static str) -> impl FnOnce(object::read::Error) -> ModuleError {
    move |source| ModuleError::Damaged { part, source }
}
