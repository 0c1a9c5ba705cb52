//! Changelogs of kernel packages: the entries between the first and the last upload.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for entry in livepatch_extract::range(text, "1", "2").unwrap_or_default() {
        assert!(!entry.subject.is_empty());
        assert!(entry.cves.iter().all(|id| id.starts_with("CVE-")));
    }
});
