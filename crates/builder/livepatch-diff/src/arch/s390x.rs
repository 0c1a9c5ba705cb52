//! 64-bit z/Architecture, big-endian (ELF ABI s390x Supplement): relative addresses count half-words from the start of
//! the instruction, relocations from the field in it, so that addends carry the distance between the two.

use super::{Field, FieldUse, Machine};
use crate::tables::{Size, Table, table};
use object::elf::{
    EM_S390, R_390_8, R_390_12, R_390_16, R_390_20, R_390_32, R_390_64, R_390_GOTENT, R_390_PC16,
    R_390_PC16DBL, R_390_PC32, R_390_PC32DBL, R_390_PC64, R_390_PLT16DBL, R_390_PLT32, R_390_PLT32DBL,
    R_390_PLT64, RelocationType,
};

/// 12-bit half-word distance in a branch prediction hint, relative and through the linkage table (ABI 1.6).
const R_390_PC12DBL: RelocationType = RelocationType(62);
const R_390_PLT12DBL: RelocationType = RelocationType(63);
/// 24-bit half-word distance in a branch prediction hint, relative and through the linkage table (ABI 1.6).
const R_390_PC24DBL: RelocationType = RelocationType(64);
const R_390_PLT24DBL: RelocationType = RelocationType(65);

pub(super) const MACHINE: Machine = Machine {
    name: "s390x",
    elf: EM_S390,
    little_endian: false,
    links: false,
    field_size,
    is_relative,
    uses,
    leaves: |_, _| true,
    is_call: |_, _| false,
    tables: &TABLES,
    sizes: &[("alt_instr", 11), ("bug_entry", 12), ("exception_table_entry", 12), ("jump_entry", 16)],
    trace_sections: &["__mcount_loc"],
    trace_calls: &["__fentry__", "_mcount"],
    address_pool: None,
};

/// include/asm-generic/vmlinux.lds.h, arch/s390/kernel/vmlinux.lds.S; the `.s390_*` ones are gcc's lists of indirect
/// branches (`-mindirect-branch-table`).
const TABLES: [Table; 10] = [
    table("__bug_table", Size::Structure("bug_entry"), true),
    table("__ex_table", Size::Structure("exception_table_entry"), true),
    table("__jump_table", Size::Structure("jump_entry"), true),
    table(".altinstructions", Size::Structure("alt_instr"), true),
    table("__mcount_loc", Size::Fixed(8), false),
    table(".s390_indirect_jump", Size::Fixed(4), false),
    table(".s390_indirect_call", Size::Fixed(4), false),
    table(".s390_indirect_branches", Size::Fixed(4), false),
    table(".s390_return_reg", Size::Fixed(4), false),
    table(".s390_return_mem", Size::Fixed(4), false),
];

fn field_size(kind: RelocationType) -> Option<usize> {
    match kind {
        R_390_64 | R_390_PC64 | R_390_PLT64 => Some(8),
        R_390_32 | R_390_PC32 | R_390_PC32DBL | R_390_PLT32 | R_390_PLT32DBL | R_390_GOTENT => Some(4),
        // The field of these is part of a word; 20 bits are spread over three bytes.
        R_390_20 | R_390_PC24DBL | R_390_PLT24DBL => Some(3),
        R_390_16 | R_390_12 | R_390_PC16 | R_390_PC16DBL | R_390_PLT16DBL => Some(2),
        R_390_PC12DBL | R_390_PLT12DBL => Some(2),
        R_390_8 => Some(1),
        _ => None,
    }
}

fn is_relative(kind: RelocationType) -> bool {
    matches!(kind, R_390_PC16 | R_390_PC32 | R_390_PC64 | R_390_PLT32 | R_390_PLT64)
        || distance(kind).is_some()
}

/// For fields of instructions: bytes from the instruction's start to the field.
fn distance(kind: RelocationType) -> Option<i64> {
    match kind {
        R_390_PC16DBL | R_390_PLT16DBL | R_390_PC32DBL | R_390_PLT32DBL | R_390_GOTENT => Some(2),
        R_390_PC12DBL | R_390_PLT12DBL => Some(1),
        R_390_PC24DBL | R_390_PLT24DBL => Some(3),
        _ => None,
    }
}

fn uses(code: &[u8], fields: &[Field]) -> Vec<FieldUse> {
    let by_kind = |field: &Field| {
        let kind = RelocationType(field.kind);
        let Some(distance) = distance(kind) else { return FieldUse::default() };
        let start = field.offset.checked_sub(distance as u64).and_then(|at| usize::try_from(at).ok());
        let opcode = start.and_then(|at| code.get(at..at.checked_add(2)?));
        FieldUse { bias: -distance, branch: opcode.is_some_and(is_branch) }
    };
    fields.iter().map(by_kind).collect()
}

/// Relative branches by the first two bytes (z/Architecture Principles of Operation, appendix B): BRCL, BRASL; BRC,
/// BRAS, BRCT, BRCTG.
fn is_branch(opcode: &[u8]) -> bool {
    match opcode {
        [0xc0, second] => matches!(second & 0xf, 4 | 5),
        [0xa7, second] => matches!(second & 0xf, 4..=7),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_and_address_are_told_apart_by_the_opcode() {
        // brasl %r14,f; larl %r2,x
        let code = [0xc0, 0xe5, 0, 0, 0, 0, 0xc0, 0x20, 0, 0, 0, 0];
        let fields = [
            Field { offset: 2, kind: R_390_PC32DBL.0 },
            Field { offset: 8, kind: R_390_PC32DBL.0 },
            Field { offset: 1, kind: R_390_PC32DBL.0 },
        ];
        let expected = [
            FieldUse { bias: -2, branch: true },
            FieldUse { bias: -2, branch: false },
            FieldUse { bias: -2, branch: false },
        ];
        assert_eq!(uses(&code, &fields), expected);
    }
}
