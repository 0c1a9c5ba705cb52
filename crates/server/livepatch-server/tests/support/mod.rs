//! The real program on a free port with a data directory of its own, and everybody who talks to it.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a failed expectation is the test's answer

use livepatch_api::{
    ApiError, CertificateAdded, CertificateRequest, EnrolRequest, ErrorCode, RolloutRequest, TokenCreated,
    TokenRequest, paths,
};
use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance, SCHEMA};
use livepatch_module::{KeySize, SigningKey};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use ureq::Agent;

pub(crate) const RELEASE: &str = "6.1.0-55-cloud-amd64";
const BUILD_ID: &str = "3b43fad53b43fad53b43fad53b43fad53b43fad5";
const VERMAGIC: &str = "6.1.0-55-cloud-amd64 SMP preempt mod_unload modversions ";
pub(crate) const MACHINE: &str = "3a1f7f0e-6f0c-4f6e-9a63-0c2a6b1c5d11";

/// Signing keys are slow to make: one for all tests, and one that no server trusts.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| key("Test module key"));
pub(crate) static STRANGER: LazyLock<SigningKey> = LazyLock::new(|| key("Somebody else"));

fn key(name: &str) -> SigningKey {
    SigningKey::generate_sized(KeySize::Rsa2048, name, SystemTime::now()).unwrap()
}

/// A running server.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) url: String,
    /// Where `/metrics` is, with `--metrics-listen`.
    pub(crate) metrics: Option<String>,
    program: Child,
    agent: Agent,
}

/// What came back: the document, or status and error.
pub(crate) type Answer<T> = Result<T, (u16, ApiError)>;

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// With one certificate registered, that of [`KEY`].
    pub(crate) fn with_certificate() -> Self {
        let server = Self::start();
        let request = CertificateRequest { pem: KEY.certificate().to_pem().to_owned() };
        server.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &request).unwrap();
        server
    }

    pub(crate) fn start_in(directory: TempDir) -> Self {
        Self::start_with(directory, &[], &[])
    }

    /// With more arguments and variables.
    pub(crate) fn start_with(directory: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let log =
            fs::File::options().create(true).append(true).open(directory.path().join("server.log")).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_livepatch-server"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("data"))
            .args(arguments)
            .env("LIVEPATCH_LOG", "debug")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut words = BufReader::new(program.stdout.take().unwrap()).lines();
        let mut told = |what: &str| words.next().unwrap().unwrap().strip_prefix(what).unwrap().to_owned();
        let url = told("listening on ");
        let metrics = arguments.contains(&"--metrics-listen").then(|| told("metrics on "));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { directory, url, metrics, program, agent: agent.into() }
    }

    pub(crate) fn data(&self, path: &str) -> PathBuf {
        self.directory.path().join("data").join(path)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("server.log")).unwrap()
    }

    pub(crate) fn admin_key(&self) -> String {
        fs::read_to_string(self.data("admin.key")).unwrap().trim().to_owned()
    }

    /// Sends a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.program.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// SIGTERM, and the exit status that follows.
    pub(crate) fn stop(mut self) -> (TempDir, Option<i32>) {
        self.signal("TERM");
        let limit = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < limit, "the server does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        (std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap()), status)
    }

    /// SIGKILL; its data directory stays.
    pub(crate) fn kill(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }

    pub(crate) fn get_bytes(&self, path: &str) -> (u16, Vec<u8>) {
        self.get_bytes_of(&self.url, path)
    }

    /// From another address of it.
    pub(crate) fn get_bytes_of(&self, url: &str, path: &str) -> (u16, Vec<u8>) {
        let mut response = self.agent.get(format!("{url}{path}")).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_vec().unwrap())
    }

    pub(crate) fn header(&self, path: &str, name: &str) -> String {
        let response = self.agent.get(format!("{}{path}", self.url)).call().unwrap();
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The status of a request without a body, whatever the answer is.
    pub(crate) fn status(&self, method: &str, path: &str, secret: Option<&str>) -> u16 {
        let request = ureq::http::Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        let request = match secret {
            Some(secret) => request.header("authorization", format!("Bearer {secret}")),
            None => request,
        };
        self.agent.run(request.body(()).unwrap()).unwrap().status().as_u16()
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, secret: &str) -> Answer<T> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {secret}"));
        read(request.call().unwrap())
    }

    pub(crate) fn send<T: DeserializeOwned>(&self, path: &str, secret: &str, body: &[u8]) -> Answer<T> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.header("authorization", format!("Bearer {secret}")).send(body).unwrap())
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        secret: &str,
        document: &impl Serialize,
    ) -> Answer<T> {
        self.send(path, secret, &serde_json::to_vec(document).unwrap())
    }

    pub(crate) fn admin_get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.get(path, &self.admin_key())
    }

    pub(crate) fn admin_post<T: DeserializeOwned>(&self, path: &str, document: &impl Serialize) -> Answer<T> {
        self.post(path, &self.admin_key(), document)
    }

    /// A token's secret, for the tier edge.
    pub(crate) fn token(&self, uses: Option<u32>, expires_after: Option<u64>) -> String {
        let request =
            TokenRequest { tier: "edge".into(), uses, expires_after, note: String::new(), tags: vec![] };
        let created: TokenCreated = self.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
        created.token.parse::<livepatch_api::EnrolmentToken>().unwrap().secret
    }

    pub(crate) fn publish<T: DeserializeOwned>(
        &self,
        module: &[u8],
        manifest: &Manifest,
        tier: &str,
    ) -> Answer<T> {
        let header = livepatch_api::PublishHeader { manifest: manifest.clone(), tier: tier.into() };
        let body = [&serde_json::to_vec(&header).unwrap()[..], b"\n", module].concat();
        self.send(paths::ADMIN_LIVEPATCHES, &self.admin_key(), &body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn read<T: DeserializeOwned>(mut response: ureq::http::Response<ureq::Body>) -> Answer<T> {
    let status = response.status();
    let body = response.body_mut().read_to_vec().unwrap();
    let text = String::from_utf8_lossy(&body);
    if status.is_success() {
        return Ok(serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {text}")));
    }
    let error: ApiError =
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{status} {error}: {text}"));
    Err((status.as_u16(), error))
}

/// The first livepatch on its way to the tier stable.
pub(crate) fn rollout(profile: &str) -> RolloutRequest {
    RolloutRequest {
        release: "2026-11".into(),
        livepatches: vec![name(1)],
        tier: "stable".into(),
        profile: profile.into(),
        windows: vec![],
        withdraw_on_halt: false,
    }
}

/// The status and code of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> (u16, ErrorCode) {
    let (status, error) = answer.unwrap_err();
    assert!(!error.message.is_empty());
    (status, error.code)
}

pub(crate) fn kernel() -> KernelIdentity {
    KernelIdentity {
        release: RELEASE.parse().unwrap(),
        build_id: BUILD_ID.parse().unwrap(),
        arch: "x86_64".into(),
    }
}

pub(crate) fn machine(id: &str) -> EnrolRequest {
    EnrolRequest {
        machine_id: id.into(),
        hostname: "web-1".into(),
        kernel: kernel(),
        client_version: "0.1.0".into(),
    }
}

/// An unsigned module of that version, compiled here.
pub(crate) fn module(version: u32) -> Vec<u8> {
    let infos = [
        "license=GPL".to_owned(),
        format!("name={}", name(version)),
        "livepatch=Y".to_owned(),
        format!("livepatch_build_id={BUILD_ID}"),
        format!("livepatch_release={RELEASE}"),
        format!("vermagic={VERMAGIC}"),
    ];
    compile(&infos)
}

/// A relocatable object with these modinfo strings.
pub(crate) fn compile(infos: &[String]) -> Vec<u8> {
    let strings = infos.iter().enumerate().map(|(at, info)| {
        let placed = "__attribute__((section(\".modinfo\"), used, aligned(1)))";
        format!("{placed} static const char info{at}[] = \"{info}\";\n")
    });
    let source: String = strings.chain(["int patched(void) { return 1; }\n".to_owned()]).collect();
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("module.ko");
    let mut gcc = Command::new("gcc")
        .args(["-c", "-O2", "-fno-toplevel-reorder", "-fno-pic", "-x", "c", "-", "-o"])
        .arg(&output)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    gcc.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(gcc.wait().unwrap().success());
    fs::read(output).unwrap()
}

pub(crate) fn name(version: u32) -> String {
    format!("livepatch_6_1_0_55_cloud_amd64_{version}")
}

/// A signed module of that version and its manifest.
pub(crate) fn livepatch(version: u32) -> (Vec<u8>, Manifest) {
    let signed = livepatch_module::sign(&module(version), &KEY).unwrap();
    let manifest = describe(&signed, version, &KEY);
    (signed, manifest)
}

/// The manifest that goes with a module.
pub(crate) fn describe(module: &[u8], version: u32, signer: &SigningKey) -> Manifest {
    Manifest {
        schema: SCHEMA,
        name: name(version),
        version,
        kernel: kernel(),
        module: ModuleRecord {
            sha256: Digest::of(module),
            size: module.len() as u64,
            vermagic: VERMAGIC.into(),
            signer: Some(Digest::of(signer.certificate().to_der())),
        },
        fixes: vec![Fix::new("CVE-2026-93146", "offsets")],
        objects: vec![],
        provenance: Provenance {
            builder: "0.1.0".into(),
            compiler: "gcc 12.2.0".into(),
            source: "linux-source-6.1 6.1.192-1".into(),
            patch_sha256: Digest::of(b"patch"),
        },
    }
}
