//! The socket: opened here or handed over by systemd, in the clear or with TLS.

use crate::{ServeError, Settings, TlsFiles};
use axum::{Router, http::HeaderValue, http::header::HeaderName};
use axum_server::{Handle, Server, tls_rustls::RustlsConfig};
use listenfd::ListenFd;
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    time::{Duration, SystemTime},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tower_http::set_header::SetRequestHeaderLayer;

/// Who does not send the head of a request for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to look whether the certificate was renewed.
const PAUSE: Duration = Duration::from_secs(30);

/// What the server listens on.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: TcpListener,
    address: SocketAddr,
    certificate: Option<Certificate>,
    /// SIGHUP; without a certificate there is nothing to do on it, and no reason to end.
    told: Signal,
}

impl Socket {
    /// The socket that systemd holds for us (`sd_listen_fds(3)`), which outlives the program so that nobody is turned away while it
    /// starts again; else one at the address of the settings.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address: settings.listen, source };
        let certificate = match &settings.tls {
            Some(files) => Some(Certificate::read(files).await?),
            None => None,
        };
        let listener = match ListenFd::from_env().take_tcp_listener(0).map_err(failed)? {
            Some(handed_over) => handed_over,
            None => tokio::net::TcpListener::bind(settings.listen)
                .await
                .and_then(tokio::net::TcpListener::into_std)
                .map_err(failed)?,
        };
        let address = listener.local_addr().map_err(failed)?;
        let told = signal(SignalKind::hangup()).map_err(failed)?;
        Ok(Self { listener, address, certificate, told })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its URL begins with.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }

    /// Serves until the handle ends it.
    pub(crate) async fn serve(self, router: Router, handle: Handle<SocketAddr>) -> io::Result<()> {
        let Some(certificate) = self.certificate else {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            return patient(axum_server::from_tcp(self.listener)?, handle).serve(service).await;
        };
        let server = axum_server::from_tcp_rustls(self.listener, certificate.config.clone())?;
        let renewing = tokio::spawn(certificate.keep_renewed(self.told));
        // No proxy ends TLS in front of us, and none says so.
        let says_so = HeaderName::from_static("x-forwarded-proto");
        let router =
            router.layer(SetRequestHeaderLayer::overriding(says_so, HeaderValue::from_static("https")));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let outcome = patient(server, handle).serve(service).await;
        renewing.abort();
        outcome
    }
}

/// Patient, but not for ever: connections are not kept for those who say nothing.
fn patient<A>(mut server: Server<SocketAddr, A>, handle: Handle<SocketAddr>) -> Server<SocketAddr, A> {
    server.http_builder().http1().header_read_timeout(PATIENCE);
    server.handle(handle).first_request_timeout(PATIENCE)
}

/// The certificate that the server shows, and the files that it was read from.
#[derive(Debug)]
struct Certificate {
    files: TlsFiles,
    seen: Seen,
    config: RustlsConfig,
}

/// When the files were last written.
type Seen = [Option<SystemTime>; 2];

impl Certificate {
    async fn read(files: &TlsFiles) -> Result<Self, ServeError> {
        let seen = seen(files);
        let config = RustlsConfig::from_pem_file(&files.certificate, &files.key).await;
        let config =
            config.map_err(|source| ServeError::Certificate { path: files.certificate.clone(), source })?;
        Ok(Self { files: files.clone(), seen, config })
    }

    /// Takes a renewed certificate as it comes, or at once on SIGHUP. While the files do not fit together the old one is shown.
    async fn keep_renewed(mut self, mut told: Signal) {
        loop {
            let is_told = tokio::select! {
                _ = told.recv() => true,
                () = tokio::time::sleep(PAUSE) => false,
            };
            let found = seen(&self.files);
            if found == self.seen && !is_told {
                continue;
            }
            match self.config.reload_from_pem_file(&self.files.certificate, &self.files.key).await {
                Ok(()) => {
                    self.seen = found;
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate was renewed");
                }
                Err(error) => tracing::warn!(
                    certificate = %self.files.certificate.display(),
                    "the old certificate is still shown; the new one cannot be used: {error}"
                ),
            }
        }
    }
}

fn seen(files: &TlsFiles) -> Seen {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|found| found.modified()).ok())
}
