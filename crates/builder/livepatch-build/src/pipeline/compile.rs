//! Compiles each touched unit, original and patched, all in parallel.

use super::{Build, BuildError, file_error};
use crate::compile::{SECTION_FLAGS, SavedCommand};
use crate::glue::write_headers;
use crate::kbuild::{anew, commands_of, with_generated};
use crate::narrate::step;
use crate::objects::{Job, Objects};
use crate::overlay::Overlay;
use crate::report::Timings;
use crate::scope::Touched;
use crate::units::Units;
use livepatch_diff::Object;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A translation unit with what its compilation gave.
pub(crate) struct Compiled {
    pub(crate) touched: Touched,
    pub(crate) command: SavedCommand,
    pub(crate) original: Object,
    pub(super) patched: Object,
    /// The patched object with its static branches as the kernel has them, where those of `patched` read their keys.
    pub(super) branching: Option<Object>,
    /// The files of both: their debug information is read when it is needed.
    pub(crate) files: (PathBuf, PathBuf),
    pub(super) seconds: (f64, f64),
    /// File name of the livepatch source that stands in the unit's place; `None` for a unit that is patched.
    pub(super) own_source: Option<String>,
}

impl Build<'_> {
    /// Compiles each unit, original and patched, all in parallel.
    pub(super) fn compile(
        &self,
        touched: &[Touched],
        overlay: &Overlay,
        units: &Units,
        timings: &mut Timings,
    ) -> Result<Vec<Compiled>, BuildError> {
        let sources = self.source_units()?;
        let own = sources.iter().filter_map(|(_, file)| file.file_name()?.to_str());
        let files: Vec<&str> = touched.iter().map(|unit| unit.source.as_str()).chain(own).collect();
        let step = step(format!("compile {}", files.join(", ")));
        write_headers(&self.headers()).map_err(|(path, source)| BuildError::File { path, source })?;
        let start = Instant::now();
        let objects = touched.iter().map(|unit| unit.like.as_ref().unwrap_or(&unit.object).clone());
        let known: Vec<String> = objects.chain(sources.iter().map(|(unit, _)| unit.object.clone())).collect();
        let commands = commands_of(self.kernel, units, &known, &self.log)?;
        timings.commands = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let patched = touched.iter().map(|unit| (unit, None));
        let all = patched.chain(sources.iter().map(|(unit, file)| (unit, Some(file))));
        let pairs: Vec<_> = all.zip(commands).enumerate().collect();
        let compiled: Result<Vec<Compiled>, BuildError> = pairs
            .into_par_iter()
            .map(|(index, ((unit, file), command))| match file {
                None => self.compile_unit(index, unit, command, overlay),
                Some(file) => self.compile_source(index, unit, command, file),
            })
            .collect();
        let compiled = compiled?;
        timings.compile_wall = start.elapsed().as_secs_f64();
        timings.compile_original = compiled.iter().map(|unit| unit.seconds.0).sum();
        timings.compile_patched = compiled.iter().map(|unit| unit.seconds.1).sum();
        step.done("original and patched");
        Ok(compiled)
    }

    fn compile_unit(
        &self,
        index: usize,
        unit: &Touched,
        command: SavedCommand,
        overlay: &Overlay,
    ) -> Result<Compiled, BuildError> {
        let original = self.work.join(format!("original{index}.o"));
        let patched = self.work.join(format!("patched{index}.o"));
        let objects = Objects::of(self.kernel);
        let (flags, headers) = (SECTION_FLAGS.map(str::to_owned), self.headers());
        let source = unit.compiled();
        let command = match &unit.like {
            Some(_) => command.for_another(&unit.source, &unit.object),
            None => command,
        };
        let of_original = || match &unit.like {
            // What was not there before is compared with nothing.
            Some(_) => {
                let flags: Vec<String> = flags.iter().cloned().chain(["-x".into(), "c".into()]).collect();
                let job = Job::of_original(&command, "/dev/null", &flags);
                objects.compile(&job, &original)
            }
            None => {
                let job = Job::of_original(&command, &source, &flags);
                with_generated(self.kernel, &unit.object, &self.log, || objects.compile(&job, &original))
            }
        };
        let of_patched = || {
            let job = Job {
                overlay: Some(overlay),
                include: Some(&headers),
                ..Job::of_original(&command, &source, &flags)
            };
            objects.compile(&job, &patched)
        };
        // A unit that make does not know gets its generated files by the one that it is like.
        let known = unit.like.as_ref().unwrap_or(&unit.object);
        let (first, second) = rayon::join(of_original, of_patched);
        let seconds = (first?, second.or_else(|_| anew(self.kernel, overlay, known, &self.log, of_patched))?);
        let read = |path: &Path| std::fs::read(path).map_err(file_error(path));
        let files = (original, patched);
        let (original, patched) = (Object::read(&read(&files.0)?)?, Object::read(&read(&files.1)?)?);
        let touched = unit.clone();
        Ok(Compiled {
            touched,
            command,
            original,
            patched,
            branching: None,
            files,
            seconds,
            own_source: None,
        })
    }

    /// Compiles a livepatch source as the unit in whose place it stands is compiled.
    fn compile_source(
        &self,
        index: usize,
        unit: &Touched,
        command: SavedCommand,
        file: &Path,
    ) -> Result<Compiled, BuildError> {
        let original = self.work.join(format!("original{index}.o"));
        let patched = self.work.join(format!("patched{index}.o"));
        let flags = SECTION_FLAGS.map(str::to_owned);
        let job = Job::of_original(&command, &unit.source, &flags);
        let objects = Objects::of(self.kernel);
        let of_original =
            || with_generated(self.kernel, &unit.object, &self.log, || objects.compile(&job, &original));
        let first = of_original()?;
        let start = Instant::now();
        let folder = Path::new(&unit.source).parent().unwrap_or(Path::new(".")).display().to_string();
        let more = [
            format!("-ffile-prefix-map={}/=", file.parent().unwrap_or(&self.work).display()),
            "-iquote".to_owned(),
            folder,
            "-idirafter".to_owned(),
            self.headers().display().to_string(),
        ];
        let flags = [&flags[..], &more].concat();
        let log = patched.with_extension("log");
        command.compile(&self.kernel.source(), file, &patched, &flags, &log)?;
        let seconds = (first, start.elapsed().as_secs_f64());
        let read = |path: &Path| std::fs::read(path).map_err(file_error(path));
        let files = (original, patched);
        let (original, patched) = (Object::read(&read(&files.0)?)?, Object::read(&read(&files.1)?)?);
        let own_source = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let touched = unit.clone();
        Ok(Compiled { touched, command, original, patched, branching: None, files, seconds, own_source })
    }

    /// The folder of the headers for patches that tell the builder something.
    pub(super) fn headers(&self) -> PathBuf {
        self.work.join("include")
    }
}
