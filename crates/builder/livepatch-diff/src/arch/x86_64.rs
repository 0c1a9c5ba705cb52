//! x86-64 (System V psABI for AMD64).
//!
//! For instructions the assembler subtracts the distance from the relocated field to the end of the instruction (psABI
//! 4.4: PC-relative forms count from the field, the processor from the next instruction). Only decoding the instruction
//! tells how much.

use super::{Field, FieldUse, Machine};
use crate::noreturn;
use crate::tables::{Size, Table, table};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use object::elf::{
    EM_X86_64, R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32,
    RelocationType,
};

pub(super) const MACHINE: Machine = Machine {
    name: "x86_64",
    elf: EM_X86_64,
    little_endian: true,
    links: true,
    field_size,
    is_relative,
    uses,
    leaves,
    is_call,
    tables: &TABLES,
    sizes: &[
        ("alt_instr", 12),
        ("bug_entry", 12),
        ("exception_table_entry", 12),
        ("jump_entry", 16),
        ("paravirt_patch_site", 16),
        ("unwind_hint", 12),
    ],
    trace_sections: &["__mcount_loc"],
    trace_calls: &[],
    address_pool: None,
};

/// The tables of x86-64 kernels (include/asm-generic/vmlinux.lds.h; arch/x86/kernel/vmlinux.lds.S). Those that objtool
/// makes (`.orc_unwind*`, `.return_sites`, `.retpoline_sites`, `.static_call_sites`, `.call_sites`, `.ibt_endbr_seal`,
/// `.cfi_sites`) are not here: it makes them afresh for the livepatch module.
const TABLES: [Table; 19] = [
    table("__bug_table", Size::Structure("bug_entry"), true),
    table("__ex_table", Size::Structure("exception_table_entry"), true),
    table("__jump_table", Size::Structure("jump_entry"), true),
    table(".altinstructions", Size::Structure("alt_instr"), true),
    table(".parainstructions", Size::Structure("paravirt_patch_site"), true),
    table(".smp_locks", Size::Fixed(4), true),
    table("__mcount_loc", Size::Fixed(8), false),
    // Its entries point in front of functions (`padding`), so that none has an owner and none is carried: these kernels
    // discard it (HAVE_DYNAMIC_FTRACE_NO_PATCHABLE).
    table("__patchable_function_entries", Size::Fixed(8), false),
    // Notes for objtool (include/linux/objtool.h, include/linux/compiler.h; arch/x86/include/asm/{alternative,ibt,nospec-branch}.h);
    // they do not reach the running kernel.
    table(".discard.reachable", Size::Field, false),
    table(noreturn::UNREACHABLE, Size::Field, false),
    table(".discard.retpoline_safe", Size::Field, false),
    table(".discard.ignore_alts", Size::Field, false),
    table(".discard.instr_begin", Size::Field, false),
    table(".discard.instr_end", Size::Field, false),
    table(".discard.noendbr", Size::Field, false),
    table(".discard.ibt_endbr_noseal", Size::Field, false),
    table(".discard.unwind_hints", Size::Structure("unwind_hint"), false),
    table(".discard.func_stack_frame_non_standard", Size::Field, false),
    table(".discard.intra_function_calls", Size::Field, false),
];

fn field_size(kind: RelocationType) -> Option<usize> {
    match kind {
        R_X86_64_64 | R_X86_64_PC64 => Some(8),
        R_X86_64_PC32 | R_X86_64_PLT32 | R_X86_64_32 | R_X86_64_32S => Some(4),
        _ => None,
    }
}

fn is_relative(kind: RelocationType) -> bool {
    matches!(kind, R_X86_64_PC32 | R_X86_64_PLT32 | R_X86_64_PC64)
}

fn uses(code: &[u8], fields: &[Field]) -> Vec<FieldUse> {
    // A field that lies in no instruction (data in code) counts as one at the end of an instruction.
    let mut found: Vec<FieldUse> =
        fields.iter().map(|field| FieldUse { bias: bias(field.kind, 4), branch: false }).collect();
    let mut next = 0;
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    while decoder.can_decode() && next < fields.len() {
        let start = decoder.position() as u64;
        let instruction = decoder.decode();
        let end = decoder.position() as u64;
        while let Some(field) = fields.get(next).filter(|field| field.offset < end) {
            if field.offset >= start && !instruction.is_invalid() {
                let bias = bias(field.kind, (end - field.offset) as i64);
                found[next] = FieldUse { bias, branch: is_branch(&instruction) };
            }
            next += 1;
        }
    }
    found
}

fn leaves(code: &[u8], fields: &[u64]) -> bool {
    let end = code.len() as u64;
    Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().any(|instruction| {
        let is_relocated =
            || fields.iter().any(|&at| (instruction.ip()..instruction.next_ip()).contains(&at));
        match instruction.flow_control() {
            FlowControl::Return | FlowControl::IndirectBranch => true,
            // The assembler itself resolves jumps to statics of the same section.
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                instruction.near_branch_target() >= end && !is_relocated()
            }
            _ => instruction.is_invalid(),
        }
    })
}

/// `call rel32` (Intel SDM volume 2): E8 and the field.
fn is_call(code: &[u8], at: u64) -> bool {
    let opcode = usize::try_from(at).ok().and_then(|at| code.get(at.checked_sub(1)?));
    opcode == Some(&0xe8)
}

fn bias(kind: u32, distance: i64) -> i64 {
    if is_relative(RelocationType(kind)) { distance } else { 0 }
}

fn is_branch(instruction: &Instruction) -> bool {
    instruction.is_call_near() || instruction.is_jmp_short_or_near() || instruction.is_jcc_short_or_near()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_trailing_immediate() {
        // cmpl $7, x(%rip): field at 2, one byte of immediate behind it.
        let compare = [0x83, 0x3d, 0, 0, 0, 0, 7];
        // call f: field at 1, nothing behind it.
        let call = [0xe8, 0, 0, 0, 0];
        let code = [&compare[..], &call[..]].concat();
        let fields =
            [Field { offset: 2, kind: R_X86_64_PC32.0 }, Field { offset: 8, kind: R_X86_64_PLT32.0 }];
        let expected = [FieldUse { bias: 5, branch: false }, FieldUse { bias: 4, branch: true }];
        assert_eq!(uses(&code, &fields), expected);
    }

    #[test]
    fn bytes_that_are_no_code_count_as_the_end_of_an_instruction() {
        let field = |kind: RelocationType| [Field { offset: 1, kind: kind.0 }];
        assert_eq!(uses(&[0x06; 3], &field(R_X86_64_PC32)), [FieldUse { bias: 4, branch: false }]);
        assert_eq!(uses(&[0x06; 3], &field(R_X86_64_64)), [FieldUse::default()]);
    }
}
