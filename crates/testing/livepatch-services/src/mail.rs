//! A mail server: Debian's aiosmtpd, on a free port of 127.0.0.1.

use crate::ServiceError;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// It ends when its standard input does, and so with the test, however that ended.
const PROGRAM: &str = include_str!("smtpd.py");

/// A running mail server. Addresses that begin with `refused@` do not exist; one that begins with `deferred@` is deferred
/// the first time.
#[derive(Debug)]
pub struct MailServer {
    server: Child,
    folder: TempDir,
    port: u16,
}

/// A mail that the server took.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TakenMail {
    /// The envelope's first recipient.
    pub to: String,
    /// The message (RFC 5322).
    pub text: String,
}

impl MailServer {
    /// Starts one.
    ///
    /// # Errors
    /// [`ServiceError`] also when `python3-aiosmtpd` is not installed.
    pub fn start() -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::Run { program: "the mail server".to_owned(), source };
        let folder = tempfile::tempdir().map_err(failed)?;
        // The system's, which has Debian's python3-aiosmtpd, unless somebody names another.
        let python = std::env::var("LIVEPATCH_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
        let mut server = Command::new(python)
            .args(["-c", PROGRAM])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        if let Some(words) = server.stdout.take() {
            BufReader::new(words).read_line(&mut line).map_err(failed)?;
        }
        match line.trim().parse() {
            Ok(port) => Ok(Self { server, folder, port }),
            Err(_) => {
                let _ = server.wait();
                let message = "install it: apt-get install python3-aiosmtpd".to_owned();
                Err(ServiceError::Failed { program: "aiosmtpd".to_owned(), message })
            }
        }
    }

    /// Its address as the server's option wants it.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The mails so far, in the order in which they came.
    ///
    /// # Errors
    /// [`ServiceError::Run`] when the folder cannot be read.
    pub fn taken(&self) -> Result<Vec<TakenMail>, ServiceError> {
        let failed = |source| ServiceError::Run { program: "the mail server".to_owned(), source };
        let mut mails = Vec::new();
        for entry in fs::read_dir(self.folder.path()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Those that begin with `new-` are not whole yet.
            let parts = name.strip_suffix(".eml").and_then(|name| name.split_once('-'));
            let Some((Ok(number), to)) = parts.map(|(number, to)| (number.parse::<u32>(), to)) else {
                continue;
            };
            let text = fs::read_to_string(entry.path()).map_err(failed)?;
            mails.push((number, TakenMail { to: to.to_owned(), text }));
        }
        mails.sort();
        Ok(mails.into_iter().map(|(_, mail)| mail).collect())
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
