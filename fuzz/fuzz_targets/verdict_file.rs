//! Verdict files: the bytes as they are, and as the content of a well-formed file, so that the reader of the content is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_cve::verdict::{BuildNumber, VerdictFile};

fuzz_target!(|bytes: &[u8]| {
    let _ = VerdictFile::decode(bytes);
    let mut file = b"OLPV\x01".to_vec();
    file.extend((bytes.len() as u32).to_le_bytes());
    file.extend(miniz_oxide::deflate::compress_to_vec_zlib(bytes, 1));
    let Ok(read) = VerdictFile::decode(&file) else { return };
    for build in 0..read.builds.len().min(64) {
        let _ = read.of_build(BuildNumber(build as u32)).count();
    }
    assert_eq!(VerdictFile::decode(&read.encode()).as_ref(), Ok(&read));
});
