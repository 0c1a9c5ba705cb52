//! An S3-compatible server for one test: s3s-fs, which checks signatures and keeps objects in a directory.

use crate::ServiceError;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::io;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

const ACCESS_KEY: &str = "test-access-key";
const SECRET_KEY: &str = "test-secret-key";

/// A running server with one bucket; it is gone when this is dropped.
#[derive(Debug)]
pub struct ObjectStore {
    url: String,
    /// Dropped first: whatever is under way ends before the directory goes.
    _runtime: Runtime,
    _directory: TempDir,
}

impl ObjectStore {
    /// Starts a server on a free port of 127.0.0.1, with an empty bucket of this name.
    ///
    /// # Errors
    /// [`ServiceError::Run`].
    pub fn start(bucket: &str) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::Run { program: "the object store".to_owned(), source };
        let directory = tempfile::Builder::new().prefix("livepatch-objects-").tempdir().map_err(failed)?;
        std::fs::create_dir(directory.path().join(bucket)).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let files = FileSystem::new(directory.path());
        let files = files.map_err(|error| failed(io::Error::other(format!("{error:?}"))))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).map_err(failed)?;
        let url = format!("http://{}/{bucket}", listener.local_addr().map_err(failed)?);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    // A connection that breaks is the business of who made it.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { url, _runtime: runtime, _directory: directory })
    }

    /// The bucket's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that the server knows.
    pub fn access_key(&self) -> &str {
        ACCESS_KEY
    }

    /// Its secret.
    pub fn secret_key(&self) -> &str {
        SECRET_KEY
    }
}
