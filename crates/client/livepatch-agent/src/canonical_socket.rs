//! The local HTTP interface of the Canonical client, for desktop tools that know it (software-properties, update-manager,
//! GNOME): `GET /status` at one socket for everybody; `PUT /enable` and `PUT /disable` at one for root. Both answer
//! `GET /metrics` as well.
//!
//! Only what these tools send is understood: a request without a body, its head within [`LARGEST_HEAD`].

use std::{
    io::{self, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
};

/// Below the machine's root directory.
pub(crate) const DIRECTORY: &str = "var/snap/canonical-livepatch/current";
/// For everybody.
pub(crate) const SOCKET: &str = "livepatchd.sock";
/// For root.
pub(crate) const ROOT_SOCKET: &str = "livepatchd-priv.sock";
const LARGEST_HEAD: u64 = 8 << 10;

/// A request that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpRequest {
    /// `GET /status`; the format is `json` when it is asked for, else text.
    Status { json: bool },
    /// `GET /metrics`.
    Metrics,
    /// `PUT /enable?auth-token=TOKEN`. The token is a secret although these tools put it into a URL: it is not logged.
    Enable { token: String },
    /// `PUT /disable`.
    Disable,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl HttpAnswer {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self { status: 200, content_type: "application/json", body: body.to_string() }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Reads one request, has it answered, and answers.
pub(crate) fn converse(stream: UnixStream, answer: impl FnOnce(HttpRequest) -> HttpAnswer) -> io::Result<()> {
    let mut output = stream.try_clone()?;
    let head = read_head(&mut BufReader::new(stream.take(LARGEST_HEAD)))?;
    let answer = match parse(&head) {
        Ok(request) => answer(request),
        Err(status) => HttpAnswer::text(status, "this is not a request that livepatchd answers here\n"),
    };
    let reason = if answer.status == 200 { "OK" } else { "Error" };
    write!(
        output,
        "HTTP/1.1 {} {reason}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
        answer.status,
        answer.content_type,
        answer.body.len(),
        answer.body
    )
}

fn read_head(reader: &mut impl io::BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            break;
        }
    }
    Ok(head)
}

/// Understands the head of a request; else the status to answer with.
pub(crate) fn parse(head: &str) -> Result<HttpRequest, u16> {
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(400);
    };
    if !version.starts_with("HTTP/1.") {
        return Err(400);
    }
    let url = url::Url::parse("http://localhost").and_then(|base| base.join(target)).map_err(|_| 400_u16)?;
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    match (method, url.path()) {
        ("GET", "/status") => {
            Ok(HttpRequest::Status { json: parameter("format").as_deref() == Some("json") })
        }
        ("GET", "/metrics") => Ok(HttpRequest::Metrics),
        ("PUT", "/enable") => parameter("auth-token").map(|token| HttpRequest::Enable { token }).ok_or(400),
        ("PUT", "/disable") => Ok(HttpRequest::Disable),
        (_, "/status" | "/metrics" | "/enable" | "/disable") => Err(405),
        _ => Err(404),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_desktop_tools_send() {
        let parse = |line: &str| parse(&format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(parse("GET /status?verbosity=3&format=json"), Ok(HttpRequest::Status { json: true }));
        assert_eq!(parse("GET /status?verbose=True"), Ok(HttpRequest::Status { json: false }));
        assert_eq!(parse("PUT /enable?auth-token=a%2Bb"), Ok(HttpRequest::Enable { token: "a+b".into() }));
        assert_eq!(parse("PUT /disable"), Ok(HttpRequest::Disable));
        assert_eq!(parse("GET /metrics"), Ok(HttpRequest::Metrics));
        assert_eq!(parse("POST /enable"), Err(405));
        assert_eq!(parse("PUT /enable"), Err(400));
        assert_eq!(parse("GET /etc/passwd"), Err(404));
    }

    #[test]
    fn a_conversation() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"GET /status?format=json HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        converse(ours, |request| {
            assert_eq!(request, HttpRequest::Status { json: true });
            HttpAnswer::json(&serde_json::json!({"a": 1}))
        })
        .unwrap();
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n{\"a\":1}"), "{text}");
    }

    proptest! {
        #[test]
        fn any_head_is_survived(head in "\\PC{0,200}", target in "[\\PC ]{0,60}") {
            let _ = parse(&head);
            let _ = parse(&format!("GET /{target} HTTP/1.1"));
        }
    }
}
