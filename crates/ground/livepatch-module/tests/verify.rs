//! Every way in which a signature can fail has its own error.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod fixture;

use fixture::{KEY, MODULE, key, now};
use livepatch_module::{
    Certificate, CertificateError, KeyError, SignError, SigningKey, VerifyError, sign, split, verify,
};
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| sign(&MODULE, &KEY).unwrap());

/// Bytes behind the signature message: trailer and marker.
const END: usize = 12 + 28;

fn trusted() -> [Certificate; 1] {
    [KEY.certificate().clone()]
}

/// The signed module with its message replaced by what `change` makes of it.
fn with_message(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let parts = split(&SIGNED).unwrap();
    let mut message = parts.pkcs7.unwrap().to_vec();
    change(&mut message);
    let mut trailer = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    trailer[8..].copy_from_slice(&(message.len() as u32).to_be_bytes());
    [parts.body, &message, &trailer, b"~Module signature appended~\n"].concat()
}

/// Position of `needle` in the message.
fn find(message: &[u8], needle: &[u8]) -> usize {
    message.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn signer_is_named_among_several_trusted() {
    let other = key("Another");
    let signer = verify(&SIGNED, &[other.certificate().clone(), KEY.certificate().clone()]).unwrap();
    assert_eq!(signer.fingerprint, KEY.certificate().fingerprint());
    assert_eq!(signer.subject, "CN=Test module key,O=Open Livepatch");
}

#[test]
fn unsigned_and_unknown_are_told_apart() {
    assert_eq!(verify(&MODULE, &trusted()), Err(VerifyError::Unsigned));
    assert_eq!(verify(b"", &trusted()), Err(VerifyError::Unsigned));
    let stripped = &SIGNED[..SIGNED.len() - 1];
    assert_eq!(verify(stripped, &trusted()), Err(VerifyError::Unsigned));
    // The same name does not make the same key: the serial number differs.
    let namesake = key("Test module key");
    for trusted in [&[][..], &[namesake.certificate().clone()]] {
        let Err(VerifyError::UnknownKey { issuer, serial }) = verify(&SIGNED, trusted) else {
            panic!("an unknown key was not seen");
        };
        assert_eq!(issuer, "CN=Test module key,O=Open Livepatch");
        assert_eq!(serial.len(), 32);
    }
}

#[test]
fn any_changed_byte_of_body_or_signature_is_tampering() {
    let expected = Err(VerifyError::Tampered { signer: "CN=Test module key,O=Open Livepatch".into() });
    for at in (0..MODULE.len()).step_by(97).chain([MODULE.len() - 1]) {
        let mut bytes = SIGNED.clone();
        bytes[at] ^= 1;
        assert_eq!(verify(&bytes, &trusted()), expected, "byte {at}");
    }
    let last = SIGNED.len() - END - 1;
    for at in last - 255..=last {
        let mut bytes = SIGNED.clone();
        bytes[at] ^= 0x80;
        assert_eq!(verify(&bytes, &trusted()), expected, "signature byte {at}");
    }
    let longer = [b"\0", SIGNED.as_slice()].concat();
    assert_eq!(verify(&longer, &trusted()), expected);
}

#[test]
fn no_changed_byte_at_all_is_accepted() {
    for at in MODULE.len()..SIGNED.len() {
        let mut bytes = SIGNED.clone();
        bytes[at] ^= 1;
        assert!(verify(&bytes, &trusted()).is_err(), "byte {at}");
    }
}

#[test]
fn bytes_behind_or_missing_from_the_message_are_malformed() {
    let malformed = |bytes: &[u8]| matches!(verify(bytes, &trusted()), Err(VerifyError::Malformed(_)));
    assert!(malformed(&with_message(|message| message.push(0))));
    assert!(malformed(&with_message(|message| message.truncate(message.len() - 1))));
    assert!(malformed(&with_message(|message| message.clear())));
    assert!(malformed(b"~Module signature appended~\n"));
    // A length that needs one byte, written in two: BER, not DER.
    assert!(malformed(&with_message(|message| {
        let at = find(message, &[0x02, 0x01, 0x01, 0x31]);
        message.splice(at..at + 3, [0x02, 0x81, 0x01, 0x01]);
        for length in [2, 17] {
            let value = u16::from_be_bytes([message[length], message[length + 1]]) + 1;
            message[length..length + 2].copy_from_slice(&value.to_be_bytes());
        }
    })));
}

#[test]
fn other_algorithms_are_unsupported() {
    const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let replaced = |needle: &[u8], last: u8| {
        let bytes = with_message(|message| {
            while let Some(at) = message.windows(needle.len()).position(|window| window == needle) {
                message[at + needle.len() - 1] = last;
            }
        });
        verify(&bytes, &trusted())
    };
    let unsupported =
        |result, what: &str| matches!(result, Err(VerifyError::Unsupported(why)) if why.contains(what));
    assert!(unsupported(replaced(SHA256, 3), "SHA-256"), "SHA-512");
    assert!(unsupported(replaced(RSA, 11), "rsaEncryption"), "sha256WithRSAEncryption");
    let mut other_kind = SIGNED.clone();
    let kind = other_kind.len() - END + 2;
    other_kind[kind] = 1;
    assert!(unsupported(verify(&other_kind, &trusted()), "type 1"));
}

/// What `openssl` makes of the module with these options, as a signed module.
fn signed_by_openssl(options: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("key.pem", KEY.key_pem().unwrap().as_bytes());
    write("cert.pem", KEY.certificate().to_pem().as_bytes());
    write("module.ko", &MODULE);
    let command =
        format!("cms -sign -binary -outform DER -signer cert.pem -inkey key.pem -in module.ko {options}");
    let output = std::process::Command::new("openssl")
        .args(command.split_whitespace())
        .current_dir(folder.path())
        .output()
        .expect("openssl is needed for this test: install the package openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    with_message(|message| *message = output.stdout)
}

#[test]
fn forms_that_kernels_refuse_or_differ_on_are_unsupported() {
    for (options, what) in [
        ("-nocerts -md sha256", "signed attributes"),
        ("-noattr -md sha256", "certificates inside"),
        ("-noattr -nocerts -md sha512", "SHA-256"),
        ("-noattr -nocerts -md sha256 -nodetach", "content inside"),
        ("-noattr -nocerts -md sha256 -keyid", "version"),
        ("-noattr -nocerts -md sha256 -keyopt rsa_padding_mode:pss", "rsaEncryption"),
    ] {
        let result = verify(&signed_by_openssl(options), &trusted());
        assert!(
            matches!(&result, Err(VerifyError::Unsupported(why)) if why.contains(what)),
            "{options}: {result:?}"
        );
    }
    let plain = signed_by_openssl("-noattr -nocerts -md sha256");
    assert!(plain == *SIGNED);
}

#[test]
fn signed_modules_are_not_signed_again() {
    assert!(matches!(sign(&SIGNED, &KEY), Err(SignError::AlreadySigned)));
    assert!(matches!(sign(b"~Module signature appended~\n", &KEY), Err(SignError::Trailer(_))));
}

#[test]
fn keys_and_certificates_read_back() {
    let (key_pem, certificate_pem) = (KEY.key_pem().unwrap(), KEY.certificate().to_pem());
    let again = SigningKey::from_pem(&key_pem, certificate_pem).unwrap();
    assert_eq!(again.certificate(), KEY.certificate());
    assert_eq!(Certificate::from_der(KEY.certificate().to_der()).unwrap(), *KEY.certificate());
    assert!(sign(&MODULE, &again).unwrap() == *SIGNED);
    assert!(!format!("{:?}", *KEY).contains("PRIVATE"));
}

#[test]
fn wrong_pairs_and_wrong_files_are_refused() {
    let other = key("Another");
    let (key_pem, certificate_pem) = (KEY.key_pem().unwrap(), other.certificate().to_pem());
    assert!(matches!(SigningKey::from_pem(&key_pem, certificate_pem), Err(KeyError::Mismatch(_))));
    assert!(matches!(SigningKey::from_pem(certificate_pem, certificate_pem), Err(KeyError::PrivateKey(_))));
    assert!(matches!(Certificate::from_pem(&key_pem), Err(CertificateError::Pem(_))));
    assert!(matches!(Certificate::from_pem("no PEM"), Err(CertificateError::Pem(_))));
    let trailing = [KEY.certificate().to_der(), b"\0"].concat();
    assert!(matches!(Certificate::from_der(&trailing), Err(CertificateError::Der(_))));
}

#[test]
fn unusable_names_and_times_are_refused() {
    for name in ["", "two\nlines", &"x".repeat(65)] {
        assert!(matches!(SigningKey::generate(name, now()), Err(KeyError::CommonName(_))), "{name:?}");
    }
    let before = UNIX_EPOCH - Duration::from_secs(1);
    assert!(matches!(SigningKey::generate("x", before), Err(KeyError::Build(_))));
}
