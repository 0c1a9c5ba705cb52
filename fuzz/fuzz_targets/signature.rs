//! The bytes as a signature message behind an empty body, with a sound trailer; and as a whole file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_module::{Certificate, VerifyError, split, verify};
use std::sync::LazyLock;

/// The certificate that the seeds' signatures name; its key was thrown away.
static TRUSTED: LazyLock<[Certificate; 1]> = LazyLock::new(|| {
    let certificate = Certificate::from_pem(include_str!("../seeds/certificate.pem"));
    [certificate.expect("the seed certificate reads")]
});

fuzz_target!(|message: &[u8]| {
    let _ = split(message).map(|parts| assert!(parts.body.len() <= message.len()));
    let _ = Certificate::from_der(message);
    let length = (message.len() as u32).to_be_bytes();
    let end = [
        &[0, 0, 2, 0, 0, 0, 0, 0],
        length.as_slice(),
        b"~Module signature appended~\n",
    ]
    .concat();
    // The seeds sign another body, so no message at all can be right for this one.
    let result = verify(&[b"not the seeds' body", message, &end].concat(), &*TRUSTED);
    assert!(result.is_err_and(|error| error != VerifyError::Unsigned));
});
