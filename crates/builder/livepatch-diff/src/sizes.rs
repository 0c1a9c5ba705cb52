//! Entry sizes of special sections when there is no kernel to measure them in: read off the objects themselves.
//!
//! Every entry of a table has its relocated fields at the same offsets, the first of them at its start, so the size is
//! the shortest distance at which the pattern of relocations repeats over the whole section.

use crate::object::{Object, Section};
use crate::tables::{EntrySizes, Size};

/// Longest structure that is looked for, in bytes; the kernels' have at most 24.
const LONGEST: u64 = 64;

/// The sizes of the structures that these objects' tables consist of: the section's own word (`sh_entsize`), else what
/// the relocations show, else what is usual for the machine.
pub fn entry_sizes_of(objects: &[&Object]) -> EntrySizes {
    let mut sizes = EntrySizes::new();
    for object in objects {
        sizes.extend(object.architecture.usual_entry_sizes());
    }
    for table in objects.iter().flat_map(|object| object.architecture.tables()) {
        let Size::Structure(structure) = table.size() else { continue };
        let sections: Vec<&Section> = objects
            .iter()
            .flat_map(|object| &object.sections)
            .filter(|section| section.name == table.section() && !section.data.is_empty())
            .collect();
        let usual = sizes.get(structure).copied();
        if let Some(size) = stated(&sections).or_else(|| shown(&sections, usual)) {
            sizes.insert(structure.to_owned(), size);
        }
    }
    sizes
}

/// What all sections say themselves.
fn stated(sections: &[&Section]) -> Option<u64> {
    let size = sections.first()?.entsize;
    let sound = size > 1 && sections.iter().all(|section| section.entsize == size);
    (sound && sections.iter().all(|section| section.size.is_multiple_of(size))).then_some(size)
}

/// What the relocations of all sections show. Sections that show nothing, or that fit the usual size, leave it at that.
fn shown(sections: &[&Section], usual: Option<u64>) -> Option<u64> {
    let fits = |size: u64| sections.iter().all(|section| repeats(section, size));
    if sections.is_empty() || usual.is_some_and(fits) {
        return None;
    }
    (1..=LONGEST).find(|&size| fits(size))
}

/// Whether every `size` bytes of the section have relocations at the same offsets, the first at the start.
fn repeats(section: &Section, size: u64) -> bool {
    if size == 0 || !section.size.is_multiple_of(size) {
        return false;
    }
    let fields = |start: u64| {
        let within = section.relocations.iter().map(|relocation| relocation.offset);
        within.filter(move |at| (start..start + size).contains(at)).map(move |at| at - start)
    };
    let first: Vec<u64> = fields(0).collect();
    let starts = (0..section.size / size).map(|entry| entry * size);
    first.contains(&0) && starts.into_iter().all(|start| fields(start).eq(first.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Relocation, SectionKind};

    fn section(size: u64, offsets: &[u64]) -> Section {
        let relocations = offsets.iter().map(|&offset| Relocation { offset, kind: 2, symbol: 0, addend: 0 });
        Section {
            name: ".altinstructions".into(),
            kind: SectionKind::Bytes,
            flags: 2,
            sh_type: 1,
            align: 1,
            entsize: 0,
            address: 0,
            size,
            data: vec![0; usize::try_from(size).unwrap_or(0)],
            relocations: relocations.collect(),
        }
    }

    #[test]
    fn the_relocations_show_the_size_where_it_is_not_the_usual_one() {
        // struct alt_instr has 12 bytes in Linux 6.1 and 14 since 6.3.
        let newer = section(42, &[0, 4, 14, 18, 28, 32]);
        assert_eq!(shown(&[&newer], Some(12)), Some(14));
        let usual = section(24, &[0, 4, 12, 16]);
        assert_eq!(shown(&[&usual], Some(12)), None);
        let jump = section(16, &[0, 4, 8]);
        assert_eq!(shown(&[&jump], None), Some(16));
    }

    #[test]
    fn a_section_s_own_word_counts_when_it_can_be_true() {
        let with = |entsize: u64| Section { entsize, ..section(24, &[0, 12]) };
        assert_eq!(stated(&[&with(12)]), Some(12));
        assert_eq!(stated(&[&with(0)]), None);
        assert_eq!(stated(&[&with(7)]), None);
        assert_eq!(stated(&[&with(12), &with(24)]), None);
    }
}
