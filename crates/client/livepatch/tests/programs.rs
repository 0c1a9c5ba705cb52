//! `livepatchd` and `livepatch` as they are installed, on a machine that is a directory tree: nothing can be loaded there,
//! everything up to that point is real. Real kernels come in the VM tests.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is the test's answer

use livepatch_api::{EnrolmentToken, TrustAnchor};
use livepatch_manifest::Digest;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Once,
    thread,
    time::{Duration, Instant},
};

/// The daemon is another package's program, so cargo does not build it for this test by itself.
fn daemon_program() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--package", "livepatch-agent", "--bin", "livepatchd"])
            .status();
        assert!(cargo.unwrap().success());
    });
    Path::new(env!("CARGO_BIN_EXE_livepatch")).with_file_name("livepatchd")
}

struct Machine {
    directory: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Machine {
    fn new() -> Self {
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
        fs::create_dir_all(directory.path().join("root/sys/kernel/livepatch")).unwrap();
        Self { directory, daemon: None }
    }

    fn with_daemon() -> Self {
        let mut machine = Self::new();
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
        machine
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("livepatchd.sock")
    }

    fn livepatch(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch"));
        command.arg("--socket").arg(self.socket()).args(arguments).output().unwrap()
    }

    /// Exit code and what the command wrote to standard error.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.livepatch(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn status(&self) -> serde_json::Value {
        let output = self.livepatch(&["status", "--format", "json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn stop(&mut self) -> i32 {
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
fn server_without_tokens() -> (String, Digest) {
    let anchor = TrustAnchor { schema: 1, tuf_root: "{}".into(), module_certificates: vec![] };
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

fn token(digest: &Digest) -> String {
    let token = EnrolmentToken { secret: "s".repeat(32), trust_anchor: digest.clone() };
    token.to_string()
}

#[test]
fn status_of_a_machine_that_is_not_enabled() {
    let machine = Machine::with_daemon();
    let output = machine.livepatch(&["status"]);
    assert_eq!(output.status.code(), Some(6));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("state       disabled"), "{text}");
    assert!(text.contains("next step   run `livepatch enable TOKEN"), "{text}");
    let status = machine.status();
    assert_eq!(status["schema"], 1);
    assert_eq!(status["state"], "disabled");
    assert_eq!(status["kernel"]["release"], "6.1.0-55-cloud-amd64");
    assert_eq!(status["taint"]["value"], 0);
    assert_eq!(status["livepatch"], serde_json::Value::Null);
}

#[test]
fn without_the_daemon_it_says_so() {
    let machine = Machine::new();
    for arguments in [&["status"][..], &["undo"], &["refresh"]] {
        let (code, text) = machine.fails(arguments);
        assert_eq!(code, 4, "{text}");
        assert!(text.contains("systemctl start livepatchd"), "{text}");
    }
}

#[test]
fn what_needs_an_enabled_machine_says_how_to_enable_it() {
    let machine = Machine::with_daemon();
    for arguments in [&["refresh"][..], &["disable"]] {
        let (code, text) = machine.fails(arguments);
        assert_eq!(code, 6);
        assert!(text.starts_with("error[not-enabled]") && text.contains("livepatch enable TOKEN"), "{text}");
    }
    let (code, text) = machine.fails(&["undo"]);
    assert_eq!((code, text.starts_with("error[nothing-to-undo]")), (3, true), "{text}");
    let (code, text) = machine.fails(&["blocked", "clear", "0123456789"]);
    assert_eq!((code, text.starts_with("error[not-blocked]")), (3, true), "{text}");
}

#[test]
fn tokens_that_are_no_good() {
    let machine = Machine::with_daemon();
    let (code, text) = machine.fails(&["enable", "lp1.secret"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("error[malformed-token]") && !text.contains("lp1.secret"), "{text}");

    let (url, digest) = server_without_tokens();
    let (code, text) = machine.fails(&["enable", &token(&digest)]);
    assert_eq!((code, text.starts_with("error[no-server]")), (2, true), "{text}");
    let (code, text) = machine.fails(&["enable", &token(&digest), "--server", &url]);
    assert_eq!((code, text.starts_with("error[unknown-token]")), (3, true), "{text}");
    let (code, text) = machine.fails(&["enable", &token(&Digest::of(b"another")), "--server", &url]);
    assert_eq!((code, text.starts_with("error[trust-anchor-mismatch]")), (3, true), "{text}");

    let output = machine.livepatch(&["--format", "json", "enable", &token(&digest), "--server", &url]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["failure"]["code"], "unknown-token");
    assert_eq!(machine.status()["state"], "disabled");
}

/// Needs root, to become somebody else.
#[test]
fn others_may_look_but_not_touch() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::with_daemon();
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(machine.directory.path(), everybody).unwrap();
    let program = machine.directory.path().join("livepatch");
    fs::copy(env!("CARGO_BIN_EXE_livepatch"), &program).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.uid(65_534).arg("--socket").arg(machine.socket()).args(arguments).output().unwrap()
    };
    assert_eq!(as_nobody(&["status"]).status.code(), Some(6));
    for arguments in [&["refresh"][..], &["undo"], &["disable"], &["blocked", "clear", "0123456789"]] {
        let output = as_nobody(arguments);
        assert_eq!(output.status.code(), Some(5), "{arguments:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("only root"));
    }
}

#[test]
fn a_server_that_does_not_answer() {
    let machine = Machine::with_daemon();
    let token = token(&Digest::of(b"x"));
    let (code, text) = machine.fails(&["enable", &token, "--server", "http://127.0.0.1:1"]);
    assert_eq!((code, text.starts_with("error[server-unreachable]")), (3, true), "{text}");
    for server in ["livepatch.example.com", "ftp://livepatch.example.com"] {
        let (code, text) = machine.fails(&["enable", &token, "--server", server]);
        assert_eq!((code, text.starts_with("error[malformed-server]")), (2, true), "{text}");
    }
}

#[test]
fn a_token_from_standard_input_stays_off_the_command_line() {
    let machine = Machine::with_daemon();
    let (url, digest) = server_without_tokens();
    let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch"))
        .arg("--socket")
        .arg(machine.socket())
        .args(["enable", "-", "--server", &url])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(command.stdin.take().unwrap(), "{}", token(&digest)).unwrap();
    let output = command.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("error[unknown-token]"));
}

#[test]
fn the_socket_speaks_varlink() {
    let machine = Machine::with_daemon();
    let mut stream = UnixStream::connect(machine.socket()).unwrap();
    let mut ask = |call: &str| -> serde_json::Value {
        stream.write_all(&[call.as_bytes(), b"\0"].concat()).unwrap();
        let mut answer = Vec::new();
        BufReader::new(&stream).read_until(0, &mut answer).unwrap();
        serde_json::from_slice(&answer[..answer.len() - 1]).unwrap()
    };
    let info = ask(r#"{"method":"org.varlink.service.GetInfo"}"#);
    assert_eq!(info["parameters"]["product"], "livepatchd");
    let interface = r#"{"method":"org.varlink.service.GetInterfaceDescription",
        "parameters":{"interface":"org.openlivepatch.livepatchd"}}"#;
    let description = ask(interface);
    assert!(description["parameters"]["description"].as_str().unwrap().contains("method GetStatus()"));
    let unknown = ask(r#"{"method":"org.openlivepatch.livepatchd.Reboot","parameters":{}}"#);
    assert_eq!(unknown["error"], "org.varlink.service.MethodNotFound");
}

#[test]
fn the_daemon_stops_when_told_and_takes_its_socket_along() {
    let mut machine = Machine::with_daemon();
    assert_eq!(machine.stop(), 0);
    assert!(!machine.socket().exists());
}

#[test]
fn completions_and_man_pages_are_made() {
    let machine = Machine::new();
    let completions = machine.livepatch(&["completions", "bash"]);
    assert!(String::from_utf8(completions.stdout).unwrap().contains("blocked"));
    let directory = machine.directory.path().join("man");
    assert!(machine.livepatch(&["man", directory.to_str().unwrap()]).status.success());
    let page = fs::read_to_string(directory.join("livepatch.1")).unwrap();
    assert!(page.contains("Exit status") && directory.join("livepatch-enable.1").exists());
}
