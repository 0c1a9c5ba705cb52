//! The real `livepatch-admin` against the real `livepatch-server`.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a failed expectation is the test's answer

use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance, SCHEMA};
use livepatch_module::{KeySize, SigningKey};
use serde::de::DeserializeOwned;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
    time::SystemTime,
};
use tempfile::TempDir;

pub(crate) const NAME: &str = "livepatch_6_1_0_55_cloud_amd64_1";
pub(crate) const RELEASE: &str = "6.1.0-55-cloud-amd64";
pub(crate) const BUILD_ID: &str = "3b43fad53b43fad53b43fad53b43fad53b43fad5";

pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate_sized(KeySize::Rsa2048, "Test module key", SystemTime::now()).unwrap()
});

/// `livepatch-server` beside our own program. Cargo builds only this crate's programs for this test, so ask for it, unless
/// `cargo xtask test` has built it with everything else.
pub(crate) static SERVER: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(programs) = std::env::var_os("LIVEPATCH_PROGRAMS") {
        return Path::new(&programs).join("livepatch-server");
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built =
        Command::new(cargo).args(["build", "--quiet", "--package", "livepatch-server"]).status().unwrap();
    assert!(built.success());
    let path = Path::new(env!("CARGO_BIN_EXE_livepatch-admin")).with_file_name("livepatch-server");
    assert!(path.is_file(), "{} is missing", path.display());
    path
});

pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) url: String,
    server: Child,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Kills the server, without a word.
    pub(crate) fn kill(mut self) -> TempDir {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_in(directory: TempDir) -> Self {
        let mut server = Command::new(&*SERVER)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.path().join("server.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { directory, url, server }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn admin(&self, arguments: &[&str]) -> Output {
        admin(&self.url, &self.path("data/admin.key"), arguments)
    }

    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.admin(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let text = self.done(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What was said on standard error when it failed, with status 1.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.admin(arguments);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("livepatch-admin: "), "{said}");
        said
    }

    /// A signed build's directory: module, manifest, certificate.
    pub(crate) fn build(&self) {
        let signed = livepatch_module::sign(&module(), &KEY).unwrap();
        fs::write(self.path("module.ko"), &signed).unwrap();
        fs::write(self.path("manifest.json"), manifest(&signed).to_canonical_bytes().unwrap()).unwrap();
        fs::write(self.path("cert.pem"), KEY.certificate().to_pem()).unwrap();
    }

    pub(crate) fn add_certificate(&self) {
        self.done(&["certificate", "add", self.path("cert.pem").to_str().unwrap()]);
    }

    pub(crate) fn publish_arguments(&self) -> [String; 6] {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        ["publish", &path("module.ko"), "--manifest", &path("manifest.json"), "--tier", "edge"]
            .map(str::to_owned)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(crate) fn admin(url: &str, key_file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_livepatch-admin"))
        .env_remove("LIVEPATCH_ADMIN_KEY")
        .args(["--server", url, "--key-file"])
        .arg(key_file)
        .args(arguments)
        .output()
        .unwrap()
}

/// The module of the usual kernel, version 1, not signed.
pub(crate) fn module() -> Vec<u8> {
    compile(NAME, RELEASE)
}

/// Another for each release.
fn build_id(release: &str) -> String {
    if release == RELEASE {
        BUILD_ID.to_owned()
    } else {
        Digest::of(release.as_bytes()).as_str()[..40].to_owned()
    }
}

/// A relocatable object that says that it is a livepatch.
pub(crate) fn compile(name: &str, release: &str) -> Vec<u8> {
    let infos = [
        "license=GPL".to_owned(),
        format!("name={name}"),
        "livepatch=Y".to_owned(),
        format!("livepatch_build_id={}", build_id(release)),
        format!("livepatch_release={release}"),
        format!("vermagic={release} SMP "),
    ];
    let strings = infos.iter().enumerate().map(|(at, info)| {
        let placed = "__attribute__((section(\".modinfo\"), used, aligned(1)))";
        format!("{placed} static const char info{at}[] = \"{info}\";\n")
    });
    let source: String = strings.collect();
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("module.ko");
    let mut gcc = Command::new("gcc")
        .args(["-c", "-fno-toplevel-reorder", "-x", "c", "-", "-o"])
        .arg(&output)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    gcc.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(gcc.wait().unwrap().success());
    fs::read(output).unwrap()
}

pub(crate) fn manifest(module: &[u8]) -> Manifest {
    describe(module, NAME, RELEASE, 1)
}

/// The manifest that goes with a signed module.
pub(crate) fn describe(module: &[u8], name: &str, release: &str, version: u32) -> Manifest {
    Manifest {
        schema: SCHEMA,
        name: name.into(),
        version,
        kernel: KernelIdentity {
            release: release.parse().unwrap(),
            build_id: build_id(release).parse().unwrap(),
            arch: "x86_64".into(),
        },
        module: ModuleRecord {
            sha256: Digest::of(module),
            size: module.len() as u64,
            vermagic: format!("{release} SMP "),
            signer: Some(Digest::of(KEY.certificate().to_der())),
        },
        fixes: vec![Fix::new("CVE-2026-93146", "offsets")],
        objects: vec![],
        provenance: Provenance {
            builder: "0.1.0".into(),
            compiler: "gcc".into(),
            source: "linux-source-6.1".into(),
            patch_sha256: Digest::of(b"patch"),
        },
    }
}
