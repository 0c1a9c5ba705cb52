//! Changelogs of kernel packages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_cve::feeds::Changelog;

fuzz_target!(|bytes: &[u8]| {
    let (changelog, _) = Changelog::read("changelog", bytes);
    for item in changelog.entries.iter().flat_map(|entry| &entry.items) {
        assert!(item.line > 0 && item.depth > 0);
    }
});
