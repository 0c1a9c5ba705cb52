//! What needs more than replacing a body: system calls, callbacks, shadow variables, livepatch sources, trace points of
//! modules, namespaces and versions of symbols, on a real kernel.

use crate::livepatching::{load, take_out};
use livepatch_e2e::{Builder, Prepared, Programs, workspace_root};
use livepatch_vm::{CachedKernel, Guest, GuestBuilder};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// The bridge and what it needs, in the order in which they load.
const BRIDGE: [&str; 3] = ["net/llc/llc.ko", "net/802/stp.ko", "net/bridge/bridge.ko"];

/// Livepatches for one kernel, and a guest that has them.
struct Bench {
    programs: Programs,
    kernel: CachedKernel,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let programs = Programs::find().unwrap();
        let kernel = Prepared::get(&programs).unwrap().kernel;
        Self { programs, kernel, folder: tempfile::tempdir().unwrap() }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds from an example: a patch, or a source with the unit that it stands for; answers the report.
    fn attempt(&self, name: &str, option: &str, example: &str) -> Value {
        let input = workspace_root().join("examples").join(example);
        let mut command = self.programs.command("livepatch-build");
        command.args(["build", "--kernel", &self.kernel.release, "--fix", "example=an example of ours"]);
        command.arg(option).arg(input).arg("--output").arg(self.output(name));
        let output = command.output().unwrap();
        Builder::report(&self.output(name))
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn build(&self, name: &str, option: &str, example: &str) -> Value {
        let report = self.attempt(name, option, example);
        assert_eq!(report["outcome"], "built", "{report:#}");
        report
    }

    fn boot(&self, names: &[&str]) -> Guest {
        let mut guest = GuestBuilder::for_kernel(&self.kernel).artefacts(self.folder.path().join("guest"));
        let modules = ["drivers/block/loop.ko", "block/kyber-iosched.ko", "crypto/cmac.ko"];
        for module in modules.into_iter().chain(BRIDGE) {
            let file = self.kernel.modules().join("kernel").join(module);
            guest = guest.file(&file, &format!("/{}", module.rsplit('/').next().unwrap()), 0o600);
        }
        for name in names {
            let file = Builder::manifest(&self.output(name)).unwrap().file_name();
            guest = guest.file(self.output(name).join(file), &format!("/{name}.ko"), 0o600);
        }
        guest.boot().unwrap()
    }
}

fn say(guest: &Guest, command: &str) -> String {
    guest.check(command, LIMIT).unwrap().trim().to_owned()
}

fn show_dio(guest: &Guest) -> String {
    let script = "lsmod | grep -q '^loop ' || insmod /loop.ko
        device=$(losetup -f) && losetup $device /image && cat /sys/block/${device#/dev/}/loop/dio";
    say(guest, script)
}

#[test]
fn system_calls_callbacks_shadow_variables_and_sources_do_their_work_and_can_be_undone() {
    let bench = Bench::new();
    bench.build("uname", "--patch", "patches/uname-version.patch");
    bench.build("shadow", "--patch", "patches/cmdline-shadow.patch");
    bench.build("overflowuid", "--source", "sources/overflowuid.c");
    bench.build("dio", "--source", "sources/loop-dio.c=drivers/block/loop.c");
    let guest = bench.boot(&["uname", "shadow", "overflowuid", "dio"]);

    a_system_call_is_patched_at_its_entry_points(&guest, &bench);
    new_state_lives_beside_an_object_and_goes_with_the_patch(&guest, &bench);
    a_value_is_set_at_patch_time_and_put_back(&guest, &bench);
    a_source_replaces_a_function_of_a_module_that_comes_later(&guest, &bench);
    assert_eq!(guest.oops(), None);
}

fn a_system_call_is_patched_at_its_entry_points(guest: &Guest, bench: &Bench) {
    let functions = &Builder::manifest(&bench.output("uname")).unwrap().objects[0].functions;
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["__x64_sys_newuname", "__ia32_sys_newuname"]);
    let before = say(guest, "uname -v");
    load(guest, "/uname.ko", &bench.output("uname"));
    assert_eq!(say(guest, "uname -v"), "livepatched");
    take_out(guest, &bench.output("uname"));
    assert_eq!(say(guest, "uname -v"), before);
}

fn new_state_lives_beside_an_object_and_goes_with_the_patch(guest: &Guest, bench: &Bench) {
    let before = say(guest, "cat /proc/cmdline");
    for _ in 0..2 {
        load(guest, "/shadow.ko", &bench.output("shadow"));
        let read = |count: u32| format!("{before} read {count}");
        assert_eq!(say(guest, "cat /proc/cmdline"), read(1), "the last callback forgets earlier state");
        assert_eq!(say(guest, "cat /proc/cmdline"), read(2));
        take_out(guest, &bench.output("shadow"));
    }
    assert_eq!(say(guest, "cat /proc/cmdline"), before);
    let log = say(guest, "dmesg");
    assert_eq!(log.matches("cmdline: before patching vmlinux").count(), 2, "{log}");
    assert_eq!(log.matches("cmdline: after unpatching").count(), 2, "{log}");
}

fn a_value_is_set_at_patch_time_and_put_back(guest: &Guest, bench: &Bench) {
    let value = "cat /proc/sys/kernel/overflowuid";
    assert_eq!(say(guest, value), "65534");
    load(guest, "/overflowuid.ko", &bench.output("overflowuid"));
    assert_eq!(say(guest, value), "65533");
    take_out(guest, &bench.output("overflowuid"));
    assert_eq!(say(guest, value), "65534");
}

fn a_source_replaces_a_function_of_a_module_that_comes_later(guest: &Guest, bench: &Bench) {
    guest.check("truncate -s 1M /image", LIMIT).unwrap();
    let said = "loop-dio: loop is patched";
    load(guest, "/dio.ko", &bench.output("dio"));
    assert!(!say(guest, "dmesg").contains(said));
    assert_eq!(show_dio(guest), "at most 0 partitions");
    assert!(say(guest, "dmesg").contains(said));
    take_out(guest, &bench.output("dio"));
    assert_eq!(show_dio(guest), "0");
}

#[test]
fn modules_keep_their_trace_points_and_namespaces_in_order() {
    let bench = Bench::new();
    let report = bench.build("on-kyber", "--patch", "patches/kyber-trace-point.patch");
    assert_eq!(report["findings"][0]["code"], "trace-point-off", "{report:#}");
    bench.build("on-cmac", "--patch", "patches/cmac-namespace.patch");
    let report = bench.build("on-bridge", "--patch", "patches/bridge-static-key.patch");
    assert_eq!(report["findings"][0]["code"], "static-key-read", "{report:#}");
    let guest = bench.boot(&["on-kyber", "on-cmac", "on-bridge"]);
    a_static_key_of_a_module_is_read(&guest, &bench);

    // Each livepatch before its module and after it; a trace point is switched while its function is patched.
    for module in ["kyber-iosched", "cmac"] {
        let name = format!("on-{}", module.split('-').next().unwrap());
        let (livepatch, output) = (format!("/{name}.ko"), bench.output(&name));
        load(&guest, &livepatch, &output);
        guest.check(&format!("insmod /{module}.ko"), LIMIT).unwrap();
        take_out(&guest, &output);
        load(&guest, &livepatch, &output);
        let patched = format!("cat /sys/kernel/livepatch/*/{}/patched", module.replace('-', "_"));
        assert_eq!(say(&guest, &patched), "1");
        if name == "on-kyber" {
            use_kyber(&guest);
            assert_eq!(say(&guest, "dmesg").matches("kyber: livepatched").count(), 1);
        }
        take_out(&guest, &output);
    }
    assert_eq!(guest.oops(), None);
}

/// The livepatch is there before the module and its key, and again after them, with the key on.
fn a_static_key_of_a_module_is_read(guest: &Guest, bench: &Bench) {
    let (livepatch, output) = ("/on-bridge.ko", bench.output("on-bridge"));
    load(guest, livepatch, &output);
    for module in BRIDGE {
        guest.check(&format!("insmod /{}", module.rsplit('/').next().unwrap()), LIMIT).unwrap();
    }
    guest.check("ip link add br0 type bridge", LIMIT).unwrap();
    let file = "/sys/class/net/br0/bridge/hash_elasticity";
    let key = || say(guest, &format!("cat {file}"));
    assert_eq!(key(), "off");
    guest.check(&format!("echo 1 > {file}"), LIMIT).unwrap();
    assert_eq!(key(), "on");
    take_out(guest, &output);
    assert_eq!(key(), "16");
    load(guest, livepatch, &output);
    assert_eq!(key(), "on");
    guest.check(&format!("echo 0 > {file}"), LIMIT).unwrap();
    assert_eq!(key(), "off");
    take_out(guest, &output);
}

fn use_kyber(guest: &Guest) {
    let script = "truncate -s 1M /image; insmod /loop.ko; device=$(losetup -f); losetup $device /image
        echo kyber > /sys/block/${device#/dev/}/queue/scheduler
        mkdir -p /sys/kernel/tracing; mount -t tracefs none /sys/kernel/tracing
        echo 1 > /sys/kernel/tracing/events/kyber/enable
        dd if=$device of=/dev/null bs=4096 count=16
        echo 0 > /sys/kernel/tracing/events/kyber/enable
        dd if=/dev/zero of=$device bs=4096 count=16 conv=fsync
        echo none > /sys/block/${device#/dev/}/queue/scheduler; losetup -d $device";
    guest.check(script, LIMIT).unwrap();
}

#[test]
fn a_version_of_exported_symbols_is_not_changed_behind_the_back_of_modules() {
    let bench = Bench::new();
    let report = bench.attempt("mbcache", "--patch", "patches/mbcache-version.patch");
    assert_eq!(report["refusals"][0]["code"], "exported-contract", "{report:#}");
    let message = report["refusals"][0]["message"].as_str().unwrap();
    assert!(message.contains("mb_cache_create") && message.contains("struct mb_cache"), "{message}");
}
