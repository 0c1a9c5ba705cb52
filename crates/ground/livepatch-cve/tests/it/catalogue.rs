//! The support matrix: the file that comes with the project, its form, windows and calendar.

use jiff::civil::{Date, date};
use livepatch_cve::Distribution;
use livepatch_cve::catalogue::{Catalogue, CatalogueError, Coverage, KernelQuery, Track};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../../../data/kernel-catalogue.schema.json");

fn built_in() -> Catalogue {
    Catalogue::read(Catalogue::BUILT_IN.as_bytes()).unwrap()
}

fn query<'a>(release: &'a str, series: &'a str, flavour: &'a str, architecture: &'a str) -> KernelQuery<'a> {
    KernelQuery { distribution: Distribution::Ubuntu, release, series, flavour, architecture }
}

#[test]
fn the_three_rows_of_2019() {
    let catalogue = built_in();
    let first = catalogue.matrix("2019").unwrap();
    assert_eq!(first.as_of, date(2019, 1, 29));
    let rows: Vec<_> =
        first.kernels.iter().map(|row| (row.release.as_str(), row.track, row.flavours.len())).collect();
    assert_eq!(rows, [("18.04", Track::Ga, 2), ("16.04", Track::Ga, 2), ("14.04", Track::Hwe, 2)]);
    let day = date(2026, 1, 1);
    let coverage = first.coverage(&query("bionic", "4.15", "generic", "amd64"), day, day);
    assert_eq!(coverage, Coverage::Covered { until: None });
}

#[test]
fn a_build_s_window_slides_with_its_release() {
    let catalogue = built_in();
    let ubuntu = catalogue.matrix("ubuntu").unwrap();
    assert_eq!(ubuntu.kernels.len(), 18);
    let released = date(2026, 1, 31);
    let at = |series, flavour, today: Date| {
        ubuntu.coverage(&query("24.04", series, flavour, "amd64"), released, today)
    };
    assert_eq!(at("6.8", "generic", date(2027, 2, 28)), Coverage::Covered { until: Some(date(2027, 2, 28)) });
    assert_eq!(at("6.8", "generic", date(2027, 3, 1)), Coverage::Ended { on: date(2027, 2, 28) });
    assert_eq!(at("6.11", "aws", released), Coverage::Covered { until: Some(date(2026, 10, 31)) });
    assert_eq!(at("6.8", "nvidia", released), Coverage::NotCovered);
    assert!(ubuntu.find(&query("22.04", "5.15", "generic", "s390x")).is_some());
    assert!(ubuntu.find(&query("22.04", "5.15", "generic", "arm64")).is_none());
}

#[test]
fn end_dates_of_known_builds() {
    let catalogue = built_in();
    let ends: Vec<_> =
        catalogue.windows().map(|(_, _, build, last)| (build.version.as_str(), last.unwrap())).collect();
    assert!(ends.contains(&("6.1.190-1", date(2027, 11, 16))), "{ends:?}");
    assert_eq!(ends.len(), catalogue.builds.len());
}

#[test]
fn the_file_keeps_its_form_and_the_form_refuses_what_the_reader_refuses() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("catalogue.json", schema).unwrap();
    let form = compiler.compile("catalogue.json", &mut schemas).unwrap();
    let whole: Value = serde_json::from_str(Catalogue::BUILT_IN).unwrap();
    assert!(schemas.validate(&whole, form).is_ok());
    for (place, value) in [
        ("/schema", json!(2)),
        ("/matrices/0/kernels/0/flavours", json!([])),
        ("/matrices/0/kernels/0/track", json!("lts")),
        ("/matrices/1/kernels/0/window_months", json!(0)),
        ("/matrices/0/kernels/0/distribution", json!("other")),
        ("/matrices/0/as_of", json!("yesterday")),
        ("/builds/0/version", json!("")),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert!(schemas.validate(&changed, form).is_err(), "{place}");
        assert!(Catalogue::read(changed.to_string().as_bytes()).is_err(), "{place}");
    }
}

#[test]
fn contradictions_are_refused() {
    let mut twice: Value = serde_json::from_str(Catalogue::BUILT_IN).unwrap();
    let row = twice["matrices"][0]["kernels"][0].clone();
    twice["matrices"][0]["kernels"].as_array_mut().unwrap().push(row);
    let error = Catalogue::read(twice.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, CatalogueError::Repeated { .. }), "{error}");
    let mut stray: Value = serde_json::from_str(Catalogue::BUILT_IN).unwrap();
    stray["builds"][0]["series"] = json!("9.9");
    let error = Catalogue::read(stray.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, CatalogueError::Stray(_)), "{error}");
}

#[test]
fn the_calendar() {
    let stamp = "2026-11-24T10:00:00Z".parse().unwrap();
    let calendar = built_in().calendar("tested", stamp, "livepatch.example.org");
    assert!(
        calendar.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n") && calendar.ends_with("END:VCALENDAR\r\n")
    );
    assert!(calendar.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')));
    let unfolded = calendar.replace("\r\n ", "");
    assert_eq!(unfolded.matches("BEGIN:VEVENT").count(), 3);
    for line in [
        "UID:debian-12-6.1-amd64-6.1.190-1-tested@livepatch.example.org",
        "DTSTAMP:20261124T100000Z",
        "DTSTART;VALUE=DATE:20271116",
        "DTEND;VALUE=DATE:20271117",
        "SUMMARY:Last day of livepatches for 6.1.0-54 (debian 12 6.1 amd64)",
        "TRIGGER:-P30D",
    ] {
        assert!(unfolded.contains(&format!("{line}\r\n")), "{line}\n{unfolded}");
    }
    assert!(unfolded.contains(r"Flavours: amd64\, cloud-amd64."));
}

#[test]
fn packages_by_the_distributions_custom() {
    let catalogue = Catalogue::read(Catalogue::BUILT_IN.as_bytes()).unwrap();
    let package = |matrix: &str, code_name: &str, series: &str, flavour: &str| {
        let rows = &catalogue.matrix(matrix).unwrap().kernels;
        let row = rows.iter().find(|row| row.code_name == code_name && row.series == series).unwrap();
        row.package(flavour)
    };
    assert_eq!(package("tested", "bookworm", "6.1", "cloud-amd64"), "linux");
    assert_eq!(package("tested", "bookworm", "6.12", "cloud-amd64"), "linux-6.12");
    assert_eq!(package("ubuntu", "bionic", "4.15", "generic"), "linux");
    assert_eq!(package("ubuntu", "bionic", "5.4", "lowlatency"), "linux-hwe-5.4");
    assert_eq!(package("ubuntu", "bionic", "5.4", "aws"), "linux-aws-5.4");
    assert_eq!(package("ubuntu", "xenial", "4.15", "generic"), "linux-hwe");
    assert_eq!(package("ubuntu", "trusty", "4.4", "generic"), "linux-lts-xenial");
}
