//! What needs more than replacing a body: system calls, callbacks, shadow variables, livepatch sources, on a real kernel.

use crate::livepatching::{load, take_out};
use livepatch_e2e::{Builder, Prepared, Programs, workspace_root};
use livepatch_vm::{CachedKernel, Guest, GuestBuilder};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

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

    /// Builds from an example: a patch, or a source with the unit that it stands for.
    fn build(&self, name: &str, option: &str, example: &str) {
        let input = workspace_root().join("examples").join(example);
        let mut command = self.programs.command("livepatch-build");
        command.args(["build", "--kernel", &self.kernel.release, "--fix", "example=an example of ours"]);
        command.arg(option).arg(input).arg("--output").arg(self.output(name));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn boot(&self, names: &[&str]) -> Guest {
        let mut guest = GuestBuilder::for_kernel(&self.kernel)
            .file(self.kernel.modules().join("kernel/drivers/block/loop.ko"), "/loop.ko", 0o600)
            .artefacts(self.folder.path().join("guest"));
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
