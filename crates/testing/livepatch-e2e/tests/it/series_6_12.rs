//! Kernels of the 6.12 series: functions have padding in front of them, for call thunks, and begin with a landing pad for
//! indirect branch tracking.
//!
//! Which kernels there are is up to the package index; what a test chose it says.

use crate::livepatching::{load, take_out};
use livepatch_e2e::{BuildRequest, Builder, FixRequest, Programs, workspace_root};
use livepatch_kernel::KernelRelease;
use livepatch_vm::{CachedKernel, Guest, GuestBuilder};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(120);
const SOURCE: &str = "linux-source-6.12";
/// A step between two source packages, and the kernel that was built from the first.
const STEP: (&str, &str, &str) = ("6.12.115+deb12-cloud-amd64", "6.12.115-2~deb12u1", "6.12.117-1~deb12u1");

/// A real fix: where it is, what it replaces, which module that is in, and whether the module comes after the livepatch.
struct Fix {
    file: &'static str,
    functions: &'static [&'static str],
    module: Option<&'static str>,
    later: bool,
}

const fn in_vmlinux(file: &'static str, functions: &'static [&'static str]) -> Fix {
    Fix { file, functions, module: None, later: false }
}

/// In the order in which the text mentions them: an indirect call; inlined statics; dynamic debug, warnings and branches on
/// static keys; tracepoints; a module that is there before its livepatch and one that comes after, with seven functions.
const FIXES: [Fix; 6] = [
    in_vmlinux("fs/stat.c", &["vfs_getattr_nosec"]),
    in_vmlinux("fs/signalfd.c", &["signalfd_poll", "signalfd_read_iter"]),
    in_vmlinux("net/ipv4/tcp_input.c", &["tcp_conn_request"]),
    in_vmlinux("block/blk-mq.c", &["blk_mq_alloc_and_init_hctx", "blk_add_rq_to_plug"]),
    Fix { file: "drivers/block/loop.c", functions: &["lo_compat_ioctl"], module: Some("loop"), later: false },
    Fix {
        file: "net/sched/cls_flower.c",
        functions: &[
            "__fl_delete",
            "__fl_put",
            "fl_change",
            "fl_delete",
            "fl_put",
            "fl_reoffload",
            "fl_walk",
        ],
        module: Some("cls_flower"),
        later: true,
    },
];

/// statx(2) of `/proc` says which attributes it knows of: after the fix, STATX_ATTR_VERITY (0x100000) too.
const KNOWS_VERITY: &str = r#"/usr/bin/perl -e '
    my ($path, $room) = ("/proc", "\0" x 256);
    syscall(332, -100, $path, 0, 0x7ff, $room) == 0 or exit 1;
    print unpack("Q", substr($room, 56, 8)) & 0x100000 ? "yes" : "no";'"#;

#[test]
fn the_newest_kernel_of_the_series_takes_a_livepatch_and_gives_it_back() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let release =
        newest_offered("6.12").unwrap_or_else(|| panic!("no kernel of 6.12 is offered: apt-get update"));
    eprintln!("chosen from the package index: {release}");
    let builder = Builder::new(&programs, directory.path().join("builder.log"), &|_| {});
    builder.add_kernel(&release).unwrap();
    let kernel = CachedKernel::find(Some(&release)).unwrap();
    let example = |name: &str| {
        let output = directory.path().join(name);
        let patch = workspace_root().join(format!("examples/patches/{name}.patch"));
        build(&builder, &release, &patch, &output);
        output
    };
    let (cmdline, dio) = (example("proc-cmdline"), example("loop-dio"));
    let guest = GuestBuilder::for_kernel(&kernel)
        .file(module_of(&cmdline), "/cmdline.ko", 0o600)
        .file(module_of(&dio), "/dio.ko", 0o600)
        .contents("/loop.ko", 0o600, kernel.module("loop").unwrap())
        .artefacts(directory.path().join("guest"))
        .boot()
        .unwrap();
    let says_so = || guest.check("cat /proc/cmdline", LIMIT).unwrap().contains("livepatched");
    assert!(!says_so());
    load(&guest, "/cmdline.ko", &cmdline);
    assert!(says_so());
    take_out(&guest, &cmdline);
    assert!(!says_so());

    let direct_io = || {
        let script = "truncate -s 1M /image && losetup /dev/loop0 /image && cat /sys/block/loop0/loop/dio; losetup -d /dev/loop0";
        guest.check(script, LIMIT).unwrap().trim().to_owned()
    };
    load(&guest, "/dio.ko", &dio);
    guest.check("insmod /loop.ko", LIMIT).unwrap();
    assert_eq!(direct_io(), "0 livepatched");
    take_out(&guest, &dio);
    assert_eq!(direct_io(), "0");
    load(&guest, "/dio.ko", &dio);
    assert_eq!(direct_io(), "0 livepatched");
    take_out(&guest, &dio);
    quiet(&guest);
}

#[test]
fn real_fixes_of_the_series_are_built_loaded_and_taken_out() {
    let Some(bench) = Bench::new() else { return };
    let builds = bench.builds();
    let guest = bench.guest("plain", &builds).boot().unwrap();
    let knows = || guest.check(KNOWS_VERITY, LIMIT).unwrap();
    for (number, (fix, output)) in builds.iter().enumerate() {
        assert_eq!(knows(), "no");
        load(&guest, &format!("/{number}.ko"), output);
        assert_eq!(knows(), if fix.file == "fs/stat.c" { "yes" } else { "no" });
        if let (Some(name), true) = (fix.module, fix.later) {
            guest.check(&format!("insmod /{name}.ko"), LIMIT).unwrap();
        }
        take_out(&guest, output);
    }
    quiet(&guest);
}

/// On a processor that needs call thunks, the kernel writes them into the paddings, and redirects calls to them.
#[test]
fn call_thunks_fit_in_front_of_the_new_functions() {
    let Some(bench) = Bench::new() else { return };
    let builds = bench.builds();
    let guest = bench.guest("thunks", &builds).processor("Skylake-Client").append("retbleed=stuff");
    let guest = guest.boot().unwrap();
    let state = guest.check("cat /sys/devices/system/cpu/vulnerabilities/retbleed", LIMIT).unwrap();
    assert_eq!(state.trim(), "Mitigation: Stuffing");
    for (number, (fix, output)) in builds.iter().enumerate() {
        load(&guest, &format!("/{number}.ko"), output);
        if fix.file == "fs/stat.c" {
            assert_eq!(guest.check(KNOWS_VERITY, LIMIT).unwrap(), "yes");
        }
        take_out(&guest, output);
    }
    quiet(&guest);
}

/// A place to work in; `None` when the packages of [`STEP`] are gone.
struct Bench {
    programs: Programs,
    kernel: CachedKernel,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
        let (release, from, to) = STEP;
        let offered = versions(SOURCE);
        let builder = Builder::new(&programs, directory.path().join("kernel.log"), &|_| {});
        let gone = match builder.add_kernel(release) {
            Err(error) => {
                let text = format!("{error:#}");
                assert!(text.contains("package index"), "{text}");
                Some(release)
            }
            Ok(()) => [from, to].into_iter().find(|wanted| !offered.iter().any(|version| version == wanted)),
        };
        if let Some(gone) = gone {
            eprintln!("passed over: the package index no longer offers {gone}");
            return None;
        }
        eprintln!("kernel {release} from {SOURCE} {from}, fixes from {to}");
        let kernel = CachedKernel::find(Some(release)).unwrap();
        Some(Self { programs, kernel, directory })
    }

    /// Each fix with its build, which replaces just what it should.
    fn builds(&self) -> Vec<(&'static Fix, PathBuf)> {
        let (release, from, to) = STEP;
        let builder = Builder::new(&self.programs, self.directory.path().join("builder.log"), &|_| {});
        let built = |(number, fix): (usize, &'static Fix)| {
            let output = self.directory.path().join(number.to_string());
            let patch = self.directory.path().join(format!("{number}.patch"));
            let request = FixRequest { package: SOURCE, from, to, files: &[fix.file] };
            builder.extract_fix(&request, &patch).unwrap();
            build(&builder, release, &patch, &output);
            let manifest = Builder::manifest(&output).unwrap();
            assert_eq!(manifest.objects[0].name, fix.module.unwrap_or("vmlinux"));
            let functions = manifest.objects.iter().flat_map(|object| &object.functions);
            let mut functions: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
            functions.sort_unstable();
            let mut wanted = fix.functions.to_vec();
            wanted.sort_unstable();
            assert_eq!(functions, wanted, "{}", fix.file);
            (fix, output)
        };
        FIXES.iter().enumerate().map(built).collect()
    }

    fn guest(&self, name: &str, builds: &[(&Fix, PathBuf)]) -> GuestBuilder {
        let mut guest = GuestBuilder::for_kernel(&self.kernel)
            .program("/usr/bin/perl", "/usr/bin/perl")
            .artefacts(self.directory.path().join(name));
        for (number, (fix, output)) in builds.iter().enumerate() {
            guest = guest.file(module_of(output), &format!("/{number}.ko"), 0o600);
            guest = match fix.module {
                Some(name) if fix.later => {
                    guest.contents(&format!("/{name}.ko"), 0o600, self.kernel.module(name).unwrap())
                }
                Some(name) => guest.module(name),
                None => guest,
            };
        }
        guest
    }
}

fn build(builder: &Builder<'_>, release: &str, patch: &Path, output: &Path) {
    std::fs::create_dir_all(output).unwrap();
    let fix = "example=a change to a kernel of the 6.12 series";
    builder.build(&BuildRequest { release, patch, fix, source: None, version: 1 }, output).unwrap();
}

fn module_of(output: &Path) -> PathBuf {
    output.join(Builder::manifest(output).unwrap().file_name())
}

/// The kernel has nothing to complain of since the first livepatch came.
fn quiet(guest: &Guest) {
    let log = guest.check("dmesg", LIMIT).unwrap();
    let since: Vec<&str> =
        log.lines().skip_while(|line| !line.contains("livepatch: enabling patch")).collect();
    assert!(!since.is_empty(), "{log}");
    let complaints =
        ["WARNING:", "BUG:", "Call Trace:", "Invalid padding", "livepatch: failed", "invalid relocation"];
    let found = since.iter().find(|line| complaints.iter().any(|words| line.contains(words)));
    assert_eq!(found, None, "{log}");
    assert_eq!(guest.oops(), None);
}

/// The newest cloud kernel of a series of which the index has all packages in one version.
pub(crate) fn newest_offered(series: &str) -> Option<String> {
    let output =
        Command::new("apt-cache").args(["pkgnames", &format!("linux-image-{series}.")]).output().unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let mut releases: Vec<KernelRelease> = names
        .lines()
        .filter_map(|name| name.strip_prefix("linux-image-"))
        .filter(|release| release.ends_with("-cloud-amd64"))
        .filter_map(|release| release.parse().ok())
        .collect();
    releases.sort();
    let sources = versions(&format!("linux-source-{series}"));
    let is_whole = |release: &&KernelRelease| {
        let image = versions(&format!("linux-image-{release}"));
        let Some(version) = image.first().filter(|version| sources.contains(version)) else { return false };
        [format!("linux-headers-{release}"), format!("linux-image-{release}-dbg")]
            .iter()
            .all(|name| versions(name).contains(version))
    };
    releases.iter().rev().find(is_whole).map(ToString::to_string)
}

/// Versions of a package in the index.
fn versions(name: &str) -> Vec<String> {
    let output = Command::new("apt-cache").args(["madison", name]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect()
}
