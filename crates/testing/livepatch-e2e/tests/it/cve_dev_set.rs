//! Real fixes between consecutive Debian source packages: each must be built, loaded and taken out again, or refused with
//! its reason. Where the fix can be seen from outside, it is looked at before and after.
//!
//! Package versions vanish from the index with time; a fix whose packages are gone is passed over, and says so.

use crate::livepatching::{load, take_out};
use livepatch_e2e::{BuildRequest, Builder, FixRequest, Programs, workspace_root};
use livepatch_manifest::FixSource;
use livepatch_vm::{CachedKernel, Guest, GuestBuilder};
use serde_json::Value;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);
const PACKAGE: &str = "linux-source-6.1";

/// A step between two source packages, and the kernel that was built from the first.
#[derive(Clone, Copy)]
struct Step {
    release: &'static str,
    from: &'static str,
    to: &'static str,
}

const FROM_187: Step = Step { release: "6.1.0-53-cloud-amd64", from: "6.1.187-1", to: "6.1.190-1" };
const FROM_190: Step = Step { release: "6.1.0-54-cloud-amd64", from: "6.1.190-1", to: "6.1.192-1" };
const FROM_192: Step = Step { release: "6.1.0-55-cloud-amd64", from: "6.1.192-1", to: "6.1.192-2" };

/// A fix that must be built.
#[derive(Clone, Copy)]
struct Fix {
    id: &'static str,
    files: &'static [&'static str],
    /// All functions that must be replaced, no others.
    functions: &'static [&'static str],
    /// Modules that these functions are in.
    modules: &'static [&'static str],
}

const fn fix(
    id: &'static str,
    files: &'static [&'static str],
    functions: &'static [&'static str],
    modules: &'static [&'static str],
) -> Fix {
    Fix { id, files, functions, modules }
}

/// A place to work in, with the kernel of a step; `None` when the packages are gone.
struct Bench {
    programs: Programs,
    step: Step,
    kernel: CachedKernel,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(step: Step) -> Option<Self> {
        let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
        let log = directory.path().join("kernel.log");
        if let Err(error) = Builder::new(&programs, &log, &|_| {}).add_kernel(step.release) {
            let text = format!("{error:#}");
            assert!(text.contains("package index"), "{text}");
            eprintln!("passed over: the package index no longer offers {}", step.release);
            return None;
        }
        let kernel = CachedKernel::find(Some(step.release)).unwrap();
        eprintln!("kernel {} from {PACKAGE} {}, fixes from {}", step.release, step.from, step.to);
        Some(Self { programs, step, kernel, directory })
    }

    fn builder(&self) -> Builder<'_> {
        Builder::new(&self.programs, self.directory.path().join("builder.log"), &|_| {})
    }

    fn patch(&self, id: &str, files: &[&str]) -> PathBuf {
        let patch = self.directory.path().join(format!("{id}.patch"));
        let Step { from, to, .. } = self.step;
        self.builder().extract_fix(&FixRequest { package: PACKAGE, from, to, files }, &patch).unwrap();
        patch
    }

    /// Builds what the patch makes; answers the report and the folder.
    fn build(&self, id: &str, patch: &Path) -> (Value, PathBuf) {
        let output = self.directory.path().join(id);
        std::fs::create_dir_all(&output).unwrap();
        let Step { release, from, to } = self.step;
        let source = FixSource { package: PACKAGE.into(), from: from.into(), to: to.into() };
        let fix = format!("{id}=a fix of the development set");
        let request = BuildRequest { release, patch, fix: &fix, source: Some(&source), version: 1 };
        (self.builder().attempt(&request, &output).unwrap(), output)
    }

    /// Builds from options that only this case needs; answers the report and the folder.
    fn build_from(&self, id: &str, options: &[(&str, &OsStr)]) -> (Value, PathBuf) {
        let output = self.directory.path().join(id);
        let mut command = self.programs.command("livepatch-build");
        command.args([
            "build",
            "--kernel",
            self.step.release,
            "--fix",
            &format!("{id}=of the development set"),
        ]);
        for (option, value) in options {
            command.arg(option).arg(value);
        }
        let answer = command.arg("--output").arg(&output).output().unwrap();
        let report = Builder::report(&output)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer.stderr)));
        (report, output)
    }

    /// Builds a fix and makes sure that it replaces just what it should.
    fn built(&self, fix: &Fix) -> PathBuf {
        let (report, output) = self.build(fix.id, &self.patch(fix.id, fix.files));
        assert_eq!(report["outcome"], "built", "{}: {report:#}", fix.id);
        let mut changed = strings(&report, "changed");
        changed.sort_unstable();
        let mut wanted: Vec<String> = fix.functions.iter().map(|&name| name.to_owned()).collect();
        wanted.sort_unstable();
        assert_eq!(changed, wanted, "{}", fix.id);
        output
    }

    /// A machine with these modules loaded and each livepatch as `/ID.ko`.
    fn guest(&self, builds: &[(&Fix, PathBuf)]) -> Guest {
        let mut guest = GuestBuilder::for_kernel(&self.kernel)
            .program("/usr/bin/perl", "/usr/bin/perl")
            .artefacts(self.directory.path().join("guest"));
        for (fix, output) in builds {
            let module = output.join(Builder::manifest(output).unwrap().file_name());
            guest = guest.file(module, &format!("/{}.ko", fix.id), 0o600);
            for module in fix.modules {
                guest = guest.module(module);
            }
        }
        guest.boot().unwrap()
    }

    /// Builds fixes, and loads and takes out each in the same machine.
    fn live_through(&self, fixes: &[Fix]) {
        let builds: Vec<(&Fix, PathBuf)> = fixes.iter().map(|fix| (fix, self.built(fix))).collect();
        let guest = self.guest(&builds);
        for (fix, output) in &builds {
            load(&guest, &format!("/{}.ko", fix.id), output);
            take_out(&guest, output);
        }
        assert_eq!(guest.oops(), None);
    }

    /// Shows a fix from outside: a script must find the kernel vulnerable, protected, and vulnerable again.
    fn seen(&self, fix: &Fix, script: &str, modules: &[&str], later: &[&str]) {
        self.seen_with(fix.id, &self.built(fix), script, modules, later);
    }

    /// As [`Bench::seen`], with what was built already.
    fn seen_with(&self, id: &str, output: &Path, script: &str, modules: &[&str], later: &[&str]) {
        let script_path = workspace_root().join("examples/reproducers").join(script);
        let module = output.join(Builder::manifest(output).unwrap().file_name());
        let mut guest = GuestBuilder::for_kernel(&self.kernel)
            .program("/usr/bin/perl", "/usr/bin/perl")
            .file(script_path, "/reproducer", 0o755)
            .file(module, &format!("/{id}.ko"), 0o600)
            .artefacts(self.directory.path().join("guest"));
        for name in modules {
            guest = guest.module(name);
        }
        for path in later {
            let name = path.rsplit('/').next().unwrap();
            guest = guest.file(self.kernel.modules().join(path), &format!("/{name}"), 0o600);
        }
        let guest = guest.boot().unwrap();
        let come = || {
            later.iter().for_each(|path| {
                guest.check(&format!("insmod /{}", path.rsplit('/').next().unwrap()), LIMIT).unwrap();
            })
        };
        let go = || {
            later.iter().rev().for_each(|path| {
                let file = path.rsplit('/').next().unwrap();
                guest.check(&format!("rmmod {}", file.trim_end_matches(".ko")), LIMIT).unwrap();
            })
        };
        let verdict = || {
            let answer = guest.run("/reproducer", LIMIT).unwrap();
            match answer.status {
                0 => "protected",
                10 => "vulnerable",
                other => panic!("{script} ended with {other}: {answer:?}"),
            }
        };
        // What comes later finds the livepatch there already.
        come();
        assert_eq!(verdict(), "vulnerable");
        go();
        load(&guest, &format!("/{id}.ko"), output);
        come();
        assert_eq!(verdict(), "protected");
        take_out(&guest, output);
        assert_eq!(verdict(), "vulnerable");
        assert_eq!(guest.oops(), None);
    }

    /// A patch that cannot be livepatched as it is must say why, and what to do.
    fn refused(&self, id: &str, files: &[&str], code: &str, advice: &str) {
        let (report, _) = self.build(id, &self.patch(id, files));
        assert_eq!(report["outcome"], "refused", "{id}: {report:#}");
        let refusals = report["refusals"].as_array().unwrap();
        let reason = refusals.iter().find(|refusal| refusal["code"] == code);
        let reason = reason.unwrap_or_else(|| panic!("{id}: {refusals:#?}"));
        assert!(reason["advice"].as_str().unwrap().contains(advice), "{id}: {reason:#}");
    }

    fn no_change(&self, id: &str, patch: &Path) {
        let (report, _) = self.build(id, patch);
        assert_eq!(report["outcome"], "refused", "{id}: {report:#}");
        let codes = report["refusals"].as_array().unwrap().iter().map(|refusal| refusal["code"].clone());
        assert_eq!(codes.collect::<Vec<_>>(), ["no-functional-change"], "{id}: {report:#}");
    }
}

/// All names under a key of the units.
fn strings(report: &Value, key: &str) -> Vec<String> {
    let units = report["units"].as_array().unwrap().iter();
    let names = units.flat_map(|unit| unit[key].as_array().unwrap());
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// A patch that puts one blank line at the top of each file.
fn blank_lines(bench: &Bench, files: &[&str]) -> PathBuf {
    let tree = livepatch_vm::cache_directory().join("kernels").join(bench.step.release).join("source");
    let mut patch = String::new();
    for file in files {
        let text = std::fs::read_to_string(tree.join(file)).unwrap();
        let top: Vec<&str> = text.lines().take(3).collect();
        patch += &format!("--- a/{file}\n+++ b/{file}\n@@ -1,3 +1,4 @@\n+\n");
        top.iter().for_each(|line| patch += &format!(" {line}\n"));
    }
    let path = bench.directory.path().join("blank.patch");
    std::fs::write(&path, patch).unwrap();
    path
}

const TIMENS: Fix = fix("CVE-2026-93146", &["kernel/time/namespace.c"], &["proc_timens_set_offset"], &[]);
const LOOP: Fix = fix("CVE-2025-38709", &["drivers/block/loop.c"], &["lo_ioctl"], &["loop"]);
const EM_TEXT: Fix = fix("CVE-2026-98969", &["net/sched/em_text.c"], &["em_text_change"], &["em_text"]);

#[test]
fn fixes_of_vmlinux_are_built_loaded_and_taken_out() {
    let Some(bench) = Bench::new(FROM_190) else { return };
    bench.live_through(&[
        fix(
            "CVE-2024-46834",
            &["net/ethtool/channels.c", "net/ethtool/ioctl.c"],
            &["ethnl_set_channels", "ethtool_set_channels"],
            &[],
        ),
        fix("CVE-2024-53187", &["io_uring/rsrc.c"], &["io_pin_pages"], &[]),
        fix("CVE-2026-99203", &["fs/pipe.c"], &["pipe_fasync"], &[]),
        fix("CVE-2026-98840", &["drivers/tty/vt/vc_screen.c"], &["vcs_write"], &[]),
        fix("CVE-2026-99225", &["security/keys/process_keys.c"], &["search_process_keyrings_rcu"], &[]),
        fix("CVE-2025-22057", &["net/core/dst.c"], &["dst_release"], &[]),
        fix("CVE-2026-64017", &["block/blk-mq.c"], &["blk_mq_submit_bio"], &[]),
        // Seventeen functions look changed: most of them only hold the number of a line that moved.
        fix("CVE-2026-72321", &["net/ipv4/igmp.c"], &["__igmp_group_dropped", "igmp_rcv"], &[]),
    ]);
}

#[test]
fn fixes_of_modules_are_built_loaded_and_taken_out() {
    let Some(bench) = Bench::new(FROM_190) else { return };
    bench.live_through(&[
        fix("CVE-2024-26740", &["net/sched/act_mirred.c"], &["tcf_mirred_act"], &["act_mirred"]),
        fix("CVE-2026-31675", &["net/sched/sch_netem.c"], &["netem_enqueue"], &["sch_netem"]),
        fix(
            "CVE-2026-90109",
            &["net/sched/sch_gred.c", "net/sched/sch_plug.c"],
            &["gred_enqueue", "plug_enqueue"],
            &["sch_gred", "sch_plug"],
        ),
        fix("CVE-2026-31677", &["crypto/af_alg.c"], &["af_alg_get_rsgl"], &["af_alg"]),
    ]);
}

#[test]
fn a_time_namespace_s_offset_is_validated_once_livepatched() {
    let Some(bench) = Bench::new(FROM_190) else { return };
    bench.seen(&TIMENS, "timens-offsets.sh", &[], &[]);
}

#[test]
fn a_loop_device_s_owner_is_respected_once_livepatched() {
    let Some(bench) = Bench::new(FROM_190) else { return };
    bench.seen(&LOOP, "loop-block-size.sh", &["loop"], &[]);
}

#[test]
fn a_module_that_comes_after_its_livepatch_is_protected_too() {
    let Some(bench) = Bench::new(FROM_190) else { return };
    bench.seen(&EM_TEXT, "em-text-name.sh", &["sch_ingress", "cls_basic"], &["kernel/net/sched/em_text.ko"]);
}

#[test]
fn a_kernel_that_dies_of_its_own_backport_lives_once_livepatched() {
    let Some(bench) = Bench::new(FROM_192) else { return };
    let fix = fix(
        "debian-bug-1154101",
        &["fs/ext4/mballoc.c"],
        &["ext4_mb_init_group", "ext4_mb_load_buddy_gfp"],
        &["loop"],
    );
    let output = bench.built(&fix);
    let image = ext4_image(&bench);
    let boot = |name: &str| boot_with_image(&bench, name, &output, &image);
    let stock = boot("stock");
    assert_eq!(stock.run("/reproducer /image", LIMIT).unwrap().status, 10);
    assert!(stock.oops().is_some(), "{}", stock.console());
    let livepatched = boot("livepatched");
    load(&livepatched, "/livepatch.ko", &output);
    livepatched.check("/reproducer /image", LIMIT).unwrap();
    take_out(&livepatched, &output);
    assert_eq!(livepatched.oops(), None);
}

/// A small file system for the reproducer of the ext4 bug.
fn ext4_image(bench: &Bench) -> PathBuf {
    let image = bench.directory.path().join("image");
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = std::process::Command::new("mke2fs");
    command.env("PATH", path).args(["-q", "-F", "-t", "ext4"]).arg(&image).arg("16M");
    assert!(command.status().unwrap().success());
    image
}

fn boot_with_image(bench: &Bench, name: &str, output: &Path, image: &Path) -> Guest {
    let module = output.join(Builder::manifest(output).unwrap().file_name());
    GuestBuilder::for_kernel(&bench.kernel)
        .module("loop")
        .module("ext4")
        .file(workspace_root().join("examples/reproducers/ext4-mballoc.sh"), "/reproducer", 0o755)
        .file(module, "/livepatch.ko", 0o600)
        .file(image, "/image", 0o600)
        .artefacts(bench.directory.path().join(name))
        .boot()
        .unwrap()
}

#[test]
fn a_fix_with_new_state_of_its_own_is_built_loaded_and_taken_out() {
    let Some(bench) = Bench::new(FROM_187) else { return };
    let counters =
        fix("CVE-2026-45897", &["net/netfilter/nft_counter.c"], &["nft_counter_do_dump"], &["nf_tables"]);
    bench.live_through(&[counters]);
}

#[test]
fn a_header_s_change_compiles_only_the_units_that_it_reaches() {
    let Some(bench) = Bench::new(FROM_190) else { return };
    let patch = bench.patch("CVE-2025-39910", &["include/linux/kasan.h", "mm/vmalloc.c"]);
    let (report, output) = bench.build("CVE-2025-39910", &patch);
    assert_eq!(report["outcome"], "built", "{report:#}");
    // Nearly every unit of the kernel includes that header.
    let units = report["units"].as_array().unwrap();
    assert_eq!(
        units.iter().map(|unit| unit["source"].as_str().unwrap()).collect::<Vec<_>>(),
        ["mm/vmalloc.c"]
    );
    let fix = fix("CVE-2025-39910", &[], &[], &[]);
    let guest = bench.guest(&[(&fix, output.clone())]);
    load(&guest, "/CVE-2025-39910.ko", &output);
    take_out(&guest, &output);
    assert_eq!(guest.oops(), None);
}

#[test]
fn a_table_of_a_module_is_written_at_patch_time_and_back() {
    let Some(bench) = Bench::new(FROM_187) else { return };
    let source = workspace_root().join("examples/sources/vxlan-vnifilter-policy.c");
    let source = format!("{}=drivers/net/vxlan/vxlan_vnifilter.c", source.display());
    let (report, output) = bench.build_from("CVE-2026-89776", &[("--source", source.as_ref())]);
    assert_eq!(report["outcome"], "built", "{report:#}");
    let vxlan = ["kernel/drivers/net/vxlan/vxlan.ko"];
    let script = "vxlan-vnifilter-group.sh";
    bench.seen_with("CVE-2026-89776", &output, script, &["udp_tunnel", "ip6_udp_tunnel"], &vxlan);
}

#[test]
fn a_patch_on_a_patch_is_the_way_from_before_the_first_to_after_the_second() {
    // The wrong backport and what mends it, for the kernel that has neither.
    let (Some(older), Some(newer)) = (Bench::new(FROM_190), Bench::new(FROM_192)) else { return };
    let backport = older.patch("backport", &["fs/ext4/mballoc.c", "fs/ext4/mballoc.h"]);
    let mended = newer.patch("mended", &["fs/ext4/mballoc.c"]);
    let patches = [("--patch", backport.as_ref()), ("--patch", mended.as_ref())];
    // Pages become folios in a structure that code which stays as it is uses as well: for a person to decide.
    let (report, _) = older.build_from("asked", &patches);
    assert_eq!(report["refusals"][0]["code"], "layout-changed", "{report:#}");
    assert!(report["refusals"][0]["message"].as_str().unwrap().contains("struct ext4_buddy"), "{report:#}");

    let accepted = [patches[0], patches[1], ("--accept", "layout-changed:ext4_buddy".as_ref())];
    let (report, output) = older.build_from("accepted", &accepted);
    assert_eq!(report["outcome"], "built", "{report:#}");
    let changed = strings(&report, "changed");
    for function in ["ext4_mb_init_group", "ext4_mb_load_buddy_gfp"] {
        assert!(changed.iter().any(|name| name == function), "{function}: {changed:?}");
    }
    let image = ext4_image(&older);
    let guest = boot_with_image(&older, "accepted", &output, &image);
    load(&guest, "/livepatch.ko", &output);
    guest.check("/reproducer /image", LIMIT).unwrap();
    take_out(&guest, &output);
    assert_eq!(guest.oops(), None);
}

#[test]
fn what_cannot_be_livepatched_as_it_is_says_why_and_what_to_do() {
    if let Some(bench) = Bench::new(FROM_190) {
        bench.refused("CVE-2025-21872", &["drivers/firmware/efi/mokvar-table.c"], "init-code", "reboot");
        bench.refused("CVE-2026-80611", &["drivers/acpi/processor_idle.c"], "section-moved", "reboot");
        bench.refused("CVE-2025-38064", &["drivers/virtio/virtio.c"], "data-changed", "callback");
        let files = ["fs/nfsd/export.c", "fs/nfsd/export.h"];
        bench.refused("CVE-2024-53216", &files, "layout-changed", "shadow");
    }
    if let Some(bench) = Bench::new(FROM_187) {
        let file = "drivers/net/vxlan/vxlan_vnifilter.c";
        bench.refused("CVE-2026-89776", &[file], "data-changed", "callback");
    }
}

#[test]
fn what_changes_nothing_that_runs_is_no_functional_change() {
    if let Some(bench) = Bench::new(FROM_187) {
        // This kernel zeroes the stack anyway.
        let file = "kernel/time/itimer.c";
        bench.no_change("CVE-2026-89765", &bench.patch("CVE-2026-89765", &[file]));
    }
    if let Some(bench) = Bench::new(FROM_190) {
        let files =
            ["fs/ext4/mballoc.c", "kernel/time/namespace.c", "drivers/block/loop.c", "net/ipv4/igmp.c"];
        bench.no_change("blank-lines", &blank_lines(&bench, &files));
    }
}
