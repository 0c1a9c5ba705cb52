//! A build from patch to module, step by step, each with its timing.

use crate::compile::{CompileError, SECTION_FLAGS, SavedCommand, command_of};
use crate::kernel::{Kernel, KernelError, map_file};
use crate::link::{BUILD_ID_SYMBOL, Replaced, Symbols, kbuild};
use crate::narrate::step;
use crate::prove;
use crate::report::{Outcome, ProofReport, RefusalReport, Report, Timings, UnitReport};
use crate::run::RunError;
use crate::scope::{self, FileRefusal, ScopeError, Touched};
use livepatch_diff::{
    Base, BaseError, Difference, Exports, ExtractError, Extracted, Image, KlpError, Object, ObjectError,
    Owner, Refusal, SymbolIndex, SymbolKind, TableError, Unit, extract, finish_module, name_symbols,
};
use livepatch_manifest::{
    Digest, Fix, Manifest, ManifestError, ModuleRecord, PatchedFunction, PatchedObject, Provenance, SCHEMA,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// File name of the manifest in a build folder.
pub const MANIFEST: &str = "manifest.json";
/// File name of the report in a build folder.
pub const REPORT: &str = "report.json";

/// What to build.
#[derive(Clone, Debug)]
pub struct Request {
    /// The patch.
    pub patch: PathBuf,
    /// What it mends.
    pub fixes: Vec<Fix>,
    /// Cumulative version.
    pub version: u32,
    /// Folder for module, manifest and report.
    pub output: PathBuf,
}

/// Why a build broke off. A patch that cannot be livepatched is no error but an outcome.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // each variant passes on an error that says all
pub enum BuildError {
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("a compiled object cannot be read")]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Extract(#[from] ExtractError),
    #[error("the livepatch relocations cannot be made")]
    Klp(#[from] KlpError),
    #[error("the manifest cannot be written")]
    Manifest(#[from] ManifestError),
    #[error("the report cannot be written")]
    Report(#[from] serde_json::Error),
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the built module has no vermagic")]
    NoVermagic,
}

/// The module's file in a build folder.
pub fn module_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.ko"))
}

/// A translation unit with what its compilation gave.
pub(crate) struct Compiled {
    pub(crate) touched: Touched,
    command: SavedCommand,
    pub(crate) original: Object,
    patched: Object,
    seconds: (f64, f64),
}

/// Builds a livepatch for a prepared kernel. Writes report and, when one was made, module and manifest.
///
/// # Errors
/// [`BuildError`] when something is missing or fails; see [`Report::outcome`] for patches that cannot be livepatched.
pub fn build(kernel: &Kernel, request: &Request) -> Result<Report, BuildError> {
    let output = std::path::absolute(&request.output).map_err(file_error(&request.output))?;
    let work = output.join("work");
    remove_tree(&work)?;
    std::fs::create_dir_all(&work).map_err(file_error(&work))?;
    let report =
        Build { kernel, request, log: output.join("build.log"), work: work.clone(), output }.run()?;
    remove_tree(&work)?;
    Ok(report)
}

struct Build<'a> {
    kernel: &'a Kernel,
    request: &'a Request,
    output: PathBuf,
    work: PathBuf,
    log: PathBuf,
}

impl Build<'_> {
    fn run(&self) -> Result<Report, BuildError> {
        let start = Instant::now();
        let mut timings = Timings::default();
        self.forget_earlier()?;
        let overlay = self.work.join("overlay");
        let patched = match scope::apply(&self.kernel.source(), &self.request.patch, &overlay, &self.log) {
            Err(ScopeError::File(refusal)) => return self.refused_at_once(&refusal, start),
            other => other?,
        };
        let vmlinux = self.kernel.vmlinux();
        let map = map_file(&vmlinux).map_err(file_error(&vmlinux))?;
        // vmlinux is read while make and the compiler are at work: nothing in it depends on the patch.
        let (units, binary) = rayon::join(|| self.compile(patched, &mut timings), || self.binary(&map));
        let (units, (image, exports)) = (units?, binary?);

        let mut parts = Parts::default();
        self.differ(&image, &exports, &units, &mut parts, &mut timings)?;
        let outcome = match (parts.refusals.is_empty(), parts.objects.is_empty()) {
            (false, _) => Outcome::Refused,
            (true, true) => Outcome::NoFunctionalChange,
            (true, false) => Outcome::Built,
        };
        let module_sha256 = match outcome {
            Outcome::Built => Some(self.link(&image, &parts, &mut timings)?),
            _ => None,
        };
        timings.close(start.elapsed().as_secs_f64());
        self.report(
            outcome,
            parts.reports,
            parts.refusals.iter().map(RefusalReport::from).collect(),
            module_sha256,
            timings,
        )
    }

    /// What the distribution built: vmlinux, and who exports what.
    fn binary<'b>(&self, map: &'b [u8]) -> Result<(Image<'b>, Exports), BuildError> {
        let image = Image::read(map)?;
        let path = self.kernel.source().join("Module.symvers");
        let exports = Exports::parse(&std::fs::read_to_string(&path).map_err(file_error(&path))?);
        Ok((image, exports))
    }

    /// What an earlier build left must not be taken for what this one made.
    fn forget_earlier(&self) -> Result<(), BuildError> {
        let module = module_path(&self.output, &self.name());
        for path in [module, self.output.join(MANIFEST), self.output.join(REPORT), self.log.clone()] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(file_error(&path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The patch touches what cannot be livepatched: nothing needs to be compiled to say so.
    fn refused_at_once(&self, refusal: &FileRefusal, start: Instant) -> Result<Report, BuildError> {
        let advice = crate::explain::all().into_iter().find(|entry| entry.code == refusal.code);
        let refusal = RefusalReport {
            code: refusal.code.into(),
            message: refusal.to_string(),
            advice: advice.map_or("", |entry| entry.advice).into(),
        };
        let mut timings = Timings::default();
        timings.close(start.elapsed().as_secs_f64());
        self.report(Outcome::Refused, Vec::new(), vec![refusal], None, timings)
    }

    fn report(
        &self,
        outcome: Outcome,
        units: Vec<UnitReport>,
        refusals: Vec<RefusalReport>,
        module_sha256: Option<Digest>,
        timings: Timings,
    ) -> Result<Report, BuildError> {
        let report = Report {
            schema: 1,
            outcome,
            name: self.name(),
            version: self.request.version,
            kernel: self.kernel.identity.clone(),
            fixes: self.request.fixes.clone(),
            units,
            refusals,
            module_sha256,
            timings,
        };
        self.write(REPORT, &serde_json::to_vec_pretty(&report)?)?;
        Ok(report)
    }

    fn name(&self) -> String {
        format!("livepatch_{}_{}", self.kernel.identity.release.as_identifier(), self.request.version)
    }

    /// Compiles each unit, original and patched, all in parallel.
    fn compile(&self, touched: Vec<Touched>, timings: &mut Timings) -> Result<Vec<Compiled>, BuildError> {
        let files: Vec<&str> = touched.iter().map(|unit| unit.source.as_str()).collect();
        let step = step(format!("compile {}", files.join(", ")));
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
                let (original, patched) = (Object::read(&read(&original)?)?, Object::read(&read(&patched)?)?);
                Ok(Compiled { touched: unit, command, original, patched, seconds })
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

    /// What makes a file on the overlay look to the compiler as if it were in the tree.
    fn overlay_flags(&self, source: &str) -> Vec<String> {
        let folder = Path::new(source).parent().unwrap_or(Path::new(".")).display().to_string();
        vec![
            format!("-fmacro-prefix-map={}/=", self.work.join("overlay").display()),
            "-iquote".into(),
            folder,
        ]
    }

    /// Proves the base, takes the differences, and writes the objects.
    fn differ(
        &self,
        image: &Image<'_>,
        exports: &Exports,
        units: &[Compiled],
        parts: &mut Parts,
        timings: &mut Timings,
    ) -> Result<(), BuildError> {
        let step = step("compare");
        let mut judged = Vec::new();
        for unit in units {
            let start = Instant::now();
            let difference = Difference::new(&unit.original, &unit.patched, &self.kernel.entry_sizes)?;
            timings.difference += start.elapsed().as_secs_f64();
            let start = Instant::now();
            let Some(base) = self.base(image, unit)? else {
                let source_file = unit.touched.source.clone();
                let module = unit.command.module_name().unwrap_or_default();
                parts
                    .refusals
                    .push(Refusal::NotBuilt { source_file, detail: format!("it has no module {module}") });
                continue;
            };
            let found = match base.unit(&unit.original) {
                Ok(found) => found,
                Err(BaseError::NoUnit { detail, .. }) => {
                    let source_file = unit.touched.source.clone();
                    parts.refusals.push(Refusal::NotBuilt { source_file, detail });
                    continue;
                }
                Err(BaseError::Object(error)) => return Err(error.into()),
                Err(BaseError::Table(error)) => return Err(error.into()),
            };
            let proof = prove::prove(self.kernel, &base, found, unit, &difference, &mut parts.refusals)?;
            timings.proof += start.elapsed().as_secs_f64();
            parts.own.extend(new_globals(&difference));
            parts.refusals.extend(difference.refusals.iter().cloned());
            parts.reports.push(unit_report(unit, base.name(), &difference, proof));
            judged.push((unit, difference, base, found));
        }
        let start = Instant::now();
        for (unit, difference, base, found) in &judged {
            let own = parts.own.clone();
            let symbols = Symbols { image, exports, own: &own };
            parts.refusals.extend(symbols.refuse_static_keys(base, *found, difference));
            if parts.refusals.is_empty() && !difference.included.is_empty() {
                self.extract(&symbols, unit, difference, base, *found, parts)?;
            }
        }
        timings.difference += start.elapsed().as_secs_f64();
        step.done(parts.summary());
        Ok(())
    }

    /// The binary that a unit is linked into; `None` when it is a module that this kernel does not have.
    fn base<'b>(&self, image: &'b Image<'b>, unit: &Compiled) -> Result<Option<Base<'b>>, BuildError> {
        let Some(name) = unit.command.module_name() else { return Ok(Some(Base::Image(image))) };
        match self.kernel.module(&name)? {
            Some(bytes) => Ok(Some(Base::module(&name, &bytes)?)),
            None => Ok(None),
        }
    }

    fn extract(
        &self,
        symbols: &Symbols<'_>,
        unit: &Compiled,
        difference: &Difference<'_>,
        base: &Base<'_>,
        found: Unit,
        parts: &mut Parts,
    ) -> Result<(), BuildError> {
        let number = parts.units.len();
        let extracted = extract(difference, number)?;
        let owners = match owners(symbols, base, found, difference, &extracted) {
            Ok(owners) => owners,
            Err(unknown) => {
                parts.refusals.extend(unknown);
                return Ok(());
            }
        };
        let folder = self.work.join("module");
        std::fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let file = format!("unit{number}.o");
        let path = folder.join(&file);
        std::fs::write(&path, &extracted.bytes).map_err(file_error(&path))?;
        unit.command.objtool(&self.kernel.source(), &path)?;
        let bytes = std::fs::read(&path).map_err(file_error(&path))?;
        let named = name_symbols(&bytes, base.name(), |name| owners.get(name).cloned())?;
        std::fs::write(&path, named).map_err(file_error(&path))?;
        for (alias, original) in extracted.replaced {
            let symbol = &unit.original.symbols[original];
            let Some(position) = base.position(found, symbol) else { continue };
            let source = unit.touched.source.clone();
            let replaced = Replaced { name: symbol.name.clone(), position, alias, source };
            parts.objects.entry(base.name().to_owned()).or_default().push(replaced);
        }
        parts.units.push(file);
        Ok(())
    }

    /// Links the module and writes it with its manifest; answers the module's digest.
    fn link(&self, image: &Image<'_>, parts: &Parts, timings: &mut Timings) -> Result<Digest, BuildError> {
        let step = step("link the module");
        let start = Instant::now();
        let folder = self.work.join("module");
        let linked = kbuild(self.kernel, &self.name(), &folder, &parts.units, &parts.objects, &self.log)?;
        timings.kbuild = start.elapsed().as_secs_f64();
        let bytes = std::fs::read(&linked).map_err(file_error(&linked))?;
        let position = Base::Image(image).position_of_global(BUILD_ID_SYMBOL).unwrap_or(0);
        let also = BTreeMap::from([(
            BUILD_ID_SYMBOL.to_owned(),
            Owner::Running { object: "vmlinux".into(), position },
        )]);
        let module = finish_module(&bytes, &also)?;
        let manifest = self.manifest(&module, parts)?;
        self.write(&manifest.file_name(), &module)?;
        self.write(MANIFEST, &manifest.to_canonical_bytes()?)?;
        step.done(format!("{}, {} bytes", manifest.file_name(), module.len()));
        Ok(manifest.module.sha256)
    }

    fn manifest(&self, module: &[u8], parts: &Parts) -> Result<Manifest, BuildError> {
        let parsed = livepatch_module::Module::parse(module).ok();
        let vermagic = parsed.as_ref().and_then(|module| module.vermagic()).ok_or(BuildError::NoVermagic)?;
        let function = |replaced: &Replaced| PatchedFunction {
            name: replaced.name.clone(),
            sympos: replaced.position,
            source: replaced.source.clone(),
        };
        let objects = parts.objects.iter().map(|(name, functions)| PatchedObject {
            name: name.clone(),
            functions: functions.iter().map(function).collect(),
        });
        let patch = std::fs::read(&self.request.patch).map_err(file_error(&self.request.patch))?;
        Ok(Manifest {
            schema: SCHEMA,
            name: self.name(),
            version: self.request.version,
            kernel: self.kernel.identity.clone(),
            module: ModuleRecord {
                sha256: Digest::of(module),
                size: module.len() as u64,
                vermagic: vermagic.trim().to_owned(),
                signer: None,
            },
            fixes: self.request.fixes.clone(),
            objects: objects.collect(),
            provenance: Provenance {
                builder: env!("CARGO_PKG_VERSION").into(),
                compiler: self.kernel.compiler_version.clone(),
                source: format!("{} {}", self.kernel.source_package, self.kernel.version),
                patch_sha256: Digest::of(&patch),
            },
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BuildError> {
        let path = self.output.join(name);
        crate::sign::replace(&path, bytes).map_err(file_error(&path))
    }
}

/// What the units add up to.
#[derive(Default)]
struct Parts {
    reports: Vec<UnitReport>,
    refusals: Vec<Refusal>,
    own: BTreeSet<String>,
    units: Vec<String>,
    objects: BTreeMap<String, Vec<Replaced>>,
}

impl Parts {
    fn summary(&self) -> String {
        let names = |pick: fn(&UnitReport) -> &Vec<String>| {
            self.reports.iter().flat_map(pick).cloned().collect::<Vec<_>>().join(", ")
        };
        match (self.refusals.len(), names(|unit| &unit.changed), names(|unit| &unit.added)) {
            (0, changed, _) if changed.is_empty() => "nothing that runs changes".into(),
            (0, changed, added) if added.is_empty() => format!("changed: {changed}"),
            (0, changed, added) => format!("changed: {changed}; new: {added}"),
            (count, _, _) => format!("{count} reasons against a livepatch"),
        }
    }
}

fn owners(
    symbols: &Symbols<'_>,
    base: &Base<'_>,
    found: Unit,
    difference: &Difference<'_>,
    extracted: &Extracted,
) -> Result<BTreeMap<String, Owner>, Vec<Refusal>> {
    let mut owners = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, (original, from)) in &extracted.needed {
        let symbol = original.map(|index| &difference.original.symbols[index]);
        match symbols.owner(base, found, name, symbol) {
            Some(owner) => {
                owners.insert(name.clone(), owner);
            }
            None => unknown.push(Refusal::UnknownSymbol { symbol: name.clone(), from: from.clone() }),
        }
    }
    if unknown.is_empty() { Ok(owners) } else { Err(unknown) }
}

fn new_globals(difference: &Difference<'_>) -> Vec<String> {
    let new = difference.included.iter().filter(|&&index| {
        difference.correlation.original_of(index).is_none()
            && difference.patched.symbols[index].binding != livepatch_diff::Binding::Local
    });
    new.map(|&index| difference.patched.symbols[index].name.clone()).collect()
}

fn unit_report(unit: &Compiled, object: &str, difference: &Difference<'_>, proof: ProofReport) -> UnitReport {
    let patched = |index: SymbolIndex| difference.patched.symbols[index].name.clone();
    let original = |index: SymbolIndex| difference.original.symbols[index].name.clone();
    let is_data = |index: &&SymbolIndex| difference.patched.symbols[**index].kind != SymbolKind::Function;
    UnitReport {
        source: unit.touched.source.clone(),
        object: object.to_owned(),
        changed: difference.changed.iter().map(|&(index, _)| original(index)).collect(),
        added: difference.added().map(patched).collect(),
        removed: difference.removed.iter().map(|&index| original(index)).collect(),
        data: difference.included.iter().filter(is_data).map(|&index| patched(index)).collect(),
        proof,
    }
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::File { path, source }
}

fn remove_tree(path: &Path) -> Result<(), BuildError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(path)(error)),
        _ => Ok(()),
    }
}
