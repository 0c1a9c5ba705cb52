//! The running server.

use crate::{
    Settings, SiteError, database::Database, hooks, leader, news, post, rollouts, routes, site::Site,
    upstream, worker,
};
use livepatch_store::{Turn, TurnGuard};
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Requests that are under way get this long to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    site: Arc<Site>,
    listener: TcpListener,
    address: SocketAddr,
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
    /// [`ServeError::Site`], [`ServeError::Listen`].
    pub async fn start(settings: Settings) -> Result<Self, ServeError> {
        let address = settings.listen;
        // An error only means that one is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let database = Database::new(&settings);
        let turn = first_turn(&settings, &database).await?;
        let site = tokio::task::spawn_blocking(|| Site::open(settings, database)).await;
        let site = Arc::new(site.map_err(|error| ServeError::Serve(io::Error::other(error)))??);
        if let Some(turn) = turn {
            turn.end().await;
        }
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Opened early so that a fault is in the log from the start; it was logged where it arose.
        let _ = site.database.store().await;
        Ok(Self { site, listener, address })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
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
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let site = Arc::clone(&self.site);
        let service = routes::router(&self.site).into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(async move {
            stop.await;
            site.streams.send_replace(true);
            let _ = stopping.send(()); // nobody listens any more when serving has failed
        });
        let too_slow = async {
            match stopped.await {
                Ok(()) => tokio::time::sleep(DRAIN).await,
                Err(_) => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            outcome = async { serving.await } => outcome.map_err(ServeError::Serve),
            () = too_slow => Ok(()),
        };
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

/// Replicas open a shared repository one after the other: the first makes it.
async fn first_turn(settings: &Settings, database: &Database) -> Result<Option<TurnGuard>, ServeError> {
    if settings.objects.is_none() || settings.database.is_none() {
        return Ok(None);
    }
    let store = database.store().await.map_err(|_| ServeError::Turn)?;
    store.turn(Turn::Publishing).await.map(Some).map_err(|_| ServeError::Turn)
}
