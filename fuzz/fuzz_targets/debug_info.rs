//! Debug information of two objects, read and judged against each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_diff::{Difference, EntrySizes, Object};
use livepatch_judge::{Case, DebugInfo, DebugSections, SourceFile, judge};

fuzz_target!(|bytes: &[u8]| {
    // The first byte says where a second object begins.
    let Some((&split, rest)) = bytes.split_first() else { return };
    let (one, other) = rest.split_at(rest.len() * usize::from(split) / 255);
    let other = if other.is_empty() { one } else { other };
    let (Ok(old_sections), Ok(new_sections)) = (DebugSections::read(one), DebugSections::read(other)) else { return };
    let (Ok(old), Ok(new)) = (DebugInfo::read(&old_sections), DebugInfo::read(&new_sections)) else { return };
    let (Ok(original), Ok(patched)) = (Object::read(one), Object::read(other)) else { return };
    let Ok(difference) = Difference::new(&original, &patched, &EntrySizes::new()) else { return };
    let files = [SourceFile::new("unit.c", "int f(int a)\n{\n}\n", "int f(int b)\n{\n}\n")];
    judge(&Case { source: "unit.c", difference: &difference, original: &old, patched: &new, files: &files });
});
