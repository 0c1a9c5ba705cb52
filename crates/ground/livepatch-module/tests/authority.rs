//! One authority is trusted, and the keys that it certified sign: what holds then, and what does not.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod fixture;

use fixture::{KEY, MODULE, now};
use livepatch_module::{Certificate, KeyError, KeySize, SigningKey, VerifyError, sign, split, verify};
use std::fs;
use std::process::Command;
use std::sync::LazyLock;

static AUTHORITY: LazyLock<SigningKey> = LazyLock::new(|| authority("Test authority"));
static LEAF: LazyLock<SigningKey> = LazyLock::new(|| leaf(&AUTHORITY, "First key"));
static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| sign(&MODULE, &LEAF).unwrap());

fn authority(name: &str) -> SigningKey {
    SigningKey::authority(KeySize::Rsa2048, name, now()).unwrap()
}

fn leaf(authority: &SigningKey, name: &str) -> SigningKey {
    authority.certify(KeySize::Rsa2048, name, now()).unwrap()
}

fn certificate(key: &SigningKey) -> Certificate {
    key.certificate().clone()
}

#[test]
fn who_trusts_the_authority_takes_what_each_of_its_keys_signed() {
    let trusted = [certificate(&KEY), certificate(&AUTHORITY)];
    let second = leaf(&AUTHORITY, "Second key");
    for key in [&*LEAF, &second] {
        let signer = verify(&sign(&MODULE, key).unwrap(), &trusted).unwrap();
        assert_eq!(signer.fingerprint, AUTHORITY.certificate().fingerprint(), "the trusted one vouches");
        assert_eq!(signer.subject, key.certificate().subject(), "and who signed is named");
    }
    let itself = verify(&SIGNED, &[certificate(&LEAF)]).unwrap();
    assert_eq!(itself.fingerprint, LEAF.certificate().fingerprint());
}

#[test]
fn a_namesake_of_the_authority_vouches_for_nothing() {
    for trusted in [vec![], vec![certificate(&KEY)], vec![certificate(&authority("Test authority"))]] {
        let answer = verify(&SIGNED, &trusted);
        assert!(matches!(answer, Err(VerifyError::UnknownKey { .. })), "{answer:?}");
    }
}

#[test]
fn a_module_key_certifies_nothing() {
    let Err(KeyError::NoAuthority(subject)) = KEY.certify(KeySize::Rsa2048, "Below", now()) else {
        panic!("a module key certified another")
    };
    assert_eq!(subject, KEY.certificate().subject());
    assert!(!KEY.certificate().issued(LEAF.certificate()));
    // Nor is an authority of a foreign make below ours taken for a key that ours certified.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ca", &AUTHORITY);
    let constraints = folder.path().join("extensions");
    fs::write(&constraints, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n").unwrap();
    openssl("req -new -newkey rsa:2048 -nodes -subj /CN=Middle -keyout m.pem -out m.csr", folder.path());
    openssl(
        "x509 -req -in m.csr -CA ca.pem -CAkey ca.key -extfile extensions -sha256 -days 9 -out middle.pem",
        folder.path(),
    );
    let middle =
        Certificate::from_pem(&fs::read_to_string(folder.path().join("middle.pem")).unwrap()).unwrap();
    assert!(middle.is_authority() && !AUTHORITY.certificate().issued(&middle));
}

#[test]
fn a_changed_byte_is_seen_wherever_it_is() {
    let trusted = [certificate(&AUTHORITY)];
    let tampered = Err(VerifyError::Tampered { signer: LEAF.certificate().subject() });
    let mut body = SIGNED.clone();
    body[100] ^= 1;
    assert_eq!(verify(&body, &trusted), tampered);
    let parts = split(&SIGNED).unwrap();
    let message = parts.body.len()..parts.body.len() + parts.pkcs7.unwrap().len();
    for at in message.step_by(7) {
        let mut bytes = SIGNED.clone();
        bytes[at] ^= 0x10;
        assert!(verify(&bytes, &trusted).is_err(), "byte {at}");
    }
}

#[test]
fn openssl_makes_the_same_signature_and_the_same_chain() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ca", &AUTHORITY);
    write(folder.path(), "leaf", &LEAF);
    fs::write(folder.path().join("module.ko"), &*MODULE).unwrap();
    openssl("verify -x509_strict -CAfile ca.pem leaf.pem", folder.path());
    openssl(
        "cms -sign -binary -noattr -md sha256 -outform DER -signer leaf.pem -inkey leaf.key -in module.ko -out cms",
        folder.path(),
    );
    let theirs = fs::read(folder.path().join("cms")).unwrap();
    assert_eq!(split(&SIGNED).unwrap().pkcs7.unwrap(), theirs);
}

fn write(folder: &std::path::Path, name: &str, key: &SigningKey) {
    fs::write(folder.join(name).with_extension("pem"), key.certificate().to_pem()).unwrap();
    fs::write(folder.join(name).with_extension("key"), key.key_pem().unwrap().as_bytes()).unwrap();
}

#[track_caller]
fn openssl(arguments: &str, folder: &std::path::Path) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is needed for this test: install the package openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
