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

#[test]
fn verbs_of_the_canonical_admin_tool_work() {
    let site = Site::start();
    site.build();
    site.add_certificate();
    assert_eq!(site.done(&["login", "--auth", "user:password"]), "");
    let token = site.done(&["auth-token", "web-1", "stable"]);
    token.trim().parse::<livepatch_api::EnrolmentToken>().unwrap();
    let tokens: Vec<TokenSummary> = site.json(&["token", "list"]);
    assert_eq!((tokens[0].tier.as_str(), tokens[0].note.as_str()), ("stable", "web-1"));
    assert!(site.done(&["tier", "list"]).contains("candidate"));

    site.done(&site.publish_arguments().each_ref().map(String::as_str));
    assert!(site.done(&["storage", "patches"]).contains(NAME));
    assert_eq!(site.done(&["storage", "refresh"]), "");
    let said = site.done(&["patch", "promote", "1", "beta"]);
    assert!(said.contains("available to edge, beta"), "{said}");
    let unknown = site.refused(&["patch", "promote", "7", "beta"]);
    assert!(unknown.contains("livepatch-admin livepatch list"), "{unknown}");
    let said = site.done(&["patch", "promote-all", "beta", "stable"]);
    assert!(said.contains("available to edge, beta, candidate, stable"), "{said}");
    assert_eq!(
        site.done(&["promote", "--all-from", "beta", "--to", "stable"]),
        "stable has all that beta has already\n"
    );

    assert_eq!(site.done(&["sync", "trigger", "--wait"]), "", "there is no upstream to sync");
    assert!(site.done(&["sync", "reports"]).contains("upstream"));
    let line = site.done(&["sync-tokens", "add", "stable", "vendor", "--valid-until", "2027-01-01"]);
    let anchor = site.done(&["trust-anchor"]);
    assert!(line.starts_with("livepatch-admin upstream add vendor --url http://"), "{line}");
    assert!(line.contains(anchor.trim()) && line.trim().ends_with("--tier stable"), "{line}");

    let health = site.done(&["report", "patch-health", "stable", "1"]);
    assert!(health.starts_with("version 1 is applied on 0 of 0 machines in stable\n"), "{health}");
    assert_eq!(site.done(&["report", "machines", "stable", "1", "applied"]), "No machine has enrolled.\n");
    // They work, and the help shows this tool's own verbs.
    let help = String::from_utf8(site.admin(&["--help"]).stdout).unwrap();
    assert!(help.contains("promote") && !help.contains("auth-token"), "{help}");
}

#[test]
fn blocks_are_made_shown_and_lifted() {
    let site = Site::start();
    let add = [
        "block",
        "add",
        "kernel",
        "6.1.0-55-cloud-amd64",
        "--reason",
        "hangs on our disks",
        "--expires",
        "7d",
    ];
    let dry = site.done(&[&add[..], &["--dry-run"]].concat());
    assert!(dry.contains("604800"), "{dry}");
    assert_eq!(site.done(&["block", "list"]), "Nothing is blocked.\n");
    let blocks: Vec<livepatch_api::BlockSummary> = site.json(&add);
    assert!(blocks[0].expires.is_some());
    let table = site.done(&["block", "list"]);
    assert!(table.contains("hangs on our disks") && table.contains("admin.key"), "{table}");
    assert_eq!(site.done(&["block", "lift", &blocks[0].id]), "Nothing is blocked.\n");
    let output = site.admin(&["block", "add", "planet", "x", "--reason", "y"]);
    assert_eq!(output.status.code(), Some(2));
}
