//! Signing with a key in a PKCS#11 token: SoftHSM's, in a folder of the test.

use crate::sign::{NAME, build_folder, write_key};
use crate::workplace::{Answer, Workplace};
use std::path::Path;
use std::process::Command;

const PIN: &str = "98765";
const LIBRARIES: [&str; 2] =
    ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];

/// A token with the key of [`write_key`], its library, and the variable that leads the library to it.
struct Token {
    library: &'static str,
    configuration: String,
}

/// `None` where SoftHSM is not installed, except in CI, where it must be.
fn token(workplace: &Workplace) -> Option<Token> {
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).is_file()) else {
        assert!(std::env::var_os("CI").is_none(), "install the package softhsm2");
        eprintln!("skipped: the package softhsm2 is not installed");
        return None;
    };
    write_key(workplace);
    std::fs::create_dir_all(workplace.path("tokens")).unwrap();
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", workplace.path("tokens").display());
    let configuration = workplace.write("softhsm2.conf", text).display().to_string();
    let util = |arguments: &[&str]| {
        let mut command = Command::new("softhsm2-util");
        let output = command.args(arguments).env("SOFTHSM2_CONF", &configuration).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    util(&["--init-token", "--free", "--label", "release keys", "--so-pin", "1234", "--pin", PIN]);
    let key = workplace.path("keys/key.pem").display().to_string();
    util(&["--import", &key, "--token", "release keys", "--label", "module-key", "--id", "a1", "--pin", PIN]);
    Some(Token { library, configuration })
}

fn sign(workplace: &Workplace, token: &Token, uri: &str, pin: Option<&str>) -> Answer {
    let mut command = workplace.command(&[
        "sign",
        "out",
        "--pkcs11",
        uri,
        "--pkcs11-module",
        token.library,
        "--certificate",
        "keys/cert.pem",
    ]);
    command.env("SOFTHSM2_CONF", &token.configuration);
    if let Some(pin) = pin {
        command.env("LIVEPATCH_PKCS11_PIN", pin);
    }
    Answer::from(command.output().unwrap())
}

#[test]
fn a_token_s_signature_is_the_same_as_that_of_the_key_in_a_file() {
    let workplace = Workplace::new();
    let Some(token) = token(&workplace) else { return };
    let files = || {
        let read = |name: &str| std::fs::read(workplace.path(&format!("out/{name}"))).unwrap();
        (read(&format!("{NAME}.ko")), read("manifest.json"))
    };
    build_folder(&workplace);
    let answer = workplace.run(&crate::sign::SIGN);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let by_file = files();
    build_folder(&workplace);
    let answer = sign(&workplace, &token, "pkcs11:token=release%20keys;object=module-key", Some(PIN));
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(files() == by_file);
    // The PIN in a file, the key by its id.
    build_folder(&workplace);
    let pin = workplace.write("pin", format!("{PIN}\n"));
    let uri = format!("pkcs11:token=release%20keys;id=%a1?pin-source=file:{}", pin.display());
    let answer = sign(&workplace, &token, &uri, None);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(files() == by_file);
}

#[test]
fn what_a_token_lacks_is_told_and_nothing_is_changed() {
    let workplace = Workplace::new();
    let Some(token) = token(&workplace) else { return };
    build_folder(&workplace);
    let path = workplace.path(&format!("out/{NAME}.ko"));
    let before = std::fs::read(&path).unwrap();
    for (uri, pin, words) in [
        ("pkcs11:token=other", Some(PIN), "tokens here: release keys"),
        ("pkcs11:token=release%20keys;object=unheard-of", Some(PIN), "0 private keys"),
        ("pkcs11:token=release%20keys;object=module-key", None, "LIVEPATCH_PKCS11_PIN"),
        ("pkcs11:token=release%20keys;object=module-key", Some("1111"), "log in"),
    ] {
        let answer = sign(&workplace, &token, uri, pin);
        assert!(answer.code == 1 && answer.stderr.contains(words), "{uri}: {}", answer.stderr);
    }
    let answer = sign(&workplace, &token, "token=x", Some(PIN));
    assert!(answer.code == 2 && answer.stderr.contains("does not begin with pkcs11:"), "{}", answer.stderr);
    // A certificate of another key.
    assert_eq!(workplace.run(&["key", "generate", "--output", "other"]).code, 0);
    std::fs::copy(workplace.path("other/cert.pem"), workplace.path("keys/cert.pem")).unwrap();
    let answer = sign(&workplace, &token, "pkcs11:object=module-key", Some(PIN));
    assert!(
        answer.code == 1 && answer.stderr.contains("is not the one that the certificate"),
        "{}",
        answer.stderr
    );
    assert!(std::fs::read(&path).unwrap() == before);
}
