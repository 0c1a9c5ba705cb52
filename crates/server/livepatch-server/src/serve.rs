//! The running server.

use crate::{
    Settings, SiteError, database::Database, hooks, leader, news, post, rollouts, routes, site::Site,
    socket::Socket, upstream, worker,
};
use axum_server::Handle;
use livepatch_store::{Turn, TurnGuard};
use sd_notify::NotifyState;
use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Requests that are under way get this long to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    site: Arc<Site>,
    socket: Socket,
    /// For `/metrics`, where it is not among the others.
    metrics: Option<(TcpListener, SocketAddr)>,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The certificate for TLS.
    #[error("cannot speak TLS with the certificate {} and its key", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The database that replicas take turns by.
    #[error("the database does not answer, which replicas that share a bucket take turns by")]
    Turn,
    /// The network, while serving.
    #[error("serving failed")]
    Serve(#[source] io::Error),
}

impl Server {
    /// Opens the data directory, making what is missing, and listens. A database that cannot be opened does not stop
    /// it: the static plane serves without one.
    ///
    /// # Errors
    /// [`ServeError::Site`], [`ServeError::Listen`], [`ServeError::Certificate`].
    pub async fn start(settings: Settings) -> Result<Self, ServeError> {
        // An error only means that one is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let socket = Socket::open(&settings).await?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let database = Database::new(&settings);
        let turn = first_turn(&settings, &database).await?;
        let site = tokio::task::spawn_blocking(|| Site::open(settings, database)).await;
        let site = Arc::new(site.map_err(|error| ServeError::Serve(io::Error::other(error)))??);
        if let Some(turn) = turn {
            turn.end().await;
        }
        // Opened early so that a fault is in the log from the start; it was logged where it arose.
        let _ = site.database.store().await;
        Ok(Self { site, socket, metrics })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// Where browsers and machines find it.
    pub fn url(&self) -> String {
        format!("{}://{}", self.socket.scheme(), self.socket.address())
    }

    /// The address of `/metrics`, where it has one of its own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Serves until `stop` is ready; then lets requests that are under way end, for a while.
    ///
    /// # Errors
    /// [`ServeError::Serve`].
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let leading = tokio::spawn(leader::keep_leading(Arc::clone(&self.site)));
        let fresh = tokio::spawn(worker::keep_metadata_fresh(Arc::clone(&self.site)));
        let announces = tokio::spawn(news::keep_announcing(Arc::clone(&self.site)));
        let looks = tokio::spawn(rollouts::keep_looking(Arc::clone(&self.site)));
        let syncs = tokio::spawn(upstream::keep_synced(Arc::clone(&self.site)));
        let hooks = tokio::spawn(hooks::keep_telling(Arc::clone(&self.site)));
        let post = tokio::spawn(post::keep_sending(Arc::clone(&self.site)));
        let (site, handle) = (Arc::clone(&self.site), Handle::new());
        let ending = tokio::spawn({
            let handle = handle.clone();
            async move {
                stop.await;
                tell_systemd(NotifyState::Stopping);
                site.streams.send_replace(true);
                handle.graceful_shutdown(Some(DRAIN));
            }
        });
        let watched = tokio::spawn(serve_metrics(Arc::clone(&self.site), self.metrics));
        tell_systemd(NotifyState::Ready);
        let serving = self.socket.serve(routes::router(&self.site), handle).await;
        let outcome = serving.map_err(ServeError::Serve);
        ending.abort();
        watched.abort();
        leading.abort();
        fresh.abort();
        announces.abort();
        looks.abort();
        syncs.abort();
        hooks.abort();
        post.abort();
        self.site.database.close().await;
        outcome
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// As long as the server runs, its stop included: whoever watches sees how it ends.
async fn serve_metrics(site: Arc<Site>, metrics: Option<(TcpListener, SocketAddr)>) {
    let Some((listener, address)) = metrics else { return };
    if let Err(error) = axum::serve(listener, routes::monitoring_router(&site)).await {
        tracing::error!(%error, %address, "the metrics are not served any more");
    }
}

/// Replicas open a shared repository one after the other: the first makes it.
async fn first_turn(settings: &Settings, database: &Database) -> Result<Option<TurnGuard>, ServeError> {
    if settings.objects.is_none() || settings.database.is_none() {
        return Ok(None);
    }
    let store = database.store().await.map_err(|_| ServeError::Turn)?;
    store.turn(Turn::Publishing).await.map(Some).map_err(|_| ServeError::Turn)
}

/// Outside systemd nobody hears it.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("systemd was not told: {error}");
    }
}
