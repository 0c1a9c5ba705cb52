//! An operator's day: the real `livepatch-admin` against the real `livepatch-server`.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_api::{
    CertificateAdded, LivepatchSummary, MachineSummary, PublishAnswer, TokenCreated, TokenSummary,
};
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

const NAME: &str = "livepatch_6_1_0_55_cloud_amd64_1";
const RELEASE: &str = "6.1.0-55-cloud-amd64";
const BUILD_ID: &str = "3b43fad53b43fad53b43fad53b43fad53b43fad5";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate_sized(KeySize::Rsa2048, "Test module key", SystemTime::now()).unwrap()
});

/// `livepatch-server` beside our own program. Cargo builds only this crate's programs for this test, so ask for it, unless
/// `cargo xtask test` has built it with everything else.
static SERVER: LazyLock<PathBuf> = LazyLock::new(|| {
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

struct Site {
    directory: TempDir,
    url: String,
    server: Child,
}

impl Site {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
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

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn admin(&self, arguments: &[&str]) -> Output {
        admin(&self.url, &self.path("data/admin.key"), arguments)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.admin(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let text = self.done(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What was said on standard error when it failed, with status 1.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.admin(arguments);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("livepatch-admin: "), "{said}");
        said
    }

    /// A signed build's directory: module, manifest, certificate.
    fn build(&self) {
        let signed = livepatch_module::sign(&module(), &KEY).unwrap();
        fs::write(self.path("module.ko"), &signed).unwrap();
        fs::write(self.path("manifest.json"), manifest(&signed).to_canonical_bytes().unwrap()).unwrap();
        fs::write(self.path("cert.pem"), KEY.certificate().to_pem()).unwrap();
    }

    fn add_certificate(&self) {
        self.done(&["certificate", "add", self.path("cert.pem").to_str().unwrap()]);
    }

    fn publish_arguments(&self) -> [String; 6] {
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

fn admin(url: &str, key_file: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_livepatch-admin"))
        .env_remove("LIVEPATCH_ADMIN_KEY")
        .args(["--server", url, "--key-file"])
        .arg(key_file)
        .args(arguments)
        .output()
        .unwrap()
}

fn module() -> Vec<u8> {
    let infos = [
        "license=GPL".to_owned(),
        format!("name={NAME}"),
        "livepatch=Y".to_owned(),
        format!("livepatch_build_id={BUILD_ID}"),
        format!("livepatch_release={RELEASE}"),
        format!("vermagic={RELEASE} SMP "),
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

fn manifest(module: &[u8]) -> Manifest {
    Manifest {
        schema: SCHEMA,
        name: NAME.into(),
        version: 1,
        kernel: KernelIdentity {
            release: RELEASE.parse().unwrap(),
            build_id: BUILD_ID.parse().unwrap(),
            arch: "x86_64".into(),
        },
        module: ModuleRecord {
            sha256: Digest::of(module),
            size: module.len() as u64,
            vermagic: format!("{RELEASE} SMP "),
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

#[test]
fn a_login_is_an_address_of_the_dashboard() {
    let site = Site::start();
    let address = site.done(&["dashboard", "login"]);
    assert!(address.starts_with(&format!("{}/dashboard/login?code=", site.url)), "{address}");
    assert_eq!(address.lines().count(), 1);
}

#[test]
fn from_certificate_to_promotion() {
    let site = Site::start();
    site.build();
    let early = site.refused(&["token", "create", "--tier", "edge"]);
    assert!(early.contains("livepatch-admin certificate add"), "{early}");

    let certificate = site.path("cert.pem");
    let added: CertificateAdded = site.json(&["certificate", "add", certificate.to_str().unwrap()]);
    let created: TokenCreated =
        site.json(&["token", "create", "--tier", "edge", "--uses", "3", "--expires", "30d", "--note", "lab"]);
    let token: livepatch_api::EnrolmentToken = created.token.parse().unwrap();
    assert_eq!(token.trust_anchor, added.trust_anchor);
    // In text form the token stands alone on standard output, for scripts.
    let text = site.done(&["token", "create", "--tier", "stable"]);
    text.trim().parse::<livepatch_api::EnrolmentToken>().unwrap();
    let tokens: Vec<TokenSummary> = site.json(&["token", "list"]);
    assert_eq!(tokens.len(), 2);
    assert!(
        tokens.iter().any(|token| token.uses == Some(3) && token.expires.is_some() && token.note == "lab")
    );
    let table = site.done(&["token", "list"]);
    assert!(
        table.contains("0 of 3") && table.contains("0 of any") && !table.contains(&token.secret),
        "{table}"
    );

    assert_eq!(site.done(&["livepatch", "list"]), "Nothing is published.\n");
    let arguments = site.publish_arguments();
    let answer: PublishAnswer = site.json(&arguments.each_ref().map(String::as_str));
    assert_eq!((answer.name.as_str(), answer.tiers.as_slice()), (NAME, &["edge".to_owned()][..]));
    let said = site.done(&["promote", NAME, "--to", "beta"]);
    assert_eq!(said, format!("promoted {NAME} version 1: available to edge, beta (targets version 3)\n"));
    let list: Vec<LivepatchSummary> = site.json(&["livepatch", "list"]);
    assert_eq!(list[0].tiers, ["edge", "beta"]);
    let table = site.done(&["livepatch", "list"]);
    assert!(
        table.contains(NAME) && table.contains("edge, beta") && table.contains("CVE-2026-93146"),
        "{table}"
    );

    assert_eq!(site.done(&["machine", "list"]), "No machine has enrolled.\n");
    assert!(site.json::<Vec<MachineSummary>>(&["machine", "list"]).is_empty());
}

#[test]
fn publishing_confirms_on_one_line() {
    let site = Site::start();
    site.build();
    site.add_certificate();
    let arguments = site.publish_arguments();
    let output = site.admin(&arguments.each_ref().map(String::as_str));
    let (out, notes) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(out, format!("published {NAME} version 1: available to edge (targets version 2)\n"));
    assert_eq!((notes.lines().count(), notes.contains(NAME)), (1, true), "{notes}");
}

#[test]
fn failures_say_what_to_do() {
    let site = Site::start();
    site.build();
    site.add_certificate();
    let tier = site.refused(&["token", "create", "--tier", "nightly"]);
    assert!(tier.contains("edge, beta, candidate, stable"), "{tier}");
    let unknown = site.refused(&["promote", NAME, "--to", "beta"]);
    assert!(unknown.contains("livepatch list"), "{unknown}");

    // Another module than the manifest's, and one that was never signed.
    let arguments = site.publish_arguments();
    let arguments = arguments.each_ref().map(String::as_str);
    let signed = fs::read(site.path("module.ko")).unwrap();
    fs::write(site.path("module.ko"), module()).unwrap();
    assert!(site.refused(&arguments).contains("sign again"));
    let mut unsigned = manifest(&module());
    unsigned.module.signer = None;
    fs::write(site.path("manifest.json"), unsigned.to_canonical_bytes().unwrap()).unwrap();
    assert!(site.refused(&arguments).contains("livepatch-build sign"));
    // Signed, says the manifest; the server looks itself.
    fs::write(site.path("manifest.json"), manifest(&module()).to_canonical_bytes().unwrap()).unwrap();
    assert!(site.refused(&arguments).contains("not signed"));
    fs::write(site.path("module.ko"), signed).unwrap();
    fs::write(site.path("manifest.json"), "{}").unwrap();
    assert!(site.refused(&arguments).contains("manifest.json"));
}

#[test]
fn wrong_key_and_absent_server() {
    let site = Site::start();
    let key = site.path("other.key");
    let said = |output: Output| {
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(&key, format!("{}\n", "x".repeat(43))).unwrap();
    assert!(said(admin(&site.url, &key, &["machine", "list"])).contains("--key-file"));
    fs::write(&key, "").unwrap();
    assert!(said(admin(&site.url, &key, &["machine", "list"])).contains("no key file"));
    fs::remove_file(&key).unwrap();
    assert!(said(admin(&site.url, &key, &["machine", "list"])).contains("cannot be read"));
    // Port 9 of loopback: nobody listens.
    let key = site.path("data/admin.key");
    assert!(said(admin("http://127.0.0.1:9", &key, &["machine", "list"])).contains("cannot be reached"));
    // Encryption is set up before the first connection; the other end speaks none.
    let encrypted = site.url.replacen("http:", "https:", 1);
    assert!(said(admin(&encrypted, &key, &["machine", "list"])).contains("cannot be reached"));
    assert!(said(admin("ftp://127.0.0.1", &key, &["machine", "list"])).contains("no server's URL"));
    let bare = Command::new(env!("CARGO_BIN_EXE_livepatch-admin"))
        .args(["machine", "list"])
        .env_remove("LIVEPATCH_ADMIN_KEY")
        .output()
        .unwrap();
    assert!(said(bare).contains("LIVEPATCH_ADMIN_KEY"));
}

#[test]
fn usage_has_its_own_status() {
    let status =
        |arguments: &[&str]| admin("http://127.0.0.1:9", Path::new("/nowhere"), arguments).status.code();
    assert_eq!(status(&["--help"]), Some(0));
    for arguments in [
        &[][..],
        &["tokens"],
        &["token", "create"],
        &["token", "create", "--tier", "edge", "--uses", "0"],
        &["token", "create", "--tier", "edge", "--expires", "soon"],
        &["publish", "module.ko", "--tier", "edge"],
        &["machine", "list", "--format", "yaml"],
    ] {
        assert_eq!(status(arguments), Some(2), "{arguments:?}");
    }
}
