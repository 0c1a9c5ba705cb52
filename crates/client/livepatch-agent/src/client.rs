//! The caller's side of the local socket.

use crate::{
    question::Question,
    records::Failure,
    status::Status,
    wire::{Reply, Request, read_message, write_message},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    io::{self, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// The daemon answers a question about the status at once.
const ANSWER: Duration = Duration::from_secs(20);
/// The longest silence between two steps: a module over a slow line, or a transition with a long deadline.
const STEP: Duration = Duration::from_secs(900);

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// What the daemon answered at last.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Answer {
    /// The machine's status after it; absent when the operation took place and the status cannot be read.
    pub status: Option<Status>,
    /// What went wrong although the operation itself took place.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("livepatchd does not answer at {}: is it running? Try `systemctl start livepatchd`", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to livepatchd broke; `journalctl -u livepatchd` may say why")]
    Broken(#[source] io::Error),
    /// The caller may not.
    #[error("only root may do this: try again with sudo")]
    PermissionDenied,
    /// The daemon refused.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// The daemon is of another version.
    #[error("livepatchd does not understand this command ({0}): are command and daemon of the same version?")]
    Mismatch(String),
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .map_err(|source| ClientError::NotRunning { path: path.to_owned(), source })?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks one of the questions that anybody may ask, and gives the document that answers it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn question<T: DeserializeOwned>(&mut self, question: Question) -> Result<T, ClientError> {
        let reply = self.exchange(&Request::Ask(question), |_, _| {})?;
        let answer = succeeded(reply)?.get("answer").cloned().unwrap_or_default();
        serde_json::from_value(answer).map_err(|error| ClientError::Mismatch(error.to_string()))
    }

    /// Asks, hands each step to `on_step` (name, text), and gives the last answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(&mut self, request: &Request, on_step: impl FnMut(&str, &str)) -> Result<Answer, ClientError> {
        parse(succeeded(self.exchange(request, on_step)?)?)
    }

    /// Sends a request and gives the last reply.
    fn exchange(
        &mut self,
        request: &Request,
        mut on_step: impl FnMut(&str, &str),
    ) -> Result<Reply, ClientError> {
        let patience = if request.changes() { STEP } else { ANSWER };
        self.stream.get_ref().set_read_timeout(Some(patience)).map_err(ClientError::Broken)?;
        write_message(self.stream.get_mut(), &request.to_call()).map_err(ClientError::Broken)?;
        loop {
            let reply: Option<Reply> = read_message(&mut self.stream).map_err(ClientError::Broken)?;
            let reply = reply.ok_or_else(|| ClientError::Broken(io::ErrorKind::UnexpectedEof.into()))?;
            if !reply.continues {
                return Ok(reply);
            }
            let step = |key: &str| reply.parameters["step"][key].as_str();
            if let (Some(name), Some(text)) = (step("name"), step("text")) {
                on_step(name, text);
            }
        }
    }
}

/// The parameters of a reply that is no error.
fn succeeded(reply: Reply) -> Result<Value, ClientError> {
    if reply.is_permission_denied() {
        return Err(ClientError::PermissionDenied);
    }
    if let Some(failure) = reply.as_refusal() {
        return Err(ClientError::Refused(failure));
    }
    match reply.error {
        Some(error) => Err(ClientError::Mismatch(error)),
        None => Ok(reply.parameters),
    }
}

fn parse(parameters: Value) -> Result<Answer, ClientError> {
    serde_json::from_value(parameters).map_err(|error| ClientError::Mismatch(error.to_string()))
}
