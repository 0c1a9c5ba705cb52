//! The server over real TLS: a private authority is believed when its owner says so, and a stranger's never.

use livepatch_agent::{Connection, HttpService, Service};
use livepatch_manifest::Digest;
use rustls::{
    ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
};
use url::Url;

const EXTENSIONS: &str = "[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=critical,CA:TRUE\n[leaf]\n\
                          basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
const BODY: &[u8] = b"an anchor";

/// An authority `NAME.pem`, and a server's certificate and key from it, `NAME-server.pem` and `.key`.
fn authority(directory: &Path, name: &str) {
    fs::write(directory.join("openssl.cnf"), EXTENSIONS).unwrap();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-new", "-nodes", "-days", "2", "-config", "openssl.cnf"]);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).args(arguments.split(' '));
        let output = command.current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    openssl(&format!("-subj /CN={name} -extensions ca -keyout {name}.key -out {name}.pem"));
    openssl(&format!(
        "-subj /CN=server -extensions leaf -CA {name}.pem -CAkey {name}.key -keyout {name}-server.key -out {name}-server.pem"
    ));
}

/// A server with this authority's certificate that answers everything with [`BODY`].
fn server(directory: &Path, name: &str) -> Url {
    let certificate = CertificateDer::from_pem_file(directory.join(format!("{name}-server.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}-server.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            // A client that does not like the certificate goes away in the middle.
            if stream.read(&mut [0; 4096]).is_ok() {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len());
                let _ = stream.write_all(&[head.as_bytes(), BODY].concat());
                let _ = stream.flush();
            }
        }
    });
    url
}

#[test]
fn a_servers_certificate_must_be_vouched_for() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    authority(directory, "ours");
    authority(directory, "other");
    let ask = |server: &Url, ca_file: Option<&str>| {
        let ca_file = ca_file.map(|name| directory.join(name));
        let service = HttpService::with(&Connection { ca_file, ..Connection::default() }).unwrap();
        service.trust_anchor(server, &Digest::of(BODY))
    };
    let (ours, other) = (server(directory, "ours"), server(directory, "other"));
    assert_eq!(ask(&ours, Some("ours.pem")).unwrap(), BODY);
    for refused in [ask(&ours, Some("other.pem")), ask(&other, Some("ours.pem"))] {
        let refusal = refused.unwrap_err();
        assert_eq!(refusal.code(), "server-unreachable");
        let message = refusal.to_string();
        assert!(
            message.contains("does not know the authority") && message.contains("`ca_file`"),
            "{message}"
        );
    }
    assert_eq!(
        ask(&ours, None).unwrap_err().code(),
        "server-unreachable",
        "the system's authorities do not know it"
    );
}
