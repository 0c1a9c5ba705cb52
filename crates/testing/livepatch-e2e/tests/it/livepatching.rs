//! Loading and removing livepatches by hand, without a client.

use livepatch_e2e::{Builder, KernelState};
use livepatch_vm::Guest;
use std::{path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);

/// Loads a livepatch, waits for its transition, and compares what the kernel says with the manifest.
pub(crate) fn load(guest: &Guest, module: &str, output: &Path) {
    let manifest = Builder::manifest(output).unwrap();
    let name = &manifest.name;
    let script = format!(
        "insmod {module}
         for _ in $(seq 300); do [ \"$(cat /sys/kernel/livepatch/{name}/transition)\" = 0 ] && break; usleep 100000; done
         cat /sys/kernel/livepatch/{name}/transition"
    );
    assert_eq!(guest.check(&script, LIMIT).unwrap().trim(), "0", "{module}");
    let state = KernelState::read(guest).unwrap();
    let wanted = manifest.objects.iter().flat_map(|object| {
        let name = |function: &livepatch_manifest::PatchedFunction| {
            // The kernel shows position 1 for a name that is unique too (kernel/livepatch/core.c, klp_init_func).
            format!("{}/{},{}", object.name, function.name, function.sympos.max(1))
        };
        object.functions.iter().map(name)
    });
    let mut wanted: Vec<String> = wanted.collect();
    wanted.sort_unstable();
    let mut found = state.livepatches[0].functions.clone();
    found.sort_unstable();
    assert_eq!(found, wanted, "{module}");
}

/// Undoes a livepatch and removes its module.
pub(crate) fn take_out(guest: &Guest, output: &Path) {
    let name = Builder::manifest(output).unwrap().name;
    let script = format!(
        "echo 0 > /sys/kernel/livepatch/{name}/enabled
         for _ in $(seq 300); do [ -d /sys/kernel/livepatch/{name} ] || break; usleep 100000; done
         rmmod {name}"
    );
    guest.check(&script, LIMIT).unwrap();
}
