//! The kernel's log: records of `/dev/kmsg`, and the complaints in any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_host::{find_incidents, parse_log};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let records = parse_log(&text);
    let lines = records.iter().map(|record| (record.sequence, record.text.as_str()));
    for incident in find_incidents(lines).into_iter().chain(find_incidents(text.lines().map(|line| (0, line)))) {
        let _ = incident.blame("livepatch_6_1_0_55_cloud_amd64_1");
    }
});
