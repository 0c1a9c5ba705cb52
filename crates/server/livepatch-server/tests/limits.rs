//! Limits for those who ask too much, and what the server counts of itself.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{EnrolAnswer, ErrorCode, TierSummary, paths};
use std::time::{Duration, Instant};
use support::{MACHINE, Server, machine, refused};

fn limited(arguments: &[&str]) -> Server {
    Server::start_with(tempfile::tempdir().unwrap(), arguments, &[])
}

fn tiers(server: &Server) -> support::Answer<Vec<TierSummary>> {
    server.admin_get(paths::ADMIN_TIERS)
}

#[test]
fn whoever_asks_too_often_is_told_when_to_come_back() {
    let server = limited(&["--rate-per-token", "1"]);
    let refusal = (0..60).find_map(|_| tiers(&server).err()).expect("a flood of requests is answered");
    assert_eq!((refusal.0, refusal.1.code), (429, ErrorCode::TooMany));
    let bearer = format!("Bearer {}", server.admin_key());
    let answer = ureq::Agent::config_builder().http_status_as_error(false).build();
    let answer = ureq::Agent::from(answer).get(format!("{}{}", server.url, paths::ADMIN_TIERS));
    let answer = answer.header("authorization", &bearer).call().unwrap();
    assert_eq!(answer.headers().get("retry-after").unwrap(), "1");

    // Others are not held up: the files, other secrets, and who waited.
    for _ in 0..60 {
        assert_eq!(server.get_bytes("/repository/metadata/timestamp.json").0, 200);
        assert_eq!(server.get_bytes(paths::HEALTH).0, 200);
    }
    let other = server.post::<EnrolAnswer>(paths::ENROL, &"t".repeat(43), &machine(MACHINE));
    assert_eq!(refused(other), (401, ErrorCode::UnknownToken));
    let limit = Instant::now() + Duration::from_secs(20);
    while tiers(&server).is_err() {
        assert!(Instant::now() < limit, "who waited is not let in");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn an_address_is_limited_whatever_it_shows() {
    let server = limited(&["--rate-per-address", "1", "--rate-per-token", "0"]);
    let refusal = (0..60).find_map(|_| tiers(&server).err()).expect("a flood of requests is answered");
    assert_eq!(refusal.1.code, ErrorCode::TooMany);
}

#[test]
fn secrets_are_not_guessed_at_leisure() {
    let server = limited(&[]);
    let guess = |number: usize| {
        let answer = server.post::<EnrolAnswer>(paths::ENROL, &format!("{number:043}"), &machine(MACHINE));
        refused(answer).0
    };
    assert!((0..200).any(|number| guess(number) == 429), "secrets can be tried without end");
}

#[test]
fn without_limits_everything_is_answered() {
    let server = limited(&["--rate-per-address", "0", "--rate-per-token", "0"]);
    assert!((0..300).all(|_| tiers(&server).is_ok()));
}

#[test]
fn prometheus_reads_what_the_server_counts() {
    let server = Server::with_certificate();
    let enrolled = server.post::<EnrolAnswer>(paths::ENROL, &server.token(None, None), &machine(MACHINE));
    enrolled.unwrap();
    server.get_bytes("/repository/metadata/timestamp.json");
    let (status, page) = server.get_bytes(paths::METRICS);
    let page = String::from_utf8(page).unwrap();
    assert_eq!(status, 200);
    assert!(server.header(paths::METRICS, "content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "livepatch_requests_total{plane=\"static\",status=\"2xx\"} 1",
        "livepatch_requests_total{plane=\"machines\",status=\"2xx\"} 1",
        "livepatch_request_duration_seconds_count{plane=\"static\"} 1",
        "livepatch_machines{tier=\"edge\",state=\"unchecked\"} 1",
        "livepatch_machines_silent{tier=\"edge\",state=\"unchecked\"} 0",
        "livepatch_rollouts{state=\"running\"} 0",
        "livepatch_database_up 1",
        "livepatch_rate_limited_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing:\n{page}");
    }
    // The text form's own rules: each family is announced once, before its values.
    let families: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let unique: std::collections::BTreeSet<_> = families.iter().collect();
    assert_eq!(families.len(), unique.len());
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
    }
}

#[test]
fn counters_have_an_address_of_their_own_where_the_operator_says_so() {
    let server = limited(&["--metrics-listen", "127.0.0.1:0"]);
    let own = server.metrics.clone().unwrap();
    let (status, page) = server.get_bytes_of(&own, paths::METRICS);
    assert_eq!(status, 200);
    assert!(String::from_utf8(page).unwrap().contains("livepatch_database_up 1"));
    assert_eq!(server.get_bytes(paths::METRICS).0, 404, "everybody reads the counters");
    for path in [paths::HEALTH, paths::READY] {
        assert_eq!((server.get_bytes(path).0, server.get_bytes_of(&own, path).0), (200, 200), "{path}");
    }
    // Nothing else is there.
    for path in ["/", "/dashboard", paths::NOTICES, paths::ADMIN_TIERS, "/repository/metadata/timestamp.json"]
    {
        assert_eq!(server.get_bytes_of(&own, path).0, 404, "{path}");
    }
    assert_eq!(server.stop().1, Some(0));
}
