//! An operator's day: the real `livepatch-admin` against the real `livepatch-server`.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    CertificateAdded, LivepatchSummary, MachineSummary, PublishAnswer, TokenCreated, TokenSummary,
};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use support::{NAME, Site, admin, manifest, module};

#[test]
fn a_login_is_an_address_of_the_dashboard() {
    let site = Site::start();
    let address = site.done(&["dashboard", "login"]);
    assert!(address.starts_with(&format!("{}/dashboard/login?code=", site.url)), "{address}");
    assert_eq!(address.lines().count(), 1);
}

#[test]
fn from_certificate_to_promotion() {
    let site = Site::start();
    site.build();
    let early = site.refused(&["token", "create", "--tier", "edge"]);
    assert!(early.contains("livepatch-admin certificate add"), "{early}");

    let certificate = site.path("cert.pem");
    let added: CertificateAdded = site.json(&["certificate", "add", certificate.to_str().unwrap()]);
    let created: TokenCreated =
        site.json(&["token", "create", "--tier", "edge", "--uses", "3", "--expires", "30d", "--note", "lab"]);
    let token: livepatch_api::EnrolmentToken = created.token.parse().unwrap();
    assert_eq!(token.trust_anchor, added.trust_anchor);
    // In text form the token stands alone on standard output, for scripts.
    let text = site.done(&["token", "create", "--tier", "stable"]);
    text.trim().parse::<livepatch_api::EnrolmentToken>().unwrap();
    let tokens: Vec<TokenSummary> = site.json(&["token", "list"]);
    assert_eq!(tokens.len(), 2);
    assert!(
        tokens.iter().any(|token| token.uses == Some(3) && token.expires.is_some() && token.note == "lab")
    );
    let table = site.done(&["token", "list"]);
    assert!(
        table.contains("0 of 3") && table.contains("0 of any") && !table.contains(&token.secret),
        "{table}"
    );

    assert_eq!(site.done(&["livepatch", "list"]), "Nothing is published.\n");
    let arguments = site.publish_arguments();
    let answer: PublishAnswer = site.json(&arguments.each_ref().map(String::as_str));
    assert_eq!((answer.name.as_str(), answer.tiers.as_slice()), (NAME, &["edge".to_owned()][..]));
    let said = site.done(&["promote", NAME, "--to", "beta"]);
    assert_eq!(said, format!("promoted {NAME} version 1: available to edge, beta (targets version 3)\n"));
    let list: Vec<LivepatchSummary> = site.json(&["livepatch", "list"]);
    assert_eq!(list[0].tiers, ["edge", "beta"]);
    let table = site.done(&["livepatch", "list"]);
    assert!(
        table.contains(NAME) && table.contains("edge, beta") && table.contains("CVE-2026-93146"),
        "{table}"
    );

    assert_eq!(site.done(&["machine", "list"]), "No machine has enrolled.\n");
    assert!(site.json::<Vec<MachineSummary>>(&["machine", "list"]).is_empty());
}

#[test]
fn publishing_confirms_on_one_line() {
    let site = Site::start();
    site.build();
    site.add_certificate();
    let arguments = site.publish_arguments();
    let output = site.admin(&arguments.each_ref().map(String::as_str));
    let (out, notes) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(out, format!("published {NAME} version 1: available to edge (targets version 2)\n"));
    assert_eq!((notes.lines().count(), notes.contains(NAME)), (1, true), "{notes}");
}

#[test]
fn failures_say_what_to_do() {
    let site = Site::start();
    site.build();
    site.add_certificate();
    let tier = site.refused(&["token", "create", "--tier", "nightly"]);
    assert!(tier.contains("edge, beta, candidate, stable"), "{tier}");
    let unknown = site.refused(&["promote", NAME, "--to", "beta"]);
    assert!(unknown.contains("livepatch list"), "{unknown}");

    // Another module than the manifest's, and one that was never signed.
    let arguments = site.publish_arguments();
    let arguments = arguments.each_ref().map(String::as_str);
    let signed = fs::read(site.path("module.ko")).unwrap();
    fs::write(site.path("module.ko"), module()).unwrap();
    assert!(site.refused(&arguments).contains("sign again"));
    let mut unsigned = manifest(&module());
    unsigned.module.signer = None;
    fs::write(site.path("manifest.json"), unsigned.to_canonical_bytes().unwrap()).unwrap();
    assert!(site.refused(&arguments).contains("livepatch-build sign"));
    // Signed, says the manifest; the server looks itself.
    fs::write(site.path("manifest.json"), manifest(&module()).to_canonical_bytes().unwrap()).unwrap();
    assert!(site.refused(&arguments).contains("not signed"));
    fs::write(site.path("module.ko"), signed).unwrap();
    fs::write(site.path("manifest.json"), "{}").unwrap();
    assert!(site.refused(&arguments).contains("manifest.json"));
}

#[test]
fn wrong_key_and_absent_server() {
    let site = Site::start();
    let key = site.path("other.key");
    let said = |output: Output| {
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(&key, format!("{}\n", "x".repeat(43))).unwrap();
    assert!(said(admin(&site.url, &key, &["machine", "list"])).contains("--key-file"));
    fs::write(&key, "").unwrap();
    assert!(said(admin(&site.url, &key, &["machine", "list"])).contains("no key file"));
    fs::remove_file(&key).unwrap();
    assert!(said(admin(&site.url, &key, &["machine", "list"])).contains("cannot be read"));
    // Port 9 of loopback: nobody listens.
    let key = site.path("data/admin.key");
    assert!(said(admin("http://127.0.0.1:9", &key, &["machine", "list"])).contains("cannot be reached"));
    // Encryption is set up before the first connection; the other end speaks none.
    let encrypted = site.url.replacen("http:", "https:", 1);
    assert!(said(admin(&encrypted, &key, &["machine", "list"])).contains("cannot be reached"));
    assert!(said(admin("ftp://127.0.0.1", &key, &["machine", "list"])).contains("no server's URL"));
    let bare = Command::new(env!("CARGO_BIN_EXE_livepatch-admin"))
        .args(["machine", "list"])
        .env_remove("LIVEPATCH_ADMIN_KEY")
        .output()
        .unwrap();
    assert!(said(bare).contains("LIVEPATCH_ADMIN_KEY"));
}

#[test]
fn usage_has_its_own_status() {
    let status =
        |arguments: &[&str]| admin("http://127.0.0.1:9", Path::new("/nowhere"), arguments).status.code();
    assert_eq!(status(&["--help"]), Some(0));
    for arguments in [
        &[][..],
        &["tokens"],
        &["token", "create"],
        &["token", "create", "--tier", "edge", "--uses", "0"],
        &["token", "create", "--tier", "edge", "--expires", "soon"],
        &["publish", "module.ko", "--tier", "edge"],
        &["machine", "list", "--format", "yaml"],
    ] {
        assert_eq!(status(arguments), Some(2), "{arguments:?}");
    }
}
