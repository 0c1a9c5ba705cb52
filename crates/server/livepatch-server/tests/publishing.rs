//! What may be published, and what is not.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AuditEntry, BuildDocumentSummary, ErrorCode, LARGEST_BUILD_DOCUMENT, LivepatchSummary, PromoteRequest,
    PublishAnswer, paths,
};
use livepatch_manifest::{Digest, Manifest};
use livepatch_trust::{Fetch, FetchError, LoadRequest, Repository};
use serde_json::json;
use std::sync::Arc;
use support::{KEY, RELEASE, STRANGER, Server, describe, livepatch, module, name, refused};
use url::Url;

/// The network side of a machine, as small as it gets.
struct Http(ureq::Agent);

impl Fetch for Http {
    fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>, FetchError> {
        let failed = |error: ureq::Error| FetchError::Unreachable(error.to_string());
        let mut response = self.0.get(url.as_str()).call().map_err(failed)?;
        match response.status().as_u16() {
            200 => response.body_mut().with_config().limit(limit + 1).read_to_vec().map_err(failed),
            404 => Err(FetchError::NotFound),
            status => Err(FetchError::Unreachable(format!("status {status}"))),
        }
    }
}

/// Loads the repository as a machine would: over the network, from the first root.
fn load(server: &Server) -> Repository {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
    let url = |path: &str| format!("{}{path}", server.url).parse().unwrap();
    Repository::load(LoadRequest {
        root: &std::fs::read(server.data("repository/metadata/1.root.json")).unwrap(),
        metadata_url: url(paths::METADATA),
        targets_url: url(paths::TARGETS),
        datastore: &server.directory.path().join("datastore"),
        fetch: Arc::new(Http(agent.into())),
    })
    .unwrap()
}

fn publish(
    server: &Server,
    module: &[u8],
    manifest: &Manifest,
    tier: &str,
) -> support::Answer<PublishAnswer> {
    server.publish(module, manifest, tier)
}

fn promote(server: &Server, name: &str, tier: &str) -> support::Answer<PublishAnswer> {
    server.admin_post(paths::ADMIN_PROMOTE, &PromoteRequest { name: name.into(), tier: tier.into() })
}

#[test]
fn published_module_reaches_a_machine_over_http() {
    let server = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    let answer = publish(&server, &module, &manifest, "edge").unwrap();
    assert_eq!(
        (answer.name.as_str(), answer.version, answer.tiers.as_slice()),
        (name(1).as_str(), 1, &["edge".into()][..])
    );
    assert_eq!((answer.targets_version, answer.snapshot_version, answer.timestamp_version), (2, 2, 2));

    let repository = load(&server);
    let published: Vec<_> = repository.livepatches().cloned().collect();
    assert_eq!((published.len(), &published[0].manifest), (1, &manifest));
    assert_eq!(published[0].target, format!("{RELEASE}/{}.ko", name(1)));
    assert_eq!(repository.module(&published[0]).unwrap(), module);
    assert_eq!(repository.versions().targets, answer.targets_version);
}

#[test]
fn promotion_goes_tier_by_tier_or_further() {
    let server = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    publish(&server, &module, &manifest, "edge").unwrap();
    assert_eq!(promote(&server, &name(1), "beta").unwrap().tiers, ["edge", "beta"]);
    let far = promote(&server, &name(1), "stable").unwrap();
    assert_eq!(far.tiers, ["edge", "beta", "candidate", "stable"]);
    assert_eq!(load(&server).livepatches().next().unwrap().tiers, far.tiers);
    assert_eq!(promote(&server, &name(1), "beta").unwrap(), far, "nothing to do, nothing signed");
    assert_eq!(refused(promote(&server, &name(9), "beta")), (404, ErrorCode::NotFound));
    assert_eq!(refused(promote(&server, &name(1), "nightly")), (422, ErrorCode::Invalid));

    let (module, manifest) = livepatch(2);
    let answer = publish(&server, &module, &manifest, "candidate").unwrap();
    assert_eq!(answer.tiers, ["edge", "beta", "candidate"]);
    let list: Vec<LivepatchSummary> = server.admin_get(paths::ADMIN_LIVEPATCHES).unwrap();
    assert_eq!(list.iter().map(|entry| entry.manifest.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(list[1].tiers, answer.tiers);
}

#[test]
fn version_must_grow() {
    let server = Server::with_certificate();
    let (second, second_manifest) = livepatch(2);
    let first_answer = publish(&server, &second, &second_manifest, "edge").unwrap();
    // The answer was lost: the same request once more is no mistake.
    assert_eq!(publish(&server, &second, &second_manifest, "edge").unwrap(), first_answer);
    let (first, first_manifest) = livepatch(1);
    assert_eq!(refused(publish(&server, &first, &first_manifest, "edge")), (409, ErrorCode::Conflict));
    // Same name and version, other content.
    let mut other = second_manifest.clone();
    other.fixes.clear();
    assert_eq!(refused(publish(&server, &second, &other, "edge")), (409, ErrorCode::Conflict));
    let (_, error) = publish(&server, &second, &second_manifest, "beta").unwrap_err();
    assert!(error.message.contains("promote"), "{error}");
}

#[test]
fn unsigned_foreign_and_altered_modules_are_refused() {
    let server = Server::with_certificate();
    let refusal = |module: &[u8], manifest: &Manifest| {
        let (status, error) = publish(&server, module, manifest, "edge").unwrap_err();
        assert_eq!((status, error.code), (422, ErrorCode::ModuleRefused), "{error}");
        error.message
    };
    let unsigned = module(1);
    assert!(refusal(&unsigned, &describe(&unsigned, 1, &KEY)).contains("not signed"));

    let foreign = livepatch_module::sign(&unsigned, &STRANGER).unwrap();
    assert!(refusal(&foreign, &describe(&foreign, 1, &STRANGER)).contains("not trusted"));
    assert!(refusal(&foreign, &describe(&foreign, 1, &KEY)).contains("not trusted"));

    let (signed, manifest) = livepatch(1);
    let mut altered = signed.clone();
    altered[100] ^= 1;
    assert!(refusal(&altered, &manifest).contains("another file"));
    assert!(refusal(&altered, &describe(&altered, 1, &KEY)).contains("altered"));
    assert!(refusal(&signed[..signed.len() - 1], &manifest).contains("another file"));

    let mut anonymous = manifest.clone();
    anonymous.module.signer = None;
    assert!(refusal(&signed, &anonymous).contains("signer"));
    anonymous.module.signer = Some(Digest::of(b"somebody"));
    assert!(refusal(&signed, &anonymous).contains("signer"));

    let list: Vec<LivepatchSummary> = server.admin_get(paths::ADMIN_LIVEPATCHES).unwrap();
    assert!(list.is_empty());
    assert_eq!(load(&server).livepatches().count(), 0);
}

#[test]
fn module_and_manifest_must_name_one_kernel() {
    let server = Server::with_certificate();
    let (signed, sound) = livepatch(1);
    let mut wrongs = vec![sound.clone(); 5];
    wrongs[0].kernel.build_id = "ab".repeat(20).parse().unwrap();
    wrongs[1].kernel.release = "6.1.0-56-cloud-amd64".parse().unwrap();
    wrongs[2].module.vermagic = "6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions".into();
    wrongs[3].name = name(7);
    wrongs[4].kernel.arch = "aarch64".into();
    for (wrong, word) in wrongs.iter().zip(["build id", "release", "vermagic", "name", "architecture"]) {
        let (status, error) = publish(&server, &signed, wrong, "edge").unwrap_err();
        assert_eq!((status, error.code), (422, ErrorCode::ModuleRefused));
        assert!(error.message.contains(word), "{error}");
    }
    let mut trimmed = sound;
    trimmed.module.vermagic = trimmed.module.vermagic.trim_end().to_owned();
    publish(&server, &signed, &trimmed, "edge").unwrap();
}

#[test]
fn other_modules_are_no_livepatches() {
    let server = Server::with_certificate();
    for bytes in [support::compile(&["license=GPL".into(), format!("name={}", name(1))]), b"not ELF".to_vec()]
    {
        let signed = livepatch_module::sign(&bytes, &KEY).unwrap();
        let answer = publish(&server, &signed, &describe(&signed, 1, &KEY), "edge");
        assert_eq!(refused(answer), (422, ErrorCode::ModuleRefused));
    }
}

#[test]
fn malformed_requests_are_refused() {
    let server = Server::with_certificate();
    let (signed, manifest) = livepatch(1);
    assert_eq!(refused(publish(&server, &signed, &manifest, "nightly")), (422, ErrorCode::Invalid));
    let mut impossible = manifest.clone();
    impossible.name = "../../etc".into();
    assert_eq!(refused(publish(&server, &signed, &impossible, "edge")), (422, ErrorCode::Invalid));
    impossible = manifest;
    impossible.schema = 2;
    assert_eq!(refused(publish(&server, &signed, &impossible, "edge")), (422, ErrorCode::Invalid));
    for body in [&b""[..], b"{}", b"{}\n", b"\n", b"{\"manifest\":{},\"tier\":\"edge\"}\nko"] {
        let answer = server.send::<PublishAnswer>(paths::ADMIN_LIVEPATCHES, &server.admin_key(), body);
        assert_eq!(refused(answer), (422, ErrorCode::Invalid));
    }
}

#[test]
fn documents_of_a_build_are_kept_when_they_are_about_the_module() {
    let server = Server::with_certificate();
    let (module, mut manifest) = livepatch(1);
    let patch = "--- a/fs/teapot.c\n+++ b/fs/teapot.c\n@@ -1 +1 @@\n-pour();\n+if (lid) pour(); // <script>alert(1)</script>\n";
    manifest.provenance.patch_sha256 = Digest::of(patch.as_bytes());
    let at = |kind: &str| format!("{}/{}/documents/{kind}", paths::ADMIN_LIVEPATCHES, name(1));
    let send = |kind: &str, text: &str| -> support::Answer<Vec<BuildDocumentSummary>> {
        server.send(&at(kind), &server.admin_key(), text.as_bytes())
    };
    assert_eq!(refused(send("patch", patch)), (404, ErrorCode::NotFound), "nothing is published yet");
    publish(&server, &module, &manifest, "edge").unwrap();

    let unsigned = Digest::of(livepatch_module::split(&module).unwrap().body);
    let report = |digest: &Digest| json!({"schema": 1, "module_sha256": digest, "units": []}).to_string();
    let statement = |digest: &Digest| json!({"subject": [{"digest": {"sha256": digest}}]}).to_string();
    let other = Digest::of(b"another module");
    for (kind, text) in [
        ("report", report(&other)),
        ("report", "{}".into()),
        ("boot-test", report(&other)),
        ("provenance", statement(&other)),
        ("provenance", "{\"subject\": 7}".into()),
        ("patch", format!("{patch} ")),
    ] {
        assert_eq!(refused(send(kind, &text)), (409, ErrorCode::Conflict), "{kind} {text}");
    }
    for (kind, text) in [("report", "not JSON"), ("report", "[]"), ("console", "a\0b")] {
        assert_eq!(refused(send(kind, text)), (422, ErrorCode::Invalid), "{kind} {text}");
    }
    assert_eq!(refused(send("poem", "x")), (404, ErrorCode::NotFound), "there is no such address");
    assert_eq!(refused(send("console", &"x".repeat(LARGEST_BUILD_DOCUMENT + 1))).0, 413);
    assert_eq!(server.admin_get::<Vec<BuildDocumentSummary>>(at("").trim_end_matches('/')).unwrap(), []);

    send("report", &report(&unsigned)).unwrap();
    send("boot-test", &report(&manifest.module.sha256)).unwrap();
    send("provenance", &statement(&unsigned)).unwrap();
    send("console", "[    0.0] Linux").unwrap();
    let kept = send("patch", patch).unwrap();
    let again = send("patch", patch).unwrap();
    assert_eq!(kept, again, "the same again changes nothing");
    let kinds: Vec<&str> = kept.iter().map(|document| document.kind.as_str()).collect();
    assert_eq!(kinds, ["report", "provenance", "boot-test", "console", "patch"]);
    assert_eq!(kept[4].sha256, manifest.provenance.patch_sha256);
    assert_eq!(refused(server.get::<serde_json::Value>(&at("patch"), "nobody")).0, 401);
    let log: Vec<AuditEntry> = server.admin_get(paths::ADMIN_AUDIT).unwrap();
    assert_eq!(log.iter().filter(|entry| entry.action == "build-document").count(), 5);
}
