//! The server over HTTP: every request has a time-out and every answer a size limit. Trust does not come from the
//! transport but from the pinned anchor and TUF, so plain `http:` works too; secrets over it are worth a warning.

use crate::{
    config::ConfigError,
    connection::{Connection, Limits, Patience},
    refusal::Refusal,
    service::{Repository, Service},
    verify::Anchor,
};
use jiff::Timestamp;
use livepatch_api::{ApiError, CheckInAnswer, CheckInRequest, EnrolAnswer, EnrolRequest, News, paths};
use livepatch_manifest::Digest;
use livepatch_schedule::Steering;
use livepatch_trust::{DirectoryFetch, Fetch, FetchError, LoadRequest, Published, Versions};
use rustls::CertificateError;
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, sync::Arc, time::Duration};
use ureq::{
    Agent, Body,
    http::{Response, StatusCode},
};
use url::{Host, Url};

/// The largest answer of the API. An anchor holds a TUF root and some certificates, a few KiB each.
const LARGEST_ANSWER: u64 = 1 << 20;

/// Servers hold the question for news for an hour; after this the connection is dead.
const LONGEST_HOLD: Duration = Duration::from_secs(65 * 60);

/// Metadata and modules may have moved; the API, which takes secrets, has not.
const MOST_REDIRECTS: u32 = 5;

/// The server over HTTP. Clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpService {
    agent: Agent,
    limits: Limits,
    connection: Connection,
    patience: Patience,
}

impl HttpService {
    /// A client of HTTP servers; proxies are taken from the usual environment variables, certificate authorities from
    /// the system. Sets aws-lc-rs as the process's cryptography for TLS, unless one is set.
    pub fn new() -> Self {
        // Nothing is configured, so nothing can be configured wrongly.
        Self::with(&Connection::default())
            .unwrap_or_else(|_| Self::of(Agent::new_with_defaults(), Limits::USUAL, Connection::default()))
    }

    /// A client of HTTP servers with these settings.
    ///
    /// # Errors
    /// [`ConfigError::Content`] for a proxy or certificates that cannot be used.
    pub fn with(connection: &Connection) -> Result<Self, ConfigError> {
        Self::within(connection, Limits::USUAL)
    }

    pub(crate) fn within(connection: &Connection, limits: Limits) -> Result<Self, ConfigError> {
        // An error only says that a provider is set already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Self::of(connection.agent(limits.connect, limits.call)?, limits, connection.clone()))
    }

    fn of(agent: Agent, limits: Limits, connection: Connection) -> Self {
        Self { agent, limits, connection, patience: Patience::default() }
    }

    /// Asks for what is newer than these timestamp metadata, and waits for an answer for as long as servers hold it. None when
    /// there was nothing in that time.
    ///
    /// # Errors
    /// [`Refusal::Server`] when the server knows no such question, [`Refusal::ServerUnreachable`].
    pub(crate) fn news(&self, server: &Url, timestamp: u64) -> Result<Option<News>, Refusal> {
        let call = self.agent.get(endpoint(server, &format!("{}/{timestamp}", paths::NEWS)).as_str());
        let call = call.config().timeout_global(Some(LONGEST_HOLD)).build();
        let mut answer = call.call().map_err(|error| unreachable(server, &error))?;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(None),
            status if status.is_success() => {
                let body = answer.body_mut().with_config().limit(LARGEST_ANSWER);
                body.read_json().map(Some).map_err(|error| unreachable(server, &error))
            }
            _ => Err(refused(server, answer)),
        }
    }

    fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        server: &Url,
        path: &str,
        bearer: &str,
        request: &Q,
    ) -> Result<A, Refusal> {
        let call = self.agent.post(endpoint(server, path).as_str());
        let answer = call.header("Authorization", format!("Bearer {bearer}")).send_json(request);
        let mut answer = answer.map_err(|error| unreachable(server, &error))?;
        if !answer.status().is_success() {
            self.patience.note(answer.status(), answer.headers());
            return Err(refused(server, answer));
        }
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER);
        body.read_json().map_err(|error| unreachable(server, &error))
    }
}

impl Default for HttpService {
    fn default() -> Self {
        Self::new()
    }
}

impl Service for HttpService {
    fn trust_anchor(&self, server: &Url, sha256: &Digest) -> Result<Vec<u8>, Refusal> {
        let url = endpoint(server, &format!("{}/{sha256}", paths::TRUST));
        self.fetch(&url, LARGEST_ANSWER).map_err(|error| match error {
            FetchError::NotFound => Refusal::TrustAnchorMismatch,
            other => Refusal::ServerUnreachable { server: origin(server), reason: other.to_string() },
        })
    }

    fn enrol(&self, server: &Url, secret: &str, request: &EnrolRequest) -> Result<EnrolAnswer, Refusal> {
        if is_directory(server) {
            // A directory keeps no list of machines.
            return Ok(EnrolAnswer { credential: String::new(), tier: self.connection.tier.clone() });
        }
        self.post(server, paths::ENROL, secret, request)
    }

    fn check_in(
        &self,
        server: &Url,
        credential: &str,
        request: &CheckInRequest,
    ) -> Result<CheckInAnswer, Refusal> {
        if is_directory(server) {
            return Ok(CheckInAnswer { tier: self.connection.tier.clone(), refresh_after: None });
        }
        self.post(server, paths::CHECK_IN, credential, request)
    }

    fn asked_patience(&self) -> Option<Duration> {
        self.patience.take()
    }

    fn server_clock(&self) -> Option<Timestamp> {
        self.patience.clock()
    }

    fn open_repository(
        &self,
        server: &Url,
        anchor: &Anchor,
        datastore: &Path,
    ) -> Result<Box<dyn Repository>, Refusal> {
        let mut loaded = livepatch_trust::Repository::load(LoadRequest {
            root: anchor.tuf_root.as_bytes(),
            metadata_url: endpoint(self.connection.mirror.as_ref().unwrap_or(server), paths::METADATA),
            targets_url: endpoint(self.connection.mirror.as_ref().unwrap_or(server), paths::TARGETS),
            datastore,
            fetch: Arc::new(self.clone()),
        })?;
        if !anchor.origins.is_empty() {
            let origins = loaded.origins(&anchor.origins)?;
            loaded.keep_endorsed(&origins);
        }
        for skipped in loaded.skipped() {
            tracing::warn!(
                target = skipped.target,
                reason = skipped.reason,
                "the repository holds an unusable target"
            );
        }
        Ok(Box::new(loaded))
    }
}

impl Repository for livepatch_trust::Repository {
    fn published(&self) -> Vec<&Published> {
        self.livepatches().collect()
    }

    fn steering(&self) -> &Steering {
        Self::steering(self)
    }

    fn versions(&self) -> Versions {
        Self::versions(self)
    }

    fn module(&self, published: &Published) -> Result<Vec<u8>, Refusal> {
        Ok(Self::module(self, published)?)
    }

    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let document = self.documents().find(|document| document.name == name);
        Ok(document.map(|document| Self::document(self, document)).transpose()?)
    }

    fn document_digest(&self, name: &str) -> Option<Digest> {
        self.documents().find(|document| document.name == name).map(|document| document.sha256.clone())
    }
}

impl Fetch for HttpService {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        if is_directory(url) {
            return DirectoryFetch.fetch(url, limit);
        }
        let broken = |error: ureq::Error| FetchError::Unreachable(why(&error));
        let whole = if url.path().ends_with(".ko") { self.limits.file } else { self.limits.call };
        let call = self.agent.get(url.as_str()).config().timeout_global(Some(whole));
        let mut answer = call.max_redirects(MOST_REDIRECTS).build().call().map_err(broken)?;
        self.patience.note(answer.status(), answer.headers());
        match answer.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(FetchError::NotFound),
            status => return Err(FetchError::Unreachable(format!("the server answered {status}"))),
        }
        let body = answer.body_mut().with_config().limit(limit.saturating_add(1));
        match body.read_to_vec() {
            Ok(bytes) if bytes.len() as u64 > limit => Err(FetchError::TooLarge(limit)),
            Ok(bytes) => Ok(bytes),
            Err(ureq::Error::BodyExceedsLimit(_)) => Err(FetchError::TooLarge(limit)),
            Err(error) => Err(broken(error)),
        }
    }
}

/// Whether secrets for this server cross a network in the clear that is not this machine's or site's own.
pub(crate) fn is_exposed(server: &Url) -> bool {
    let near = match server.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    server.scheme() == "http" && !near
}

/// Whether the server is a directory of this machine: a bundle, a mirror on a disk.
fn is_directory(server: &Url) -> bool {
    server.scheme() == "file"
}

/// The path below the server's URL, which may itself have one.
fn endpoint(server: &Url, path: &str) -> Url {
    let mut url = server.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}{path}", server.path().trim_end_matches('/')));
    url
}

/// The URL of a path of the API without the user's name and password.
pub(crate) fn shown_endpoint(server: &Url, path: &str) -> String {
    let mut url = endpoint(server, path);
    // An error says that this kind of URL has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// Scheme, host and port: what may be shown, since a URL can carry a password.
pub(crate) fn origin(server: &Url) -> String {
    if is_directory(server) {
        return server.to_string();
    }
    server.origin().ascii_serialization()
}

fn unreachable(server: &Url, error: &ureq::Error) -> Refusal {
    Refusal::ServerUnreachable { server: origin(server), reason: why(error) }
}

/// The error, and for one of the server's certificate what helps against it.
fn why(error: &ureq::Error) -> String {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    let help = match tls {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            CertificateError::UnknownIssuer => {
                ": this machine does not know the authority that vouches for the server; if it is your own, name its \
                 certificate with `ca_file`"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                ": the server's certificate is not valid at this time; see that this machine's clock is right"
            }
            _ => ": the server's certificate is not good",
        },
        _ => "",
    };
    format!("{error}{help}")
}

fn refused(server: &Url, mut answer: Response<Body>) -> Refusal {
    let body = answer.body_mut().with_config().limit(LARGEST_ANSWER);
    match body.read_json::<ApiError>() {
        Ok(error) => error.into(),
        Err(_) => Refusal::ServerUnreachable {
            server: origin(server),
            reason: format!("it answered {}, not as a livepatch server does", answer.status()),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
        time::Instant,
    };

    #[test]
    fn paths_are_below_the_servers_own() {
        let endpoint = |server: &str| endpoint(&server.parse().unwrap(), "/v1/enrol").to_string();
        assert_eq!(endpoint("http://h:8080"), "http://h:8080/v1/enrol");
        assert_eq!(endpoint("https://h/livepatch/?x=1"), "https://h/livepatch/v1/enrol");
    }

    #[test]
    fn clear_text_is_worth_a_warning_outside_of_the_site() {
        let exposed = |server: &str| is_exposed(&server.parse().unwrap());
        for near in [
            "https://example.com",
            "http://127.0.0.1:1",
            "http://10.0.2.2:1",
            "http://[::1]/",
            "http://localhost",
        ] {
            assert!(!exposed(near), "{near}");
        }
        assert!(exposed("http://example.com") && exposed("http://8.8.8.8"));
    }

    #[test]
    fn a_server_that_is_not_there_is_named_without_its_password() {
        let server = "http://user:secret@127.0.0.1:1/".parse().unwrap();
        let refusal = HttpService::new().trust_anchor(&server, &Digest::of(b"")).unwrap_err();
        assert_eq!(refusal.code(), "server-unreachable");
        assert!(!refusal.to_string().contains("secret"), "{refusal}");
    }

    /// A server that answers every connection with these bytes, one each `pause`.
    fn slow_server(answer: &'static [u8], pause: Duration) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    // Closing with something unread would be a reset.
                    let _ = stream.read(&mut [0; 4096]);
                    for byte in answer {
                        if stream.write_all(&[*byte]).is_err() {
                            return;
                        }
                        thread::sleep(pause);
                    }
                });
            }
        });
        url
    }

    fn service() -> HttpService {
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, call: second, file: second };
        HttpService::within(&Connection::default(), limits).unwrap()
    }

    #[test]
    fn a_server_that_answers_byte_by_byte_is_given_up() {
        let url = slow_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", Duration::from_millis(200));
        let started = Instant::now();
        assert!(matches!(service().fetch(&url, 1000), Err(FetchError::Unreachable(_))));
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_no_answer() {
        let url = slow_server(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", Duration::ZERO);
        assert!(matches!(service().fetch(&url, 1000), Err(FetchError::Unreachable(_))));
    }

    #[test]
    fn an_overloaded_server_is_heard() {
        let url =
            slow_server(b"HTTP/1.1 503 Busy\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n", Duration::ZERO);
        let service = service();
        assert!(service.fetch(&url, 1000).is_err());
        assert_eq!(service.asked_patience(), Some(Duration::from_secs(90)));
        assert_eq!(service.asked_patience(), None, "heard once");
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let with = |connection: Connection| HttpService::with(&connection).unwrap_err().to_string();
        let proxy = Some("http://user:secret@[".to_owned());
        let error = with(Connection { proxy, ..Connection::default() });
        assert!(error.contains("proxy") && !error.contains("secret"), "{error}");
        let ca_file = Some("/dev/null".into());
        assert!(with(Connection { ca_file, ..Connection::default() }).contains("/dev/null"));
    }
}
