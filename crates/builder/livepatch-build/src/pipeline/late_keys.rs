//! Static branches on keys of modules, which read their key where the kernel could not set the branch up.
//!
//! A unit with such branches is compiled once more, with branches that read. Of that object only those functions are taken
//! that change without it too, and what they need.

use super::compare::Parts;
use super::compile::Compiled;
use super::{Build, BuildError, file_error, notices};
use crate::compile::SECTION_FLAGS;
use crate::narrate::step;
use crate::objects::{Job, Objects};
use crate::overlay::Overlay;
use crate::report::Timings;
use livepatch_diff::{Difference, EntrySizes, Exports, Facts, Image, Object, Refusal};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// What makes branches read: on the include path with the other headers for patched units.
const READING: [&str; 2] = ["-include", "livepatch_static_keys.h"];

impl Build<'_> {
    /// Compares the units, and again where branches have to read their keys.
    pub(super) fn compare(
        &self,
        (image, exports): (&Image<'_>, &Exports),
        units: &mut [Compiled],
        overlay: &Overlay,
        timings: &mut Timings,
    ) -> Result<Parts, BuildError> {
        let mut first = Parts::default();
        self.differ(image, exports, units, &mut first, timings)?;
        if first.late.is_empty() {
            return Ok(first);
        }
        self.compile_reading(units, &first.late, overlay)?;
        let mut parts = Parts::default();
        self.differ(image, exports, units, &mut parts, timings)?;
        let read = first.refusals.iter().filter(|refusal| !parts.refusals.contains(refusal));
        let branches: BTreeSet<_> = read
            .filter_map(|refusal| match refusal {
                Refusal::StaticKeyInModule { function, key, module } => Some((function, key, module)),
                _ => None,
            })
            .collect();
        for (function, key, module) in branches {
            parts.findings.push(notices::static_key_read(function, key, module));
        }
        Ok(parts)
    }

    /// Compiles the patched side of some units again, with branches that read their keys.
    fn compile_reading(
        &self,
        units: &mut [Compiled],
        late: &BTreeSet<usize>,
        overlay: &Overlay,
    ) -> Result<(), BuildError> {
        let step = step("compile again, reading static keys of modules");
        let headers = self.headers();
        let flags: Vec<String> = SECTION_FLAGS.into_iter().chain(READING).map(str::to_owned).collect();
        let objects = Objects::of(self.kernel);
        let late = units.par_iter_mut().enumerate().filter(|(index, _)| late.contains(index));
        late.try_for_each(|(index, unit)| {
            let output = self.work.join(format!("reading{index}.o"));
            let source = unit.touched.compiled();
            let job = Job {
                overlay: Some(overlay),
                include: Some(&headers),
                ..Job::of_original(&unit.command, &source, &flags)
            };
            objects.compile(&job, &output)?;
            let object = Object::read(&std::fs::read(&output).map_err(file_error(&output))?)?;
            unit.branching = Some(std::mem::replace(&mut unit.patched, object));
            unit.files.1 = output;
            Ok::<_, BuildError>(())
        })?;
        step.done("patched");
        Ok(())
    }
}

/// Leaves out what changes only because branches read their keys. Clones that the compiler made are kept: of the same name
/// or not, they need not take the same arguments.
pub(super) fn keep_to_the_patch(
    difference: &mut Difference<'_>,
    branching: &Object,
    sizes: &EntrySizes,
    facts: Facts<'_>,
) -> Result<(), BuildError> {
    let original = difference.original;
    let patch = Difference::with(original, branching, sizes, facts)?;
    let changed: BTreeSet<&str> =
        patch.changed.iter().map(|&(index, _)| original.symbols[index].name.as_str()).collect();
    difference.leave_out(|name| !changed.contains(name) && !name.contains('.'));
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::process::Command;

    fn compiled(source: &str) -> Object {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("x.c"), folder.path().join("x.o"));
        std::fs::write(&input, source).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-c", "-O2", "-fno-pic", "-mcmodel=kernel", "-ffunction-sections", "-fdata-sections"]);
        assert!(gcc.arg("-o").arg(&output).arg(&input).status().unwrap().success());
        Object::read(&std::fs::read(&output).unwrap()).unwrap()
    }

    #[test]
    fn what_only_reads_its_key_stays_as_it_is() {
        let source = |read: &str, value: u32| {
            let key = if read.is_empty() { "" } else { "extern int key;" };
            compiled(&format!(
                "{key}\nint mended(void) {{ {read} return {value}; }}\nint untouched(void) {{ {read} return 7; }}\n"
            ))
        };
        let original = source("", 1);
        let (branching, reading) = (source("", 2), source("if (key) return 5;", 2));
        let sizes = EntrySizes::default();
        let traced = |_| Some(true);
        let facts = Facts { traced: Some(&traced), in_module: Some(true) };
        let mut difference = Difference::with(&original, &reading, &sizes, facts).unwrap();
        assert_eq!(difference.changed.len(), 2);
        keep_to_the_patch(&mut difference, &branching, &sizes, facts).unwrap();
        let names: Vec<&str> =
            difference.redirected.iter().map(|&(index, _)| original.symbols[index].name.as_str()).collect();
        assert_eq!(names, ["mended"]);
    }
}
