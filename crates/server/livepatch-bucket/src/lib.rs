//! A bucket of an S3-compatible object store (AWS S3, MinIO, Ceph, Garage …) as the place of the repository's files.
//!
//! The only crate that names the S3 library, which signs requests (AWS Signature Version 4) and does no input or output of
//! its own; requests go through the HTTP client that the rest of the server uses. An object is replaced whole and is read
//! back at once by everybody (S3 promises both), which is all that the publisher asks of a place ([`Files`]).

mod keys;

pub use keys::Keys;

use livepatch_trust::Files;
use rusty_s3::{Credentials, S3Action, UrlStyle, actions::ListObjectsV2};
use std::{fmt, io, path::PathBuf, time::Duration};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{RootCerts, TlsConfig},
};
use url::Url;

/// A module of 64 MiB goes over a slow line in that time.
const PATIENCE: Duration = Duration::from_secs(300);
const PATIENCE_CONNECTING: Duration = Duration::from_secs(10);
/// A signed request may be used for so long; clocks may differ a little.
const SIGNED_FOR: Duration = Duration::from_secs(900);
/// How often a request is made when the store is away or busy, and the pause before the second time, then twice as long.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A page of a list, or an error's text, is no larger.
const LARGEST_ANSWER: u64 = 4 << 20;
/// Where a URL names no region.
const REGION: &str = "us-east-1";

/// What caches may do with an object, for stores that machines read from directly: only the timestamp ever changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_EVERY_TIME: &str = "no-cache";

/// A bucket, or what is below a prefix in one.
#[derive(Clone)]
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    /// Empty, or with a slash at the end.
    prefix: String,
    agent: Agent,
}

/// Why a URL names no bucket.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// It has another form.
    #[error(
        "{0} names no bucket: write https://HOST/BUCKET, https://HOST/BUCKET/PREFIX, or the same with ?region=REGION"
    )]
    Url(String),
    /// The keys are missing.
    #[error("the keys of the object store are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    Keys,
}

impl Bucket {
    /// The bucket that a URL names: the store's address, the bucket, a prefix (optional), and the region as a query
    /// (us-east-1 without).
    ///
    /// # Errors
    /// [`BucketError::Url`].
    pub fn at(url: &Url, keys: Keys) -> Result<Self, BucketError> {
        let wrong = || BucketError::Url(url.to_string());
        let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        let (name, below) = parts.split_first().ok_or_else(wrong)?;
        let region = url.query_pairs().find(|(key, _)| key == "region").map(|(_, value)| value.into_owned());
        let mut endpoint = url.clone();
        endpoint.set_query(None);
        endpoint.set_path("/");
        let region = region.unwrap_or_else(|| REGION.to_owned());
        let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, (*name).to_owned(), region);
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE_CONNECTING))
            .user_agent(concat!("livepatch-server/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self {
            bucket: bucket.map_err(|_| wrong())?,
            credentials: keys.into_credentials(),
            prefix: below.iter().map(|part| format!("{part}/")).collect(),
            agent: agent.into(),
        })
    }

    /// What is below a directory of this place.
    pub fn below(&self, directory: &str) -> Self {
        Self { prefix: format!("{}{directory}/", self.prefix), ..self.clone() }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A page of the names below a prefix, and where the next one begins.
    fn page(&self, prefix: &str, from: Option<&str>) -> io::Result<(Vec<String>, Option<String>)> {
        let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
        list.with_prefix(prefix.to_owned());
        // Our names need no encoding, and stores do not agree on what becomes of a plus sign in it.
        list.query_mut().remove("encoding-type");
        if let Some(from) = from {
            list.with_continuation_token(from.to_owned());
        }
        let url = list.sign(SIGNED_FOR);
        let mut answer = self.patiently(|| self.agent.get(url.as_str()).call())?;
        if !answer.status().is_success() {
            return Err(refused("list", prefix, &mut answer));
        }
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string();
        let body = body.map_err(|error| away(&error))?;
        let page = ListObjectsV2::parse_response(&body).map_err(io::Error::other)?;
        Ok((page.contents.into_iter().map(|object| object.key).collect(), page.next_continuation_token))
    }

    /// Asks again when the store is away, or says that it is busy or broken: every request may be made twice.
    fn patiently(
        &self,
        mut request: impl FnMut() -> Result<Response<Body>, ureq::Error>,
    ) -> io::Result<Response<Body>> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match request() {
                Ok(answer) if answer.status().is_server_error() || answer.status() == 429 => {}
                Err(ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed) => {}
                other => return other.map_err(|error| away(&error)),
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        request().map_err(|error| away(&error))
    }
}

impl Files for Bucket {
    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let key = self.key(name);
        let url = self.bucket.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let mut answer = self.patiently(|| self.agent.get(url.as_str()).call())?;
        if !answer.status().is_success() {
            return Err(refused("read", &key, &mut answer));
        }
        // One more than allowed, so that a longer object is told from one that fits exactly.
        let body = answer.body_mut().with_config().limit(limit.saturating_add(1)).read_to_vec();
        match body {
            Ok(bytes) if bytes.len() as u64 <= limit => Ok(bytes),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(io::ErrorKind::FileTooLarge.into()),
            Err(error) => Err(away(&error)),
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let key = self.key(name);
        let url = self.bucket.put_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let kind = if name.ends_with(".json") { "application/json" } else { "application/octet-stream" };
        let policy = if name.ends_with("timestamp.json") { ASK_EVERY_TIME } else { FOR_EVER };
        let put = || {
            let request = self.agent.put(url.as_str()).header("Content-Type", kind);
            request.header("Cache-Control", policy).send(content)
        };
        let mut answer = self.patiently(put)?;
        if answer.status().is_success() { Ok(()) } else { Err(refused("write", &key, &mut answer)) }
    }

    fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        let prefix = self.key(&format!("{directory}/"));
        let (mut names, mut from) = (Vec::new(), None);
        loop {
            let (keys, next) = self.page(&prefix, from.as_deref())?;
            names.extend(keys.iter().filter_map(|key| key.strip_prefix(&self.prefix)).map(str::to_owned));
            from = next;
            if from.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        format!("{}/{}", self.bucket.base_url().as_str().trim_end_matches('/'), self.key(name)).into()
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Shows no key.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.place("").display())
    }
}

fn away(error: &ureq::Error) -> io::Error {
    io::Error::other(format!("the object store does not answer: {error}"))
}

/// What the store said no with. A missing object is told from a missing bucket, which is no empty one.
fn refused(action: &str, key: &str, answer: &mut Response<Body>) -> io::Error {
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string().unwrap_or_default();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    let kind = match (status.as_u16(), code) {
        (404, "NoSuchBucket") => io::ErrorKind::Other,
        (404, _) => io::ErrorKind::NotFound,
        (401 | 403, _) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("the object store refuses to {action} {key}: {status} {code}"))
}
