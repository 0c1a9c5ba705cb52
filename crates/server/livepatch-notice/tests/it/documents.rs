//! What scanners read: what it says, and that it follows the standards to the letter.

use crate::samples::{alert, livepatch};
use livepatch_notice::{Notice, Publisher, csaf, openvex, osv};
use livepatch_services::Standard;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PUBLISHER: Publisher<'_> = Publisher { name: "Example", namespace: "https://livepatch.example.org" };

#[test]
fn a_notice_reads_back() {
    for notice in [livepatch(), alert()] {
        let text = serde_json::to_string(&notice).unwrap();
        assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice);
    }
}

#[test]
fn osv_names_each_kernel_s_own_cves_and_lowest_build() {
    let record = osv(&livepatch());
    assert_eq!(record["id"], "LSN-0123-2");
    assert_eq!(record["upstream"], json!(["CVE-2026-1001", "CVE-2026-1002"]));
    let affected = record["affected"].as_array().unwrap();
    assert_eq!(affected[0]["package"]["ecosystem"], "Ubuntu:22.04:LTS");
    assert_eq!(affected[0]["ranges"][0]["events"], json!([{"introduced": "0"}, {"fixed": "5.15.0-179.189"}]));
    assert_eq!(affected[1]["package"]["ecosystem"], "Debian:12");
    assert_eq!(affected[1]["ranges"][0]["events"], json!([{"introduced": "0"}]));
    assert_eq!(affected[1]["ecosystem_specific"]["cves"], json!(["CVE-2026-1001"]));
    assert_eq!(affected[1]["ecosystem_specific"]["lowest_build"], "6.1.187-1");
    assert_eq!(affected[1]["ecosystem_specific"]["module_name"], "lp_debian_{build}_cloud_3");
}

/// The rules of CSAF's profile VEX that its schema cannot say (csaf-v2.0, 4.5 and 6.1.1 to 6.1.27).
#[test]
fn csaf_vex_is_complete() {
    for notice in [livepatch(), alert()] {
        let document = csaf(&notice, &PUBLISHER);
        let names = document["product_tree"]["full_product_names"].as_array().unwrap();
        let known: BTreeSet<&str> = names.iter().map(|name| name["product_id"].as_str().unwrap()).collect();
        assert_eq!(known.len(), names.len(), "identifiers are unique");
        let history = document["document"]["tracking"]["revision_history"].as_array().unwrap();
        assert_eq!(history.last().unwrap()["number"], document["document"]["tracking"]["version"]);
        for vulnerability in document["vulnerabilities"].as_array().unwrap() {
            let ids = |value: &Value| -> BTreeSet<String> {
                value.as_array().into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect()
            };
            let status = |name: &str| ids(&vulnerability["product_status"][name]);
            let (affected, fixed, not) =
                (status("known_affected"), status("fixed"), status("known_not_affected"));
            assert_eq!(affected.len() + fixed.len() + not.len(), known.len(), "each product has one status");
            assert!(affected.iter().chain(&fixed).chain(&not).all(|id| known.contains(id.as_str())));
            assert_eq!(
                ids(&vulnerability["remediations"][0]["product_ids"]),
                affected,
                "affected ones have an action"
            );
            assert_eq!(
                ids(&vulnerability["flags"][0]["product_ids"]),
                not,
                "the others have an impact statement"
            );
            assert!(!vulnerability["notes"].as_array().unwrap().is_empty());
        }
    }
}

#[test]
fn openvex_has_what_each_status_needs() {
    let document = openvex(&alert(), &PUBLISHER);
    assert_eq!(document["@context"], "https://openvex.dev/ns/v0.2.0");
    let statements = document["statements"].as_array().unwrap();
    for statement in statements {
        assert_eq!(statement["status"] == "affected", statement["action_statement"].is_string());
        assert_eq!(statement["status"] == "not_affected", statement["justification"].is_string());
        assert!(!statement["products"].as_array().unwrap().is_empty());
    }
    let fixed = openvex(&livepatch(), &PUBLISHER).to_string();
    assert!(fixed.contains(
        "pkg:deb/ubuntu/linux@5.15.0-100.110?arch=amd64&distro=ubuntu-22.04&flavour=generic&livepatch=7"
    ));
    assert!(statements.iter().all(|statement| !statement.to_string().contains("livepatch=")));
}

/// A document, with a change after which it does not follow its standard any more.
type Case = (Standard, fn(&Notice) -> Value, fn(&mut Value));

const CASES: [Case; 3] = [
    (Standard::Osv, osv, |record| record["id"] = "NOTICE-1".into()),
    (
        Standard::Csaf,
        |notice| csaf(notice, &PUBLISHER),
        |document| {
            // The schema is content with it; the standard's test 6.1.1 is not.
            document["vulnerabilities"][0]["product_status"]["fixed"] = json!(["nobody"]);
        },
    ),
    (
        Standard::OpenVex,
        |notice| openvex(notice, &PUBLISHER),
        |document| {
            document["statements"][0]["status"] = "mended".into();
        },
    ),
];

#[test]
fn official_schemas_accept_the_documents_and_nothing_less() {
    for (standard, make, spoil) in CASES {
        for notice in [livepatch(), alert()] {
            let mut document = make(&notice);
            assert_eq!(standard.faults(&document).unwrap(), [""; 0], "{standard:?} {}", notice.number);
            spoil(&mut document);
            assert_ne!(standard.faults(&document).unwrap(), [""; 0], "{standard:?} {}", notice.number);
        }
    }
}
