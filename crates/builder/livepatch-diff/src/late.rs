//! Table entries on keys of modules, which must not reach the kernel.
//!
//! The kernel sets up static branches and static calls of a module as it loads (jump_label_add_module,
//! kernel/jump_label.c; static_call_add_module, kernel/static_call_inline.c). Relocations to a patched module's symbols are
//! applied after that, or much later, when that module is there (klp_init_object_loaded, kernel/livepatch/core.c): the
//! kernel would follow a key that is not there yet. Without its entry a branch stays as compiled, and a static call goes
//! through the trampoline, which is right at any time.

use crate::klp::{KlpError, Owner, read, write};
use crate::tables::EntrySizes;
use object::build::elf::{Builder, SectionData, SectionId};
use object::build::{Bytes, Id};
use object::elf;
use std::collections::BTreeSet;

/// Size of `struct static_call_site` (include/linux/static_call_types.h): two 32-bit offsets.
const STATIC_CALL_SITE: u64 = 8;

/// Takes the entries on keys of modules out of an extracted object that objtool has been through: objtool needs them to
/// turn branches into what they are without the key. Answers how many there were.
///
/// # Errors
/// [`KlpError::Elf`] when the object cannot be read or written again.
pub fn drop_late_entries(
    bytes: &[u8],
    sizes: &EntrySizes,
    owner: impl Fn(&str) -> Option<Owner>,
) -> Result<(Vec<u8>, usize), KlpError> {
    let mut builder = read(bytes)?;
    let late: BTreeSet<usize> = builder
        .symbols
        .into_iter()
        .filter(|symbol| symbol.section.is_none() && symbol.st_shndx == elf::SHN_UNDEF)
        .filter(|symbol| match owner(&String::from_utf8_lossy(&symbol.name)) {
            Some(Owner::Running { object, .. }) => object != "vmlinux",
            _ => false,
        })
        .map(|symbol| symbol.id().index())
        .collect();
    let jump_entry = sizes.get("jump_entry").copied().unwrap_or(0);
    let mut dropped = 0;
    for (table, size) in [("__jump_table", jump_entry), (".static_call_sites", STATIC_CALL_SITE)] {
        for section in sections_named(&builder, table) {
            dropped += drop_entries(&mut builder, section, size, &late);
        }
    }
    if dropped == 0 {
        return Ok((bytes.to_vec(), 0));
    }
    Ok((write(builder)?, dropped))
}

fn sections_named(builder: &Builder<'_>, name: &str) -> Vec<SectionId> {
    let named = builder.sections.into_iter().filter(|section| section.name.as_slice() == name.as_bytes());
    named.map(|section| section.id()).collect()
}

/// Takes out the entries of one table that a relocation ties to one of the `late` symbols.
fn drop_entries(builder: &mut Builder<'_>, table: SectionId, size: u64, late: &BTreeSet<usize>) -> usize {
    let Some(size) = std::num::NonZeroU64::new(size) else { return 0 };
    let mut gone = BTreeSet::new();
    for section in builder.sections.into_iter().filter(|section| section.sh_info_section == Some(table)) {
        let SectionData::Relocation(relocations) = &section.data else { continue };
        let is_late = relocations
            .iter()
            .filter(|relocation| relocation.symbol.is_some_and(|symbol| late.contains(&symbol.index())));
        gone.extend(is_late.map(|relocation| relocation.r_offset / size));
    }
    if gone.is_empty() {
        return 0;
    }
    for section in &mut builder.sections {
        if let (true, SectionData::Data(data)) = (section.id() == table, &mut section.data) {
            let kept = data.chunks(usize::try_from(size.get()).unwrap_or(usize::MAX)).zip(0u64..);
            let kept: Vec<u8> = kept
                .filter(|(_, entry)| !gone.contains(entry))
                .flat_map(|(bytes, _)| bytes.to_vec())
                .collect();
            *data = Bytes::from(kept);
        }
        let SectionData::Relocation(relocations) = &mut section.data else { continue };
        if section.sh_info_section == Some(table) {
            relocations.retain(|relocation| !gone.contains(&(relocation.r_offset / size)));
            for relocation in relocations {
                let before = gone.range(..relocation.r_offset / size).count() as u64;
                relocation.r_offset -= before * size.get();
            }
        }
    }
    gone.len()
}
