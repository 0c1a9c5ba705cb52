//! 64-bit ARM (ELF for the Arm 64-bit Architecture, IHI 0056): every instruction has four bytes, and addends count from
//! the instruction itself.

use super::{Field, FieldUse, Machine, uses_by_kind};
use crate::tables::{Size, Table, table};
use object::elf::{
    EM_AARCH64, R_AARCH64_ABS16, R_AARCH64_ABS32, R_AARCH64_ABS64, R_AARCH64_ADR_GOT_PAGE,
    R_AARCH64_ADR_PREL_LO21, R_AARCH64_ADR_PREL_PG_HI21, R_AARCH64_ADR_PREL_PG_HI21_NC, R_AARCH64_CALL26,
    R_AARCH64_CONDBR19, R_AARCH64_JUMP26, R_AARCH64_LD_PREL_LO19, R_AARCH64_LD64_GOT_LO12_NC,
    R_AARCH64_LDST128_ABS_LO12_NC, R_AARCH64_MOVW_PREL_G0, R_AARCH64_MOVW_PREL_G3, R_AARCH64_MOVW_UABS_G0,
    R_AARCH64_PLT32, R_AARCH64_PREL16, R_AARCH64_PREL32, R_AARCH64_PREL64, R_AARCH64_TSTBR14, RelocationType,
};

pub(super) const MACHINE: Machine = Machine {
    name: "aarch64",
    elf: EM_AARCH64,
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

/// include/asm-generic/vmlinux.lds.h, arch/arm64/kernel/vmlinux.lds.S.
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
        R_AARCH64_ABS64 | R_AARCH64_PREL64 => Some(8),
        R_AARCH64_ABS32 | R_AARCH64_PREL32 | R_AARCH64_PLT32 => Some(4),
        R_AARCH64_ABS16 | R_AARCH64_PREL16 => Some(2),
        R_AARCH64_ADR_GOT_PAGE | R_AARCH64_LD64_GOT_LO12_NC => Some(4),
        // All static relocations of instructions but those for thread-local storage are in this range.
        _ if within(R_AARCH64_MOVW_UABS_G0, R_AARCH64_LDST128_ABS_LO12_NC) => Some(4),
        _ => None,
    }
}

fn is_relative(kind: RelocationType) -> bool {
    matches!(
        kind,
        R_AARCH64_PREL64
            | R_AARCH64_PREL32
            | R_AARCH64_PREL16
            | R_AARCH64_PLT32
            | R_AARCH64_LD_PREL_LO19
            | R_AARCH64_ADR_PREL_LO21
            | R_AARCH64_ADR_PREL_PG_HI21
            | R_AARCH64_ADR_PREL_PG_HI21_NC
            | R_AARCH64_ADR_GOT_PAGE
    ) || (R_AARCH64_MOVW_PREL_G0.0..=R_AARCH64_MOVW_PREL_G3.0).contains(&kind.0)
        || is_branch(kind)
}

fn is_branch(kind: RelocationType) -> bool {
    matches!(kind, R_AARCH64_CALL26 | R_AARCH64_JUMP26 | R_AARCH64_CONDBR19 | R_AARCH64_TSTBR14)
}

fn uses(_code: &[u8], fields: &[Field]) -> Vec<FieldUse> {
    uses_by_kind(fields, is_branch)
}
