//! An upstream over HTTP. What comes is verified by digest and signature; this only bounds time and size.

use livepatch_trust::{Fetch, FetchError};
use std::time::Duration;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};
use url::Url;

/// A module of 64 MiB comes over a slow line in that time.
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_CONNECTING: Duration = Duration::from_secs(15);

/// Fetches over HTTP and HTTPS.
#[derive(Clone, Debug)]
pub(crate) struct HttpFetch(Agent);

impl HttpFetch {
    pub(crate) fn new() -> Self {
        // An error only means that one is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE_CONNECTING))
            .max_redirects(5)
            .user_agent(concat!("livepatch-server/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self(agent.into())
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        let broken = |error: ureq::Error| match error {
            ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge(limit),
            other => FetchError::Unreachable(other.to_string()),
        };
        let mut answer = self.0.get(url.as_str()).call().map_err(broken)?;
        match answer.status().as_u16() {
            200 => {
                // One more than allowed, so that a longer body is told from one that fits exactly.
                let body = answer.body_mut().with_config().limit(limit.saturating_add(1));
                let bytes = body.read_to_vec().map_err(broken)?;
                if bytes.len() as u64 > limit { Err(FetchError::TooLarge(limit)) } else { Ok(bytes) }
            }
            404 | 410 => Err(FetchError::NotFound),
            status => Err(FetchError::Unreachable(format!("the upstream answered {status}"))),
        }
    }
}
