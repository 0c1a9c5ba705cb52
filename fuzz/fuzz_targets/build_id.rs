//! ELF notes, as `/sys/kernel/notes` serves them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_kernel::BuildId;

fuzz_target!(|notes: &[u8]| {
    let Ok(id) = BuildId::from_notes(notes) else {
        return;
    };
    assert_eq!(id.to_string().parse::<BuildId>(), Ok(id));
});
