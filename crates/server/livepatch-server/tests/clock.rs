//! The clock of a vulnerability, from its record to the last machine, as everybody reads it.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    AppliedLivepatch, CheckInAnswer, CheckInRequest, ClockPage, ClockStep, CveClock, CveImport,
    CveImportDocument, CveImported, EnrolAnswer, Event, EventKind, MitigationView, PatchState, PublishAnswer,
    paths,
};
use livepatch_dashboard::paths as pages;
use livepatch_kernel::Taint;
use livepatch_manifest::Manifest;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use support::{Server, kernel, livepatch, machine, name};

const CVE: &str = "CVE-2026-93146";
const EVIL: &str = "<script>alert(1)</script>=HYPERLINK";
/// 2026-11-10T08:00:00Z.
const PUBLIC: i64 = 1_794_297_600;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn import(server: &Server) {
    let record = json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": CVE, "assignerOrgId": "416baaa9-dc9f-4396-8d5f-8c081fb06d67", "state": "PUBLISHED",
            "datePublished": "2026-11-10T08:00:00Z"},
        "containers": {"cna": {
            "providerMetadata": {"orgId": "416baaa9-dc9f-4396-8d5f-8c081fb06d67"},
            "title": EVIL, "descriptions": [{"lang": "en", "value": "The teapot poured."}],
            "affected": [{"vendor": "Linux", "product": "Linux"}],
            "references": [{"url": "https://example.org"}]}},
    });
    let documents = vec![CveImportDocument { name: CVE.into(), text: record.to_string() }];
    let request = CveImport { source: "cve-record".into(), family: None, documents };
    let done: CveImported = server.admin_post(paths::ADMIN_CVE_DOCUMENTS, &request).unwrap();
    assert_eq!((done.imported, done.problems), (1, vec![]));
}

/// A machine's report; `said` is its own word for when the livepatch was applied.
fn report(sequence: u64, manifest: Option<&Manifest>, state: PatchState, said: &str) -> CheckInRequest {
    let event = Event {
        at: said.into(),
        kind: EventKind::Applied,
        detail: format!("{} is applied; the transition is complete", name(1)),
    };
    CheckInRequest {
        sequence,
        boot_id: "boot".into(),
        kernel: kernel(),
        state,
        applied: manifest.map(|manifest| AppliedLivepatch {
            name: manifest.name.clone(),
            version: manifest.version,
            sha256: manifest.module.sha256.clone(),
        }),
        taint: Taint(0),
        events: manifest.map(|_| event).into_iter().collect(),
        client_version: "0.1.0".into(),
    }
}

fn check_in(server: &Server, credential: &str, report: &CheckInRequest) {
    server.post::<CheckInAnswer>(paths::CHECK_IN, credential, report).unwrap();
}

fn read(server: &Server) -> Option<CveClock> {
    let page: ClockPage = server.get(paths::CLOCK, "nobody").unwrap();
    assert_eq!(page.next, None);
    page.clocks.into_iter().find(|clock| clock.cve == CVE)
}

fn text(server: &Server, path: &str) -> String {
    let (status, bytes) = server.get_bytes(path);
    assert_eq!(status, 200, "{path}");
    String::from_utf8(bytes).unwrap()
}

/// When a step was; it agrees with how long it took.
fn at(step: Option<&ClockStep>) -> i64 {
    let step = step.unwrap();
    let at = step.at.parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(step.after, Some(at - PUBLIC));
    at
}

#[test]
fn a_clock_runs_from_the_news_to_the_last_machine() {
    let server = Server::with_certificate();
    assert!(text(&server, pages::CLOCK).contains("No clock runs yet"));
    let (directory, _) = server.stop();
    let server = Server::start_in(directory);

    let began = now();
    import(&server);
    let mitigation = json!({
        "name": "no-teapot", "cves": [CVE], "families": ["debian/bookworm/linux"], "about": "No tea.",
        "measures": [{"measure": "deny-module", "module": "teapot"}],
    });
    server.admin_post::<Vec<MitigationView>>(paths::ADMIN_MITIGATIONS, &mitigation).unwrap();
    let retire = format!("{}/no-teapot/retire", paths::ADMIN_MITIGATIONS);
    let left: Vec<Value> = server.admin_post(&retire, &[(); 0]).unwrap();
    assert_eq!(left, Vec::<Value>::new());
    let (module, manifest) = livepatch(1);
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();

    // Four machines need it. Two get it, one of them with a clock that is years behind; of the third it is not known yet,
    // for its transition runs. The fourth does nothing.
    let token = server.token(None, None);
    let credentials: Vec<String> = (1..=4)
        .map(|number| {
            let request = machine(&format!("00000000-0000-4000-8000-{number:012}"));
            server.post::<EnrolAnswer>(paths::ENROL, &token, &request).unwrap().credential
        })
        .collect();
    for credential in &credentials {
        check_in(&server, credential, &report(1, None, PatchState::Unapplied, ""));
    }
    let enrolled = now();
    let applied = |state, said| report(2, Some(&manifest), state, said);
    check_in(&server, &credentials[0], &applied(PatchState::Soaking, "1999-01-01T00:00:00Z"));
    check_in(&server, &credentials[1], &applied(PatchState::Applied, "2199-01-01T00:00:00Z"));
    check_in(&server, &credentials[2], &applied(PatchState::Applying, "yesterday"));
    // Undone and applied again is no second machine.
    check_in(&server, &credentials[0], &report(3, None, PatchState::Unapplied, ""));
    check_in(&server, &credentials[0], &report(4, Some(&manifest), PatchState::Applied, ""));

    let clock = read(&server).unwrap();
    assert_eq!((clock.title.as_str(), clock.public.as_deref()), (EVIL, Some("2026-11-10T08:00:00Z")));
    let ended = now();
    let mitigated = at(clock.mitigation.as_ref());
    let published = at(clock.livepatch.as_ref());
    let first = at(clock.first_machine.as_ref());
    let half = at(clock.machines_50.as_ref());
    assert!(began <= mitigated && mitigated <= published && published <= enrolled, "{clock:?}");
    assert!(published <= first && first <= half && half <= ended, "{clock:?}");
    assert!(half >= enrolled - 1 && first >= began, "no machine's clock moves it: {clock:?}");
    assert_eq!((&clock.machines_95, &clock.machines_99, clock.protected_percent), (&None, &None, Some(50)));

    let page = text(&server, pages::CLOCK);
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("<svg") && page.contains("Clock</a>") && !page.contains(" style="));
    assert!(server.header(pages::CLOCK, "content-security-policy").contains("default-src 'none'"));
    let csv = text(&server, &format!("{}.csv", pages::CLOCK));
    assert!(csv.starts_with("cve,priority,public,mitigation_seconds,livepatch_seconds,"), "{csv}");
    let rows: Value = serde_json::from_str(&text(&server, &format!("{}.json", pages::CLOCK))).unwrap();
    assert_eq!(
        (&rows[0]["livepatch_seconds"], &rows[0]["title"]),
        (&json!(published - PUBLIC), &json!(EVIL))
    );

    // What machines did is kept, and the others come after; one enrols, and reboots into a kernel that needs nothing.
    let (directory, _) = server.stop();
    let server = Server::start_in(directory);
    for credential in &credentials[2..] {
        check_in(&server, credential, &report(5, Some(&manifest), PatchState::Applied, ""));
    }
    let mut elsewhere = report(6, None, PatchState::NothingToApply, "");
    elsewhere.kernel.build_id = "cd".repeat(20).parse().unwrap();
    check_in(&server, &credentials[0], &elsewhere);
    let done = read(&server).unwrap();
    assert_eq!(done.protected_percent, Some(100), "who got it and went on still got it");
    assert_eq!(done.first_machine, clock.first_machine);
    // Of machines that come within five minutes only the first and the last are told apart.
    assert!(at(done.machines_50.as_ref()) >= half);
    assert!(at(done.machines_99.as_ref()) >= ended && at(done.machines_95.as_ref()) >= ended);
}

#[test]
fn clocks_come_in_pages() {
    let server = Server::with_certificate();
    let (module, mut manifest) = livepatch(1);
    manifest.fixes =
        (1..=5).map(|n| livepatch_manifest::Fix::new(format!("CVE-2026-{}", 5000 + n), "x")).collect();
    server.publish::<PublishAnswer>(&module, &manifest, "edge").unwrap();
    let (mut seen, mut path) = (Vec::new(), format!("{}?limit=2", paths::CLOCK));
    loop {
        let page: ClockPage = server.get(&path, "nobody").unwrap();
        assert!(page.clocks.len() <= 2);
        assert!(page.clocks.iter().all(|clock| clock.public.is_none() && clock.protected_percent.is_none()));
        seen.extend(page.clocks.into_iter().map(|clock| clock.cve));
        let Some(next) = page.next else { break };
        path = format!("{}?limit=2&before={next}", paths::CLOCK);
    }
    assert_eq!(seen, ["CVE-2026-5005", "CVE-2026-5004", "CVE-2026-5003", "CVE-2026-5002", "CVE-2026-5001"]);
}
