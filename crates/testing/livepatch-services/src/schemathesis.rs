//! Schemathesis: makes requests out of an OpenAPI document, good and bad ones, and holds the answers against it.

use crate::{ServiceError, kept};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// What is asked depends on both.
const PACKAGES: [&str; 2] = ["schemathesis==4.32.5", "hypothesis==6.170.17"];

/// Bytes of these kinds are bytes to it as well.
const KINDS: &str = "\
import schemathesis
schemathesis.serializer.alias('application/x-tar', 'application/octet-stream')
";

/// The program.
#[derive(Debug)]
pub struct Schemathesis {
    folder: PathBuf,
}

/// What it found.
#[derive(Debug)]
pub struct Findings {
    /// Everything that it said.
    pub text: String,
    /// Whether it found nothing wrong.
    pub is_clean: bool,
    /// Its report.
    pub report: Value,
}

impl Schemathesis {
    /// Out of the cache, or of PyPI when it is first wanted.
    ///
    /// # Errors
    /// [`ServiceError`] when pip fails.
    pub fn get() -> Result<Self, ServiceError> {
        let name = PACKAGES[0].replace("==", "-");
        Ok(Self { folder: kept::packages(&name, &PACKAGES)? })
    }

    /// Asks the server whose document is at this address. `settings` is its configuration, TOML.
    ///
    /// # Errors
    /// [`ServiceError`] when it cannot be run. What it finds wrong is no error.
    pub fn run(&self, document: &str, settings: &str) -> Result<Findings, ServiceError> {
        let failed = |source| ServiceError::Run { program: "schemathesis".to_owned(), source };
        let place = tempfile::tempdir().map_err(failed)?;
        fs::write(place.path().join("schemathesis.toml"), format!("hooks = \"kinds\"\n{settings}"))
            .map_err(failed)?;
        fs::write(place.path().join("kinds.py"), KINDS).map_err(failed)?;
        let modules = format!("{}:{}", self.folder.display(), place.path().display());
        let output = Command::new("python3")
            .args([
                "-m",
                "schemathesis.cli",
                "run",
                "--no-color",
                "--report-json-path",
                "report.json",
                document,
            ])
            .current_dir(place.path())
            .env("PYTHONPATH", modules)
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        let text = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        let report = fs::read(place.path().join("report.json")).ok();
        let report = report.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match (output.status.code(), report) {
            (Some(code @ (0 | 1)), Some(report)) => Ok(Findings { text, is_clean: code == 0, report }),
            _ => Err(ServiceError::Failed { program: "schemathesis".to_owned(), message: text }),
        }
    }
}
