//! 64-bit LoongArch (ELF for the LoongArch Architecture, 2.30): every instruction has four bytes, and addends count from
//! the instruction itself. Distances between symbols are pairs of relocations at one place, one that adds and one that
//! subtracts.

use super::{Field, FieldUse, Machine, uses_by_kind};
use crate::tables::{Size, Table, table};
use object::elf::{
    EM_LOONGARCH, R_LARCH_32, R_LARCH_32_PCREL, R_LARCH_64, R_LARCH_64_PCREL, R_LARCH_ABS_HI20, R_LARCH_ADD6,
    R_LARCH_ADD8, R_LARCH_ADD16, R_LARCH_ADD24, R_LARCH_ADD32, R_LARCH_ADD64, R_LARCH_ALIGN, R_LARCH_B16,
    R_LARCH_B21, R_LARCH_B26, R_LARCH_CALL36, R_LARCH_GOT64_HI12, R_LARCH_PCALA_HI20, R_LARCH_PCREL20_S2,
    R_LARCH_RELAX, R_LARCH_SOP_POP_32_S_10_5, R_LARCH_SOP_POP_32_U, R_LARCH_SOP_PUSH_PCREL, R_LARCH_SUB6,
    R_LARCH_SUB8, R_LARCH_SUB16, R_LARCH_SUB24, R_LARCH_SUB32, R_LARCH_SUB64, RelocationType,
};

pub(super) const MACHINE: Machine = Machine {
    name: "loongarch64",
    elf: EM_LOONGARCH,
    little_endian: true,
    links: false,
    field_size,
    is_relative,
    uses,
    leaves: |_, _| true,
    is_call: |_, _| false,
    tables: &TABLES,
    sizes: &[("alt_instr", 12), ("bug_entry", 12), ("exception_table_entry", 12), ("jump_entry", 16)],
    trace_sections: &["__patchable_function_entries", "__mcount_loc"],
    trace_calls: &["_mcount"],
    address_pool: None,
};

/// include/asm-generic/vmlinux.lds.h, arch/loongarch/kernel/vmlinux.lds.S.
const TABLES: [Table; 6] = [
    table("__bug_table", Size::Structure("bug_entry"), true),
    table("__ex_table", Size::Structure("exception_table_entry"), true),
    table("__jump_table", Size::Structure("jump_entry"), true),
    table(".altinstructions", Size::Structure("alt_instr"), true),
    table("__patchable_function_entries", Size::Fixed(8), false),
    table("__mcount_loc", Size::Fixed(8), false),
];

fn field_size(kind: RelocationType) -> Option<usize> {
    let within = |first: RelocationType, last: RelocationType| (first.0..=last.0).contains(&kind.0);
    match kind {
        R_LARCH_64 | R_LARCH_ADD64 | R_LARCH_SUB64 | R_LARCH_64_PCREL | R_LARCH_CALL36 => Some(8),
        R_LARCH_32 | R_LARCH_ADD32 | R_LARCH_SUB32 | R_LARCH_32_PCREL | R_LARCH_PCREL20_S2 => Some(4),
        R_LARCH_ADD24 | R_LARCH_SUB24 => Some(3),
        R_LARCH_ADD16 | R_LARCH_SUB16 => Some(2),
        R_LARCH_ADD8 | R_LARCH_SUB8 | R_LARCH_ADD6 | R_LARCH_SUB6 => Some(1),
        // Marks for the linker and operations on its stack: they have no field.
        R_LARCH_RELAX | R_LARCH_ALIGN => Some(0),
        _ if within(R_LARCH_SOP_POP_32_S_10_5, R_LARCH_SOP_POP_32_U) => Some(4),
        _ if within(R_LARCH_SOP_PUSH_PCREL, R_LARCH_SOP_POP_32_S_10_5) => Some(0),
        // Instructions: branches, and addresses absolute, relative and through the global offset table.
        _ if is_branch(kind) || within(R_LARCH_ABS_HI20, R_LARCH_GOT64_HI12) => Some(4),
        _ => None,
    }
}

fn is_relative(kind: RelocationType) -> bool {
    matches!(kind, R_LARCH_32_PCREL | R_LARCH_64_PCREL | R_LARCH_PCREL20_S2 | R_LARCH_PCALA_HI20)
        || is_branch(kind)
}

fn is_branch(kind: RelocationType) -> bool {
    matches!(kind, R_LARCH_B16 | R_LARCH_B21 | R_LARCH_B26 | R_LARCH_CALL36)
}

fn uses(_code: &[u8], fields: &[Field]) -> Vec<FieldUse> {
    uses_by_kind(fields, is_branch)
}
