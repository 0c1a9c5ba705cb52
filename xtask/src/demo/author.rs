//! Steps 3 and 4: what the patch author and the operator do.

use super::{Built, Demo, TIER, fixes::Origin};
use crate::kernels::SOURCE;
use anyhow::Result;
use livepatch_api::PublishAnswer;
use livepatch_e2e::{BuildRequest, Builder, FixRequest, Site, workspace_root};
use livepatch_vm::CachedKernel;
use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
};

impl Demo {
    /// Step 3, first half.
    pub(super) fn prepare_kernel(&mut self) -> Result<(CachedKernel, f64)> {
        let (programs, log, release) = (&self.programs, &self.log, &self.choice.release);
        self.narrator.step(&format!("3 prepare the kernel {release}"), |step| {
            let downloading = Cell::new(0.0);
            let hear = |line: &str| {
                step.progress(line);
                downloading.set(downloading.get() + download_seconds(line).unwrap_or(0.0));
            };
            Builder::new(programs, log, &hear).add_kernel(release)?;
            let kernel = CachedKernel::find(Some(release))?;
            step.note(format!("{}, {:.1} s of it downloads", kernel.directory.display(), downloading.get()));
            Ok((kernel, downloading.get()))
        })
    }

    /// Step 3, second half: the patch, the module.
    pub(super) fn build(&mut self) -> Result<Built> {
        let patch = self.patch()?;
        let directory = self.directory.join("build");
        let (programs, log, choice) = (&self.programs, &self.log, &self.choice);
        self.narrator.step("3 build the livepatch", |step| {
            let hear = |line: &str| step.progress(line);
            let fix = format!("{}={}", choice.fix.id, choice.fix.summary);
            let source = choice.fix.source();
            let request = BuildRequest {
                release: &choice.release,
                patch: &patch,
                fix: &fix,
                source: source.as_ref(),
                version: 1,
            };
            Builder::new(programs, log, &hear).build(&request, &directory)?;
            let manifest = Builder::manifest(&directory)?;
            for object in &manifest.objects {
                let names: Vec<&str> =
                    object.functions.iter().map(|function| function.name.as_str()).collect();
                step.note(format!("replaces in {}: {}", object.name, names.join(", ")));
            }
            Ok(Built { manifest, directory })
        })
    }

    fn patch(&mut self) -> Result<PathBuf> {
        let (from, to, file) = match self.choice.fix.origin {
            Origin::Packages { from, to, file, .. } => (from, to, file),
            Origin::Example { patch } => return Ok(workspace_root().join("examples/patches").join(patch)),
        };
        let patch = self.directory.join("fix.patch");
        let (programs, log) = (&self.programs, &self.log);
        self.narrator.step("3 take the fix out of the source packages", |step| {
            let hear = |line: &str| step.progress(line);
            let request = FixRequest { package: SOURCE, from, to, files: &[file] };
            Builder::new(programs, log, &hear).extract_fix(&request, &patch)?;
            step.note(format!(
                "{file}, {from} to {to}: {} lines",
                fs::read_to_string(&patch)?.lines().count()
            ));
            Ok(())
        })?;
        Ok(patch)
    }

    /// Step 4: sign, serve, publish.
    pub(super) fn publish(&mut self, built: &Built, data: &Path) -> Result<(Site, PublishAnswer)> {
        let keys = self.directory.join("keys");
        let (programs, log) = (&self.programs, &self.log);
        self.narrator.step("4 sign the module with a fresh key", |step| {
            let hear = |line: &str| step.progress(line);
            let builder = Builder::new(programs, log, &hear);
            builder.generate_key("Open Livepatch demo", &keys)?;
            builder.sign(&built.directory, &keys)
        })?;
        let server_log = self.directory.join("server.log");
        let site = self.narrator.step("4 start livepatch-server, trust the key", |step| {
            let site = Site::start(programs, data, &server_log)?;
            site.add_certificate(&keys.join("cert.pem"))?;
            step.note(format!("{} (SQLite, a directory, a TUF repository with fresh keys)", site.url()));
            Ok(site)
        })?;
        let published = self.narrator.step(&format!("4 publish to the tier {TIER}"), |step| {
            let published = site.publish(&built.directory, TIER)?;
            step.note(format!("{}, TUF targets version {}", published.name, published.targets_version));
            Ok(published)
        })?;
        Ok((site, published))
    }
}

/// `fetch NAME: VERSION, SIZE [12.3 s]`, as the builder says after a download.
fn download_seconds(line: &str) -> Option<f64> {
    line.strip_prefix("fetch ")?.rsplit_once('[')?.1.strip_suffix(" s]")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_download_is_understood() {
        assert_eq!(download_seconds("fetch linux-image-6.1.0-55: 6.1.192-1, 25 MiB [1.5 s]"), Some(1.5));
        assert_eq!(download_seconds("unpack the image [2.0 s]"), None);
    }
}
