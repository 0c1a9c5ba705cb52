//! `kernel add` from packages and from a build tree, with a toy kernel: everything but the size is as with a real one.

use crate::distribution::{DEBIAN_RELEASE, Toy, UBUNTU_RELEASE};
use crate::workplace::{Answer, Workplace, names_in};
use livepatch_build::cache::Cache;
use livepatch_build::kernel::{Kernel, Origin, Vmlinux};
use livepatch_diff::{Binding, Unit};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn add_archives(workplace: &Workplace, files: &[PathBuf]) -> Answer {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    workplace.run(&[&["kernel", "add", "--deb"], files.as_slice()].concat())
}

fn open(workplace: &Workplace, release: &str) -> Kernel {
    Kernel::open(&Cache::at(&workplace.path("cache")), &release.parse().unwrap()).unwrap()
}

fn without(files: &[PathBuf], part: &str) -> Vec<PathBuf> {
    let kept: Vec<PathBuf> =
        files.iter().filter(|file| !file.to_str().unwrap().contains(part)).cloned().collect();
    assert_eq!(kept.len() + 1, files.len(), "{part}");
    kept
}

/// What every provider must come to.
fn check(workplace: &Workplace, release: &str) -> Kernel {
    let kernel = open(workplace, release);
    assert_eq!(kernel.entry_sizes["bug_entry"], 12);
    assert_eq!(kernel.entry_sizes["alt_instr"], 14);
    assert!(kernel.source().join("scripts/mod/empty.o").is_file());
    assert!(kernel.source().join("Module.symvers").is_file());
    let module = kernel.module("sample_net").unwrap().unwrap();
    assert!(module.starts_with(b"\x7fELF") && module.windows(6).any(|word| word == b"sample"));
    assert!(kernel.module("no_such").unwrap().is_none());
    kernel
}

#[test]
fn debian_packages_become_a_kernel() {
    let workplace = Workplace::new();
    let files = Toy::debian().package(&workplace, "packages");
    let answer = add_archives(&workplace, &files);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.starts_with(&format!("{DEBIAN_RELEASE}  6.1.192-1  ")), "{}", answer.stdout);
    let kernel = check(&workplace, DEBIAN_RELEASE);
    assert_eq!((kernel.origin.clone(), kernel.source_package.as_str()), (Origin::Debian, "linux-source-6.1"));
    assert!(kernel.make_variables().contains(&"DISTRIBUTION_VERSION=6.1.192-1".to_owned()));

    let again = add_archives(&workplace, &files);
    assert_eq!((again.code, again.stdout), (0, answer.stdout));
    assert!(!again.stderr.contains("unpack"), "{}", again.stderr);
}

#[test]
fn ubuntu_packages_become_a_kernel() {
    let workplace = Workplace::new();
    let files = Toy::ubuntu().package(&workplace, "packages");
    let answer = add_archives(&workplace, &files);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let kernel = check(&workplace, UBUNTU_RELEASE);
    assert_eq!((kernel.origin.clone(), kernel.version.as_str()), (Origin::Ubuntu, "5.15.0-105.115"));
    assert!(kernel.module("extra").unwrap().is_some());
    assert!(kernel.make_variables().contains(&"KBUILD_BUILD_VERSION=115".to_owned()));
    for file in ["debian/canonical-certs.pem", "debian.master/reconstruct"] {
        assert!(kernel.source().join(file).is_file(), "{file}");
    }
    assert!(!kernel.folder.join("source-package").exists());
}

#[test]
fn ubuntu_kernel_without_extra_modules_is_whole() {
    let workplace = Workplace::new();
    let files = without(&Toy::ubuntu().package(&workplace, "packages"), "modules-extra");
    assert_eq!(add_archives(&workplace, &files).code, 0);
    assert!(check(&workplace, UBUNTU_RELEASE).module("extra").unwrap().is_none());
}

#[test]
fn missing_packages_are_named_with_where_to_get_them() {
    let workplace = Workplace::new();
    let debian = Toy::debian().package(&workplace, "debian");
    let ubuntu = Toy::ubuntu().package(&workplace, "ubuntu");
    for (files, part, words) in [
        (&debian, "-dbg_", ["linux-image-6.1.0-55-cloud-amd64-dbg is missing", "amd64-dbg=6.1.192-1"]),
        (&debian, "source", ["linux-source-6.1 is missing", "apt-get download linux-source-6.1=6.1.192-1"]),
        (
            &ubuntu,
            "dbgsym",
            ["linux-image-unsigned-5.15.0-105-generic-dbgsym is missing", "ddebs.ubuntu.com"],
        ),
        (&ubuntu, "linux-modules-5", ["linux-modules-5.15.0-105-generic is missing", "=5.15.0-105.115"]),
    ] {
        let answer = add_archives(&workplace, &without(files, part));
        assert_eq!(answer.code, 1, "{part}");
        for word in words {
            assert!(answer.stderr.contains(word), "{part}: {}", answer.stderr);
        }
    }
    assert_eq!(workplace.run(&["kernel", "list", "--format", "json"]).stdout, "[]\n");
}

#[test]
fn packages_that_do_not_belong_together_are_refused() {
    let workplace = Workplace::new();
    let files = Toy::debian().package(&workplace, "packages");
    let newer = Toy { version: "6.1.194-1".into(), ..Toy::debian() }.package(&workplace, "newer");
    let other = Toy { release: "6.1.0-56-cloud-amd64".into(), ..Toy::debian() }.package(&workplace, "other");
    let swapped = |others: &[PathBuf], part: &str| {
        let theirs = others.iter().find(|file| file.to_str().unwrap().contains(part)).unwrap().clone();
        [without(&files, part), vec![theirs]].concat()
    };
    let answer = add_archives(&workplace, &swapped(&newer, "source"));
    let words = "linux-source-6.1 is of version 6.1.194-1, but the kernel's image of version 6.1.192-1";
    assert!(answer.code == 1 && answer.stderr.contains(words), "{}", answer.stderr);
    let answer = add_archives(&workplace, &swapped(&other, "headers"));
    assert!(answer.code == 1 && answer.stderr.contains("several kernels"), "{}", answer.stderr);
    let text = workplace.write("notes.deb", "no package");
    let answer = add_archives(&workplace, &[text]);
    assert!(answer.code == 1 && answer.stderr.contains("is it a Debian package?"), "{}", answer.stderr);
}

#[test]
fn source_of_another_mainline_version_is_refused() {
    let workplace = Workplace::new();
    let files = Toy { sublevel: 149, ..Toy::ubuntu() }.package(&workplace, "packages");
    let answer = add_archives(&workplace, &files);
    assert_eq!(answer.code, 1);
    for word in ["Ubuntu 5.15.0-105.115-generic 5.15.148", "linux-source-5.15.0 holds '5.15.149'"] {
        assert!(answer.stderr.contains(word), "{}", answer.stderr);
    }
}

#[test]
fn image_without_debug_information_is_refused() {
    let workplace = Workplace::new();
    let files = Toy { debug_information: false, ..Toy::debian() }.package(&workplace, "packages");
    let answer = add_archives(&workplace, &files);
    assert_eq!(answer.code, 1);
    for word in ["has no debug information", "linux-image-6.1.0-55-cloud-amd64-dbg"] {
        assert!(answer.stderr.contains(word), "{}", answer.stderr);
    }
    let tree = Toy { debug_information: false, ..Toy::debian() }.tree(&workplace, "tree");
    let answer = workplace.run(&["kernel", "add", "--tree", tree.to_str().unwrap()]);
    assert!(answer.code == 1 && answer.stderr.contains("CONFIG_DEBUG_INFO"), "{}", answer.stderr);
}

#[test]
fn image_of_another_kernel_is_refused() {
    let workplace = Workplace::new();
    let files =
        Toy { banner: "6.1.0-54-cloud-amd64".into(), ..Toy::debian() }.package(&workplace, "packages");
    let answer = add_archives(&workplace, &files);
    let words = "calls itself 6.1.0-54-cloud-amd64, not 6.1.0-55-cloud-amd64";
    assert!(answer.code == 1 && answer.stderr.contains(words), "{}", answer.stderr);
}

#[test]
fn index_of_symbols_is_written_once_and_made_again_when_it_does_not_fit() {
    let workplace = Workplace::new();
    assert_eq!(add_archives(&workplace, &Toy::debian().package(&workplace, "packages")).code, 0);
    let kernel = open(&workplace, DEBIAN_RELEASE);
    let index = kernel.folder.join("debug/vmlinux.symbols");
    let ask = || {
        let vmlinux = Vmlinux::open(&kernel.vmlinux()).unwrap();
        let image = vmlinux.image().unwrap();
        let found = image.find(Unit::NoLocals, "linux_banner", Binding::Global).map(|symbol| symbol.address);
        (image.len(), found.unwrap())
    };
    let (first, answer) = (std::fs::read(&index).unwrap(), ask());
    let written = || index.metadata().unwrap().modified().unwrap();
    let time = written();
    assert_eq!((ask(), written()), (answer, time));

    // Damaged, cut off, or missing: the same again.
    let mut damaged = first.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for bytes in [Some(damaged), Some(first[..first.len() / 2].to_vec()), Some(Vec::new()), None] {
        match bytes {
            Some(bytes) => std::fs::write(&index, bytes).unwrap(),
            None => std::fs::remove_file(&index).unwrap(),
        }
        assert_eq!(ask(), answer);
        assert_eq!(std::fs::read(&index).unwrap(), first);
    }

    // Another vmlinux in its place: another index.
    let other = Toy { sublevel: 193, banner: "6.1.0-99-longer-than-before".into(), ..Toy::debian() };
    let tree = other.tree(&workplace, "tree");
    std::fs::copy(tree.join("vmlinux"), kernel.vmlinux()).unwrap();
    ask();
    assert_ne!(std::fs::read(&index).unwrap(), first);
}

#[test]
fn wrong_compiler_is_a_matter_of_the_toolchain() {
    let workplace = Workplace::new();
    let wrong = [
        ("gcc (Debian 1.2.3-4) 1.2.3", "gcc says 'gcc"),
        ("x86_64-linux-gnu-gcc-99 (Ubuntu 99.1) 99.1", "gcc-99 is not installed"),
    ];
    for (number, (compiler, word)) in wrong.into_iter().enumerate() {
        let toy = Toy { compiler: compiler.into(), ..Toy::ubuntu() };
        let answer = add_archives(&workplace, &toy.package(&workplace, &format!("packages{number}")));
        assert_eq!(answer.code, 5, "{}", answer.stderr);
        assert!(answer.stderr.contains(word) && answer.stderr.contains(compiler), "{}", answer.stderr);
    }
}

#[test]
fn build_tree_is_used_where_it_stands() {
    let workplace = Workplace::new();
    let tree = Toy::debian().tree(&workplace, "tree");
    let before = names_in(&tree);
    let add = ["kernel", "add", "--tree", tree.to_str().unwrap()];
    let answer = workplace.run(&add);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let kernel = check(&workplace, DEBIAN_RELEASE);
    assert_eq!(kernel.source().canonicalize().unwrap(), tree.canonicalize().unwrap());
    assert_eq!(names_in(&tree), before);

    // Built again: what was added is no longer there.
    std::fs::write(tree.join("vmlinux"), "another build").unwrap();
    let build = ["build", "--kernel", DEBIAN_RELEASE, "--patch", "x", "--output", "out"];
    let answer = workplace.run(&build);
    assert!(answer.code == 1 && answer.stderr.contains("was built again"), "{}", answer.stderr);

    assert_eq!(workplace.run(&["kernel", "remove", DEBIAN_RELEASE]).code, 0);
    assert_eq!(names_in(&tree), before);
    assert!(!kernel.folder.exists());
}

#[test]
fn half_built_tree_says_what_is_missing() {
    let workplace = Workplace::new();
    let tree = Toy::debian().tree(&workplace, "tree");
    for file in ["scripts/mod/.empty.o.cmd", "Module.symvers", "vmlinux", ".config"] {
        std::fs::remove_file(tree.join(file)).unwrap();
        let answer = workplace.run(&["kernel", "add", "--tree", tree.to_str().unwrap()]);
        assert!(answer.code == 1 && answer.stderr.contains(&format!("no {file};")), "{}", answer.stderr);
    }
}

#[test]
fn kernel_is_removed_and_can_be_added_again() {
    let workplace = Workplace::new();
    let files = Toy::debian().package(&workplace, "packages");
    assert_eq!(add_archives(&workplace, &files).code, 0);
    assert_eq!(workplace.run(&["kernel", "remove", DEBIAN_RELEASE]).code, 0);
    assert_eq!(workplace.run(&["kernel", "list", "--format", "json"]).stdout, "[]\n");
    let answer = workplace.run(&["kernel", "remove", DEBIAN_RELEASE]);
    assert!(answer.code == 1 && answer.stderr.contains("is not prepared"), "{}", answer.stderr);
    assert_eq!(add_archives(&workplace, &files).code, 0);
}

#[test]
fn other_version_of_a_prepared_release_is_refused() {
    let workplace = Workplace::new();
    assert_eq!(add_archives(&workplace, &Toy::debian().package(&workplace, "packages")).code, 0);
    let newer = Toy { version: "6.1.194-1".into(), ..Toy::debian() }.package(&workplace, "newer");
    let answer = add_archives(&workplace, &newer);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("prepared from version 6.1.192-1, not 6.1.194-1"), "{}", answer.stderr);
}

#[test]
fn preparation_after_a_killed_one_is_clean() {
    let workplace = Workplace::new();
    let files = Toy::debian().package(&workplace, "packages");
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let arguments = [&["kernel", "add", "--deb"], files.as_slice()].concat();
    let ended = workplace.path("first-ended");
    let mut first = workplace.command(&arguments).env("LEAVE", &ended).env("SLEEP", "2").spawn().unwrap();
    let source = workplace.path(&format!("cache/kernels/{DEBIAN_RELEASE}/source"));
    let start = Instant::now();
    while !source.join("started").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "the first run never came to make");
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(workplace.run(&["kernel", "list", "--format", "json"]).stdout, "[]\n");
    // Its make is still at work, and may write into the folder: the second run waits for it.
    let answer = workplace.run(&arguments);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    check(&workplace, DEBIAN_RELEASE);
    assert!(ended.exists() && !source.join("started").exists());
}

/// A package index of our own: `apt-cache` and `apt-get` as far as they are used, over a folder of packages.
fn with_index(workplace: &Workplace, arguments: &[&str]) -> std::process::Command {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = workplace.path("packages");
    let folder = folder.to_str().unwrap();
    let madison = format!(
        "#!/bin/sh\nfor file in {folder}/\"$2\"_*; do\n  name=${{file##*/}}; version=${{name#*_}}\n  \
         echo \"$2 | ${{version%_*}} | http://x Packages\"\ndone\n"
    );
    // Half of the package, then nothing for a while, when told to be slow.
    let download = format!(
        "#!/bin/sh\nfor last; do :; done\nfile=$(echo {folder}/\"${{last%=*}}_${{last#*=}}\"_*)\n\
         if [ -n \"$SLOW\" ]; then\n  head -c 100 \"$file\" > \"${{file##*/}}\"; touch {folder}/started; sleep 2\nfi\n\
         cp \"$file\" .\n"
    );
    for (name, script) in [("apt-cache", madison), ("apt-get", download)] {
        let file = workplace.write(&format!("bin/{name}"), script);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = workplace.command(arguments);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", workplace.path("bin").display()));
    command
}

#[test]
fn version_is_chosen_from_the_index() {
    let workplace = Workplace::new();
    Toy::debian().package(&workplace, "packages");
    Toy { version: "6.1.194-1".into(), ..Toy::debian() }.package(&workplace, "packages");
    let add = ["kernel", "add", DEBIAN_RELEASE, "--version"];
    let answer = Answer::from(with_index(&workplace, &[&add[..], &["6.1.199-1"]].concat()).output().unwrap());
    let words = "does not offer linux-image-6.1.0-55-cloud-amd64 6.1.199-1; it offers: 6.1.192-1, 6.1.194-1";
    assert!(answer.code == 1 && answer.stderr.contains(words), "{}", answer.stderr);
    let answer = Answer::from(with_index(&workplace, &[&add[..], &["6.1.194-1"]].concat()).output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(check(&workplace, DEBIAN_RELEASE).version, "6.1.194-1");
}

#[test]
fn download_after_a_killed_one_is_whole() {
    let workplace = Workplace::new();
    Toy::debian().package(&workplace, "packages");
    let add = ["kernel", "add", DEBIAN_RELEASE];
    let mut first = with_index(&workplace, &add).env("SLOW", "1").spawn().unwrap();
    let start = Instant::now();
    while !workplace.path("packages/started").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "the first run never came to apt-get");
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let answer = Answer::from(with_index(&workplace, &add).output().unwrap());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    check(&workplace, DEBIAN_RELEASE);
    let left = names_in(&workplace.path("cache/downloads"));
    assert!(left.iter().all(|name| !name.starts_with("partial-")), "{left:?}");
}
