//! Files of the Ubuntu CVE tracker: what is written is the normal form, and reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_cve::ubuntu_tracker::{TrackerFile, normal_form};

fuzz_target!(|text: &str| {
    let (file, _) = TrackerFile::read("file", text.as_bytes());
    let written = file.to_string();
    assert_eq!(written, normal_form(text));
    let (again, _) = TrackerFile::read("file", written.as_bytes());
    assert_eq!(again, file);
    let _ = (file.candidate(), file.priority(), file.notes(), file.break_fixes().count());
});
