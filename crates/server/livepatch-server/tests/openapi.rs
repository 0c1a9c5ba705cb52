//! The API's document: it is the program's, it follows its standard, and the server does what it says.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    ApiKeyCreated, ApiKeyRequest, CheckInAnswer, CheckInRequest, EnrolAnswer, PatchState, PublishAnswer,
    Role, RolloutView, paths,
};
use livepatch_kernel::Taint;
use livepatch_services::{Schemathesis, Standard};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::PathBuf, process::Command};
use support::{MACHINE, Server, livepatch, machine};

/// So that not everything is 429.
const UNLIMITED: [&str; 6] =
    ["--rate-per-address", "0", "--rate-per-token", "0", "--guesses-per-address", "0"];

fn printed() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_livepatch-server")).arg("openapi").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Method, path, and what is said of the operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, operations): (&String, &Value)| {
        let operations = operations.as_object().unwrap().clone();
        let path = path.clone();
        operations.into_iter().map(move |(method, operation)| (method, path.clone(), operation))
    };
    paths.iter().flat_map(of).collect()
}

/// `LIVEPATCH_BLESS=1 cargo test -p livepatch-server --test openapi published` writes it anew.
#[test]
fn published_document_is_that_of_the_program() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/schema/openapi.json");
    let printed = printed();
    if std::env::var_os("LIVEPATCH_BLESS").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == printed, "{} is not current: see above this test", path.display());
    let (status, served) = Server::start().get_bytes(paths::OPENAPI);
    assert_eq!((status, String::from_utf8(served).unwrap()), (200, printed));
}

#[test]
fn the_document_follows_its_standard_and_explains_itself() {
    let document: Value = serde_json::from_str(&printed()).unwrap();
    assert_eq!(Standard::OpenApi.faults(&document).unwrap(), [""; 0]);
    assert_eq!(document["openapi"], "3.1.0");

    let operations = operations(&document);
    let ids: BTreeSet<&str> =
        operations.iter().map(|(_, _, one)| one["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "two operations share an id");
    for (method, path, operation) in &operations {
        assert!(operation["summary"].is_string(), "{method} {path}");
        let tag = operation["tags"][0].as_str().unwrap();
        assert_eq!(path.starts_with("/v1/admin/"), tag == "operators", "{method} {path} is for {tag}");
        assert_eq!(tag == "operators", operation["security"][0]["api-key"].is_array(), "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
            assert!(parameter["name"].as_str().unwrap().parse::<usize>().is_err(), "{path}: {parameter}");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string() || name == "Day", "{name} is not described");
        for (field, meaning) in schema["properties"].as_object().into_iter().flatten() {
            let is_told = meaning["description"].is_string() || meaning.get("$ref").is_some();
            assert!(is_told || meaning.get("const").is_some(), "{name}.{field} is not described");
        }
    }
}

/// Each operation with a key of each role, so that neither the document nor a handler asks for another one.
#[test]
fn roles_are_those_of_the_document() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_with(directory, &UNLIMITED, &[]);
    let roles = [Role::Viewer, Role::Operator, Role::Releaser, Role::Admin];
    let keys = roles.map(|role| {
        let request = ApiKeyRequest { name: role.to_string(), role, expires_after: None };
        server.admin_post::<ApiKeyCreated>(paths::ADMIN_KEYS, &request).unwrap().key
    });
    let document: Value = serde_json::from_str(&printed()).unwrap();
    let mut guarded = 0;
    for (method, path, operation) in operations(&document) {
        let Some(needed) = operation["security"][0]["api-key"][0].as_str() else { continue };
        let needed: Role = needed.parse().unwrap();
        guarded += 1;
        let at = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let at = at.collect::<Vec<_>>().join("/");
        // An empty body is refused, where one is wanted, by those who may.
        assert_eq!(server.status(&method, &at, None), 401, "{method} {path} for somebody without a key");
        for (role, key) in roles.iter().zip(&keys) {
            let answer = server.status(&method, &at, Some(key));
            assert_eq!(answer == 403, *role < needed, "{method} {path} answers {answer} to a {role}");
        }
    }
    assert!(guarded > 50, "{guarded} operations are guarded");
}

/// Good and bad requests to every operation: no answer is a fault of the server's, and each is as the document says.
#[test]
fn schemathesis_finds_nothing() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &UNLIMITED, &[]);
    let (token, credential) = fill(&server);
    let settings = settings(&server, &token, &credential);
    let found = Schemathesis::get().unwrap().run(&format!("{}{}", server.url, paths::OPENAPI), &settings);
    let found = found.unwrap();
    assert!(found.is_clean, "{}", found.text);
    assert!(!server.log().contains("panicked"));
    // It was let in, and did not only see closed doors.
    let log: Vec<_> = server.admin_get::<Vec<livepatch_api::AuditEntry>>(paths::ADMIN_AUDIT).unwrap();
    assert!(log.len() > 50, "{} acts\n{}", log.len(), found.text);
}

/// Something of each kind to ask about. The secret of a token, and a machine's.
fn fill(server: &Server) -> (String, String) {
    let pem = support::KEY.certificate().to_pem();
    server.admin_post::<Value>(paths::ADMIN_CERTIFICATES, &json!({"pem": pem})).unwrap();
    for version in 1..=2 {
        let (module, manifest) = livepatch(version);
        server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    }
    let token = server.token(None, None);
    let credential = server.post::<EnrolAnswer>(paths::ENROL, &token, &machine(MACHINE)).unwrap().credential;
    let report = CheckInRequest {
        sequence: 1,
        boot_id: "5a37a7ab-5b4c-4f44-b9c2-2d4f3ec4f3d6".into(),
        kernel: support::kernel(),
        state: PatchState::NothingToApply,
        applied: None,
        taint: Taint(0),
        events: vec![],
        client_version: "0.1.0".into(),
    };
    server.post::<CheckInAnswer>(paths::CHECK_IN, &credential, &report).unwrap();
    server.admin_post::<RolloutView>(paths::ADMIN_ROLLOUTS, &support::rollout("normal")).unwrap();
    for (list, request) in [
        (paths::ADMIN_BLOCKS, json!({"kind": "tag", "subject": "lab", "reason": "not now"})),
        (paths::ADMIN_HOOKS, json!({"name": "chat", "url": "http://127.0.0.1:9/", "events": []})),
        (paths::ADMIN_USERS, json!({"name": "ada", "role": "operator"})),
        (paths::ADMIN_SUBSCRIBERS, json!({"address": "reader@example.org"})),
        (
            paths::ADMIN_CVE_DOCUMENTS,
            json!({"source": "ubuntu-tracker", "documents": [{"name": "CVE-2026-1001", "text": TRACKED}]}),
        ),
    ] {
        server.admin_post::<Value>(list, &request).unwrap();
    }
    (token, credential)
}

const TRACKED: &str = "\
Candidate: CVE-2026-1001
PublicDate: 2026-11-01 00:00:00 UTC
References:
 https://www.cve.org/CVERecord?id=CVE-2026-1001
Description:
 The teapot pours beside the cup.
Ubuntu-Description:
Notes:
Priority: high
Discovered-by:
Assigned-to:
CVSS:

Patches_linux:
upstream_linux: needs-triage
";

/// The ids in a list.
fn ids(server: &Server, list: &str) -> Vec<String> {
    let list: Vec<Value> = server.admin_get(list).unwrap();
    list.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// `admin.key` cannot be revoked, so nothing that is asked takes the right to ask away.
fn settings(server: &Server, token: &str, credential: &str) -> String {
    let key = server.admin_key();
    let lists = [paths::ADMIN_TOKENS, paths::ADMIN_BLOCKS, paths::ADMIN_HOOKS];
    let mut ids: Vec<String> = lists.iter().flat_map(|list| ids(server, list)).collect();
    ids.push(MACHINE.to_owned());
    let names = ["ada".to_owned(), support::name(1), support::name(2)];
    format!(
        r#"
seed = 20261201
workers = 2
request-timeout = 60
headers = {{ Authorization = "Bearer {key}" }}

[generation]
max-examples = 6
deterministic = true
database = "none"

# One of the methods that an address does not have stands for all.
[phases.coverage]
unexpected-methods = ["DELETE"]

# What there is, beside what is made up.
[dictionaries]
ids = {{ values = {ids:?} }}
names = {{ values = {names:?} }}
tiers = {{ values = ["edge", "beta", "candidate", "stable"] }}
cves = {{ values = ["CVE-2026-1001"] }}
releases = {{ values = ["2026-11"] }}
numbers = {{ values = ["LSN-0001", "LSN-0001-1"] }}
forms = {{ values = ["osv", "csaf", "openvex"] }}

[parameters]
"path.id" = {{ dictionary = "ids", probability = 0.6 }}
"path.name" = {{ dictionary = "names", probability = 0.6 }}
"path.cve" = {{ dictionary = "cves", probability = 0.6 }}
"path.release" = {{ dictionary = "releases", probability = 0.6 }}
"path.number" = {{ dictionary = "numbers", probability = 0.6 }}
"path.form" = {{ dictionary = "forms", probability = 0.6 }}
"body.tier" = {{ dictionary = "tiers", probability = 0.6 }}

# Data that have the right form and mean nothing here, such as a tier that there is not, are answered with 422.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422"]

# It answers when there is something new, or after an hour: others test it.
[[operations]]
include-path = "/v1/news/{{version}}"
enabled = false

[[operations]]
include-path = "/v1/enrol"
headers = {{ Authorization = "Bearer {token}" }}

[[operations]]
include-path = "/v1/check-in"
headers = {{ Authorization = "Bearer {credential}" }}
"#
    )
}
