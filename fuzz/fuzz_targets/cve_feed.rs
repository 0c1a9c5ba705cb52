//! Feeds: the same records whatever the pieces, and readers that never panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_cve::feeds::{RecordSplitter, cve_json, epss, kev, osv};
use livepatch_cve::record::Source;
use livepatch_cve::verdict::{Engine, Exposure};
use livepatch_cve::{Names, Register, agreement::builds_named};

fuzz_target!(|bytes: &[u8]| {
    let split = |size: usize| {
        let mut splitter = RecordSplitter::new("feed");
        let mut found = Vec::new();
        for piece in bytes.chunks(size) {
            splitter.push(piece, &mut |line, record| found.push((line, record.to_vec())));
        }
        (found, splitter.finish())
    };
    assert_eq!(split(7), split(1 << 20));
    let mut names = Names::default();
    let _ = (kev("feed", bytes, &mut names), epss("feed", bytes, &mut names));
    let mut register = Register::default();
    register.import_feed(Source::Osv, "osv", bytes, osv);
    register.import_feed(Source::CveRecord, "cve", bytes, cve_json);
    let builds = builds_named(register.records());
    let _ = Engine::new(builds, register.records().map(Exposure::from_record).collect()).verdicts();
});
