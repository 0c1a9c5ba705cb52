//! The register: merging, taking back, differences.

use livepatch_cve::feeds::{cve_json, epss, kev, osv, ubuntu_tracker};
use livepatch_cve::record::{PackageStatus, RecordState, Source};
use livepatch_cve::{CveId, Fault, Register};

const TRACKER: &str = include_str!("../data/CVE-2026-1001");

/// In the form of the kernel's own records.
const CVE_JSON: &str = r#"{"dataType":"CVE_RECORD","dataVersion":"5.1",
"cveMetadata":{"cveId":"CVE-2026-1001","state":"PUBLISHED","datePublished":"2026-03-02T08:00:00.000Z"},
"containers":{"cna":{"title":"teapot: check the lid","descriptions":[{"lang":"en","value":"The teapot pours."}],
"affected":[
 {"product":"Linux","vendor":"Linux","defaultStatus":"unaffected","programFiles":["drivers/tea/pot.c"],
  "versions":[{"version":"0000","lessThan":"1111","status":"affected","versionType":"git"}]},
 {"product":"Linux","vendor":"Linux","defaultStatus":"affected","programFiles":["drivers/tea/pot.c"],
  "versions":[{"version":"4.1","status":"affected"},
   {"version":"0","lessThan":"4.1","status":"unaffected","versionType":"semver"},
   {"version":"5.2.10","lessThanOrEqual":"5.2.*","status":"unaffected","versionType":"semver"},
   {"version":"5.3","lessThanOrEqual":"*","status":"unaffected","versionType":"original_commit_for_fix"}]}],
"references":[{"url":"https://git.example.org/1111"}],
"metrics":[{"cvssV3_1":{"vectorString":"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}}]}}}"#;

const OSV: &str = r#"{"id":"UBUNTU-CVE-2026-1001","upstream":["CVE-2026-1001"],"modified":"2026-03-03T00:00:00Z",
"details":"Tea.","affected":[
 {"package":{"ecosystem":"Ubuntu:18.04:LTS","name":"linux"},
  "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"4.15.0-66.75"}]}]},
 {"package":{"ecosystem":"Debian:12","name":"linux"},
  "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]},
 {"package":{"ecosystem":"Ubuntu:20.04:LTS","name":"linux"},
  "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"not a version"}]}]}]}"#;

const KEV: &str = r#"{"vulnerabilities":[
 {"cveID":"CVE-2026-1001","dateAdded":"2026-03-05","dueDate":"2026-03-26","knownRansomwareCampaignUse":"Known"},
 {"cveID":"CVE-2026-77777","dateAdded":"2026-03-05","dueDate":"2026-03-26"},
 {"cveID":"CVE-2026-1003","dateAdded":"yesterday"}]}"#;

const EPSS: &str =
    "#model_version:v2026\ncve,epss,percentile\nCVE-2026-1001,0.91,0.99\nCVE-2026-1004,7,0.5\n";

fn id() -> CveId {
    "CVE-2026-1001".parse().unwrap()
}

fn filled() -> Register {
    let mut register = Register::default();
    register.import(Source::UbuntuTracker, "active/CVE-2026-1001", TRACKER.as_bytes(), ubuntu_tracker);
    register.import(Source::CveRecord, "cve", CVE_JSON.as_bytes(), cve_json);
    register.import(Source::Osv, "osv", OSV.as_bytes(), osv);
    register
}

#[test]
fn every_field_says_where_it_comes_from() {
    let register = filled();
    let record = register.record(id()).unwrap();
    assert_eq!(record.title.best().unwrap().source, Source::CveRecord);
    let description = record.description.best().unwrap();
    assert_eq!(description.source, Source::UbuntuTracker);
    assert_eq!(register.document(description.document).unwrap().name, "active/CVE-2026-1001");
    assert_eq!(record.description.claims().len(), 3);
    assert_eq!(record.files.value().unwrap(), &["drivers/tea/pot.c"]);
}

#[test]
fn differences_are_kept_and_shown() {
    let register = filled();
    let record = register.record(id()).unwrap();
    let contested = record.contested();
    for expected in ["description", "published", "upstream", "ubuntu/bionic/linux"] {
        assert!(contested.iter().any(|field| field == expected), "{expected}: {contested:?}");
    }
    let (_, bionic) =
        record.packages.iter().find(|(family, _)| family.to_string() == "ubuntu/bionic/linux").unwrap();
    let versions: Vec<_> =
        bionic.claims().iter().map(|claim| claim.value.version.as_ref().unwrap().as_str()).collect();
    assert_eq!(versions, ["4.15.0-65.74", "4.15.0-66.75"]);
    let (_, debian) =
        record.packages.iter().find(|(family, _)| family.to_string() == "debian/bookworm/linux").unwrap();
    assert_eq!(debian.value().unwrap().status, PackageStatus::Needed);
}

#[test]
fn importing_again_changes_nothing_and_order_does_not_matter() {
    let mut register = filled();
    let before: Vec<_> = register.records().cloned().collect();
    let outcome = register.import(Source::Osv, "osv", OSV.as_bytes(), osv);
    assert!(outcome.unchanged);
    let mut other = Register::default();
    other.import(Source::Osv, "osv", OSV.as_bytes(), osv);
    other.import(Source::UbuntuTracker, "active/CVE-2026-1001", TRACKER.as_bytes(), ubuntu_tracker);
    other.import(Source::CveRecord, "cve", CVE_JSON.as_bytes(), cve_json);
    assert_eq!(before, register.records().cloned().collect::<Vec<_>>());
    let values = |register: &Register| {
        register
            .record(id())
            .unwrap()
            .description
            .claims()
            .iter()
            .map(|claim| claim.value.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&register), values(&other));
}

#[test]
fn a_changed_document_takes_its_words_back() {
    let mut register = filled();
    let changed = TRACKER
        .replace("bionic_linux: released (4.15.0-65.74)", "bionic_linux: needed")
        .replace("Mitigation:\n blacklist the teapot module\n", "");
    register.import(Source::UbuntuTracker, "active/CVE-2026-1001", changed.as_bytes(), ubuntu_tracker);
    let record = register.record(id()).unwrap();
    assert!(record.mitigation.is_empty());
    let (_, bionic) =
        record.packages.iter().find(|(family, _)| family.to_string() == "ubuntu/bionic/linux").unwrap();
    assert_eq!(bionic.value().unwrap().status, PackageStatus::Needed);
    assert!(register.withdraw(Source::UbuntuTracker, "active/CVE-2026-1001"));
    assert!(register.withdraw(Source::CveRecord, "cve") && register.withdraw(Source::Osv, "osv"));
    assert!(register.record(id()).is_none());
}

#[test]
fn an_impossible_version_is_named() {
    let mut register = Register::default();
    let outcome = register.import(Source::Osv, "osv", OSV.as_bytes(), osv);
    assert_eq!(outcome.problems.len(), 1);
    assert_eq!(outcome.problems[0].fault, Fault::Version("not a version".into()));
}

#[test]
fn exploitation_and_forecasts_of_known_cves() {
    let mut register = filled();
    let outcome = register.import_about_known(Source::Kev, "kev", KEV.as_bytes(), kev);
    assert_eq!((outcome.cves, outcome.problems.len(), outcome.problems[0].line), (1, 1, 4));
    let outcome = register.import_about_known(Source::Epss, "epss", EPSS.as_bytes(), epss);
    assert_eq!((outcome.cves, outcome.problems[0].line), (1, 4));
    let record = register.record(id()).unwrap();
    assert!(record.exploited.value().unwrap().ransomware);
    assert!((record.forecast.value().unwrap().chance - 0.91).abs() < 1e-9);
    assert_eq!(register.records().len(), 1);
}

#[test]
fn rejected_and_withdrawn() {
    let mut register = Register::default();
    let rejected = CVE_JSON.replace("PUBLISHED", "REJECTED");
    register.import(Source::CveRecord, "cve", rejected.as_bytes(), cve_json);
    assert_eq!(register.record(id()).unwrap().state.value(), Some(&RecordState::Rejected));
    let withdrawn = OSV.replace("\"details\"", "\"withdrawn\":\"2026-03-04T00:00:00Z\",\"details\"");
    let mut register = Register::default();
    register.import(Source::Osv, "osv", withdrawn.as_bytes(), osv);
    assert!(register.record(id()).unwrap().is_void());
}

#[test]
fn a_feed_of_records() {
    let second = CVE_JSON.replace("CVE-2026-1001", "CVE-2026-1002");
    let broken = r#"{"cveMetadata":{"cveId":"CVE-1","state":"PUBLISHED"},"containers":{"cna":{}}}"#;
    let feed = format!("{CVE_JSON}\n{broken}\n{{\"cveMetadata\":\n{second}\n");
    let mut register = Register::default();
    let outcome = register.import_feed(Source::CveRecord, "feed", feed.as_bytes(), cve_json);
    assert_eq!((outcome.imported, outcome.unchanged, register.records().len()), (2, 0, 2));
    let lines: Vec<usize> = outcome.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines.len(), 2, "{:?}", outcome.problems);
    let again = register.import_feed(Source::CveRecord, "feed", feed.as_bytes(), cve_json);
    assert_eq!((again.imported, again.unchanged), (0, 2));
    let changed = feed.replace("The teapot pours.", "The teapot leaks.");
    let third = register.import_feed(Source::CveRecord, "feed", changed.as_bytes(), cve_json);
    assert_eq!((third.imported, register.records().len()), (2, 2));
    assert_eq!(register.record(id()).unwrap().description.claims().len(), 1);
}

#[test]
fn a_saved_register_goes_on_where_it_was() {
    let register = filled();
    let text = serde_json::to_string(&register).unwrap();
    let mut again: Register = serde_json::from_str(&text).unwrap();
    assert_eq!(again.records().collect::<Vec<_>>(), register.records().collect::<Vec<_>>());
    assert!(again.import(Source::CveRecord, "cve", CVE_JSON.as_bytes(), cve_json).unchanged);
}
