//! Two notices: a livepatch, and an alert that there is none.

use livepatch_notice::Notice;
use serde_json::json;

pub(crate) fn livepatch() -> Notice {
    serde_json::from_value(json!({
        "number": "LSN-0123-2", "title": "Linux kernel vulnerabilities", "kind": "livepatch",
        "published": "2026-11-20T09:30:00Z",
        "revisions": [{"revision": 1, "date": "2026-11-20", "note": "First publication"},
                      {"revision": 2, "date": "2026-11-24", "note": "The kettle's CVE was added"}],
        "summary": "Two faults in the tea drivers were fixed.",
        "affected": [{"release": "Ubuntu 22.04 LTS", "series": "5.15", "architecture": "amd64", "flavours": ["generic", "lowlatency"]},
                     {"release": "Debian 12", "series": "6.1", "architecture": "amd64", "flavours": ["cloud"]}],
        "details": [
            {"cve": "CVE-2026-1001", "priority": "high",
             "text": "The teapot driver did not look at the lid <script>alert(1)</script> & \"poured\". A local attacker could use this to run code with the kernel's rights, which is a long enough sentence to be wrapped."},
            {"cve": "CVE-2026-1002", "priority": "critical", "text": "The kettle boiled over."}],
        "instructions": [
            {"distribution": "ubuntu", "release": "22.04", "package": "linux", "flavour": "generic", "architecture": "amd64", "livepatch": 7,
             "module": "lp_ubuntu_{build}_generic_7", "lowest_build": "5.15.0-100.110", "fixed_build": "5.15.0-179.189",
             "cves": ["CVE-2026-1001", "CVE-2026-1002"]},
            {"distribution": "debian", "release": "12", "package": "linux", "flavour": "cloud", "architecture": "amd64", "livepatch": 3,
             "module": "lp_debian_{build}_cloud_3", "lowest_build": "6.1.187-1", "fixed_build": null, "cves": ["CVE-2026-1001"]}],
        "references": ["https://www.example.org/tea", "javascript:alert(1)"]
    }))
    .unwrap()
}

pub(crate) fn alert() -> Notice {
    let mut value = serde_json::to_value(livepatch()).unwrap();
    value["number"] = json!("LSN-0124-1");
    value["kind"] = json!("alert");
    value["alert"] = json!({"code": "changed-data", "reason": "The fix changes data that running code uses.", "mitigation": "Do not load the module teapot."});
    value["revisions"] = json!([{"revision": 1, "date": "2026-11-24", "note": "First publication"}]);
    for instruction in value["instructions"].as_array_mut().unwrap() {
        for field in ["livepatch", "module", "lowest_build"] {
            instruction[field] = json!(null);
        }
    }
    serde_json::from_value(value).unwrap()
}
