//! Web-hooks: signed messages, tried until they are taken.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod support;

use aws_lc_rs::hmac;
use livepatch_api::{
    CertificateAdded, CertificateRequest, CheckInAnswer, CheckInRequest, EnrolAnswer, ErrorCode, Event,
    EventKind, HookCreated, HookEvent, HookMessage, HookRequest, HookSummary, PatchState, PromoteRequest,
    PublishAnswer, RolloutOrder, RolloutVerb, RolloutView, paths,
};
use livepatch_kernel::Taint;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};
use support::{KEY, MACHINE, Server, livepatch, machine, name, refused, rollout};

/// Signature and body of each POST; the first so many are answered with 500.
fn receiver(failing: usize) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (send, received) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut input = BufReader::new(stream.try_clone().unwrap());
            let (mut signature, mut length) = (String::new(), 0);
            for line in input.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
                match name.to_ascii_lowercase().as_str() {
                    "livepatch-signature" => signature = value.to_owned(),
                    "content-length" => length = value.parse().unwrap(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            input.read_exact(&mut body).unwrap();
            let status = if number < failing { "500 no" } else { "204 taken" };
            let mut output = stream;
            let _ = write!(output, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            if send.send((signature, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn next(received: &Receiver<(String, String)>, secret: &str) -> HookMessage {
    let (signature, body) = received.recv_timeout(Duration::from_secs(30)).expect("nothing is told");
    let (at, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, format!("{at}.{body}").as_bytes(), &hex::decode(tag).unwrap())
        .expect("not signed with the secret");
    serde_json::from_str(&body).unwrap()
}

fn site() -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--hook-retry-after", "1"], &[]);
    let request = CertificateRequest { pem: KEY.certificate().to_pem().to_owned() };
    server.admin_post::<CertificateAdded>(paths::ADMIN_CERTIFICATES, &request).unwrap();
    server
}

fn hook(server: &Server, name: &str, url: &str, events: &[HookEvent]) -> support::Answer<HookCreated> {
    let request = HookRequest { name: name.into(), url: url.into(), events: events.to_vec() };
    server.admin_post(paths::ADMIN_HOOKS, &request)
}

#[test]
fn hooks_are_told_of_publications_promotions_halts_and_failures() {
    let server = site();
    let (url, received) = receiver(0);
    let (halts, halted) = receiver(0);
    let all = hook(&server, "chat", &url, &[]).unwrap().secret;
    let only_halts = hook(&server, "pager", &halts, &[HookEvent::Halt]).unwrap().secret;
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let told = next(&received, &all);
    assert_eq!(
        (told.event, told.subject.as_str(), told.detail.as_str()),
        (HookEvent::Publish, name(1).as_str(), "edge")
    );
    let promote = PromoteRequest { name: name(1), tier: "beta".into() };
    server.admin_post::<PublishAnswer>(paths::ADMIN_PROMOTE, &promote).unwrap();
    assert_eq!(next(&received, &all).event, HookEvent::Promote);

    server.admin_post::<RolloutView>(paths::ADMIN_ROLLOUTS, &rollout("normal")).unwrap();
    let order = |order| RolloutOrder { order, reason: "a customer called".into() };
    let path = format!("{}/2026-11", paths::ADMIN_ROLLOUTS);
    server.admin_post::<RolloutView>(&path, &order(RolloutVerb::Halt)).unwrap();
    let told = next(&received, &all);
    assert_eq!((told.event, told.subject.as_str()), (HookEvent::Halt, "2026-11"));
    assert_eq!(next(&halted, &only_halts).id, told.id, "the same word to each");
    server.admin_post::<RolloutView>(&path, &order(RolloutVerb::Resume)).unwrap();
    assert_eq!(next(&received, &all).event, HookEvent::Resume);

    let enrolled: EnrolAnswer =
        server.post(paths::ENROL, &server.token(None, None), &machine(MACHINE)).unwrap();
    let report = CheckInRequest {
        sequence: 1,
        boot_id: "boot".into(),
        kernel: support::kernel(),
        state: PatchState::ApplyFailed,
        applied: None,
        taint: Taint(0),
        events: vec![Event {
            at: "2026-11-24T08:00:00Z".into(),
            kind: EventKind::Failed,
            detail: "kernel-refused: no".into(),
        }],
        client_version: "0.1.0".into(),
    };
    for _ in 0..2 {
        server.post::<CheckInAnswer>(paths::CHECK_IN, &enrolled.credential, &report).unwrap();
    }
    let told = next(&received, &all);
    assert_eq!((told.event, told.subject.as_str()), (HookEvent::MachineFailed, MACHINE));
    assert!(told.detail.contains("kernel-refused"), "{told:?}");
    assert!(
        received.recv_timeout(Duration::from_millis(300)).is_err(),
        "a report that is repeated is told once"
    );
    assert!(halted.try_recv().is_err(), "only of what was asked for");
}

#[test]
fn a_message_is_tried_until_it_is_taken() {
    let server = site();
    let (url, received) = receiver(2);
    let secret = hook(&server, "chat", &url, &[HookEvent::Publish]).unwrap().secret;
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let tries = [next(&received, &secret), next(&received, &secret), next(&received, &secret)];
    assert!(tries.iter().all(|message| *message == tries[0]), "the same message");
    let waiting = || server.admin_get::<Vec<HookSummary>>(paths::ADMIN_HOOKS).unwrap()[0].waiting;
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while waiting() > 0 {
        assert!(std::time::Instant::now() < limit, "a message that was taken waits on");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn hooks_are_checked_listed_and_removed() {
    let server = site();
    for url in ["", "no url", "ftp://example.org/x", "file:///etc/passwd"] {
        assert_eq!(refused(hook(&server, "x", url, &[])), (422, ErrorCode::Invalid), "{url}");
    }
    let created = hook(&server, "chat", "http://127.0.0.1:9/", &[]).unwrap();
    assert_eq!(refused(hook(&server, "chat", "http://127.0.0.1:9/", &[])), (409, ErrorCode::Conflict));
    let list: Vec<HookSummary> = server.admin_get(paths::ADMIN_HOOKS).unwrap();
    assert_eq!((list[0].name.as_str(), list[0].events.len()), ("chat", HookEvent::ALL.len()));
    assert!(!serde_json::to_string(&list).unwrap().contains(&created.secret));
    let remove = format!("{}/{}/remove", paths::ADMIN_HOOKS, created.id);
    assert!(server.admin_post::<Vec<HookSummary>>(&remove, &[(); 0]).unwrap().is_empty());
    assert_eq!(refused(server.admin_post::<Vec<HookSummary>>(&remove, &[(); 0])), (404, ErrorCode::NotFound));
}
