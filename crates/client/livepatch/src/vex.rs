//! `livepatch vex`: what `livepatch cves` knows as an OpenVEX document (openvex.dev, specification 0.2.0), so that scanners
//! see what is livepatched.

use jiff::Timestamp;
use livepatch_agent::{CveList, CveState, CveStatus, Status};
use serde_json::{Value, json};

/// The document.
pub(crate) fn document(list: &CveList, status: &Status, now: Timestamp) -> Value {
    let product = product(status);
    let now = now.to_string();
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("urn:livepatch:{}:{now}", status.kernel.build_id),
        "author": "livepatch on this machine",
        "timestamp": now,
        "version": 1,
        "tooling": format!("livepatch {}", status.client_version),
        "statements": list.cves.iter().map(|cve| statement(cve, &product)).collect::<Vec<_>>(),
    })
}

/// The running kernel's package as a purl, with what is applied as a qualifier.
fn product(status: &Status) -> String {
    let kernel = &status.kernel_status;
    let distribution = kernel.distribution.as_deref().unwrap_or("unknown");
    let version = kernel.package_version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
    let version = version.replace('+', "%2B").replace('~', "%7E");
    let release = status.kernel.release.as_str().replace('+', "%2B");
    format!("pkg:deb/{distribution}/linux-image-{release}{version}?arch={}", status.kernel.arch)
}

fn statement(cve: &CveStatus, product: &str) -> Value {
    let mut statement = json!({
        "vulnerability": {"name": cve.id},
        "products": [{"@id": product}],
        "status": match cve.state {
            CveState::NotAffected => "not_affected",
            CveState::Livepatched | CveState::FixedInKernel => "fixed",
            CveState::NeedsReboot | CveState::LivepatchAvailable | CveState::Open | CveState::Mitigated => "affected",
        },
        "status_notes": cve.sentence,
    });
    match cve.state {
        CveState::NotAffected => statement["impact_statement"] = json!(cve.sentence),
        CveState::LivepatchAvailable => statement["action_statement"] = json!("livepatch refresh --apply"),
        CveState::NeedsReboot => statement["action_statement"] = json!("update the kernel and reboot"),
        CveState::Open | CveState::Mitigated => {
            statement["action_statement"] = json!("wait for a livepatch or an update")
        }
        CveState::Livepatched | CveState::FixedInKernel => {}
    }
    statement
}
