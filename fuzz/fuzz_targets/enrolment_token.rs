//! Enrolment tokens, as people paste them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_api::EnrolmentToken;

fuzz_target!(|text: &str| {
    let Ok(token) = text.parse::<EnrolmentToken>() else {
        return;
    };
    assert_eq!(token.to_string(), text.trim());
    assert!(!format!("{token:?}").contains(&token.secret));
});
