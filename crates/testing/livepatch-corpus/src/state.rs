//! What is remembered between runs: below `corpus/RELEASE/` of the cache, a folder a patch.

use anyhow::{Context as _, Result};
use livepatch_e2e::Programs;
use livepatch_manifest::Digest;
use livepatch_vm::cache_directory;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of a kernel's runs.
#[derive(Clone, Debug)]
pub(crate) struct State {
    folder: PathBuf,
}

/// What came of a patch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    /// The builder that it was built with, by content.
    pub(crate) builder: String,
    /// What the builder said.
    pub(crate) outcome: Outcome,
    /// Codes of refusals and findings, refusals first.
    pub(crate) codes: Vec<String>,
    /// Codes of the refusals alone.
    pub(crate) refused: Vec<String>,
    /// Messages of the refusals, or of the failure.
    pub(crate) messages: Vec<String>,
    /// Replaced functions.
    pub(crate) functions: Vec<String>,
    /// Modules that these are in; `vmlinux` is not among them.
    pub(crate) modules: Vec<String>,
    /// CPU seconds of the build, compilers and all, user and system.
    pub(crate) cpu_seconds: f64,
    /// Whether the whole files had to be taken, since the part alone does not compile.
    pub(crate) whole_files: bool,
    /// Functions that the source changes and whose code is the same.
    #[serde(default)]
    pub(crate) same: Vec<String>,
    /// What the real kernel said; none when it was not asked yet.
    pub(crate) boot: Option<Boot>,
}

/// What came of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Built,
    Refused,
    Failed,
}

/// What came of loading.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Boot {
    /// Why it failed; none when all went well.
    pub(crate) failure: Option<String>,
    /// What could not be tried, such as a module that does not load on this machine.
    pub(crate) notes: Vec<String>,
}

impl State {
    /// Of a kernel; made when it is not there.
    pub(crate) fn open(release: &str) -> Result<Self> {
        let folder = cache_directory().join("corpus").join(release);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("corpus.log")
    }

    /// The folder of a patch; made when it is not there.
    pub(crate) fn of(&self, key: &str) -> Result<PathBuf> {
        let folder = self.folder.join(key);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// What is known of a patch. Something unreadable is not known: it is done again.
    pub(crate) fn record(&self, key: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.folder.join(key).join("record.json")).ok()?).ok()
    }

    /// Remembers; whole or not at all.
    pub(crate) fn remember(&self, key: &str, record: &Record) -> Result<()> {
        let folder = self.of(key)?;
        let scratch = folder.join("record.json.new");
        fs::write(&scratch, serde_json::to_vec_pretty(record)?)
            .with_context(|| scratch.display().to_string())?;
        fs::rename(&scratch, folder.join("record.json")).with_context(|| folder.display().to_string())
    }
}

/// What tells one builder from another.
pub(crate) fn builder_id(programs: &Programs) -> Result<String> {
    let path = programs.path("livepatch-build");
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(Digest::of(&bytes).short().to_owned())
}
