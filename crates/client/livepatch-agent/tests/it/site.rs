//! A server: a real repository as static files, and just enough of the API.

use crate::module::{KEY, manifest};
use livepatch_api::{ApiError, CheckInRequest, EnrolmentToken, ErrorCode, TrustAnchor, paths};
use livepatch_manifest::{Digest, Manifest};
use livepatch_trust::{Lifetimes, Publisher, Role};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime},
};
use url::Url;

const SECRET: &str = "abcdefghijklmnopqrstuvwxyz012345";
const CREDENTIAL: &str = "credentialcredentialcredential01";

pub(crate) struct Site {
    directory: tempfile::TempDir,
    url: Url,
    anchor: Vec<u8>,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    anchor: Vec<u8>,
    reports: Vec<CheckInRequest>,
    tier: String,
    down: bool,
    api_down: bool,
    requests: Vec<String>,
    /// The directory that is served; a thief's, for a while.
    files: PathBuf,
    /// The answer to a path with this ending has no end.
    endless: Option<&'static str>,
    /// How much of such answers was taken.
    taken: u64,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (repository, keys) = (directory.path().join("repository"), directory.path().join("keys"));
        let now = SystemTime::now();
        let mut publisher = Publisher::create(&repository, &keys, Lifetimes::default(), now).unwrap();
        publisher.commit(now).unwrap();
        let anchor = TrustAnchor {
            schema: 1,
            tuf_root: publisher.root_document().to_owned(),
            module_certificates: vec![KEY.certificate().to_pem().to_owned()],
            site: None,
            origins: vec![],
        };
        let anchor = anchor.to_bytes().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            anchor: anchor.clone(),
            reports: Vec::new(),
            tier: "edge".into(),
            down: false,
            api_down: false,
            requests: Vec::new(),
            files: directory.path().to_owned(),
            endless: None,
            taken: 0,
        }));
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&for_thread);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { directory, url, anchor, shared }
    }

    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }

    /// A token that the server knows.
    pub(crate) fn token(&self) -> EnrolmentToken {
        EnrolmentToken { secret: SECRET.into(), trust_anchor: Digest::of(&self.anchor) }
    }

    /// The static files as a directory, as a mirror's copy on a disk would be.
    pub(crate) fn as_directory(&self) -> Url {
        let trust = self.directory.path().join("v1/trust");
        fs::create_dir_all(&trust).unwrap();
        fs::write(trust.join(Digest::of(&self.anchor).as_str()), &self.anchor).unwrap();
        Url::from_directory_path(self.directory.path()).unwrap()
    }

    pub(crate) fn publish(&self, version: u32, module: &[u8]) -> Manifest {
        self.publish_as(manifest(version, module), module, "edge")
    }

    pub(crate) fn publish_as(&self, manifest: Manifest, module: &[u8], tier: &str) -> Manifest {
        let mut publisher = self.publisher(Lifetimes::default());
        publisher.stage(module, &manifest, &[tier.to_owned()]).unwrap();
        publisher.commit(SystemTime::now()).unwrap();
        manifest
    }

    pub(crate) fn publish_document(&self, name: &str, content: &[u8]) {
        let mut publisher = self.publisher(Lifetimes::default());
        publisher.stage_document(name, content).unwrap();
        publisher.commit(SystemTime::now()).unwrap();
    }

    pub(crate) fn withdraw(&self, name: &str) {
        let mut publisher = self.publisher(Lifetimes::default());
        publisher.remove(name).unwrap();
        publisher.commit(SystemTime::now()).unwrap();
    }

    /// Signs metadata that are out of date already.
    pub(crate) fn expire(&self) {
        let day = Duration::from_secs(86_400);
        let mut publisher = self.publisher(Lifetimes { timestamp: day, ..Lifetimes::default() });
        publisher.commit(SystemTime::now() - 10 * day).unwrap();
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.directory.path().join("repository/metadata")
    }

    /// Changes a byte of every published module's file.
    pub(crate) fn alter_modules(&self) {
        let targets = self.directory.path().join("repository/targets").join(crate::kernel::RELEASE);
        for entry in fs::read_dir(targets).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }

    /// Changes a byte of every published verdict file.
    pub(crate) fn alter_documents(&self) {
        let folder = self.directory.path().join("repository/targets/documents/verdicts/debian/bookworm");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }

    /// A thief's copy of the repository and of these roles' keys, in a directory of its own.
    pub(crate) fn stolen(&self, roles: &[Role]) -> tempfile::TempDir {
        let thief = tempfile::tempdir().unwrap();
        fs::create_dir(thief.path().join("keys")).unwrap();
        for role in roles {
            let key = format!("keys/{role}.pem");
            fs::copy(self.directory.path().join(&key), thief.path().join(&key)).unwrap();
        }
        copy_tree(&self.directory.path().join("repository"), &thief.path().join("repository"));
        thief
    }

    /// Serves another directory: whoever does so sits between the machine and the server.
    pub(crate) fn serve_instead(&self, directory: &Path) {
        self.shared.lock().unwrap().files = directory.to_owned();
    }

    /// Serves the true repository again.
    pub(crate) fn serve_truth(&self) {
        self.serve_instead(self.directory.path());
    }

    /// Answers paths with this ending with bytes that never end.
    pub(crate) fn set_endless(&self, ending: Option<&'static str>) {
        self.shared.lock().unwrap().endless = ending;
    }

    /// How many bytes of such answers were sent before the machine hung up.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.lock().unwrap().taken
    }

    /// Fresh keys for these roles; the old ones have no power from then on.
    pub(crate) fn rotate(&self, roles: &[Role]) {
        let mut publisher = self.publisher(Lifetimes::default());
        for role in roles {
            publisher.rotate(*role, SystemTime::now()).unwrap();
        }
    }

    /// Signs the current state with a timestamp that lasts so long.
    pub(crate) fn sign_for(&self, life: Duration) {
        let mut publisher = self.publisher(Lifetimes { timestamp: life, ..Lifetimes::default() });
        publisher.commit(SystemTime::now()).unwrap();
    }

    /// Serves something else as the trust anchor of every token.
    pub(crate) fn replace_anchor(&self) {
        self.shared.lock().unwrap().anchor.push(b' ');
    }

    /// Whether every request is dropped.
    pub(crate) fn set_down(&self, down: bool) {
        self.shared.lock().unwrap().down = down;
    }

    /// Whether the dynamic plane alone is broken.
    pub(crate) fn set_api_down(&self, down: bool) {
        self.shared.lock().unwrap().api_down = down;
    }

    pub(crate) fn reports(&self) -> Vec<CheckInRequest> {
        self.shared.lock().unwrap().reports.clone()
    }

    /// The request lines so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }

    fn publisher(&self, lifetimes: Lifetimes) -> Publisher {
        let directory = self.directory.path();
        Publisher::open(&directory.join("repository"), &directory.join("keys"), lifetimes).unwrap()
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &place);
        } else {
            fs::copy(&path, &place).unwrap();
        }
    }
}

fn serve(stream: TcpStream, state: &Mutex<Shared>) {
    let mut output = stream.try_clone().unwrap();
    let mut input = BufReader::new(stream);
    while let Some((request, bearer, body)) = read_request(&mut input) {
        let mut shared = state.lock().unwrap();
        if shared.down {
            return;
        }
        shared.requests.push(request.clone());
        if shared.endless.is_some_and(|ending| request.ends_with(ending)) {
            drop(shared);
            return pour(&mut output, state);
        }
        let files = shared.files.clone();
        let (status, answer) = respond(&request, &bearer, &body, &files, &mut shared);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
        if output.write_all(&[head.as_bytes(), &answer].concat()).is_err() {
            return;
        }
    }
}

/// Bytes without end, until the other side has had enough.
fn pour(output: &mut TcpStream, shared: &Mutex<Shared>) {
    let mut sent = output.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n");
    while sent.is_ok() {
        sent = output.write_all(&[b' '; 16 << 10]);
        shared.lock().unwrap().taken += 16 << 10;
    }
}

fn read_request(input: &mut impl std::io::BufRead) -> Option<(String, String, Vec<u8>)> {
    let (mut request, mut bearer, mut length) = (String::new(), String::new(), 0);
    input.read_line(&mut request).ok().filter(|read| *read > 0)?;
    for line in input.by_ref().lines() {
        let line = line.ok()?.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("authorization: bearer ") {
            bearer = value.to_owned();
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let mut words = request.split(' ');
    Some((format!("{} {}", words.next()?, words.next()?), bearer, body))
}

fn respond(request: &str, bearer: &str, body: &[u8], files: &Path, shared: &mut Shared) -> (u16, Vec<u8>) {
    let (method, path) = request.split_once(' ').unwrap();
    let json = |value: serde_json::Value| (200, value.to_string().into_bytes());
    match (method, path) {
        ("POST", _) if shared.api_down => (503, b"no database".to_vec()),
        ("POST", paths::ENROL) if bearer == SECRET => {
            json(serde_json::json!({"credential": CREDENTIAL, "tier": shared.tier}))
        }
        ("POST", paths::ENROL) => error(ErrorCode::UnknownToken),
        ("POST", paths::CHECK_IN) if bearer == CREDENTIAL => {
            shared.reports.push(serde_json::from_slice(body).unwrap());
            json(serde_json::json!({"tier": shared.tier}))
        }
        ("POST", _) => error(ErrorCode::Unauthorized),
        _ if path.starts_with(paths::TRUST) => (200, shared.anchor.clone()),
        _ => fs::read(files.join(path.trim_start_matches('/'))).map_or((404, vec![]), |bytes| (200, bytes)),
    }
}

fn error(code: ErrorCode) -> (u16, Vec<u8>) {
    let error = ApiError { code, message: "no".into() };
    (401, serde_json::to_vec(&error).unwrap())
}
