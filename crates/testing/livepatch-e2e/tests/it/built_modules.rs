//! What the builder makes, given to a real kernel without a client in between.

use livepatch_e2e::{BuildRequest, Builder, KernelState, Prepared, Programs, workspace_root};
use livepatch_manifest::Manifest;
use livepatch_vm::{Guest, GuestBuilder};
use std::{path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_module_s_function_is_patched_whether_the_module_was_there_before_or_comes_later() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let kernel = Prepared::get(&programs).unwrap().kernel;
    let build = directory.path().join("build");
    let manifest = build_example(&programs, &kernel.release, "loop-dio", &build);
    assert_eq!(manifest.objects[0].name, "loop");

    let guest = GuestBuilder::for_kernel(&kernel)
        .file(build.join(manifest.file_name()), "/livepatch.ko", 0o600)
        .contents("/loop.ko", 0o600, kernel.module("loop").unwrap())
        .artefacts(directory.path().join("guest"))
        .boot()
        .unwrap();
    guest.check("truncate -s 1M /image", LIMIT).unwrap();

    // The livepatch first: the module is patched as it comes, and both can go again.
    guest.check("insmod /livepatch.ko", LIMIT).unwrap();
    assert_eq!(show_dio(&guest), "0 livepatched");
    take_out(&guest, &manifest);
    assert_eq!(show_dio(&guest), "0");
    // The module first, in use.
    guest.check("insmod /livepatch.ko", LIMIT).unwrap();
    assert_eq!(show_dio(&guest), "0 livepatched");
    assert_eq!(KernelState::read(&guest).unwrap().livepatches[0].functions, ["loop/loop_attr_do_show_dio,1"]);
    assert_eq!(guest.oops(), None);
}

#[test]
fn the_module_itself_refuses_a_kernel_of_another_build() {
    let programs = Programs::find().unwrap();
    let prepared = Prepared::get(&programs).unwrap();
    let manifest = prepared.manifest().unwrap();
    let mut module = livepatch_module::split(&prepared.module().unwrap()).unwrap().body.to_vec();
    let wanted = manifest.kernel.build_id.as_bytes();
    let at = module.windows(wanted.len()).position(|window| window == wanted).unwrap();
    module[at] ^= 1;

    let directory = tempfile::tempdir().unwrap();
    let guest = GuestBuilder::for_kernel(&prepared.kernel)
        .contents("/livepatch.ko", 0o600, module)
        .artefacts(directory.path())
        .boot()
        .unwrap();
    assert_ne!(guest.run("insmod /livepatch.ko", LIMIT).unwrap().status, 0);
    let log = guest.check("dmesg", LIMIT).unwrap();
    let words = format!("{}: made for kernel build {}", manifest.name, manifest.kernel.build_id);
    assert!(log.contains(&words), "{log}");
    let state = KernelState::read(&guest).unwrap();
    assert!(state.livepatches.is_empty() && state.modules.is_empty(), "{state:?}");
}

#[test]
fn the_same_input_gives_the_same_bytes_wherever_and_whenever_it_is_built() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let kernel = Prepared::get(&programs).unwrap().kernel;
    let build = |name: &str| {
        let output = directory.path().join(name);
        let manifest = build_example(&programs, &kernel.release, "proc-cmdline", &output);
        (output, manifest)
    };
    let ((one, manifest), (other, _)) = (build("one"), build("another/place"));
    for file in [&manifest.file_name(), "manifest.json", "provenance.json"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(&one) == read(&other), "{file} differs");
    }
    // How long it took is the one thing that may differ.
    let report = |folder: &Path| {
        let mut report = Builder::report(folder).unwrap();
        report.as_object_mut().unwrap().remove("timings").unwrap();
        report
    };
    assert_eq!(report(&one), report(&other));
}

fn build_example(programs: &Programs, release: &str, example: &str, output: &Path) -> Manifest {
    let patch = workspace_root().join("examples/patches").join(format!("{example}.patch"));
    let log = output.with_extension("log");
    std::fs::create_dir_all(output).unwrap();
    let builder = Builder::new(programs, &log, &|_| {});
    let fix = format!("example-{example}=an example of ours");
    let request = BuildRequest { release, patch: &patch, fix: &fix, source: None, version: 1 };
    builder.build(&request, output).unwrap();
    Builder::manifest(output).unwrap()
}

/// What the patched function writes for a fresh loop device; loads the module when it is not there.
fn show_dio(guest: &Guest) -> String {
    let script = "lsmod | grep -q '^loop ' || insmod /loop.ko
        device=$(losetup -f) && losetup $device /image && cat /sys/block/${device#/dev/}/loop/dio";
    guest.check(script, LIMIT).unwrap().trim().to_owned()
}

fn take_out(guest: &Guest, manifest: &Manifest) {
    let name = &manifest.name;
    let script = format!(
        "echo 0 > /sys/kernel/livepatch/{name}/enabled
         for _ in $(seq 300); do [ -d /sys/kernel/livepatch/{name} ] || break; usleep 100000; done
         rmmod {name}"
    );
    guest.check(&script, LIMIT).unwrap();
}
