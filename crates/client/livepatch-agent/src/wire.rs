//! The local protocol between `livepatch` and `livepatchd`: Varlink (varlink.org, "Interface Definition" and "Service"
//! pages), which is JSON messages that end with a zero byte, over a Unix socket. `varlinkctl` speaks it too.

use crate::{question::Question, records::Failure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::io::{self, BufRead, Read, Write};

/// The name of the interface.
pub const INTERFACE: &str = "org.openlivepatch.livepatchd";

/// The interface in Varlink's own language.
pub(crate) const INTERFACE_DESCRIPTION: &str = include_str!("org.openlivepatch.livepatchd.varlink");

/// No message is larger. A status with a thousand fixes has some 100 KiB.
const LARGEST_MESSAGE: u64 = 4 << 20;

/// A call as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// `INTERFACE.METHOD`.
    pub method: String,
    /// The method's parameters, an object.
    #[serde(default)]
    pub parameters: Value,
    /// Whether the caller takes several replies: one for each step.
    #[serde(default)]
    pub more: bool,
}

/// A reply as it travels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What the method gives, or what the error says.
    #[serde(default)]
    pub parameters: Value,
    /// Whether another reply follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// `INTERFACE.ERROR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What can be asked of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Anyone may ask for the status.
    GetStatus,
    /// Enrol.
    Enable {
        /// The enrolment token.
        token: String,
        /// The server, unless the configuration names it.
        server: Option<String>,
    },
    /// Forget the server.
    Disable,
    /// Look at the repository now.
    Refresh {
        /// Apply also what the owner undid.
        apply: bool,
    },
    /// Take the livepatch back.
    Undo {
        /// Step back to the version before instead of to none.
        previous: bool,
    },
    /// Allow a blocked digest again.
    ClearBlocked {
        /// The digest or its beginning.
        digest: String,
    },
    /// Agree to a mitigation, or not.
    DecideMitigation {
        /// Its name.
        name: String,
        /// Whether it is wanted.
        wanted: bool,
    },
    /// Anyone may ask these too.
    Ask(Question),
    /// Read the configuration file again.
    Reload,
    /// `org.varlink.service.GetInfo`.
    GetInfo,
    /// `org.varlink.service.GetInterfaceDescription`.
    GetInterfaceDescription {
        /// The interface's name.
        interface: String,
    },
}

/// Why a call cannot be understood; each has its Varlink error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no such method.
    #[error("there is no method {0}")]
    Method(String),
    /// A parameter is missing or of the wrong type.
    #[error("the parameter {0} is missing or of the wrong type")]
    Parameter(&'static str),
}

impl Request {
    /// The call that asks for it.
    pub fn to_call(&self) -> Call {
        let (method, parameters) = match self {
            Self::GetStatus => ("GetStatus", json!({})),
            Self::Enable { token, server } => ("Enable", json!({"token": token, "server": server})),
            Self::Disable => ("Disable", json!({})),
            Self::Refresh { apply } => ("Refresh", json!({"apply": apply})),
            Self::Undo { previous } => ("Undo", json!({"previous": previous})),
            Self::Ask(question) => (question.method(), json!({})),
            Self::Reload => ("Reload", json!({})),
            Self::DecideMitigation { name, wanted } => {
                ("DecideMitigation", json!({"name": name, "wanted": wanted}))
            }
            Self::ClearBlocked { digest } => ("ClearBlocked", json!({"digest": digest})),
            Self::GetInfo => return service_call("GetInfo", json!({})),
            Self::GetInterfaceDescription { interface } => {
                return service_call("GetInterfaceDescription", json!({"interface": interface}));
            }
        };
        Call { method: format!("{INTERFACE}.{method}"), parameters, more: self.changes() }
    }

    /// Understands a call.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn from_call(call: &Call) -> Result<Self, CallError> {
        let text = |key: &'static str| {
            let value = call.parameters.get(key).and_then(Value::as_str);
            value.map(ToOwned::to_owned).ok_or(CallError::Parameter(key))
        };
        if let Some(method) = call.method.strip_prefix("org.varlink.service.") {
            return match method {
                "GetInfo" => Ok(Self::GetInfo),
                "GetInterfaceDescription" => {
                    Ok(Self::GetInterfaceDescription { interface: text("interface")? })
                }
                _ => Err(CallError::Method(call.method.clone())),
            };
        }
        let method = call.method.strip_prefix(INTERFACE).and_then(|rest| rest.strip_prefix('.'));
        match method.unwrap_or_default() {
            "GetStatus" => Ok(Self::GetStatus),
            "Enable" => Ok(Self::Enable {
                token: text("token")?,
                server: call.parameters.get("server").and_then(Value::as_str).map(ToOwned::to_owned),
            }),
            "Disable" => Ok(Self::Disable),
            "Refresh" => Ok(Self::Refresh {
                apply: call.parameters.get("apply").and_then(Value::as_bool).unwrap_or_default(),
            }),
            "Undo" => Ok(Self::Undo {
                previous: call.parameters.get("previous").and_then(Value::as_bool).unwrap_or_default(),
            }),
            "Reload" => Ok(Self::Reload),
            "DecideMitigation" => Ok(Self::DecideMitigation {
                name: text("name")?,
                wanted: call
                    .parameters
                    .get("wanted")
                    .and_then(Value::as_bool)
                    .ok_or(CallError::Parameter("wanted"))?,
            }),
            "ClearBlocked" => Ok(Self::ClearBlocked { digest: text("digest")? }),
            method => Question::from_method(method)
                .map(Self::Ask)
                .ok_or_else(|| CallError::Method(call.method.clone())),
        }
    }

    /// Whether it changes the machine, so that root alone may ask for it.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::GetStatus | Self::Ask(_) | Self::GetInfo | Self::GetInterfaceDescription { .. })
    }
}

fn service_call(method: &str, parameters: Value) -> Call {
    Call { method: format!("org.varlink.service.{method}"), parameters, more: false }
}

impl Reply {
    /// The last reply.
    pub fn last(parameters: Value) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// One of several.
    pub fn step(name: &str, text: &str) -> Self {
        Self { parameters: json!({"step": {"name": name, "text": text}}), continues: true, error: None }
    }

    /// `Refused`: nothing was done, for a reason that has a code.
    pub fn refused(failure: &Failure) -> Self {
        Self::error("Refused", json!({"code": failure.code, "message": failure.message}))
    }

    /// `PermissionDenied`.
    pub fn permission_denied() -> Self {
        Self::error("PermissionDenied", json!({}))
    }

    /// A call that cannot be understood.
    pub fn not_understood(error: &CallError) -> Self {
        let (name, parameters) = match error {
            CallError::Method(method) => ("MethodNotFound", json!({"method": method})),
            CallError::Parameter(parameter) => ("InvalidParameter", json!({"parameter": parameter})),
        };
        Self { error: Some(format!("org.varlink.service.{name}")), parameters, continues: false }
    }

    fn error(name: &str, parameters: Value) -> Self {
        Self { error: Some(format!("{INTERFACE}.{name}")), parameters, continues: false }
    }

    /// The failure that a `Refused` error carries.
    pub fn as_refusal(&self) -> Option<Failure> {
        let refused = self.error.as_deref() == Some(&format!("{INTERFACE}.Refused"));
        refused.then(|| serde_json::from_value(self.parameters.clone()).ok()).flatten()
    }

    /// Whether it is the `PermissionDenied` error.
    pub fn is_permission_denied(&self) -> bool {
        self.error.as_deref() == Some(&format!("{INTERFACE}.PermissionDenied"))
    }
}

/// Reads one message; `None` at the end of the stream.
///
/// # Errors
/// What the stream reports; `InvalidData` for what is too large, cut off or not of the expected shape.
pub(crate) fn read_message<M: DeserializeOwned>(stream: &mut impl BufRead) -> io::Result<Option<M>> {
    let mut bytes = Vec::new();
    stream.take(LARGEST_MESSAGE).read_until(0, &mut bytes)?;
    match bytes.pop() {
        None => Ok(None),
        Some(0) => Ok(Some(serde_json::from_slice(&bytes).map_err(invalid)?)),
        Some(_) => Err(invalid("a message is cut off or too large")),
    }
}

/// Writes one message.
///
/// # Errors
/// What the stream reports.
pub(crate) fn write_message<M: Serialize>(stream: &mut impl Write, message: &M) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message).map_err(invalid)?;
    bytes.push(0);
    stream.write_all(&bytes)
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_request_survives_the_wire() {
        for request in [
            Request::GetStatus,
            Request::Enable { token: "lp1.x.y".into(), server: None },
            Request::Enable { token: "lp1.x.y".into(), server: Some("http://h".into()) },
            Request::Disable,
            Request::Refresh { apply: true },
            Request::Undo { previous: true },
            Request::Reload,
            Request::Ask(Question::Cves),
            Request::ClearBlocked { digest: "abc".into() },
            Request::DecideMitigation { name: "no-kettle".into(), wanted: true },
            Request::GetInfo,
            Request::GetInterfaceDescription { interface: INTERFACE.into() },
        ] {
            let mut bytes = Vec::new();
            write_message(&mut bytes, &request.to_call()).unwrap();
            assert_eq!(bytes.last(), Some(&0));
            let call: Call = read_message(&mut bytes.as_slice()).unwrap().unwrap();
            assert_eq!(Request::from_call(&call), Ok(request));
        }
    }

    #[test]
    fn odd_calls_are_named() {
        let call = |method: &str| Call { method: method.into(), parameters: Value::Null, more: false };
        let parse = |method: &str| Request::from_call(&call(method));
        assert_eq!(parse("org.openlivepatch.livepatchd.Enable"), Err(CallError::Parameter("token")));
        for method in ["", "GetStatus", "org.openlivepatch.livepatchdGetStatus", "org.varlink.service.X"] {
            assert!(matches!(parse(method), Err(CallError::Method(_))), "{method}");
        }
    }

    #[test]
    fn a_stream_ends_or_is_cut_off() {
        assert!(read_message::<Call>(&mut [].as_slice()).unwrap().is_none());
        assert!(read_message::<Call>(&mut b"{\"method\":".as_slice()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_message::<Call>(&mut bytes.as_slice());
        }
    }
}
