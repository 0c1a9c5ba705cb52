//! Modules to publish: what gcc makes of some modinfo strings, signed.

use crate::kernel::{BUILD_ID, RELEASE};
use livepatch_kernel::{BuildId, KernelIdentity};
use livepatch_manifest::{Digest, Fix, Manifest, ModuleRecord, Provenance};
use livepatch_module::{KeySize, SigningKey, sign};
use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::LazyLock,
    time::SystemTime,
};

/// The key that the trust anchor names.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| key("Module key"));
/// Somebody else's.
pub(crate) static FOREIGN_KEY: LazyLock<SigningKey> = LazyLock::new(|| key("Foreign key"));

fn key(common_name: &str) -> SigningKey {
    SigningKey::generate_sized(KeySize::Rsa2048, common_name, SystemTime::now()).unwrap()
}

pub(crate) fn running() -> KernelIdentity {
    KernelIdentity {
        release: RELEASE.parse().unwrap(),
        build_id: BuildId::from_bytes(&BUILD_ID).unwrap(),
        arch: "x86_64".into(),
    }
}

pub(crate) fn name(version: u32) -> String {
    format!("livepatch_{}_{version}", running().release.as_identifier())
}

/// An unsigned module that says of itself what is right for [`running`], with changes.
pub(crate) fn build(version: u32, changes: &[(&str, &str)]) -> Vec<u8> {
    let (name, build_id) = (name(version), running().build_id.to_string());
    let vermagic = format!("{RELEASE} SMP preempt mod_unload modversions ");
    let mut modinfo = vec![
        ("name", name.as_str()),
        ("livepatch", "Y"),
        ("livepatch_build_id", build_id.as_str()),
        ("livepatch_release", RELEASE),
        ("vermagic", vermagic.as_str()),
    ];
    for (key, value) in changes {
        modinfo.retain(|(old, _)| old != key);
        modinfo.push((key, value));
    }
    let line = |(at, (key, value)): (usize, &(&str, &str))| {
        format!(
            "__attribute__((section(\".modinfo\"), used, aligned(1))) static const char i{at}[] = \"{key}={value}\";\n"
        )
    };
    compile(&modinfo.iter().enumerate().map(line).collect::<String>())
}

/// The same, signed with the anchor's key.
pub(crate) fn signed(version: u32) -> Vec<u8> {
    sign(&build(version, &[]), &KEY).unwrap()
}

/// The manifest of these bytes, right for [`running`].
pub(crate) fn manifest(version: u32, module: &[u8]) -> Manifest {
    Manifest {
        schema: 1,
        name: name(version),
        version,
        kernel: running(),
        module: ModuleRecord {
            sha256: Digest::of(module),
            size: module.len() as u64,
            vermagic: format!("{RELEASE} SMP preempt mod_unload modversions "),
            signer: None,
        },
        fixes: vec![Fix::new(format!("CVE-2026-{version}"), "a mistake")],
        objects: vec![],
        provenance: Provenance {
            builder: "0.1.0".into(),
            compiler: "gcc".into(),
            source: "linux".into(),
            patch_sha256: Digest::of(b"patch"),
        },
    }
}

fn compile(source: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("module.ko");
    let mut gcc = Command::new("gcc")
        .args(["-c", "-x", "c", "-", "-o"])
        .arg(&output)
        .stdin(Stdio::piped())
        .spawn()
        .expect("gcc is needed for this test: install the package gcc");
    gcc.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(gcc.wait().unwrap().success());
    std::fs::read(output).unwrap()
}
