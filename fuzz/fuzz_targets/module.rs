//! Everything that can be asked of a module file's bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepatch_module::Module;

fuzz_target!(|bytes: &[u8]| {
    let Ok(module) = Module::parse(bytes) else { return };
    let _ = (
        module.name(),
        module.vermagic(),
        module.is_livepatch(),
        module.build_id(),
        module.release(),
    );
    let _ = module.modinfo_all("alias").count();
    let _ = module.modinfo_pairs().count();
    let _ = (module.klp_symbols(), module.klp_relocations(), module.replacements());
});
