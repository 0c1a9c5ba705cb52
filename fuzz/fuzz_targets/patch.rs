//! Patches: a patch, a zero byte, and the text it is put on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_source::{Series, apply, keep_lines};

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (patch, text) = (&bytes[..cut], bytes.get(cut + 1..).unwrap_or_default());
    let Ok(series) = Series::parse(patch) else { return };
    for file in &series.files {
        if let Ok(applied) = apply(text, file) {
            let kept = keep_lines(text, &applied.text);
            assert!(kept.len() >= applied.text.len());
        }
    }
});
