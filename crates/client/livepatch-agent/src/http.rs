//! The server over HTTP: every request has a time-out and every answer a size limit. Trust does not come from the
//! transport but from the pinned anchor and TUF, so plain `http:` works too; secrets over it are worth a warning.

use crate::{
    refusal::Refusal,
    service::{Repository, Service},
    verify::Anchor,
};
use livepatch_api::{ApiError, CheckInAnswer, CheckInRequest, EnrolAnswer, EnrolRequest, paths};
use livepatch_manifest::Digest;
use livepatch_schedule::Steering;
use livepatch_trust::{Fetch, FetchError, LoadRequest, Published, Versions};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, sync::Arc, time::Duration};
use ureq::{
    Agent, Body,
    http::{Response, StatusCode},
    tls::{RootCerts, TlsConfig},
};
use url::{Host, Url};

const CONNECT: Duration = Duration::from_secs(15);
/// A whole call of the API.
const CALL: Duration = Duration::from_secs(30);
/// A whole file: the largest module over a slow line.
const FILE: Duration = Duration::from_secs(300);
/// The largest answer of the API. An anchor holds a TUF root and some certificates, a few KiB each.
const LARGEST_ANSWER: u64 = 1 << 20;

/// The server over HTTP.
#[derive(Clone, Debug)]
pub struct HttpService {
    api: Agent,
    files: Agent,
}

impl HttpService {
    /// A client of HTTP servers; proxies are taken from the usual environment variables, certificate authorities from
    /// the system. Sets aws-lc-rs as the process's cryptography for TLS, unless one is set.
    pub fn new() -> Self {
        // An error only says that a provider is set already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { api: agent(CALL, 0), files: agent(FILE, 5) }
    }

    fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        server: &Url,
        path: &str,
        bearer: &str,
        request: &Q,
    ) -> Result<A, Refusal> {
        let call = self.api.post(endpoint(server, path).as_str());
        let answer = call.header("Authorization", format!("Bearer {bearer}")).send_json(request);
        let mut answer = answer.map_err(|error| unreachable(server, &error))?;
        if !answer.status().is_success() {
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
        self.post(server, paths::ENROL, secret, request)
    }

    fn check_in(
        &self,
        server: &Url,
        credential: &str,
        request: &CheckInRequest,
    ) -> Result<CheckInAnswer, Refusal> {
        self.post(server, paths::CHECK_IN, credential, request)
    }

    fn open_repository(
        &self,
        server: &Url,
        anchor: &Anchor,
        datastore: &Path,
    ) -> Result<Box<dyn Repository>, Refusal> {
        let loaded = livepatch_trust::Repository::load(LoadRequest {
            root: anchor.tuf_root.as_bytes(),
            metadata_url: endpoint(server, paths::METADATA),
            targets_url: endpoint(server, paths::TARGETS),
            datastore,
            fetch: Arc::new(self.clone()),
        })?;
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
}

impl Fetch for HttpService {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        let broken = |error: ureq::Error| FetchError::Unreachable(error.to_string());
        let mut answer = self.files.get(url.as_str()).call().map_err(broken)?;
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

fn agent(whole: Duration, redirects: u32) -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(whole))
        .timeout_connect(Some(CONNECT))
        .max_redirects(redirects)
        .http_status_as_error(false)
        .user_agent(concat!("livepatchd/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// The path below the server's URL, which may itself have one.
fn endpoint(server: &Url, path: &str) -> Url {
    let mut url = server.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}{path}", server.path().trim_end_matches('/')));
    url
}

/// Scheme, host and port: what may be shown, since a URL can carry a password.
pub(crate) fn origin(server: &Url) -> String {
    server.origin().ascii_serialization()
}

fn unreachable(server: &Url, error: &ureq::Error) -> Refusal {
    Refusal::ServerUnreachable { server: origin(server), reason: error.to_string() }
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
}
