//! How the server is reached: time limits, proxy, certificate authorities, and what an overloaded server asks for.

use crate::{config::ConfigError, wait::parse_retry_after};
use jiff::Timestamp;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use ureq::{
    Agent, Proxy,
    http::{HeaderMap, StatusCode},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};
use url::Url;

/// The bundle that Debian, Ubuntu and their likes make of the system's authorities; then Fedora's.
const SYSTEM_BUNDLES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"];

/// What the configuration says about the way to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Proxy of all requests; absent: what the environment says.
    pub proxy: Option<String>,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the static files are read instead of at the server.
    pub mirror: Option<Url>,
    /// The tier on a machine whose server is a directory.
    pub tier: String,
}

/// How long requests may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until the connection stands.
    pub(crate) connect: Duration,
    /// A whole call, or a whole file of metadata.
    pub(crate) call: Duration,
    /// A whole module.
    pub(crate) file: Duration,
}

impl Limits {
    /// A module of some MiB over a slow line takes minutes; metadata are small, so a server that hands them out byte by byte
    /// is given up sooner.
    pub(crate) const USUAL: Self = Self {
        connect: Duration::from_secs(15),
        call: Duration::from_secs(30),
        file: Duration::from_secs(300),
    };
}

impl Connection {
    /// A client for these settings that follows no redirects. `whole`: time for a whole request.
    ///
    /// # Errors
    /// [`ConfigError::Content`] for a proxy that is none, or a certificate file that cannot be used.
    pub(crate) fn agent(&self, connect: Duration, whole: Duration) -> Result<Agent, ConfigError> {
        let tls = TlsConfig::builder().root_certs(self.roots()?).build();
        let mut builder = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(whole))
            .timeout_connect(Some(connect))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("livepatchd/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &self.proxy {
            // The text may hold a password.
            let wrong = |_| ConfigError::Content("proxy is no URL of a proxy: http://HOST:PORT".to_owned());
            builder = builder.proxy(Some(Proxy::new(proxy).map_err(wrong)?));
        }
        Ok(builder.build().new_agent())
    }

    fn roots(&self) -> Result<RootCerts, ConfigError> {
        let Some(path) = &self.ca_file else {
            return Ok(RootCerts::PlatformVerifier);
        };
        let mut certificates = read_certificates(path)?;
        if certificates.is_empty() {
            let text = format!("ca_file: {} holds no certificate in PEM", path.display());
            return Err(ConfigError::Content(text));
        }
        let system = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists());
        certificates.extend(system.map(read_certificates).transpose()?.unwrap_or_default());
        Ok(RootCerts::new_with_certs(&certificates))
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate<'static>>, ConfigError> {
    let bytes = fs::read(path)
        .map_err(|error| ConfigError::Content(format!("ca_file: cannot read {}: {error}", path.display())))?;
    let items = parse_pem(&bytes).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    Ok(items.collect())
}

/// What servers said beside their answers: with `Retry-After` how long they want to be left alone, with `Date` what time it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    wait: Option<Duration>,
    clock: Option<Timestamp>,
}

impl Patience {
    /// Notes what an answer asks for: only one that says "later" is taken at its word.
    pub(crate) fn note(&self, status: StatusCode, headers: &HeaderMap) {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        let wait = header("retry-after")
            .filter(|_| later)
            .and_then(|value| parse_retry_after(value, Timestamp::now()));
        let clock = header("date").and_then(|value| jiff::fmt::rfc2822::parse(value).ok());
        if let Ok(mut said) = self.0.lock() {
            said.clock = clock.map(|date| date.timestamp());
            if let Some(wait) = wait {
                said.wait = Some(said.wait.unwrap_or_default().max(wait));
            }
        }
    }

    /// How long servers want to be left alone; it is forgotten.
    pub(crate) fn take(&self) -> Option<Duration> {
        self.0.lock().ok().and_then(|mut said| said.wait.take())
    }

    /// The time by the last answer.
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        self.0.lock().ok().and_then(|said| said.clock)
    }
}
