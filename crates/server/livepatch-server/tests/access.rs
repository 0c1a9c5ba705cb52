//! Roles, revocation, the audit log, and readiness, through the API.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    ApiKeyCreated, ApiKeyRequest, ApiKeySummary, ApprovalRequest, ApprovalSummary, ApprovalTakeBack,
    AuditEntry, CertificateAdded, CertificateRequest, EnrolAnswer, ErrorCode, MachineDetail,
    PromoteAllRequest, PromoteRequest, PublishAnswer, Role, RolloutView, TierChange, TierSummary,
    TokenCreated, TokenRequest, TokenSummary, paths,
};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};
use support::{KEY, MACHINE, Server, livepatch, machine, name, refused, rollout};

fn key(server: &Server, name: &str, role: Role) -> ApiKeyCreated {
    let request = ApiKeyRequest { name: name.into(), role, expires_after: None };
    server.admin_post(paths::ADMIN_KEYS, &request).unwrap()
}

#[test]
fn a_key_passes_for_nobody_else() {
    let server = Server::start();
    for name in ["", " ", "admin.key", "user:ada", "openid:ada"] {
        let request = ApiKeyRequest { name: name.into(), role: Role::Viewer, expires_after: None };
        let answer = server.admin_post::<ApiKeyCreated>(paths::ADMIN_KEYS, &request);
        assert_eq!(refused(answer), (422, ErrorCode::Invalid), "{name:?}");
    }
}

#[test]
fn each_role_may_do_its_part_and_no_more() {
    let server = Server::with_certificate();
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let token = json!({"tier": "edge"});
    let promote = json!({"name": name(1), "tier": "beta"});
    let another = json!({"name": "another", "role": "viewer"});
    let rollout = json!({"order": "resume", "reason": "x"});
    let rollout_path = format!("{}/none", paths::ADMIN_ROLLOUTS);
    for role in [Role::Viewer, Role::Operator, Role::Releaser, Role::Admin] {
        let secret = key(&server, role.as_str(), role).key;
        for path in
            [paths::ADMIN_MACHINES, paths::ADMIN_LIVEPATCHES, paths::ADMIN_AUDIT, paths::ADMIN_ROLLOUTS]
        {
            server.get::<Value>(path, &secret).unwrap();
        }
        let acts = [
            (Role::Operator, paths::ADMIN_TOKENS, &token),
            (Role::Operator, rollout_path.as_str(), &rollout),
            (Role::Releaser, paths::ADMIN_PROMOTE, &promote),
            (Role::Admin, paths::ADMIN_KEYS, &another),
        ];
        for (needed, path, body) in acts {
            let forbidden = matches!(
                server.post::<Value>(path, &secret, body),
                Err((403, error)) if error.code == ErrorCode::Forbidden
            );
            assert_eq!(forbidden, role < needed, "{role} {path}");
        }
    }
    let log: Vec<AuditEntry> = server.admin_get(paths::ADMIN_AUDIT).unwrap();
    AuditEntry::verify_chain(log.iter()).unwrap();
    let promoted = log.iter().find(|entry| entry.action == "promote").unwrap();
    assert_eq!(promoted.actor, "releaser");
}

#[test]
fn what_is_revoked_is_worth_nothing_at_once() {
    let server = Server::with_certificate();
    let created = key(&server, "ada", Role::Viewer);
    server.get::<Value>(paths::ADMIN_MACHINES, &created.key).unwrap();
    let path = format!("{}/{}/revoke", paths::ADMIN_KEYS, created.id);
    let keys: Vec<ApiKeySummary> = server.admin_post(&path, &json!({})).unwrap();
    assert!(keys[0].revoked.is_some());
    assert_eq!(
        refused(server.get::<Value>(paths::ADMIN_MACHINES, &created.key)),
        (401, ErrorCode::Unauthorized)
    );
    assert_eq!(refused(server.admin_post::<Value>(&path, &json!({}))), (404, ErrorCode::NotFound));

    let request = TokenRequest {
        tier: "edge".into(),
        uses: None,
        expires_after: None,
        note: String::new(),
        tags: vec![],
    };
    let token: TokenCreated = server.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
    let secret = token.token.parse::<livepatch_api::EnrolmentToken>().unwrap().secret;
    let credential = server.post::<EnrolAnswer>(paths::ENROL, &secret, &machine(MACHINE)).unwrap().credential;
    let tokens: Vec<TokenSummary> =
        server.admin_post(&format!("{}/{}/revoke", paths::ADMIN_TOKENS, token.id), &json!({})).unwrap();
    assert!(tokens[0].revoked.is_some());
    let answer = server.post::<EnrolAnswer>(paths::ENROL, &secret, &machine(MACHINE));
    assert_eq!(refused(answer), (403, ErrorCode::TokenExpired));

    // Known: an empty report is refused for the report. Revoked: for the credential.
    assert_eq!(refused(server.send::<Value>(paths::CHECK_IN, &credential, b"{}")), (422, ErrorCode::Invalid));
    let detail: MachineDetail =
        server.admin_post(&format!("{}/{MACHINE}/revoke", paths::ADMIN_MACHINES), &json!({})).unwrap();
    assert!(detail.machine.revoked.is_some());
    let report = json!({"sequence": 1, "boot_id": "b", "kernel": support::kernel(), "state": "applied",
        "applied": null, "taint": 0, "events": [], "client_version": "0"});
    assert_eq!(
        refused(server.post::<Value>(paths::CHECK_IN, &credential, &report)),
        (401, ErrorCode::Unauthorized)
    );
    let none = server.admin_get::<MachineDetail>(&format!("{}/none", paths::ADMIN_MACHINES));
    assert_eq!(refused(none), (404, ErrorCode::NotFound));
}

#[test]
fn readiness_tells_a_lost_database_from_a_dead_server() {
    let server = Server::start();
    assert_eq!(server.get_bytes(paths::READY).0, 200);
    let (directory, _) = server.stop();
    for file in ["livepatch.db", "livepatch.db-wal", "livepatch.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join("data").join(file));
    }
    std::fs::create_dir(directory.path().join("data/livepatch.db")).unwrap();
    let server = Server::start_in(directory);
    assert_eq!((server.get_bytes(paths::HEALTH).0, server.get_bytes(paths::READY).0), (200, 503));
}

/// A body that comes after its refusal would leave the connection half read, and the next request without an answer.
#[test]
fn a_refusal_leaves_the_connection_usable_or_says_that_it_ends() {
    let server = Server::start();
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = |length: usize| {
        format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\r\n",
            paths::ADMIN_TOKENS
        )
    };
    for _ in 0..3 {
        stream.write_all(head(2).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(100)); // the head is there long before the body
        stream.write_all(b"{}").unwrap();
        let answer = read_answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    stream.write_all(head(16 << 20).as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");
}

/// The head of one answer; its body is read and dropped.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase().replacen("http", "HTTP", 1);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    head
}

#[test]
fn nothing_comes_to_a_guarded_tier_by_one_persons_word() {
    let arguments = ["--two-people-for", "stable"];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &arguments, &[]);
    let certificate = CertificateRequest { pem: KEY.certificate().to_pem().to_owned() };
    server.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &certificate).unwrap();
    let (ada, grace) = (key(&server, "ada", Role::Releaser).key, key(&server, "grace", Role::Releaser).key);
    let (module, manifest) = livepatch(1);
    let approval = ApprovalRequest { livepatch: name(1), tier: "stable".into(), reason: "read it".into() };
    let approve = |who: &str| server.post::<Vec<ApprovalSummary>>(paths::ADMIN_APPROVALS, who, &approval);
    let promote = |who: &str| {
        let request = PromoteRequest { name: name(1), tier: "stable".into() };
        server.post::<PublishAnswer>(paths::ADMIN_PROMOTE, who, &request)
    };
    let promote_all = |who: &str| {
        let request = PromoteAllRequest { from: "edge".into(), tier: "stable".into() };
        server.post::<Vec<PublishAnswer>>(paths::ADMIN_PROMOTE_ALL, who, &request)
    };
    let forbidden = (403, ErrorCode::Forbidden);
    // admin.key is one person too.
    assert_eq!(refused(server.publish::<PublishAnswer>(&module, &manifest, "stable")), forbidden);
    assert_eq!(
        refused(approve(&ada)),
        (404, ErrorCode::NotFound),
        "what is not published was read by nobody"
    );
    server.publish::<PublishAnswer>(&module, &manifest, "candidate").unwrap();
    assert_eq!(refused(promote(&ada)), forbidden);
    assert_eq!(approve(&ada).unwrap().len(), 1);
    assert_eq!(approve(&ada).unwrap().len(), 1, "again changes nothing");
    assert_eq!(refused(promote(&ada)), forbidden, "nobody approves for themselves");
    assert_eq!(refused(promote_all(&ada)), forbidden);
    assert_eq!(
        refused(server.post::<RolloutView>(paths::ADMIN_ROLLOUTS, &ada, &rollout("normal"))),
        forbidden
    );

    let take_back = ApprovalTakeBack { livepatch: name(1), tier: "stable".into() };
    let path = format!("{}/take-back", paths::ADMIN_APPROVALS);
    let others: Vec<ApprovalSummary> = server.post(&path, &grace, &take_back).unwrap();
    assert_eq!(others.len(), 1, "only one's own");
    assert_eq!(server.post::<Vec<ApprovalSummary>>(&path, &ada, &take_back).unwrap(), []);
    assert_eq!(refused(promote(&grace)), forbidden);
    approve(&ada).unwrap();
    assert!(promote(&grace).unwrap().tiers.contains(&"stable".to_owned()));
    assert_eq!(promote_all(&ada).unwrap(), [], "it is there already");

    // The guard does not go with the name.
    for change in [
        TierChange::Rename { name: "stable".into(), to: "calm".into() },
        TierChange::Remove { name: "stable".into(), move_to: Some("edge".into()) },
    ] {
        let answer = server.admin_post::<Vec<TierSummary>>(paths::ADMIN_TIERS, &change);
        assert_eq!(refused(answer), (409, ErrorCode::Conflict));
    }
}

#[test]
fn a_guard_on_a_tier_that_is_not_there_lets_nothing_pass() {
    let arguments = ["--two-people-for", "stabel"];
    let server = Server::start_with(tempfile::tempdir().unwrap(), &arguments, &[]);
    let certificate = CertificateRequest { pem: KEY.certificate().to_pem().to_owned() };
    server.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &certificate).unwrap();
    let (module, manifest) = livepatch(1);
    let (status, error) = server.publish::<PublishAnswer>(&module, &manifest, "stable").unwrap_err();
    assert_eq!((status, error.code), (409, ErrorCode::Conflict));
    assert!(error.message.contains("stabel"), "{}", error.message);
}
