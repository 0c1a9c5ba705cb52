//! A machine that is a directory tree, with the daemon on it; and a server that knows no token.

use livepatch_api::{EnrolmentToken, TrustAnchor};
use livepatch_manifest::Digest;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

/// The daemon is another package's program, so cargo does not build it for this test by itself; `cargo xtask test` has
/// built it with everything else.
fn daemon_program() -> PathBuf {
    if let Some(programs) = std::env::var_os("LIVEPATCH_PROGRAMS") {
        return Path::new(&programs).join("livepatchd");
    }
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--package", "livepatch-agent", "--bin", "livepatchd"])
            .status();
        assert!(cargo.unwrap().success());
    });
    Path::new(env!("CARGO_BIN_EXE_livepatch")).with_file_name("livepatchd")
}

const VERSION: &str =
    "Linux version 6.1.0-55-cloud-amd64 (x) (gcc) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-14)\n";

pub(crate) struct Machine {
    pub(crate) directory: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &[u8]| {
            let path = directory.path().join("root").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let mut notes: Vec<u8> = [4u32, 20, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
        notes.extend(b"GNU\0");
        notes.extend([0xab; 20]);
        put("sys/kernel/notes", &notes);
        put("proc/sys/kernel/osrelease", b"6.1.0-55-cloud-amd64\n");
        put("proc/sys/kernel/arch", b"x86_64\n");
        put("proc/sys/kernel/tainted", b"0\n");
        put("proc/sys/kernel/hostname", b"web1\n");
        put("proc/sys/kernel/random/boot_id", b"5a37a7ab-5b4c-4f44-b9c2-2d4f3ec4f3d6\n");
        put("proc/uptime", b"3600.25 7000.00\n");
        put("proc/version", VERSION.as_bytes());
        put("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
        put("proc/meminfo", b"MemAvailable:     400123 kB\n");
        put("boot/vmlinuz-6.1.0-55-cloud-amd64", b"");
        fs::create_dir_all(directory.path().join("root/sys/kernel/livepatch")).unwrap();
        Self { directory, daemon: None }
    }

    pub(crate) fn with_daemon() -> Self {
        let mut machine = Self::new();
        machine.start();
        machine
    }

    /// Starts the daemon.
    pub(crate) fn start(&mut self) {
        let machine = self;
        let path = machine.directory.path();
        let daemon = Command::new(daemon_program())
            .arg("--root")
            .arg(path.join("root"))
            .arg("--state-dir")
            .arg(path.join("state"))
            .arg("--config")
            .arg(path.join("livepatchd.toml"))
            .arg("--socket")
            .arg(machine.socket())
            .stderr(Stdio::null())
            .spawn();
        machine.daemon = Some(daemon.unwrap());
        let started = Instant::now();
        while UnixStream::connect(machine.socket()).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "livepatchd does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What [`Machine::enrol`] leaves as the machine's secret.
    pub(crate) const CREDENTIAL: &str = "credential-that-nobody-may-see";

    /// Enrols the machine, as far as its records go, with a server that nobody hears of.
    pub(crate) fn enrol(&self) {
        let anchor = TrustAnchor {
            schema: 1,
            tuf_root: "{}".into(),
            module_certificates: vec![],
            site: None,
            origins: vec![],
        }
        .to_bytes()
        .unwrap();
        let identity = serde_json::json!({
            "machine_id": "m-1", "server": "http://127.0.0.1:1/", "credential": Self::CREDENTIAL, "tier": "stable",
            "trust_anchor": Digest::of(&anchor),
        });
        let state = self.directory.path().join("state");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("identity.json"), identity.to_string()).unwrap();
        fs::write(state.join("trust-anchor.json"), anchor).unwrap();
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.directory.path().join("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("livepatchd.sock")
    }

    pub(crate) fn livepatch(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch"));
        command.arg("--socket").arg(self.socket()).args(arguments).output().unwrap()
    }

    /// Exit code and what the command wrote to standard error.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.livepatch(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let output = self.livepatch(&["status", "--format", "json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn stop(&mut self) -> i32 {
        let mut daemon = self.daemon.take().unwrap();
        let pid = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        daemon.wait().unwrap().code().unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// A server that serves an anchor and knows no token. Returns its URL and the anchor's digest.
pub(crate) fn server_without_tokens() -> (String, Digest) {
    let anchor = TrustAnchor {
        schema: 1,
        tuf_root: "{}".into(),
        module_certificates: vec![],
        site: None,
        origins: vec![],
    };
    let anchor = anchor.to_bytes().unwrap();
    let digest = Digest::of(&anchor);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let _ = reader.read_exact(&mut vec![0; length.unwrap_or(0)]);
            let refusal = br#"{"code":"unknown-token","message":"unknown"}"#;
            let (status, body) =
                if head.starts_with("GET") { (200, &anchor[..]) } else { (401, &refusal[..]) };
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    (url, digest)
}

pub(crate) fn token(digest: &Digest) -> String {
    let token = EnrolmentToken { secret: "s".repeat(32), trust_anchor: digest.clone() };
    token.to_string()
}
