//! C text: two versions of a header, or a preprocessed unit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_source::{includes, narrow, reach};

fuzz_target!(|bytes: &[u8]| {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    let relevant = reach::relevant(bytes);
    // What is left is as relevant as before: cutting it again loses nothing.
    let _ = reach::relevant(&relevant);
    let _ = includes::includes(bytes);
    if let narrow::Reach::Names(names) = narrow::changed(one, other) {
        let names = names.into_iter().take(8).collect();
        let _ = narrow::handed_on(bytes, &narrow::Wanted::new(&names, &narrow::pieces(bytes)));
    }
    assert_eq!(narrow::changed(bytes, bytes) == narrow::Reach::Everything, livepatch_source::items::cut(bytes).unbalanced);
});
