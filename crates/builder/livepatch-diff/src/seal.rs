//! Indirect branch tracking (CONFIG_X86_KERNEL_IBT): which functions may be called through a pointer.
//!
//! Such a function begins with `endbr64`. objtool lists those whose address nobody takes in `.ibt_endbr_seal`
//! (tools/objtool/check.c, `create_ibt_endbr_seal_sections`), and the kernel overwrites their `endbr64` when it starts or loads
//! the module (arch/x86/kernel/alternative.c, `apply_seal_endbr`): from then on a call through a pointer is fatal.

/// `endbr64` (Intel SDM volume 2).
const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// Section of pointers to functions that objtool must not list (IBT_NOSEAL, arch/x86/include/asm/ibt.h): objtool sees one
/// translation unit, and the pointers to its functions may be in another or in the module's frame.
pub(crate) const NOT_TO_SEAL: &str = ".discard.ibt_endbr_noseal";

/// objtool's list: a 32-bit field for each function, relative to itself.
pub(crate) const SEALED: &str = ".ibt_endbr_seal";

/// Whether code may be entered through a pointer, sealing aside.
pub(crate) fn has_landing_pad(code: &[u8]) -> bool {
    code.starts_with(&ENDBR64)
}
