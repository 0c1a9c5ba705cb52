//! 64-bit POWER, little-endian (OpenPOWER ELFv2 ABI): half-words of instructions are relocated, and addends count from
//! the instruction itself.

use super::{Field, FieldUse, Machine, uses_by_kind};
use crate::tables::{Size, Table, table};
use object::elf::{
    EM_PPC64, R_PPC64_ADDR14, R_PPC64_ADDR16, R_PPC64_ADDR16_DS, R_PPC64_ADDR16_HA, R_PPC64_ADDR16_HI,
    R_PPC64_ADDR16_HIGH, R_PPC64_ADDR16_HIGHA, R_PPC64_ADDR16_HIGHER, R_PPC64_ADDR16_HIGHERA,
    R_PPC64_ADDR16_HIGHEST, R_PPC64_ADDR16_HIGHESTA, R_PPC64_ADDR16_LO, R_PPC64_ADDR16_LO_DS, R_PPC64_ADDR24,
    R_PPC64_ADDR32, R_PPC64_ADDR64, R_PPC64_REL14, R_PPC64_REL16, R_PPC64_REL16_HA, R_PPC64_REL16_HI,
    R_PPC64_REL16_LO, R_PPC64_REL24, R_PPC64_REL32, R_PPC64_REL64, R_PPC64_TOC, R_PPC64_TOC16,
    R_PPC64_TOC16_DS, R_PPC64_TOC16_HA, R_PPC64_TOC16_HI, R_PPC64_TOC16_LO, R_PPC64_TOC16_LO_DS,
    RelocationType,
};

/// Call without a valid table of contents (ELFv2 1.5).
const R_PPC64_REL24_NOTOC: RelocationType = RelocationType(116);
/// A mark at a function's entry that the linker may use (ELFv2 1.5); it has no field.
const R_PPC64_ENTRY: RelocationType = RelocationType(118);
/// 34-bit address relative to a prefixed instruction of eight bytes (ELFv2 1.5).
const R_PPC64_PCREL34: RelocationType = RelocationType(132);

pub(super) const MACHINE: Machine = Machine {
    name: "ppc64le",
    elf: EM_PPC64,
    little_endian: true,
    links: false,
    field_size,
    is_relative,
    uses,
    leaves: |_, _| true,
    is_call: |_, _| false,
    tables: &TABLES,
    sizes: &[("bug_entry", 12), ("exception_table_entry", 8), ("fixup_entry", 48), ("jump_entry", 16)],
    trace_sections: &["__mcount_loc", "__patchable_function_entries"],
    trace_calls: &["_mcount"],
    // The table of contents (ELFv2 2.2.3): code reaches what lies far away through it.
    address_pool: Some((".toc", 8)),
};

/// In `struct fixup_entry` (arch/powerpc/include/asm/feature-fixups.h) mask and value come first.
const FIXUP_OWNER: u64 = 16;

const fn fixups(section: &'static str) -> Table {
    table(section, Size::Structure("fixup_entry"), true).owned_at(FIXUP_OWNER)
}

/// include/asm-generic/vmlinux.lds.h, arch/powerpc/kernel/vmlinux.lds.S.
const TABLES: [Table; 8] = [
    table("__bug_table", Size::Structure("bug_entry"), true),
    table("__ex_table", Size::Structure("exception_table_entry"), true),
    table("__jump_table", Size::Structure("jump_entry"), true),
    fixups("__ftr_fixup"),
    fixups("__mmu_ftr_fixup"),
    fixups("__fw_ftr_fixup"),
    table("__patchable_function_entries", Size::Fixed(8), false),
    table("__mcount_loc", Size::Fixed(8), false),
];

fn field_size(kind: RelocationType) -> Option<usize> {
    match kind {
        R_PPC64_ADDR64 | R_PPC64_REL64 | R_PPC64_TOC | R_PPC64_PCREL34 => Some(8),
        R_PPC64_ADDR32 | R_PPC64_REL32 | R_PPC64_ADDR24 | R_PPC64_ADDR14 => Some(4),
        R_PPC64_ENTRY => Some(0),
        _ if is_branch(kind) => Some(4),
        _ if is_half_word(kind) => Some(2),
        _ => None,
    }
}

fn is_half_word(kind: RelocationType) -> bool {
    matches!(
        kind,
        R_PPC64_ADDR16
            | R_PPC64_ADDR16_LO
            | R_PPC64_ADDR16_HI
            | R_PPC64_ADDR16_HA
            | R_PPC64_ADDR16_HIGH
            | R_PPC64_ADDR16_HIGHA
            | R_PPC64_ADDR16_HIGHER
            | R_PPC64_ADDR16_HIGHERA
            | R_PPC64_ADDR16_HIGHEST
            | R_PPC64_ADDR16_HIGHESTA
            | R_PPC64_ADDR16_DS
            | R_PPC64_ADDR16_LO_DS
            | R_PPC64_TOC16
            | R_PPC64_TOC16_LO
            | R_PPC64_TOC16_HI
            | R_PPC64_TOC16_HA
            | R_PPC64_TOC16_DS
            | R_PPC64_TOC16_LO_DS
            | R_PPC64_REL16
            | R_PPC64_REL16_LO
            | R_PPC64_REL16_HI
            | R_PPC64_REL16_HA
    )
}

fn is_relative(kind: RelocationType) -> bool {
    matches!(
        kind,
        R_PPC64_REL64
            | R_PPC64_REL32
            | R_PPC64_REL16
            | R_PPC64_REL16_LO
            | R_PPC64_REL16_HI
            | R_PPC64_REL16_HA
            | R_PPC64_PCREL34
    ) || is_branch(kind)
}

fn is_branch(kind: RelocationType) -> bool {
    matches!(kind, R_PPC64_REL24 | R_PPC64_REL24_NOTOC | R_PPC64_REL14)
}

fn uses(_code: &[u8], fields: &[Field]) -> Vec<FieldUse> {
    uses_by_kind(fields, is_branch)
}
