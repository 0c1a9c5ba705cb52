//! The other end: requests with the operator's key, answers or the server's own words.

use anyhow::{Context as _, Result, anyhow, bail};
use livepatch_api::{ApiError, ErrorCode};
use serde::{Serialize, de::DeserializeOwned};
use std::{fs, path::Path, time::Duration};
use ureq::{
    Agent,
    http::{Response, StatusCode},
    tls::{RootCerts, TlsConfig},
};
use url::{Host, Url};

/// A whole request with its answer. A module of 64 MiB goes over a slow line in that time.
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_CONNECTING: Duration = Duration::from_secs(15);

/// The largest list that is taken in.
const LARGEST_ANSWER: u64 = 256 << 20;

/// A key file is one line.
const LARGEST_KEY: u64 = 4096;

/// A server and the key to it.
pub(crate) struct Server {
    agent: Agent,
    url: Url,
    authorization: String,
}

impl Server {
    /// Nothing is sent yet.
    pub(crate) fn new(url: &Url, key_file: Option<&Path>) -> Result<Self> {
        let key_file = key_file.context(
            "the operator's key is missing: give --key-file, set LIVEPATCH_ADMIN_KEY to the server's admin.key, or name a \
             --profile that has a key-file",
        )?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            bail!("{url} is no server's URL: http://HOST or https://HOST expected");
        }
        if url.scheme() == "http" && !is_loopback(url) {
            eprintln!(
                "livepatch-admin: warning: {url} is not encrypted, and the operator's key travels over it"
            );
        }
        let key = read_key(key_file)?;
        // An error only means that one is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE_CONNECTING))
            .max_redirects(0)
            .user_agent(concat!("livepatch-admin/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: agent.into(), url: url.clone(), authorization: format!("Bearer {key}") })
    }

    /// Its address, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// An answer that is no document.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        let request = self.agent.get(self.at(path)).header("authorization", &self.authorization);
        let (status, body) = self.whole(request.call())?;
        if !status.is_success() {
            return Err(self.explain(status, &body));
        }
        String::from_utf8(body).context("the server's answer is no text")
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.agent.get(self.at(path)).header("authorization", &self.authorization);
        self.read(request.call())
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, document: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(document)?;
        self.send(path, "application/json", &body)
    }

    pub(crate) fn send<T: DeserializeOwned>(&self, path: &str, content_type: &str, body: &[u8]) -> Result<T> {
        let request = self.agent.post(self.at(path)).header("authorization", &self.authorization);
        self.read(request.header("content-type", content_type).send(body))
    }

    /// For work that takes as long as it takes.
    pub(crate) fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(document)?;
        let request = self.agent.post(self.at(path)).config().timeout_global(None).build();
        let request = request.header("authorization", &self.authorization);
        self.read(request.header("content-type", "application/json").send(&body))
    }

    /// Sends a file of any size.
    pub(crate) fn upload<T: DeserializeOwned>(&self, path: &str, file: &fs::File) -> Result<T> {
        let request = self.agent.post(self.at(path)).config().timeout_global(None).build();
        let request = request.header("authorization", &self.authorization);
        self.read(request.header("content-type", "application/x-tar").send(file))
    }

    /// Takes a file of any size in: its bytes.
    pub(crate) fn download(&self, path: &str, to: &mut fs::File) -> Result<u64> {
        let request = self.agent.get(self.at(path)).config().timeout_global(None).build();
        let mut response = self.answer(request.header("authorization", &self.authorization).call())?;
        let status = response.status();
        if !status.is_success() {
            let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
            return Err(self.explain(status, &body.unwrap_or_default()));
        }
        let promised = response.body().content_length();
        let size = std::io::copy(&mut response.body_mut().as_reader(), to).context("the answer broke off")?;
        if promised.is_some_and(|promised| promised != size) {
            bail!("the answer broke off after {size} bytes");
        }
        Ok(size)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }

    fn read<T: DeserializeOwned>(&self, outcome: Result<Response<ureq::Body>, ureq::Error>) -> Result<T> {
        let (status, body) = self.whole(outcome)?;
        if !status.is_success() {
            return Err(self.explain(status, &body));
        }
        serde_json::from_slice(&body)
            .context("the server's answer is not understood; do livepatch-admin and livepatch-server have one version?")
    }

    fn whole(&self, outcome: Result<Response<ureq::Body>, ureq::Error>) -> Result<(StatusCode, Vec<u8>)> {
        let mut response = self.answer(outcome)?;
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        Ok((response.status(), body.context("the server's answer broke off")?))
    }

    fn answer(&self, outcome: Result<Response<ureq::Body>, ureq::Error>) -> Result<Response<ureq::Body>> {
        outcome.with_context(|| {
            format!("the server at {} cannot be reached; is it running, and is --server right?", self.url)
        })
    }

    fn explain(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        match serde_json::from_slice::<ApiError>(body) {
            Ok(error) if error.code == ErrorCode::Unauthorized => {
                anyhow!("{error} (the server at {} does not take the key of --key-file)", self.url)
            }
            Ok(error) => anyhow!("{error}"),
            Err(_) => anyhow!("{} answered {status}; is it a livepatch server?", self.url),
        }
    }
}

fn read_key(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file =
        fs::File::open(path).with_context(|| format!("the key file {} cannot be read", path.display()))?;
    file.take(LARGEST_KEY)
        .read_to_string(&mut text)
        .with_context(|| format!("the key file {} cannot be read", path.display()))?;
    let key = text.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{} is no key file: one line expected, as the server wrote it", path.display());
    }
    Ok(key.to_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
