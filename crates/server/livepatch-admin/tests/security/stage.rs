//! A server with an operator, and a machine.

use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance, SCHEMA};
use livepatch_module::{KeySize, SigningKey};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;

pub(crate) const RELEASE: &str = "6.1.0-54-cloud-amd64";
pub(crate) const NAME: &str = "livepatch_6_1_0_54_cloud_amd64_1";
const BUILD_ID: [u8; 20] = [0xab; 20];
const VERMAGIC: &str = "6.1.0-54-cloud-amd64 SMP preempt mod_unload modversions ";
const VERSION: &str =
    "Linux version 6.1.0-54-cloud-amd64 (x) (gcc) #1 SMP PREEMPT_DYNAMIC Debian 6.1.190-1 (2026-10-16)\n";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate_sized(KeySize::Rsa2048, "Test module key", SystemTime::now()).unwrap()
});

/// Where the programs of the other packages are. Cargo builds only this crate's for this test, so ask for them, unless
/// `cargo xtask test` has built them with everything else.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(programs) = std::env::var_os("LIVEPATCH_PROGRAMS") {
        return programs.into();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages =
        ["livepatch-server", "livepatch-agent", "livepatch"].map(|name| ["--package", name]).concat();
    let built = Command::new(cargo).args(["build", "--quiet"]).args(packages).status().unwrap();
    assert!(built.success());
    Path::new(env!("CARGO_BIN_EXE_livepatch-admin")).parent().unwrap().to_owned()
});

pub(crate) struct Stage {
    pub(crate) directory: TempDir,
    pub(crate) url: String,
    server: Child,
    daemon: Option<Child>,
}

impl Stage {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Command::new(PROGRAMS.join("livepatch-server"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("data"))
            .args(arguments)
            .env("LIVEPATCH_LOG", "livepatch_server=debug,tower_http=debug")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.path().join("server.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { directory, url, server, daemon: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn admin(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_livepatch-admin"))
            .args(["--server", &self.url])
            .env("LIVEPATCH_ADMIN_KEY", self.path("data/admin.key"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The server's log, which names every request.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("server.log")).unwrap()
    }

    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.admin(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.done(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Publishes a livepatch for the machine's kernel that mends this vulnerability.
    pub(crate) fn publish(&self, cve: &str) {
        let certificate = self.write("cert.pem", KEY.certificate().to_pem());
        self.done(&["certificate", "add", &certificate]);
        let signed = livepatch_module::sign(&module(), &KEY).unwrap();
        let manifest = self.write("manifest.json", manifest(&signed, cve).to_canonical_bytes().unwrap());
        let module = self.write("module.ko", signed);
        self.done(&["publish", &module, "--manifest", &manifest, "--tier", "stable"]);
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("root/{path}"), content);
    }

    /// A machine whose kernel has the livepatch, with the daemon on it, enrolled.
    pub(crate) fn start_machine(&mut self) {
        let mut notes: Vec<u8> = [4u32, 20, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
        notes.extend(b"GNU\0");
        notes.extend(BUILD_ID);
        self.put("sys/kernel/notes", notes);
        for (path, content) in [
            ("proc/sys/kernel/osrelease", "6.1.0-54-cloud-amd64\n"),
            ("proc/sys/kernel/arch", "x86_64\n"),
            ("proc/sys/kernel/tainted", "36864\n"),
            ("proc/sys/kernel/hostname", "web1\n"),
            ("proc/sys/kernel/random/boot_id", "5a37a7ab-5b4c-4f44-b9c2-2d4f3ec4f3d6\n"),
            ("proc/uptime", "3600.25 7000.00\n"),
            ("proc/version", VERSION),
            ("proc/modules", "livepatch_6_1_0_54_cloud_amd64_1 16384 1 - Live 0x0000000000000000 (OK)\n"),
            ("proc/meminfo", "MemAvailable:     400123 kB\n"),
            ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n"),
            ("boot/vmlinuz-6.1.0-54-cloud-amd64", ""),
            ("sys/kernel/livepatch/livepatch_6_1_0_54_cloud_amd64_1/enabled", "1\n"),
            ("sys/kernel/livepatch/livepatch_6_1_0_54_cloud_amd64_1/transition", "0\n"),
            ("sys/module/livepatch_6_1_0_54_cloud_amd64_1/refcnt", "1\n"),
        ] {
            self.put(path, content);
        }
        let token = self.json(&["token", "create", "--tier", "stable"])["token"].as_str().unwrap().to_owned();
        let daemon = Command::new(PROGRAMS.join("livepatchd"))
            .arg("--root")
            .arg(self.path("root"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--config")
            .arg(self.path("livepatchd.toml"))
            .arg("--socket")
            .arg(self.path("livepatchd.sock"))
            .stderr(fs::File::create(self.path("daemon.log")).unwrap())
            .spawn();
        self.daemon = Some(daemon.unwrap());
        let started = Instant::now();
        while UnixStream::connect(self.path("livepatchd.sock")).is_err() {
            assert!(started.elapsed() < Duration::from_secs(120), "livepatchd does not listen");
            thread::sleep(Duration::from_millis(50));
        }
        let enabled = self.livepatch(&["enable", &token, "--server", &self.url]);
        assert_eq!(enabled.0, Some(0), "{}", self.daemon_log());
    }

    /// Exit status and what `livepatch` printed.
    pub(crate) fn livepatch(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(PROGRAMS.join("livepatch"))
            .arg("--socket")
            .arg(self.path("livepatchd.sock"))
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) fn livepatch_json(&self, arguments: &[&str]) -> Value {
        let (_, text) = self.livepatch(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{}", self.daemon_log()))
    }

    fn daemon_log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for program in self.daemon.iter_mut().chain([&mut self.server]) {
            let _ = program.kill();
            let _ = program.wait();
        }
        if thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.path("server.log")).unwrap_or_default());
        }
    }
}

/// A relocatable object that says of itself what a livepatch does.
fn module() -> Vec<u8> {
    let build_id: String = BUILD_ID.iter().map(|byte| format!("{byte:02x}")).collect();
    let infos = [
        "license=GPL".to_owned(),
        format!("name={NAME}"),
        "livepatch=Y".to_owned(),
        format!("livepatch_build_id={build_id}"),
        format!("livepatch_release={RELEASE}"),
        format!("vermagic={VERMAGIC}"),
    ];
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

fn manifest(module: &[u8], cve: &str) -> Manifest {
    let build_id: String = BUILD_ID.iter().map(|byte| format!("{byte:02x}")).collect();
    Manifest {
        schema: SCHEMA,
        name: NAME.into(),
        version: 1,
        kernel: KernelIdentity {
            release: RELEASE.parse().unwrap(),
            build_id: build_id.parse().unwrap(),
            arch: "x86_64".into(),
        },
        module: ModuleRecord {
            sha256: Digest::of(module),
            size: module.len() as u64,
            vermagic: VERMAGIC.into(),
            signer: Some(Digest::of(KEY.certificate().to_der())),
        },
        fixes: vec![Fix::new(cve, "the teapot looks at its lid")],
        objects: vec![],
        provenance: Provenance {
            builder: "0.1.0".into(),
            compiler: "gcc 12.2.0".into(),
            source: "linux-source-6.1 6.1.190-1".into(),
            patch_sha256: Digest::of(b"patch"),
        },
    }
}
