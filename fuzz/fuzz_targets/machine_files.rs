//! Whatever the firmware, the kernel and a distribution put into the files that the client reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_host::{KernelConfig, KernelKeys, KernelPackage, certificates};

fuzz_target!(|bytes: &[u8]| {
    certificates(bytes);
    let text = String::from_utf8_lossy(bytes);
    KernelKeys::parse(&text);
    KernelConfig::parse(&text);
    KernelPackage::parse(&text, Some(&text));
});
