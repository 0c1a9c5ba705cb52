//! Golden test: our signature is the kernel's own `sign-file`'s byte for byte, and OpenSSL accepts it.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod fixture;

use fixture::{KEY, MODULE, now};
use livepatch_module::{SigningKey, sign, split, verify};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The kernel's signing program, as the packages `linux-kbuild-*` install it.
fn sign_file() -> Option<PathBuf> {
    let kbuilds = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = kbuilds
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("linux-kbuild-"))
        .map(|entry| entry.path().join("scripts/sign-file"))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop()
}

/// Whether there is an `openssl` command.
fn has_openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success())
}

fn run(program: &Path, arguments: &[&str], directory: &Path) -> Output {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(
        output.status.success(),
        "{program:?} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn openssl(arguments: &str, directory: &Path) -> String {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    String::from_utf8(run(Path::new("openssl"), &arguments, directory).stdout).unwrap()
}

/// A folder with key.pem, cert.pem and module.ko.
fn folder(key: &SigningKey) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key.pem"), key.key_pem().unwrap().as_bytes()).unwrap();
    fs::write(folder.path().join("cert.pem"), key.certificate().to_pem()).unwrap();
    fs::write(folder.path().join("module.ko"), &*MODULE).unwrap();
    folder
}

/// Compares with each oracle that this machine has, and with at least one.
fn compare(key: &SigningKey) {
    let (sign_file, has_openssl) = (sign_file(), has_openssl());
    assert!(
        sign_file.is_some() || has_openssl,
        "neither oracle is installed, so nothing can vouch for the signature's form: \
         install linux-kbuild-6.1 (the kernel's sign-file) or openssl"
    );
    let folder = folder(key);
    let ours = sign(&MODULE, key).unwrap();
    assert_eq!(
        verify(&ours, &[key.certificate().clone()]).unwrap().fingerprint,
        key.certificate().fingerprint()
    );

    if let Some(program) = sign_file {
        run(&program, &["sha256", "key.pem", "cert.pem", "module.ko", "signed.ko"], folder.path());
        let theirs = fs::read(folder.path().join("signed.ko")).unwrap();
        assert!(ours == theirs, "not what {} writes", program.display());
    }
    if has_openssl {
        let pkcs7 = split(&ours).unwrap().pkcs7.unwrap();
        fs::write(folder.path().join("ours.p7"), pkcs7).unwrap();
        let detached = "cms -sign -binary -noattr -nocerts -md sha256 -outform DER";
        openssl(
            &format!("{detached} -signer cert.pem -inkey key.pem -in module.ko -out theirs.p7"),
            folder.path(),
        );
        assert!(pkcs7 == fs::read(folder.path().join("theirs.p7")).unwrap(), "not what openssl cms writes");
        // The certificate is no authority and ends no chain: the signature is judged, not who may sign.
        let verify = "cms -verify -binary -noverify -inform DER -in ours.p7 -content module.ko";
        openssl(&format!("{verify} -certfile cert.pem -out verified.ko"), folder.path());
        assert!(fs::read(folder.path().join("verified.ko")).unwrap() == *MODULE);
    }
}

#[test]
fn small_key_signs_as_the_kernels_tool_does() {
    compare(&KEY);
}

#[test]
fn default_key_signs_as_the_kernels_tool_does() {
    let key = SigningKey::generate("Ünicode, \"quoted\" + more=yes", now()).unwrap();
    compare(&key);
}

#[test]
fn a_key_made_by_openssl_signs_as_well() {
    if !has_openssl() {
        assert!(sign_file().is_some(), "neither oracle is installed: install linux-kbuild-6.1 or openssl");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    openssl(
        "req -new -x509 -newkey rsa:3072 -nodes -sha256 -subj /C=DE/O=Other/CN=x -keyout key.pem -out cert.pem",
        folder.path(),
    );
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    compare(&SigningKey::from_pem(&read("key.pem"), &read("cert.pem")).unwrap());
}

#[test]
fn certificate_says_what_a_module_key_may_do() {
    if !has_openssl() {
        assert!(sign_file().is_some(), "neither oracle is installed: install linux-kbuild-6.1 or openssl");
        return;
    }
    let folder = folder(&KEY);
    let text = openssl("x509 -in cert.pem -noout -text -nameopt RFC2253", folder.path());
    for part in [
        "Version: 3 (0x2)",
        "Signature Algorithm: sha256WithRSAEncryption",
        "Issuer: CN=Test module key,O=Open Livepatch",
        "Subject: CN=Test module key,O=Open Livepatch",
        "Not Before: Nov 24 00:00:00 2026 GMT",
        "Not After : Nov 23 12:00:00 2036 GMT",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "X509v3 Subject Key Identifier:",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    // Exits with an error unless the certificate's own signature is right.
    openssl("verify -partial_chain -check_ss_sig -CAfile cert.pem cert.pem", folder.path());
    openssl("pkey -in key.pem -check -noout", folder.path());
}
