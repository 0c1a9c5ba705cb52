//! Kernel releases: two lines, parsed and compared.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_kernel::KernelRelease;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    let (Ok(a), Ok(b)) = (first.parse::<KernelRelease>(), second.parse::<KernelRelease>()) else {
        return;
    };
    assert!(first.starts_with(a.series()) && first.ends_with(a.flavour()));
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    assert_eq!(a.cmp(&b).is_eq(), a == b);
});
