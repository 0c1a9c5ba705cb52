//! No input makes a reader panic, and what is read keeps its promises.

use livepatch_cve::feeds::{Changelog, RecordSplitter, cve_json, epss, kev, osv, ubuntu_tracker};
use livepatch_cve::record::Source;
use livepatch_cve::ubuntu_tracker::{TrackerFile, normal_form};
use livepatch_cve::{CveId, Names, Register, UpstreamVersion};
use proptest::collection::vec;
use proptest::prelude::*;

/// Lines that are of a tracker file, or nearly.
fn tracker_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_/: ()#>.~-]{0,30}",
        "(Candidate|Priority|Notes|Tags_linux|Priority_linux|CVSS|Patches_linux|Patches_): ?[a-z0-9A-Z -]{0,12} ?",
        "[ \t]{1,3}[a-z>|:-]{0,10}",
        "(bionic|trusty/esm|upstream)_linux(-hwe)?: ?(released|needed|DNE|not-affected|x)( \\([0-9a-z.~ -]{0,9}\\))? {0,2}",
        "",
    ]
}

/// Texts that are JSON of a record, with anything in the places of values.
fn record_like() -> impl Strategy<Value = String> {
    ("[a-zA-Z0-9-]{0,16}", "[0-9.*a-z~-]{0,10}", "[0-9.*a-z~-]{0,10}", "[a-z]{0,10}").prop_map(|(id, from, to, status)| {
        format!(
            r#"{{"id":"{id}","cveMetadata":{{"cveId":"CVE-2026-{id}","state":"{status}"}},"containers":{{"cna":{{"affected":
            [{{"product":"Linux","defaultStatus":"{status}","versions":[{{"version":"{from}","lessThanOrEqual":"{to}","status":"affected"}}]}}]}}}},
            "affected":[{{"package":{{"ecosystem":"Ubuntu:{from}","name":"linux"}},"ranges":[{{"type":"ECOSYSTEM","events":
            [{{"introduced":"{from}"}},{{"fixed":"{to}"}}]}}]}}]}}"#
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        let mut names = Names::default();
        for read in [ubuntu_tracker, cve_json, osv, kev, epss] {
            let _ = read("file", &bytes, &mut names);
        }
        let _ = Changelog::read("file", &bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (CveId::find_all(&text).count(), UpstreamVersion::at_start_of(&text));
    }

    #[test]
    fn tracker_files_export_to_their_normal_form(lines in vec(tracker_line(), 0..30)) {
        let text = lines.join("\n");
        let (file, _) = TrackerFile::read("file", text.as_bytes());
        prop_assert_eq!(file.to_string(), normal_form(&text));
        let (again, _) = TrackerFile::read("file", file.to_string().as_bytes());
        prop_assert_eq!(again.to_string(), file.to_string());
    }

    #[test]
    fn records_with_odd_values(records in vec(record_like(), 1..4), piece in 1..64_usize) {
        let feed = records.join("\n");
        let mut register = Register::default();
        register.import_feed(Source::Osv, "osv", feed.as_bytes(), osv);
        register.import_feed(Source::CveRecord, "cve", feed.as_bytes(), cve_json);
        let mut splitter = RecordSplitter::new("feed");
        let mut found = 0;
        for part in feed.as_bytes().chunks(piece) {
            splitter.push(part, &mut |_, _| found += 1);
        }
        prop_assert_eq!(found, records.len());
        let saved = serde_json::to_string(&register).unwrap();
        let again: Register = serde_json::from_str(&saved).unwrap();
        prop_assert!(again.records().eq(register.records()));
    }

    #[test]
    fn a_splitter_does_not_care_about_pieces(text in "[\\[\\]{}\",\\\\a\n ]{0,60}", piece in 1..9_usize) {
        let split = |size: usize| {
            let mut splitter = RecordSplitter::new("feed");
            let mut found = Vec::new();
            for part in text.as_bytes().chunks(size) {
                splitter.push(part, &mut |line, record| found.push((line, record.to_vec())));
            }
            (found, splitter.finish())
        };
        prop_assert_eq!(split(piece), split(1000));
    }
}
