//! Makes packages like Debian's and Ubuntu's, with a toy kernel in them: a source tree that make can prepare, a vmlinux with
//! debug information and build id, a module.

use crate::workplace::Workplace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whose packages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    Debian,
    Ubuntu,
}

/// A toy kernel and how it is packaged; change a field to break it.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) vendor: Vendor,
    pub(crate) release: String,
    pub(crate) version: String,
    /// The compiler's line in the configuration; gcc's own when empty.
    pub(crate) compiler: String,
    pub(crate) debug_information: bool,
    /// `SUBLEVEL` of the source.
    pub(crate) sublevel: u32,
    /// The release that vmlinux calls itself by; the right one when empty.
    pub(crate) banner: String,
    /// What the module prints, to tell kernels apart.
    pub(crate) word: &'static str,
}

pub(crate) const UBUNTU_RELEASE: &str = "5.15.0-105-generic";
pub(crate) const DEBIAN_RELEASE: &str = "6.1.0-55-cloud-amd64";

impl Toy {
    pub(crate) fn debian() -> Self {
        Self {
            vendor: Vendor::Debian,
            release: DEBIAN_RELEASE.into(),
            version: "6.1.192-1".into(),
            compiler: String::new(),
            debug_information: true,
            sublevel: 192,
            banner: String::new(),
            word: "sample",
        }
    }

    pub(crate) fn ubuntu() -> Self {
        Self {
            vendor: Vendor::Ubuntu,
            release: UBUNTU_RELEASE.into(),
            version: "5.15.0-105.115".into(),
            sublevel: 148,
            ..Self::debian()
        }
    }

    /// Builds all packages of the kernel into a folder; answers their files.
    pub(crate) fn package(&self, workplace: &Workplace, folder: &str) -> Vec<PathBuf> {
        let build = Build { toy: self, folder: workplace.path(folder) };
        std::fs::create_dir_all(&build.folder).unwrap();
        match self.vendor {
            Vendor::Debian => build.debian(),
            Vendor::Ubuntu => build.ubuntu(),
        }
    }

    /// A built tree, as `make` leaves it.
    pub(crate) fn tree(&self, workplace: &Workplace, folder: &str) -> PathBuf {
        let build = Build { toy: self, folder: workplace.path(folder) };
        build.source_tree(&build.folder);
        write(&build.folder.join(".config"), &self.configuration());
        write(&build.folder.join("Module.symvers"), SYMVERS);
        write(&build.folder.join("modules.order"), "kernel/drivers/net/sample-net.ko\n");
        build.vmlinux(&build.folder.join("vmlinux"));
        build.module(&build.folder.join("drivers/net/sample-net.ko"));
        run(Command::new("make").arg("-s").arg("-C").arg(&build.folder).args(["CC=gcc", "modules_prepare"]));
        build.folder
    }

    fn configuration(&self) -> String {
        let compiler = if self.compiler.is_empty() { compiler_text() } else { self.compiler.clone() };
        let mut text = format!(
            "CONFIG_LIVEPATCH=y\nCONFIG_KALLSYMS_ALL=y\nCONFIG_X86_64=y\nCONFIG_CC_IS_GCC=y\n\
             CONFIG_CC_VERSION_TEXT=\"{compiler}\"\n"
        );
        if self.vendor == Vendor::Ubuntu {
            let (version, flavour) = (&self.version, "generic");
            text += &format!("CONFIG_VERSION_SIGNATURE=\"Ubuntu {version}-{flavour} 5.15.148\"\n");
        }
        text
    }

    /// `6.1`, `5.15`.
    fn series(&self) -> String {
        self.release.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
    }
}

const SYMVERS: &str = "0x12345678\tprint\tvmlinux\tEXPORT_SYMBOL\t\n";

/// kbuild in short. `LEAVE` and `SLEEP` of the environment make it slow and recognisable.
const MAKEFILE: &str = r#"
CC ?= gcc
olddefconfig:
	@test -f .config
modules_prepare:
	@if [ -n "$$LEAVE" ]; then touch started; sleep $$SLEEP; touch $$LEAVE; fi
	@mkdir -p scripts/mod
	@echo 'int empty;' > scripts/mod/empty.c
	@$(CC) -Iinclude -c -o scripts/mod/empty.o scripts/mod/empty.c
	@echo 'cmd_scripts/mod/empty.o := $(CC) -Iinclude -c -o scripts/mod/empty.o scripts/mod/empty.c' > scripts/mod/.empty.o.cmd
"#;

struct Build<'a> {
    toy: &'a Toy,
    folder: PathBuf,
}

impl Build<'_> {
    fn debian(&self) -> Vec<PathBuf> {
        let (release, series) = (&self.toy.release, self.toy.series());
        let image = self.root("image");
        write(&image.join(format!("boot/vmlinuz-{release}")), "image");
        self.module(&image.join(format!("lib/modules/{release}/kernel/drivers/net/sample-net.ko")));
        let source = self.root("source");
        let archive = source.join(format!("usr/src/linux-source-{series}.tar.xz"));
        self.archive(&format!("linux-source-{series}"), &archive, "-J");
        vec![
            self.pack(&image, &format!("linux-image-{release}"), "deb"),
            self.pack(&self.headers(), &format!("linux-headers-{release}"), "deb"),
            self.pack(&self.debug(), &format!("linux-image-{release}-dbg"), "deb"),
            self.pack(&source, &format!("linux-source-{series}"), "deb"),
        ]
    }

    fn ubuntu(&self) -> Vec<PathBuf> {
        let release = &self.toy.release;
        let image = self.root("image");
        write(&image.join(format!("boot/vmlinuz-{release}")), "image");
        let modules = self.root("modules");
        let folder = modules.join(format!("lib/modules/{release}/kernel/drivers/net"));
        self.module(&folder.join("sample-net.ko"));
        run(Command::new("zstd").args(["-q", "--rm"]).arg(folder.join("sample-net.ko")));
        write(&modules.join(format!("boot/config-{release}")), &self.toy.configuration());
        let extra = self.root("extra");
        self.module(&extra.join(format!("lib/modules/{release}/kernel/drivers/gpu/extra.ko")));
        let name = format!("linux-source-{}.0", self.toy.series());
        let source = self.root("source");
        let folder = source.join("usr/src").join(&name);
        self.archive(&name, &folder.join(format!("{name}.tar.bz2")), "-j");
        write(&folder.join("debian/canonical-certs.pem"), "certificate");
        write(&folder.join("debian.master/reconstruct"), "script");
        vec![
            self.pack(&image, &format!("linux-image-unsigned-{release}"), "deb"),
            self.pack(&modules, &format!("linux-modules-{release}"), "deb"),
            self.pack(&extra, &format!("linux-modules-extra-{release}"), "deb"),
            self.pack(&self.headers(), &format!("linux-headers-{release}"), "deb"),
            self.pack(&self.debug(), &format!("linux-image-unsigned-{release}-dbgsym"), "ddeb"),
            self.pack(&source, &name, "deb"),
        ]
    }

    fn root(&self, name: &str) -> PathBuf {
        let root = self.folder.join("roots").join(name);
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    fn headers(&self) -> PathBuf {
        let root = self.root("headers");
        let folder = root.join(format!("usr/src/linux-headers-{}", self.toy.release));
        write(&folder.join(".config"), &self.toy.configuration());
        write(&folder.join("Module.symvers"), SYMVERS);
        root
    }

    fn debug(&self) -> PathBuf {
        let root = self.root("debug");
        self.vmlinux(&root.join(format!("usr/lib/debug/boot/vmlinux-{}", self.toy.release)));
        root
    }

    fn source_tree(&self, folder: &Path) {
        let series = self.toy.series();
        let (version, patchlevel) = series.split_once('.').unwrap();
        let head =
            format!("VERSION = {version}\nPATCHLEVEL = {patchlevel}\nSUBLEVEL = {}\n", self.toy.sublevel);
        write(&folder.join("Makefile"), &(head + MAKEFILE));
        write(&folder.join("Kbuild"), "");
        let structure = |header: &str, name: &str, size: u32| {
            let text = format!("struct {name} {{ char bytes[{size}]; }};\n");
            write(&folder.join("include").join(header), &text);
        };
        structure("linux/bug.h", "bug_entry", 12);
        structure("linux/jump_label.h", "jump_entry", 16);
        structure("asm/alternative.h", "alt_instr", 14);
    }

    fn archive(&self, top: &str, target: &Path, compression: &str) {
        let scratch = self.root("scratch");
        self.source_tree(&scratch.join(top));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        run(Command::new("tar")
            .arg("-c")
            .arg(compression)
            .arg("-f")
            .arg(target)
            .arg("-C")
            .arg(&scratch)
            .arg(top));
    }

    fn vmlinux(&self, target: &Path) {
        let source = self.folder.join("vmlinux.c");
        let banner = if self.toy.banner.is_empty() { &self.toy.release } else { &self.toy.banner };
        let text = format!(
            "const char linux_banner[] = \"Linux version {banner} (us@here) (gcc) #1\";\n\
             int entry(void) {{ return {}; }}\n",
            self.toy.sublevel
        );
        write(&source, &text);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let debug = if self.toy.debug_information { "-g" } else { "-g0" };
        let link = ["-static", "-nostdlib", "-fno-PIE", "-no-pie", "-Wl,--build-id=sha1", "-Wl,-e,entry"];
        run(Command::new("gcc").arg(debug).args(link).arg("-o").arg(target).arg(&source));
        run(Command::new("objcopy").args(["--rename-section", ".note.gnu.build-id=.notes"]).arg(target));
    }

    fn module(&self, target: &Path) {
        let source = self.folder.join("module.c");
        let text = format!(
            "__attribute__((section(\".modinfo\"), used)) static const char license[] = \"license=GPL\";\n\
             const char word[] = \"{}\";\n",
            self.toy.word
        );
        write(&source, &text);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        run(Command::new("gcc").args(["-c", "-o"]).arg(target).arg(&source));
    }

    fn pack(&self, root: &Path, name: &str, extension: &str) -> PathBuf {
        let maintainer = match self.toy.vendor {
            Vendor::Debian => "Debian Kernel Team <debian-kernel@lists.debian.org>",
            Vendor::Ubuntu => "Ubuntu Kernel Team <kernel-team@lists.ubuntu.com>",
        };
        let version = &self.toy.version;
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: {maintainer}\nDescription: toy\n"
        );
        write(&root.join("DEBIAN/control"), &control);
        let file = self.folder.join(format!("{name}_{version}_amd64.{extension}"));
        run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-b"]).arg(root).arg(&file));
        file
    }
}

/// The first line of `gcc --version`, as kbuild notes it.
fn compiler_text() -> String {
    let output = Command::new("gcc").arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
