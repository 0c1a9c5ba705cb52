//! The patch author's side: `livepatch-build`.

use crate::{Programs, programs::run_logged};
use anyhow::{Context as _, Result};
use livepatch_manifest::{FixSource, Manifest};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Runs `livepatch-build`; its progress goes to a log and to a listener.
pub struct Builder<'a> {
    programs: &'a Programs,
    log: PathBuf,
    hear: &'a dyn Fn(&str),
}

/// What is to be built.
#[derive(Clone, Copy, Debug)]
pub struct BuildRequest<'a> {
    /// The kernel, prepared.
    pub release: &'a str,
    /// The patch.
    pub patch: &'a Path,
    /// `ID=SUMMARY` of what it mends.
    pub fix: &'a str,
    /// Where the patch was taken from, when it is a distribution's.
    pub source: Option<&'a FixSource>,
    /// Cumulative version.
    pub version: u32,
}

/// Where a fix is to be taken from: the difference of some files between two source packages.
#[derive(Clone, Debug)]
pub struct FixRequest<'a> {
    /// Package, such as `linux-source-6.1`.
    pub package: &'a str,
    /// Version without the fix.
    pub from: &'a str,
    /// Version with it.
    pub to: &'a str,
    /// The files.
    pub files: &'a [&'a str],
}

impl<'a> Builder<'a> {
    /// A builder that appends what its commands say to `log` and calls `hear` with each line.
    pub fn new(programs: &'a Programs, log: impl Into<PathBuf>, hear: &'a dyn Fn(&str)) -> Self {
        Self { programs, log: log.into(), hear }
    }

    /// Fetches and prepares a kernel; quick when the cache has it.
    ///
    /// # Errors
    /// The command's own, with the log's path; so for all of them.
    pub fn add_kernel(&self, release: &str) -> Result<()> {
        self.run(self.command().args(["kernel", "add", release])).map(drop)
    }

    /// Takes a fix out of two source packages and writes it as a patch.
    ///
    /// # Errors
    /// The command's own.
    pub fn extract_fix(&self, request: &FixRequest<'_>, patch: &Path) -> Result<()> {
        let mut command = self.command();
        command.args(["extract", "--package", request.package, "--from", request.from, "--to", request.to]);
        let text = self.run(command.args(request.files))?;
        fs::write(patch, text).with_context(|| patch.display().to_string())
    }

    /// Builds a livepatch into `output`: module, `manifest.json`, `report.json`.
    ///
    /// # Errors
    /// The command's own.
    pub fn build(&self, request: &BuildRequest<'_>, output: &Path) -> Result<()> {
        let mut command = self.command();
        command.args(["build", "--kernel", request.release, "--fix", request.fix]);
        if let Some(source) = request.source {
            command.arg("--fix-source").arg(format!("{}:{}:{}", source.package, source.from, source.to));
        }
        command.arg("--livepatch-version").arg(request.version.to_string());
        self.run(command.arg("--patch").arg(request.patch).arg("--output").arg(output)).map(drop)
    }

    /// As [`Builder::build`], and gives the report also when the patch is refused.
    ///
    /// # Errors
    /// When there is no report: the build broke off.
    pub fn attempt(&self, request: &BuildRequest<'_>, output: &Path) -> Result<Value> {
        let outcome = self.build(request, output);
        match (Self::report(output), outcome) {
            (Ok(report), _) => Ok(report),
            (Err(_), Err(error)) => Err(error),
            (Err(error), Ok(())) => Err(error),
        }
    }

    /// Makes a module-signing key: `key.pem` and `cert.pem` in `output`.
    ///
    /// # Errors
    /// The command's own.
    pub fn generate_key(&self, common_name: &str, output: &Path) -> Result<()> {
        self.run(&mut self.key("generate", common_name, output)).map(drop)
    }

    /// Makes an authority: `key.pem` and `cert.pem` in `output`.
    ///
    /// # Errors
    /// The command's own.
    pub fn generate_authority(&self, common_name: &str, output: &Path) -> Result<()> {
        self.run(&mut self.key("authority", common_name, output)).map(drop)
    }

    /// As [`Builder::generate_key`]; the authority of a folder issues the certificate.
    ///
    /// # Errors
    /// The command's own.
    pub fn generate_certified_key(&self, common_name: &str, authority: &Path, output: &Path) -> Result<()> {
        self.run(self.key("generate", common_name, output).arg("--authority").arg(authority)).map(drop)
    }

    fn key(&self, verb: &str, common_name: &str, output: &Path) -> Command {
        let mut command = self.command();
        command.args(["key", verb, "--common-name", common_name, "--output"]).arg(output);
        command
    }

    /// Signs what [`Builder::build`] left in `directory` with a key of [`Builder::generate_key`].
    ///
    /// # Errors
    /// The command's own.
    pub fn sign(&self, directory: &Path, keys: &Path) -> Result<()> {
        self.run(&mut self.signing(directory, keys)).map(drop)
    }

    /// The same with a key of [`Builder::generate_certified_key`], below that authority.
    ///
    /// # Errors
    /// The command's own.
    pub fn sign_below(&self, directory: &Path, keys: &Path, authority: &Path) -> Result<()> {
        self.run(self.signing(directory, keys).arg("--authority").arg(authority.join("cert.pem"))).map(drop)
    }

    fn signing(&self, directory: &Path, keys: &Path) -> Command {
        let mut command = self.command();
        command.arg("sign").arg(directory).arg("--key").arg(keys.join("key.pem"));
        command.arg("--certificate").arg(keys.join("cert.pem"));
        command
    }

    /// The manifest in a build's output directory.
    ///
    /// # Errors
    /// When it is missing or unreadable.
    pub fn manifest(directory: &Path) -> Result<Manifest> {
        let path = directory.join("manifest.json");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        Manifest::parse(&bytes).with_context(|| path.display().to_string())
    }

    /// The report in a build's output directory.
    ///
    /// # Errors
    /// When it is missing or no JSON.
    pub fn report(directory: &Path) -> Result<Value> {
        let path = directory.join("report.json");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    }

    fn command(&self) -> Command {
        self.programs.command("livepatch-build")
    }

    fn run(&self, command: &mut Command) -> Result<String> {
        run_logged(command, &self.log, self.hear)
    }
}
