//! The socket: TLS with certificates that are renewed while the server runs, and a socket of systemd's that outlives it.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{LoginCreated, paths};
use livepatch_dashboard::paths as pages;
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use support::Server;
use tempfile::TempDir;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// A certificate for this machine, signed by its own key.
fn issue(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let file = |extension| directory.join(format!("{name}.{extension}"));
    let (certificate, key) = (file("pem"), file("key"));
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
        ])
        .args(["-subj", "/CN=livepatch", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    (certificate, key)
}

/// Somebody who knows this certificate alone. Each looks anew.
fn who_trusts(certificate: &Path) -> Agent {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let known = Certificate::from_pem(&fs::read(certificate).unwrap()).unwrap();
    let roots = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[known])).build();
    Agent::config_builder().tls_config(roots).max_idle_connections(0).max_redirects(0).build().into()
}

fn is_healthy(agent: &Agent, url: &str) -> bool {
    agent.get(format!("{url}{}", paths::HEALTH)).call().is_ok()
}

fn within_seconds(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn tls_goes_on_with_the_renewed_certificate() {
    let own = tempfile::tempdir().unwrap();
    let ((first, first_key), (second, second_key)) =
        (issue(own.path(), "first"), issue(own.path(), "second"));
    let (shown, key) = (own.path().join("shown.pem"), own.path().join("shown.key"));
    let put = |certificate: &Path, its_key: &Path| {
        fs::copy(certificate, &shown).unwrap();
        fs::copy(its_key, &key).unwrap();
    };
    put(&first, &first_key);
    let tls = ["--tls-certificate", shown.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &tls, &[]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    assert!(is_healthy(&who_trusts(&first), &server.url));
    assert!(!is_healthy(&who_trusts(&second), &server.url));
    assert!(!is_healthy(&who_trusts(&first), &server.url.replace("https:", "http:")), "nothing in the clear");
    let login = who_trusts(&first)
        .post(format!("{}{}", server.url, paths::ADMIN_LOGINS))
        .header("authorization", format!("Bearer {}", server.admin_key()))
        .send_empty();
    let login: LoginCreated = login.unwrap().body_mut().read_json().unwrap();
    let code = login.path.split_once("code=").unwrap().1;
    let page = who_trusts(&first).post(format!("{}{}", server.url, pages::LOGIN)).send_form([("code", code)]);
    let cookie = page.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("; Secure"), "{cookie}");

    // Half of a renewal changes nothing.
    fs::copy(&second, &shown).unwrap();
    server.signal("HUP");
    within_seconds("it says why", || server.log().contains("the old certificate is still shown"));
    assert!(is_healthy(&who_trusts(&first), &server.url));
    put(&second, &second_key);
    server.signal("HUP");
    within_seconds("the new certificate is shown", || is_healthy(&who_trusts(&second), &server.url));
    assert!(!is_healthy(&who_trusts(&first), &server.url));
    assert_eq!(server.stop().1, Some(0));
}

#[test]
fn a_server_without_the_certificate_that_it_was_told_of_does_not_start() {
    let own = tempfile::tempdir().unwrap();
    let (certificate, _) = issue(own.path(), "one");
    let (_, strange_key) = issue(own.path(), "another");
    for (certificate, key) in [
        (certificate.clone(), strange_key.clone()),
        (certificate.clone(), own.path().join("missing")),
        (strange_key, certificate),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_livepatch-server"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(own.path().join("data"))
            .arg("--tls-certificate")
            .arg(&certificate)
            .arg("--tls-key")
            .arg(key)
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(
            log.contains(&format!("cannot speak TLS with the certificate {}", certificate.display())),
            "{log}"
        );
    }
}

/// A server on a socket that is not its own.
fn start_on(listener: &TcpListener, directory: &TempDir) -> Child {
    fcntl_setfd(listener, FdFlags::empty()).unwrap();
    let script = format!(
        "exec 3<&{}; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --listen 192.0.2.1:1 --data \"$1\"",
        listener.as_raw_fd()
    );
    let data = directory.path().join("data");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_livepatch-server")]).arg(data);
    shell.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn end(mut server: Child) {
    assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
    assert!(server.wait().unwrap().success());
    let mut said = String::new();
    server.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.starts_with("listening on http://127.0.0.1:"), "{said}");
}

#[test]
fn nobody_is_turned_away_while_the_server_starts_again() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let agent: Agent = Agent::config_builder()
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let first = start_on(&listener, &directory);
    assert!(is_healthy(&agent, &url));
    end(first);
    // Asked while no server runs; the answer comes from the next.
    let asked = std::thread::spawn(move || is_healthy(&agent, &url));
    std::thread::sleep(Duration::from_millis(200));
    assert!(!asked.is_finished());
    let second = start_on(&listener, &directory);
    assert!(asked.join().unwrap());
    end(second);
}
