//! An operator's day: the real `livepatch-admin` against the real `livepatch-server`.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    CertificateAdded, LivepatchSummary, MachineSummary, PublishAnswer, TierSummary, TokenCreated,
    TokenSummary, UserSummary,
};
use livepatch_manifest::Digest;
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
fn documents_of_the_build_go_along_with_a_livepatch() {
    let site = Site::start();
    site.build();
    site.add_certificate();
    let write = |name: &str, text: &str| {
        fs::write(site.path(name), text).unwrap();
        site.path(name).to_str().unwrap().to_owned()
    };
    let report = |digest: &Digest| serde_json::json!({"module_sha256": digest}).to_string();
    let own = write("report.json", &report(&Digest::of(&module())));
    let other = write("other.json", &report(&Digest::of(b"another module")));
    let console = write("console.log", "[    0.0] Linux");
    let arguments = site.publish_arguments();
    let publish = |more: &[&str]| {
        let mut all: Vec<String> = arguments.to_vec();
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all
    };
    fn words(arguments: &[String]) -> Vec<&str> {
        arguments.iter().map(String::as_str).collect()
    }
    let missing = site.refused(&words(&publish(&["--patch", "/nowhere/fix.patch"])));
    assert!(missing.contains("/nowhere/fix.patch cannot be read"), "{missing}");
    assert_eq!(site.done(&["livepatch", "list"]), "Nothing is published.\n", "nothing half done");
    site.done(&words(&publish(&["--report", &own, "--console", &console])));
    // Again, with what it lacked; the livepatch itself is there already.
    let refused = site.refused(&words(&publish(&["--boot-test", &other])));
    assert!(refused.contains("is published; its boot-test was not taken"), "{refused}");
    assert!(refused.contains("of another module"), "{refused}");
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

/// The status of an attempt to sign in at the dashboard.
fn sign_in(site: &Site, name: &str, password: &str) -> u16 {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let form = agent.post(format!("{}/dashboard/login", site.url));
    form.send_form([("name", name), ("password", password)]).unwrap().status().as_u16()
}

#[test]
fn users_are_made_locked_and_removed() {
    let site = Site::start();
    assert!(site.done(&["user", "list"]).contains("livepatch-admin user create"));
    // The password alone is on standard output, so that it can go into a file.
    let made = site.done(&["user", "create", "ada", "--role", "operator"]).trim().to_owned();
    assert!(made.len() >= 32 && made.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{made}");
    assert_eq!((sign_in(&site, "ada", &made), sign_in(&site, "ada", "no password")), (303, 401));
    assert!(site.refused(&["user", "create", "ada", "--role", "viewer"]).contains("already"));
    assert!(site.refused(&["user", "create", "../x", "--role", "viewer"]).contains("letters"));
    let output = site.admin(&["user", "create", "eve", "--role", "queen"]);
    assert_eq!(output.status.code(), Some(2));

    let file = site.path("password");
    let with_file = ["user", "password", "ada", "--password-file", file.to_str().unwrap()];
    fs::write(&file, "short\n").unwrap();
    assert!(site.refused(&with_file).contains("12 characters"));
    fs::write(&file, "\n").unwrap();
    assert!(site.refused(&with_file).contains("no password on its first line"));
    fs::write(&file, "correct horse battery\nmore\n").unwrap();
    assert!(site.done(&with_file).contains("ada"));
    assert_eq!((sign_in(&site, "ada", &made), sign_in(&site, "ada", "correct horse battery")), (401, 303));

    let users: Vec<UserSummary> = site.json(&["user", "lock", "ada"]);
    assert!(users[0].locked_until.as_ref().unwrap().starts_with("9999-12-30"), "{users:?}");
    assert_eq!(sign_in(&site, "ada", "correct horse battery"), 401, "a locked user signs in");
    let table = site.done(&["user", "list"]);
    assert!(table.contains("until 9999-12-30") && table.contains("operator"), "{table}");
    let users: Vec<UserSummary> = site.json(&["user", "unlock", "ada"]);
    assert_eq!(users[0].locked_until, None);
    assert_eq!(sign_in(&site, "ada", "correct horse battery"), 303);

    assert!(site.done(&["user", "remove", "ada"]).starts_with("There are no users"));
    assert_eq!(sign_in(&site, "ada", "correct horse battery"), 401);
    for verb in ["lock", "unlock", "remove", "password"] {
        assert!(site.refused(&["user", verb, "ada"]).contains("livepatch-admin user list"), "{verb}");
    }
    let log = site.done(&["audit", "list"]);
    for act in ["user-create", "user-password", "user-lock", "user-unlock", "user-remove"] {
        assert!(log.contains(act), "{act} is not in the audit log");
    }
    assert!(!log.contains("battery") && !log.contains(&made));
}

#[test]
fn the_server_says_how_it_is() {
    let site = Site::start();
    assert_eq!(site.done(&["server", "status"]), format!("{}: ok, ready\n", site.url));
    assert!(site.done(&["server", "metrics"]).contains("livepatch_database_up 1"));
    let document: serde_json::Value = site.json(&["server", "api"]);
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn several_servers_have_names() {
    let (lab, plant) = (Site::start(), Site::start());
    plant.done(&["tier", "create", "night", "--after", "stable"]);
    let settings = tempfile::tempdir().unwrap();
    let folder = settings.path().join("livepatch");
    fs::create_dir(&folder).unwrap();
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_livepatch-admin"));
        for name in ["LIVEPATCH_ADMIN_KEY", "LIVEPATCH_SERVER", "LIVEPATCH_PROFILE"] {
            program.env_remove(name);
        }
        program.env("XDG_CONFIG_HOME", settings.path()).args(arguments).output().unwrap()
    };
    let said = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let tiers = |arguments: &[&str]| {
        let output = run(&[arguments, &["tier", "list", "--format", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        let tiers: Vec<TierSummary> =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
        tiers.len()
    };
    assert!(said(&["--profile", "lab", "tier", "list"]).contains("admin.toml has none"));
    let empty = String::from_utf8(run(&["profile", "list"]).stdout).unwrap();
    assert!(empty.starts_with("There are no profiles; "), "{empty}");

    // A key file is found from the file's own folder on, or by its whole path.
    fs::copy(lab.path("data/admin.key"), folder.join("lab.key")).unwrap();
    let text = format!(
        "default = \"lab\"\n[profiles.lab]\nserver = {:?}\nkey-file = \"lab.key\"\n\
         [profiles.plant]\nserver = {:?}\nkey-file = {:?}\n",
        lab.url,
        plant.url,
        plant.path("data/admin.key")
    );
    fs::write(folder.join("admin.toml"), &text).unwrap();
    assert_eq!((tiers(&[]), tiers(&["--profile", "lab"]), tiers(&["--profile", "plant"])), (4, 4, 5));
    // Behind the verb it is that of a rollout.
    let begin = ["rollout", "begin", "r", "x", "--to", "edge", "--profile", "cautious", "--dry-run"];
    let output = run(&[&["--profile", "plant"], &begin[..]].concat());
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"cautious\""), "{output:?}");
    // The command line goes before the profile that it names; the default's key goes to no server that it is not for.
    let key = plant.path("data/admin.key");
    assert_eq!(tiers(&["--profile", "lab", "--server", &plant.url, "--key-file", key.to_str().unwrap()]), 5);
    assert!(said(&["--server", &plant.url, "tier", "list"]).contains("--profile"));
    assert!(said(&["--profile", "moon", "tier", "list"]).contains("has lab, plant"));
    let table = String::from_utf8(run(&["profile", "list"]).stdout).unwrap();
    assert!(table.contains("default") && table.contains(&plant.url), "{table}");
    let json = run(&["profile", "list", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["profiles"]["lab"]["server"], format!("{}/", lab.url));

    fs::write(folder.join("admin.toml"), text.replace("key-file", "keyfile")).unwrap();
    assert!(said(&["tier", "list"]).contains("is no file of profiles"));
}
