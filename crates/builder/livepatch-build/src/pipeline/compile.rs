//! Compiles each touched unit, original and patched, all in parallel.

use super::{Build, BuildError, file_error};
use crate::compile::{SECTION_FLAGS, SavedCommand, command_of};
use crate::glue::write_headers;
use crate::narrate::step;
use crate::report::Timings;
use crate::scope::Touched;
use livepatch_diff::Object;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A translation unit with what its compilation gave.
pub(crate) struct Compiled {
    pub(crate) touched: Touched,
    pub(super) command: SavedCommand,
    pub(crate) original: Object,
    pub(super) patched: Object,
    /// The files of both: their debug information is read when it is needed.
    pub(super) files: (PathBuf, PathBuf),
    pub(super) seconds: (f64, f64),
}

impl Build<'_> {
    /// Compiles each unit, original and patched, all in parallel.
    pub(super) fn compile(
        &self,
        touched: Vec<Touched>,
        timings: &mut Timings,
    ) -> Result<Vec<Compiled>, BuildError> {
        let files: Vec<&str> = touched.iter().map(|unit| unit.source.as_str()).collect();
        let step = step(format!("compile {}", files.join(", ")));
        write_headers(&self.headers()).map_err(|(path, source)| BuildError::File { path, source })?;
        let start = Instant::now();
        // One after the other: make does not like company in its tree.
        let mut commands = Vec::new();
        for unit in &touched {
            commands.push(command_of(self.kernel, &unit.object, &self.log)?);
        }
        timings.commands = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let pairs: Vec<(usize, Touched, SavedCommand)> = touched
            .into_iter()
            .zip(commands)
            .enumerate()
            .map(|(index, (unit, command))| (index, unit, command))
            .collect();
        let compiled: Result<Vec<Compiled>, BuildError> = pairs
            .into_par_iter()
            .map(|(index, unit, command)| {
                let original = self.work.join(format!("original{index}.o"));
                let patched = self.work.join(format!("patched{index}.o"));
                let (first, second) = rayon::join(
                    || self.compile_one(&command, Path::new(&unit.source), &original, &[]),
                    || self.compile_one(&command, &unit.patched, &patched, &self.overlay_flags(&unit.source)),
                );
                let seconds = (first?, second?);
                let read = |path: &Path| std::fs::read(path).map_err(file_error(path));
                let files = (original, patched);
                let (original, patched) = (Object::read(&read(&files.0)?)?, Object::read(&read(&files.1)?)?);
                Ok(Compiled { touched: unit, command, original, patched, files, seconds })
            })
            .collect();
        let compiled = compiled?;
        timings.compile_wall = start.elapsed().as_secs_f64();
        timings.compile_original = compiled.iter().map(|unit| unit.seconds.0).sum();
        timings.compile_patched = compiled.iter().map(|unit| unit.seconds.1).sum();
        step.done("original and patched");
        Ok(compiled)
    }

    fn compile_one(
        &self,
        command: &SavedCommand,
        input: &Path,
        output: &Path,
        more: &[String],
    ) -> Result<f64, BuildError> {
        let start = Instant::now();
        let flags: Vec<String> =
            SECTION_FLAGS.iter().map(|flag| (*flag).to_owned()).chain(more.iter().cloned()).collect();
        // A log each: compilers run side by side.
        let log = output.with_extension("log");
        command.compile(&self.kernel.source(), input, output, &flags, &log)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// The folder of the headers for patches that tell the builder something.
    fn headers(&self) -> std::path::PathBuf {
        self.work.join("include")
    }

    /// What makes a file on the overlay look to the compiler as if it were in the tree.
    fn overlay_flags(&self, source: &str) -> Vec<String> {
        let folder = Path::new(source).parent().unwrap_or(Path::new(".")).display().to_string();
        vec![
            // For `__FILE__` and for debug information.
            format!("-ffile-prefix-map={}/=", self.work.join("overlay").display()),
            format!("-ffile-prefix-map={}/=", self.source_folder().display()),
            "-iquote".into(),
            folder,
            // After the kernel's own: a kernel that has one of our headers itself goes first.
            "-idirafter".into(),
            self.headers().display().to_string(),
        ]
    }
}
