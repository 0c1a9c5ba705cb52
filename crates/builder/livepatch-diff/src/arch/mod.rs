//! What the engine must know of a machine; everything else in this crate is the same for all of them.
//!
//! One [`Machine`] per file: how its relocations are to be read, which tables its kernels have, where trace sites are
//! listed. Objects of every machine here can be read and compared; livepatches are linked for x86-64 only.

mod aarch64;
mod loongarch64;
mod ppc64le;
mod s390x;
mod x86_64;

use crate::tables::{EntrySizes, Table};
use object::elf;
use std::fmt;

/// A machine that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// x86-64.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit POWER, little-endian, ELFv2.
    Ppc64le,
    /// 64-bit z/Architecture, big-endian.
    S390x,
    /// 64-bit LoongArch.
    LoongArch64,
}

/// How a relocated field is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldUse {
    /// What must be added to the addend to get the offset into the symbol that is meant: the processor does not count
    /// from the field itself.
    pub bias: i64,
    /// The field is the target of a call or jump, as opposed to an address that is taken or dereferenced.
    pub branch: bool,
}

/// A relocated field of a piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where, from the start of the piece, in bytes.
    pub offset: u64,
    /// The relocation's kind.
    pub kind: u32,
}

/// The facts of one machine.
struct Machine {
    /// As `uname -m` says it.
    name: &'static str,
    elf: elf::Machine,
    little_endian: bool,
    /// Whether modules can be linked for it.
    links: bool,
    /// Size of a relocated field in bytes; `None` for a kind that kernel objects do not use.
    field_size: fn(elf::RelocationType) -> Option<usize>,
    /// Whether the relocated field is relative to its own address.
    is_relative: fn(elf::RelocationType) -> bool,
    /// How each field of a piece of code is used; the fields are sorted by offset, and the answers are in their order.
    uses: fn(&[u8], &[Field]) -> Vec<FieldUse>,
    /// Whether code has an instruction that returns, jumps through a register or memory, or jumps out of it otherwise than by
    /// one of the relocated fields at these offsets.
    leaves: fn(&[u8], &[u64]) -> bool,
    /// Whether the field at an offset of code is the target of a call.
    is_call: fn(&[u8], u64) -> bool,
    /// The special sections that are tables.
    tables: &'static [Table],
    /// Sizes of their structures as Linux 6.1 has them with the options that distributions choose.
    sizes: &'static [(&'static str, u64)],
    /// Sections that list trace sites.
    trace_sections: &'static [&'static str],
    /// Functions whose call makes the caller traceable where no section lists it.
    trace_calls: &'static [&'static str],
    /// Section of addresses that code loads, and the size of one, where the ABI has such a thing.
    address_pool: Option<(&'static str, u64)>,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::Aarch64, Self::Ppc64le, Self::S390x, Self::LoongArch64];

    /// The machine of a 64-bit ELF file: `e_machine` (System V gABI, "ELF Header") and byte order.
    pub fn of(machine: elf::Machine, little_endian: bool) -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| {
            let known = architecture.machine();
            known.elf == machine && known.little_endian == little_endian
        })
    }

    /// As `uname -m` says it.
    pub fn name(self) -> &'static str {
        self.machine().name
    }

    /// `e_machine` of its ELF files.
    pub fn elf_machine(self) -> elf::Machine {
        self.machine().elf
    }

    /// Byte order; 64-bit words in either case.
    pub fn is_little_endian(self) -> bool {
        self.machine().little_endian
    }

    /// Whether livepatch modules can be linked for it, as opposed to objects being compared.
    pub fn links_modules(self) -> bool {
        self.machine().links
    }

    /// Size of a relocated field in bytes; `None` for a kind that kernel objects do not use.
    pub fn field_size(self, kind: u32) -> Option<usize> {
        (self.machine().field_size)(elf::RelocationType(kind))
    }

    /// Whether the relocated field is relative to its own address.
    pub fn is_relative(self, kind: u32) -> bool {
        (self.machine().is_relative)(elf::RelocationType(kind))
    }

    /// How each relocated field of a piece of code is used, in the order of `fields`, which are sorted by offset.
    pub fn uses(self, code: &[u8], fields: &[Field]) -> Vec<FieldUse> {
        (self.machine().uses)(code, fields)
    }

    /// Sizes of the structures of special sections in Linux 6.1 with the options that distributions choose: for objects
    /// whose kernel is not at hand. What a kernel's own compiler says is better.
    pub fn usual_entry_sizes(self) -> EntrySizes {
        self.machine().sizes.iter().map(|&(structure, size)| (structure.to_owned(), size)).collect()
    }

    /// The special sections that are tables.
    pub(crate) fn tables(self) -> &'static [Table] {
        self.machine().tables
    }

    /// Whether a section lists trace sites.
    pub(crate) fn lists_trace_sites(self, section: &str) -> bool {
        self.machine().trace_sections.contains(&section)
    }

    /// Whether a call to this function is a trace site by itself.
    pub(crate) fn is_trace_call(self, function: &str) -> bool {
        self.machine().trace_calls.contains(&function)
    }

    /// For a section of addresses that code loads: the size of one address.
    pub(crate) fn address_pool(self, section: &str) -> Option<u64> {
        self.machine().address_pool.filter(|(name, _)| *name == section).map(|(_, size)| size)
    }

    /// Whether code returns, or jumps to what cannot be told or lies outside; jumps by the relocated fields at these offsets
    /// do not count. For machines that modules are linked for, else always.
    pub(crate) fn leaves(self, code: &[u8], fields: &[u64]) -> bool {
        (self.machine().leaves)(code, fields)
    }

    /// Whether the field at an offset of code is the target of a call; for machines that modules are linked for, else never.
    pub(crate) fn is_call(self, code: &[u8], at: u64) -> bool {
        (self.machine().is_call)(code, at)
    }

    fn machine(self) -> &'static Machine {
        match self {
            Self::X86_64 => &x86_64::MACHINE,
            Self::Aarch64 => &aarch64::MACHINE,
            Self::Ppc64le => &ppc64le::MACHINE,
            Self::S390x => &s390x::MACHINE,
            Self::LoongArch64 => &loongarch64::MACHINE,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// For machines whose relocation kind alone tells the use of a field.
fn uses_by_kind(fields: &[Field], is_branch: fn(elf::RelocationType) -> bool) -> Vec<FieldUse> {
    let by_kind = |field: &Field| FieldUse { bias: 0, branch: is_branch(elf::RelocationType(field.kind)) };
    fields.iter().map(by_kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_is_found_by_its_elf_header_and_no_other() {
        for architecture in Architecture::ALL {
            let (machine, little) = (architecture.elf_machine(), architecture.is_little_endian());
            assert_eq!(Architecture::of(machine, little), Some(architecture));
            assert_eq!(Architecture::of(machine, !little), None);
        }
        assert_eq!(Architecture::of(elf::EM_RISCV, true), None);
    }

    #[test]
    fn every_structure_of_a_table_has_a_usual_size() {
        for architecture in Architecture::ALL {
            let sizes = architecture.usual_entry_sizes();
            for structure in architecture.tables().iter().filter_map(Table::structure) {
                assert!(sizes.contains_key(structure), "{architecture}: {structure}");
            }
        }
    }
}
