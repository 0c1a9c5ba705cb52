//! Keys and signatures.

use crate::workplace::{RELEASE, Workplace, names_in};
use livepatch_manifest::{Digest, Manifest};
use livepatch_module::{Certificate, KeySize, SigningKey, split, verify};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

pub(crate) const NAME: &str = "livepatch_6_1_0_55_cloud_amd64_1";
const VERMAGIC: &str = "6.1.0-55-cloud-amd64 SMP preempt mod_unload modversions ";

/// What the kernel's headers make of the frame, in the parts that count.
const TABLES: &str = r#"
int patched(int x) { return x; }
#define INFO(at, text) __attribute__((section(".modinfo"), used)) static const char info##at[] = text
INFO(1, "livepatch=Y");
INFO(2, "livepatch_build_id=3b43fad53b43fad53b43fad53b43fad53b43fad5");
INFO(3, "livepatch_release=6.1.0-55-cloud-amd64");
struct module { char room[1024]; };
__attribute__((section(".gnu.linkonce.this_module"))) struct module __this_module =
    { "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0livepatch_6_1_0_55_cloud_amd64_1" };
struct klp_func { const char *old_name; void *new_func; unsigned long old_sympos; char more[136]; };
struct klp_object { const char *name; struct klp_func *funcs; void *callbacks[4]; char more[120]; };
struct klp_patch { struct module *mod; struct klp_object *objs; void *states; int replace; };
static struct klp_func functions[] = { { .old_name = "patched", .new_func = patched }, { 0 } };
static struct klp_object objects[] = { { .funcs = functions }, { 0 } };
struct klp_patch patch = { &__this_module, objects, 0, 1 };
"#;

/// A build folder as `build` leaves it.
pub(crate) fn build_folder(workplace: &Workplace) -> PathBuf {
    let source = format!(
        "__attribute__((section(\".modinfo\"), used)) static const char name[] = \"name={NAME}\";\n\
         __attribute__((section(\".modinfo\"), used)) static const char magic[] = \"vermagic={VERMAGIC}\";\n\
{TABLES}"
    );
    let source = workplace.write("module.c", source);
    let module = workplace.write(&format!("out/{NAME}.ko"), "");
    let mut gcc = Command::new("gcc");
    gcc.args(["-c", "-O2", "-mcmodel=kernel", "-fno-pic", "-o"]).arg(&module).arg(&source);
    assert!(gcc.status().expect("gcc is needed for this test: install the package gcc").success());
    let bytes = std::fs::read(&module).unwrap();
    let manifest = serde_json::json!({
        "schema": 1,
        "name": NAME,
        "version": 1,
        "kernel": {
            "release": RELEASE,
            "build_id": "3b43fad53b43fad53b43fad53b43fad53b43fad5",
            "arch": "x86_64",
        },
        "module": { "sha256": Digest::of(&bytes), "size": bytes.len(), "vermagic": VERMAGIC },
        "fixes": [{ "id": "CVE-2026-1", "summary": "a sample" }],
        "objects": [{
            "name": "vmlinux",
            "functions": [{ "name": "patched", "sympos": 0, "source": "kernel/sample.c" }],
        }],
        "provenance": {
            "builder": "0.1.0",
            "compiler": "gcc-12 (Debian 12.2.0-14) 12.2.0",
            "source": "linux-source-6.1 6.1.174-1",
            "patch_sha256": Digest::of(b"patch"),
        },
    });
    workplace.write("out/manifest.json", manifest.to_string());
    workplace.path("out")
}

/// A key that is quick to make, as `key generate` would leave it.
pub(crate) fn write_key(workplace: &Workplace) -> Certificate {
    let key = SigningKey::generate_sized(KeySize::Rsa2048, "Test key", SystemTime::now()).unwrap();
    workplace.write("keys/key.pem", key.key_pem().unwrap().as_bytes());
    workplace.write("keys/cert.pem", key.certificate().to_pem());
    key.certificate().clone()
}

pub(crate) const SIGN: [&str; 6] = ["sign", "out", "--key", "keys/key.pem", "--certificate", "keys/cert.pem"];

#[test]
fn signed_module_is_the_one_that_its_manifest_and_certificate_say() {
    let workplace = Workplace::new();
    let folder = build_folder(&workplace);
    let unsigned = std::fs::read(folder.join(format!("{NAME}.ko"))).unwrap();
    let certificate = write_key(&workplace);
    let answer = workplace.run(&SIGN);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let signed = std::fs::read(folder.join(format!("{NAME}.ko"))).unwrap();
    let manifest = Manifest::parse(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(answer.stdout, format!("{NAME}.ko {}\n", Digest::of(&signed)));
    assert_eq!(split(&signed).unwrap().body, unsigned);
    verify(&signed, std::slice::from_ref(&certificate)).unwrap();
    assert_eq!(manifest.module.sha256, Digest::of(&signed));
    assert_eq!(manifest.module.size, signed.len() as u64);
    assert_eq!(manifest.module.signer, Some(Digest::of(certificate.to_der())));
    assert_eq!(manifest.fixes[0].id, "CVE-2026-1");
    assert_eq!(names_in(&folder), [&format!("{NAME}.ko"), "manifest.json"]);
}

#[test]
fn a_key_that_an_authority_certified_signs_for_those_who_trust_the_authority() {
    let workplace = Workplace::new();
    let folder = build_folder(&workplace);
    let authority = SigningKey::authority(KeySize::Rsa2048, "Test authority", SystemTime::now()).unwrap();
    workplace.write("authority/key.pem", authority.key_pem().unwrap().as_bytes());
    workplace.write("authority/cert.pem", authority.certificate().to_pem());
    let generate = ["key", "generate", "--authority", "authority", "--output", "keys"];
    let answer = workplace.run(&generate);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let key =
        Certificate::from_pem(&std::fs::read_to_string(workplace.path("keys/cert.pem")).unwrap()).unwrap();
    assert!(authority.certificate().issued(&key));

    let answer = workplace.run(&SIGN);
    assert!(answer.code == 1 && answer.stderr.contains("--authority"), "{}", answer.stderr);
    let stranger = SigningKey::authority(KeySize::Rsa2048, "Test authority", SystemTime::now()).unwrap();
    workplace.write("stranger.pem", stranger.certificate().to_pem());
    let answer = workplace.run(&[SIGN.as_slice(), &["--authority", "stranger.pem"]].concat());
    assert!(answer.code == 1 && answer.stderr.contains("is not the authority"), "{}", answer.stderr);
    let answer = workplace.run(&[SIGN.as_slice(), &["--authority", "authority/cert.pem"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let manifest = Manifest::parse(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest.module.signer, Some(Digest::of(authority.certificate().to_der())));
    let module = format!("out/{NAME}.ko");
    let answer = workplace.run(&["verify", &module, "--certificate", "authority/cert.pem"]);
    assert!(answer.stdout.contains("signed by CN=Livepatch module signing key"), "{}", answer.stdout);
}

#[test]
fn signing_twice_is_refused_and_changes_nothing() {
    let workplace = Workplace::new();
    let folder = build_folder(&workplace);
    write_key(&workplace);
    assert_eq!(workplace.run(&SIGN).code, 0);
    let read = || {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        (read(&format!("{NAME}.ko")), read("manifest.json"))
    };
    let before = read();
    let answer = workplace.run(&SIGN);
    assert!(answer.code == 1 && answer.stderr.contains("cannot be signed"), "{}", answer.stderr);
    assert!(read() == before);
}

#[test]
fn module_of_another_build_is_not_signed() {
    let workplace = Workplace::new();
    let folder = build_folder(&workplace);
    write_key(&workplace);
    let path = folder.join(format!("{NAME}.ko"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.push(0);
    std::fs::write(&path, &bytes).unwrap();
    let answer = workplace.run(&SIGN);
    assert!(
        answer.code == 1 && answer.stderr.contains("is not the module that its manifest describes"),
        "{}",
        answer.stderr
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn key_and_certificate_of_different_pairs_are_refused() {
    let workplace = Workplace::new();
    build_folder(&workplace);
    write_key(&workplace);
    let other = SigningKey::generate_sized(KeySize::Rsa2048, "Other", SystemTime::now()).unwrap();
    workplace.write("keys/cert.pem", other.certificate().to_pem());
    let answer = workplace.run(&SIGN);
    assert!(answer.code == 1 && answer.stderr.contains("signing key cannot be used"), "{}", answer.stderr);
}

#[test]
fn missing_pieces_are_named() {
    let workplace = Workplace::new();
    let answer = workplace.run(&SIGN);
    assert!(answer.code == 1 && answer.stderr.contains("key.pem"), "{}", answer.stderr);
    write_key(&workplace);
    let answer = workplace.run(&SIGN);
    assert!(answer.code == 1 && answer.stderr.contains("manifest.json"), "{}", answer.stderr);
}

#[test]
fn generated_key_is_private_and_never_overwritten() {
    let workplace = Workplace::new();
    let generate = ["key", "generate", "--common-name", "Sample", "--output", "new/keys"];
    let answer = workplace.run(&generate);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "new/keys/key.pem\nnew/keys/cert.pem\n");
    let key = workplace.path("new/keys/key.pem");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pem = std::fs::read_to_string(workplace.path("new/keys/cert.pem")).unwrap();
    assert!(Certificate::from_pem(&pem).unwrap().subject().contains("Sample"));
    let before = std::fs::read(&key).unwrap();
    let answer = workplace.run(&generate);
    assert!(answer.code == 1 && answer.stderr.contains("key.pem"), "{}", answer.stderr);
    assert_eq!(std::fs::read(&key).unwrap(), before);
    assert_eq!(std::fs::read_to_string(workplace.path("new/keys/cert.pem")).unwrap(), pem);
}

#[test]
fn lone_certificate_is_not_overwritten_either() {
    let workplace = Workplace::new();
    let certificate = workplace.write("keys/cert.pem", "precious");
    let answer = workplace.run(&["key", "generate", "--output", "keys"]);
    assert!(answer.code == 1 && answer.stderr.contains("cert.pem"), "{}", answer.stderr);
    assert_eq!(std::fs::read_to_string(certificate).unwrap(), "precious");
}
