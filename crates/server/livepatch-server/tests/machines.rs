//! Machines and the server: enrolment and reports.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AppliedLivepatch, CertificateAdded, CertificateRequest, CheckInAnswer, CheckInRequest, EnrolAnswer,
    ErrorCode, Event, EventKind, MachineSummary, PatchState, TokenCreated, TokenRequest, TokenSummary,
    TrustAnchor, paths,
};
use livepatch_kernel::Taint;
use livepatch_manifest::Digest;
use support::{KEY, MACHINE, STRANGER, Server, machine, name, refused};

fn enrol(server: &Server, secret: &str, id: &str) -> support::Answer<EnrolAnswer> {
    server.post(paths::ENROL, secret, &machine(id))
}

fn report(sequence: u64) -> CheckInRequest {
    CheckInRequest {
        sequence,
        boot_id: "0b5b8b0e-7a43-4d39-8f3b-0d5b7d7c4a6d".into(),
        kernel: support::kernel(),
        state: PatchState::Applied,
        applied: Some(AppliedLivepatch { name: name(1), version: 1, sha256: Digest::of(b"ko") }),
        taint: Taint(45056),
        events: vec![Event {
            at: "2026-11-24T08:00:00Z".into(),
            kind: EventKind::Applied,
            detail: "done".into(),
        }],
        client_version: "0.1.0".into(),
    }
}

#[test]
fn token_needs_a_certificate_and_pins_it() {
    let server = Server::start();
    let request = TokenRequest {
        tier: "edge".into(),
        uses: None,
        expires_after: None,
        note: "lab".into(),
        tags: vec![],
    };
    let answer = server.admin_post::<TokenCreated>(paths::ADMIN_TOKENS, &request);
    let (status, error) = answer.unwrap_err();
    assert_eq!((status, error.code), (409, ErrorCode::Conflict));
    assert!(error.message.contains("livepatch-admin certificate add"), "{error}");

    let pem = KEY.certificate().to_pem().to_owned();
    let certificate = CertificateRequest { pem: pem.clone() };
    let added: CertificateAdded = server.admin_post(paths::ADMIN_CERTIFICATES, &certificate).unwrap();
    assert_eq!(added.fingerprint, Digest::of(KEY.certificate().to_der()));
    let again: CertificateAdded = server.admin_post(paths::ADMIN_CERTIFICATES, &certificate).unwrap();
    assert_eq!(again, added);

    let created: TokenCreated = server.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
    let token: livepatch_api::EnrolmentToken = created.token.parse().unwrap();
    assert_eq!(token.trust_anchor, added.trust_anchor);
    let (status, bytes) = server.get_bytes(&format!("{}/{}", paths::TRUST, token.trust_anchor));
    assert_eq!((status, Digest::of(&bytes)), (200, token.trust_anchor));
    let anchor: TrustAnchor = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(anchor.module_certificates, [pem]);
    let root = std::fs::read_to_string(server.data("repository/metadata/1.root.json")).unwrap();
    assert_eq!(anchor.tuf_root, root);

    let tokens: Vec<TokenSummary> = server.admin_get(paths::ADMIN_TOKENS).unwrap();
    assert_eq!((tokens.len(), tokens[0].used, tokens[0].note.as_str()), (1, 0, "lab"));
}

#[test]
fn a_second_certificate_changes_the_anchor_of_later_tokens_only() {
    let server = Server::with_certificate();
    let add = |key: &livepatch_module::SigningKey| {
        let request = CertificateRequest { pem: key.certificate().to_pem().to_owned() };
        server.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &request).unwrap().trust_anchor
    };
    let first = add(&KEY);
    let second = add(&STRANGER);
    assert_ne!(first, second);
    for anchor in [first, second] {
        assert_eq!(server.get_bytes(&format!("{}/{anchor}", paths::TRUST)).0, 200);
    }
}

#[test]
fn machine_enrols_reports_and_is_listed() {
    let server = Server::with_certificate();
    let answer = enrol(&server, &server.token(None, Some(3600)), MACHINE).unwrap();
    assert_eq!(answer.tier, "edge");
    assert!(
        answer.credential.len() >= 32 && answer.credential.bytes().all(|byte| byte.is_ascii_alphanumeric())
    );

    let first: CheckInAnswer = server.post(paths::CHECK_IN, &answer.credential, &report(1)).unwrap();
    assert_eq!(first, CheckInAnswer { tier: "edge".into(), refresh_after: None });
    // The answer was lost, and the report comes again; then an older one that was stuck in a spool.
    for sequence in [1, 2, 2, 1] {
        server.post::<CheckInAnswer>(paths::CHECK_IN, &answer.credential, &report(sequence)).unwrap();
    }
    let machines: Vec<MachineSummary> = server.admin_get(paths::ADMIN_MACHINES).unwrap();
    assert_eq!(machines.len(), 1);
    assert_eq!((machines[0].machine_id.as_str(), machines[0].tier.as_str()), (MACHINE, "edge"));
    assert_eq!((machines[0].state, machines[0].taint), (PatchState::Applied, Taint(45056)));
    assert_eq!(machines[0].applied, report(1).applied);
    assert_eq!(machines[0].last_event.as_deref(), Some("applied: done"));
}

#[test]
fn enrolment_refusals() {
    let server = Server::with_certificate();
    let unknown = "u".repeat(43);
    assert_eq!(refused(enrol(&server, &unknown, MACHINE)), (401, ErrorCode::UnknownToken));

    let once = server.token(Some(1), None);
    enrol(&server, &once, MACHINE).unwrap();
    enrol(&server, &once, MACHINE).unwrap(); // the answer was lost: no second use
    let other = "7d0a4b3c-3a2f-4c2b-b0f7-5a6f0a1b2c3d";
    assert_eq!(refused(enrol(&server, &once, other)), (403, ErrorCode::TokenExhausted));

    let short = server.token(None, Some(1));
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut outcome = enrol(&server, &short, other);
    while outcome.is_ok() && std::time::Instant::now() < limit {
        std::thread::sleep(std::time::Duration::from_millis(100));
        outcome = enrol(&server, &short, other);
    }
    assert_eq!(refused(outcome), (403, ErrorCode::TokenExpired));

    let token = server.token(None, None);
    for id in ["", "web-1", "3A1F7F0E-6F0C-4F6E-9A63-0C2A6B1C5D11", "../../etc/passwd"] {
        assert_eq!(refused(enrol(&server, &token, id)), (422, ErrorCode::Invalid), "{id}");
    }
    let mut long = machine(MACHINE);
    long.hostname = "x".repeat(300);
    assert_eq!(refused(server.post::<EnrolAnswer>(paths::ENROL, &token, &long)), (422, ErrorCode::Invalid));
}

#[test]
fn report_refusals() {
    let server = Server::with_certificate();
    let credential = enrol(&server, &server.token(None, None), MACHINE).unwrap().credential;
    let check_in =
        |secret: &str, report: &CheckInRequest| server.post::<CheckInAnswer>(paths::CHECK_IN, secret, report);
    assert_eq!(refused(check_in(&"x".repeat(43), &report(1))), (401, ErrorCode::Unauthorized));
    assert_eq!(refused(check_in("", &report(1))), (401, ErrorCode::Unauthorized));
    for sequence in [0, u64::MAX] {
        assert_eq!(refused(check_in(&credential, &report(sequence))), (422, ErrorCode::Invalid));
    }
    let mut flood = report(1);
    flood.events = vec![flood.events[0].clone(); 1001];
    assert_eq!(refused(check_in(&credential, &flood)), (422, ErrorCode::Invalid));
    let huge = vec![b' '; 300 << 10];
    let answer = server.send::<CheckInAnswer>(paths::CHECK_IN, &credential, &huge);
    assert_eq!(refused(answer), (413, ErrorCode::TooLarge));
    for body in ["", "{", "[]", "{\"sequence\":1}"] {
        let answer = server.send::<CheckInAnswer>(paths::CHECK_IN, &credential, body.as_bytes());
        assert_eq!(refused(answer).1, ErrorCode::Invalid, "{body}");
    }
}

#[test]
fn operator_routes_need_the_operator() {
    let server = Server::with_certificate();
    let credential = enrol(&server, &server.token(None, None), MACHINE).unwrap().credential;
    for secret in ["", "wrong", &credential] {
        for path in [paths::ADMIN_TOKENS, paths::ADMIN_LIVEPATCHES, paths::ADMIN_MACHINES] {
            let answer = server.get::<serde_json::Value>(path, secret);
            assert_eq!(refused(answer), (401, ErrorCode::Unauthorized), "{path}");
        }
        for path in [paths::ADMIN_CERTIFICATES, paths::ADMIN_PROMOTE, paths::ADMIN_LIVEPATCHES] {
            let answer = server.send::<serde_json::Value>(path, secret, b"{}");
            assert_eq!(refused(answer), (401, ErrorCode::Unauthorized), "{path}");
        }
    }
}

#[test]
fn token_request_refusals() {
    let server = Server::with_certificate();
    let sound = TokenRequest {
        tier: "edge".into(),
        uses: None,
        expires_after: None,
        note: String::new(),
        tags: vec![],
    };
    for wrong in [
        TokenRequest { tier: "nightly".into(), ..sound.clone() },
        TokenRequest { uses: Some(0), ..sound.clone() },
        TokenRequest { expires_after: Some(0), ..sound.clone() },
        TokenRequest { expires_after: Some(u64::MAX), ..sound.clone() },
        TokenRequest { note: "two\nlines".into(), ..sound.clone() },
    ] {
        let answer = server.admin_post::<TokenCreated>(paths::ADMIN_TOKENS, &wrong);
        assert_eq!(refused(answer), (422, ErrorCode::Invalid), "{wrong:?}");
    }
    let answer = server.admin_post::<CertificateAdded>(
        paths::ADMIN_CERTIFICATES,
        &CertificateRequest { pem: "-----BEGIN CERTIFICATE-----".into() },
    );
    assert_eq!(refused(answer), (422, ErrorCode::Invalid));
}

#[test]
fn secrets_stay_out_of_log_and_database() {
    let server = Server::with_certificate();
    let token = server.token(None, None);
    let credential = enrol(&server, &token, MACHINE).unwrap().credential;
    server.post::<CheckInAnswer>(paths::CHECK_IN, &credential, &report(1)).unwrap();
    let (key, log) = (server.admin_key(), server.log());
    let (directory, _) = server.stop();
    let database = std::fs::read(directory.path().join("data/livepatch.db")).unwrap();
    assert!(log.contains("enrolled a machine"));
    for secret in [token, credential, key] {
        assert!(!log.contains(&secret));
        assert!(!database.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
