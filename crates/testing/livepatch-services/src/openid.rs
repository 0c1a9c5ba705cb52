//! An OpenID provider: npm's `oidc-provider`, which the OpenID Foundation has certified, run by Node.js on 127.0.0.1.

use crate::{ServiceError, kept};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
};

/// The last one that runs with the Node.js of Debian.
const VERSION: &str = "8.8.1";
const SCRIPT: &str = include_str!("openid.mjs");

/// A running provider. Anybody signs in by name with any password; `ada.operators` is of the group `operators`.
#[derive(Debug)]
pub struct OpenIdProvider {
    issuer: String,
    program: Child,
    words: BufReader<ChildStdout>,
    _script: tempfile::TempPath,
}

impl OpenIdProvider {
    /// What the client is called there.
    pub const CLIENT: &str = "livepatch";
    /// The client's secret.
    pub const SECRET: &str = "a secret of this test";

    /// Starts one; it answers once it knows its client ([`OpenIdProvider::serve`]).
    ///
    /// # Errors
    /// [`ServiceError`] when npm or node fail.
    pub fn start() -> Result<Self, ServiceError> {
        let package = format!("oidc-provider@{VERSION}");
        let folder = kept::folder(&format!("oidc-provider-{VERSION}"), |folder| {
            let install = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", &package];
            kept::run("npm", &install, folder).map(drop)
        })?;
        let failed = |source| ServiceError::Run { program: "node".to_owned(), source };
        let mut script = tempfile::Builder::new().suffix(".mjs").tempfile().map_err(failed)?;
        script.write_all(SCRIPT.as_bytes()).map_err(failed)?;
        let script = script.into_temp_path();
        let mut program = Command::new("node")
            .arg(&script)
            .arg(folder)
            .args([Self::CLIENT, Self::SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let Some(words) = program.stdout.take().map(BufReader::new) else {
            return Err(ServiceError::Silent("node has no output".to_owned()));
        };
        let mut provider = Self { issuer: String::new(), program, words, _script: script };
        provider.issuer = provider.line()?;
        Ok(provider)
    }

    /// Its address.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Lets it answer, for a client that it sends back to this address.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn serve(&mut self, redirect: &str) -> Result<(), ServiceError> {
        let failed = |source| ServiceError::Run { program: "node".to_owned(), source };
        if let Some(input) = &mut self.program.stdin {
            writeln!(input, "{redirect}").map_err(failed)?;
        }
        match self.line()?.as_str() {
            "ready" => Ok(()),
            other => Err(ServiceError::Silent(other.to_owned())),
        }
    }

    fn line(&mut self) -> Result<String, ServiceError> {
        let mut line = String::new();
        let failed = |source| ServiceError::Run { program: "node".to_owned(), source };
        match self.words.read_line(&mut line).map_err(failed)? {
            0 => Err(ServiceError::Silent("node ended: it must be version 18 or later".to_owned())),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
