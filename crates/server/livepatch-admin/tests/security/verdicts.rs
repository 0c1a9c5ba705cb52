//! Documents in, verdicts out, and a machine that answers from them.

use crate::stage::Stage;
use livepatch_services::Standard;
use serde_json::Value;

pub(crate) const LIVEPATCHED: &str = "CVE-2026-1001";
pub(crate) const REFUSED: &str = "CVE-2026-1002";
const FIXED: &str = "CVE-2026-0900";
pub(crate) const FAMILY: &str = "debian/bookworm/linux";

const CHANGELOG: &str = "\
linux (6.1.192-1) bookworm-security; urgency=high

  * teapot: look at the lid before pouring (CVE-2026-1001)
  * kettle: do not boil over (CVE-2026-1002)

 -- Debian Kernel Team <debian-kernel@lists.debian.org>  Sat, 14 Nov 2026 10:00:00 +0000

linux (6.1.190-1) bookworm-security; urgency=high

  * cup: has a bottom (CVE-2026-0900)

 -- Debian Kernel Team <debian-kernel@lists.debian.org>  Fri, 16 Oct 2026 10:00:00 +0000
";

/// As the CVE program publishes them.
fn record(cve: &str, title: &str, text: &str) -> String {
    let record = serde_json::json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": cve, "assignerOrgId": "416baaa9-dc9f-4396-8d5f-8c081fb06d67", "state": "PUBLISHED",
            "datePublished": "2026-11-10T08:00:00Z"},
        "containers": {"cna": {
            "providerMetadata": {"orgId": "416baaa9-dc9f-4396-8d5f-8c081fb06d67"},
            "title": title, "descriptions": [{"lang": "en", "value": text}],
            "affected": [{"vendor": "Linux", "product": "Linux", "versions": [{"version": "0", "status": "affected"}]}],
            "references": [{"url": format!("https://example.org/{cve}")}]}},
    });
    assert_eq!(Standard::CveRecord.faults(&record).unwrap(), [""; 0]);
    record.to_string()
}

/// Everything that is known about three vulnerabilities: one with a livepatch, one that can have none, one of the past.
pub(crate) fn import(stage: &Stage) {
    let changelog = stage.write("changelog", CHANGELOG);
    let imported = stage.json(&["cve", "import", "--source", "changelog", "--family", FAMILY, &changelog]);
    assert_eq!((imported["imported"].as_u64(), &imported["problems"]), (Some(1), &Value::Array(vec![])));
    let records = [
        record(
            LIVEPATCHED,
            "teapot: look at the lid",
            "The teapot poured <b>without</b> looking at its lid.",
        ),
        record(REFUSED, "kettle: do not boil over", "The kettle boiled over."),
    ];
    let feed = stage.write("cves.jsonl", records.join("\n"));
    let import = ["cve", "import", "--source", "cve-record", "--records", &feed];
    assert_eq!(stage.json(&import)["imported"], 2);
    assert_eq!(stage.json(&import)["unchanged"], 2, "the same again costs nothing");
    for (cve, reason) in
        [(LIVEPATCHED, "Local root in a default installation."), (REFUSED, "It floods the kitchen.")]
    {
        stage.done(&["cve", "rate", cve, "--priority", "high", "--reason", reason]);
    }
    stage.publish(LIVEPATCHED);
    stage.done(&[
        "cve",
        "refuse",
        REFUSED,
        "--family",
        FAMILY,
        "--code",
        "changed-data",
        "--reason",
        "The fix changes the size of the kettle.",
        "--mitigation",
        "do not load the module kettle",
    ]);
}

#[test]
fn a_machine_answers_from_signed_verdicts() {
    let mut stage = Stage::new(&[]);
    import(&stage);
    let published = stage.json(&["verdicts", "publish"]);
    let family =
        published["families"].as_array().unwrap().iter().find(|one| one["family"] == FAMILY).unwrap();
    assert_eq!((family["builds"].as_u64(), family["cves"].as_u64()), (Some(6), Some(3)), "{family}");
    assert!(family["bytes"].as_u64().unwrap() < 65_536);
    assert_eq!(stage.json(&["verdicts", "publish"])["changed"], false, "nothing is signed for nothing");

    stage.start_machine();
    let list = stage.livepatch_json(&["cves", "--all", "--format", "json"]);
    assert_eq!(list["basis"], "verdicts");
    let state = |cve: &str| {
        let cves = list["cves"].as_array().unwrap();
        cves.iter().find(|one| one["id"] == cve).unwrap()["state"].as_str().unwrap()
    };
    assert_eq!(
        [LIVEPATCHED, REFUSED, FIXED].map(state),
        ["livepatched", "needs-reboot", "fixed-in-kernel"],
        "{list:#}"
    );
    let (_, text) = stage.livepatch(&["cves", "--open"]);
    assert!(text.contains(REFUSED) && !text.contains(LIVEPATCHED), "{text}");

    let (code, text) = stage.livepatch(&["kernel-upgrade-required"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(REFUSED) && text.contains("cannot be mended by a livepatch"), "{text}");
    let status = stage.livepatch_json(&["status", "--format", "json"]);
    assert!(status["next_step"].as_str().unwrap().contains(REFUSED), "{status:#}");
    vex(&stage);
}

/// What the machine tells scanners.
fn vex(stage: &Stage) {
    let openvex = stage.livepatch_json(&["vex", "--format", "openvex"]);
    let status = |cve: &str| {
        let statements = openvex["statements"].as_array().unwrap();
        statements.iter().find(|one| one["vulnerability"]["name"] == cve).unwrap()["status"].as_str().unwrap()
    };
    assert_eq!([LIVEPATCHED, REFUSED, FIXED].map(status), ["fixed", "affected", "fixed"]);
    let csaf = stage.livepatch_json(&["vex", "--format", "csaf"]);
    assert_eq!(Standard::OpenVex.faults(&openvex).unwrap(), [""; 0]);
    assert_eq!(Standard::Csaf.faults(&csaf).unwrap(), [""; 0]);
    let group = |cve: &str| {
        let all = csaf["vulnerabilities"].as_array().unwrap();
        let one = all.iter().find(|one| one["cve"] == cve).unwrap();
        one["product_status"].as_object().unwrap().keys().next().unwrap().clone()
    };
    assert_eq!([LIVEPATCHED, REFUSED, FIXED].map(group), ["fixed", "known_affected", "fixed"]);
}

#[test]
fn a_broken_document_costs_only_itself() {
    let stage = Stage::new(&[]);
    let good = "Candidate: CVE-2026-1003\nPublicDate: 2026-11-01\nDescription:\n cups\nPriority: high\n";
    stage.write("tracker/CVE-2026-1003", good);
    stage.write(
        "tracker/CVE-2026-1004",
        "Candidate: CVE-2026-1004\nPriority: world-ending\nthis is no field\n",
    );
    let folder = stage.path("tracker");
    let done = stage.json(&["cve", "import", "--source", "ubuntu-tracker", folder.to_str().unwrap()]);
    let problems: Vec<&str> =
        done["problems"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(problems.iter().any(|problem| problem.starts_with("CVE-2026-1004:2")), "{problems:?}");
    let list = stage.json(&["cve", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let shown = stage.json(&["cve", "show", "CVE-2026-1003"]);
    assert_eq!(
        (&shown["summary"]["priority"], &shown["summary"]["decided"]),
        (&"high".into(), &false.into())
    );
    assert!(stage.done(&["cve", "refused"]).contains("Nothing"));
    for arguments in [
        &["cve", "show", "CVE-2020-99999"][..],
        &["cve", "show", "teapot"],
        &["cve", "rate", "CVE-2026-1003", "--priority", "awful", "--reason", "x"],
        &["cve", "rate", "CVE-2026-1003", "--priority", "low", "--reason", " "],
        &["cve", "refuse", "CVE-2026-1003", "--family", "kitchen", "--code", "x", "--reason", "y"],
        &["cve", "import", "--source", "gossip", folder.to_str().unwrap()],
        &["cve", "import", "--source", "changelog", folder.to_str().unwrap()],
    ] {
        assert_eq!(stage.admin(arguments).status.code(), Some(1), "{arguments:?}");
    }
}
