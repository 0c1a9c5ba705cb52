//! Links the module and writes it with its manifest.

use super::compare::Parts;
use super::{Build, BuildError, MANIFEST, file_error};
use crate::glue::{Replaced, table};
use crate::link::{BUILD_ID_SYMBOL, kbuild};
use crate::narrate::step;
use crate::provenance::{self, PROVENANCE};
use crate::report::Timings;
use livepatch_diff::{Base, Image, Owner, finish_module};
use livepatch_manifest::{
    Digest, Manifest, ModuleRecord, PatchedFunction, PatchedObject, Provenance, SCHEMA,
};
use std::collections::BTreeMap;
use std::time::Instant;

impl Build<'_> {
    /// Links the module and writes it with its manifest; answers the module's digest.
    pub(super) fn link(
        &self,
        image: &Image<'_>,
        parts: &Parts,
        timings: &mut Timings,
    ) -> Result<Digest, BuildError> {
        let step = step("link the module");
        let start = Instant::now();
        let folder = self.work.join("module");
        let table = table(self.kernel, &parts.objects, &parts.namespaces);
        let linked = kbuild(self.kernel, &self.name(), &folder, &parts.units, &table, &self.log)?;
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
        let sources = parts.reports.iter().map(|unit| unit.source.clone()).collect();
        let statement = provenance::statement(self.kernel, self.request, &manifest, &sources)?;
        self.write(PROVENANCE, &statement.to_bytes()?)?;
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
        let objects = parts.objects.iter().map(|(name, object)| PatchedObject {
            name: name.clone(),
            functions: object.functions.iter().map(function).collect(),
        });
        let mut patches = Vec::new();
        let sources = self.request.sources.iter().map(|source| &source.file);
        for path in self.request.patches.iter().chain(sources) {
            patches.extend(std::fs::read(path).map_err(file_error(path))?);
        }
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
                patch_sha256: Digest::of(&patches),
            },
        })
    }
}
