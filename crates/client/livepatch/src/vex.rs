//! `livepatch vex`: what `livepatch cves` knows, in the forms that scanners read, so that they see what is livepatched:
//! OpenVEX (openvex.dev, specification 0.2.0) and CSAF 2.0 in the profile VEX (OASIS, csaf-v2.0, 4.5).

use jiff::Timestamp;
use livepatch_agent::{CveList, CveState, CveStatus, Status, debian_architecture};
use serde_json::{Value, json};

/// What both forms say of a vulnerability.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    NotAffected,
    Fixed,
    Affected,
}

fn verdict(state: CveState) -> Verdict {
    match state {
        CveState::NotAffected => Verdict::NotAffected,
        CveState::Livepatched | CveState::FixedInKernel => Verdict::Fixed,
        CveState::NeedsReboot | CveState::LivepatchAvailable | CveState::Open | CveState::Mitigated => {
            Verdict::Affected
        }
    }
}

/// What the machine's owner can do about an open vulnerability.
fn action(state: CveState) -> &'static str {
    match state {
        CveState::LivepatchAvailable => "livepatch refresh --apply",
        CveState::NeedsReboot => "update the kernel and reboot",
        _ => "wait for a livepatch or an update",
    }
}

/// The OpenVEX document.
pub(crate) fn openvex(list: &CveList, status: &Status, now: Timestamp) -> Value {
    let product = purl(status);
    let now = now.to_string();
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("urn:livepatch:{}:{now}", status.kernel.build_id),
        "author": "livepatch on this machine",
        "timestamp": now,
        "version": 1,
        "tooling": tooling(status),
        "statements": list.cves.iter().map(|cve| statement(cve, &product)).collect::<Vec<_>>(),
    })
}

fn tooling(status: &Status) -> String {
    format!("livepatch {}", status.client_version)
}

/// The running kernel's package, as scanners of packages name it.
fn purl(status: &Status) -> String {
    let kernel = &status.kernel_status;
    let distribution = kernel.distribution.as_deref().unwrap_or("unknown");
    let version = kernel.package_version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
    let version = version.replace('+', "%2B").replace('~', "%7E");
    let release = status.kernel.release.as_str().replace('+', "%2B");
    let architecture = debian_architecture(&status.kernel.arch);
    format!("pkg:deb/{distribution}/linux-image-{release}{version}?arch={architecture}")
}

fn statement(cve: &CveStatus, product: &str) -> Value {
    let verdict = verdict(cve.state);
    let mut statement = json!({
        "vulnerability": {"name": cve.id},
        "products": [{"@id": product}],
        "status": match verdict {
            Verdict::NotAffected => "not_affected",
            Verdict::Fixed => "fixed",
            Verdict::Affected => "affected",
        },
        "status_notes": cve.sentence,
    });
    match verdict {
        Verdict::NotAffected => statement["impact_statement"] = json!(cve.sentence),
        Verdict::Affected => statement["action_statement"] = json!(action(cve.state)),
        Verdict::Fixed => {}
    }
    statement
}

/// The CSAF document; the list must not be empty.
pub(crate) fn csaf(list: &CveList, status: &Status, now: Timestamp) -> Value {
    const PRODUCT: &str = "running-kernel";
    let now_text = now.to_string();
    let kernel = &status.kernel;
    let livepatch = status.livepatch.as_ref().map_or_else(
        || "without livepatch".to_owned(),
        |livepatch| format!("with livepatch {}", livepatch.name),
    );
    json!({
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "title": format!("Vulnerabilities of {} on one machine", kernel.release),
            "publisher": {
                "category": "user",
                "name": "livepatch on this machine",
                "namespace": format!("urn:livepatch:{}", kernel.build_id),
            },
            "tracking": {
                "id": format!("livepatch-{}-{}", kernel.build_id, now.as_second()),
                "status": "final",
                "version": "1",
                "initial_release_date": now_text,
                "current_release_date": now_text,
                "revision_history": [{"date": now_text, "number": "1", "summary": "What holds at this moment"}],
                "generator": {"engine": {"name": "livepatch", "version": status.client_version}},
            },
        },
        "product_tree": {"full_product_names": [{
            "product_id": PRODUCT,
            "name": format!("{}, build id {}, {livepatch}", kernel.release, kernel.build_id),
            "product_identification_helper": {"purl": purl(status)},
        }]},
        "vulnerabilities": list.cves.iter().map(|cve| vulnerability(cve, PRODUCT)).collect::<Vec<_>>(),
    })
}

fn vulnerability(cve: &CveStatus, product: &str) -> Value {
    let verdict = verdict(cve.state);
    let group = match verdict {
        Verdict::NotAffected => "known_not_affected",
        Verdict::Fixed => "fixed",
        Verdict::Affected => "known_affected",
    };
    let mut vulnerability = json!({
        "cve": cve.id,
        "notes": [{"category": "details", "text": cve.sentence}],
        "product_status": {group: [product]},
    });
    match verdict {
        Verdict::NotAffected => {
            vulnerability["threats"] =
                json!([{"category": "impact", "details": cve.sentence, "product_ids": [product]}]);
        }
        Verdict::Affected => {
            let category = match cve.state {
                CveState::LivepatchAvailable | CveState::NeedsReboot => "vendor_fix",
                _ => "none_available",
            };
            vulnerability["remediations"] =
                json!([{"category": category, "details": action(cve.state), "product_ids": [product]}]);
        }
        Verdict::Fixed => {}
    }
    vulnerability
}
